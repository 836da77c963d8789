"""Validation of candidates for personal data: their shapes, and public libraries with their check digits.

Input: the neighbourhood of a candidate (scan.py). Output: spans with their kinds. A regular expression only says where a number
could begin and end. Whether it is one is decided by `phonenumbers` (the numbering plans of E.164, China, Taiwan, Hong Kong and
North America), `python-stdnum` (check digits, birthday and county of an identity card; the Luhn digit of a bank card), and the
standard library's `ipaddress` (is it public?). The words before a number count where its form is not enough: eleven digits
after "order no." are no phone number, eight digits are one only after "Tel.".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

import phonenumbers
from stdnum import luhn, numdb
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from skyloom.corpus.redact.scan import AT, COLONS, NUMBER

Span = tuple[int, int]

LEFT, RIGHT = 48, 24  # characters of context before and after a candidate that a rule may look at
_WIDE = {ord(c) + 0xFEE0: c for c in "0123456789@+-.()"} | {
    point + 0xFEE0: chr(point) for point in (*range(65, 91), *range(97, 123))
}
_WIDE |= dict.fromkeys(range(0x2010, 0x2016), "-")
"""Full-width forms and dashes to ASCII ones, character for character; not of the colon and other marks, which end a
sentence's part."""


def spans(left: str, body: str, right: str, form: int, kinds: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """(start, stop, kind) within `body`, where it stands between `left` and `right`; ascending and apart.

    Where two kinds claim the same characters, the first of `RULES` has them. An e-mail address may begin and end beyond
    `body`, which is its @: its span counts from the beginning of `body` all the same.
    """
    text = (left + body + right).translate(_WIDE)
    first, last = len(left), len(left) + len(body)
    taken: list[tuple[int, int, str]] = []
    for kind, forms, rule in RULES:
        if kind in kinds and form in forms:
            for start, stop in rule(text, first, last):
                if all(stop <= a or start >= b for a, b, _ in taken):
                    taken.append((start, stop, kind))
    return sorted((start - first, stop - first, kind) for start, stop, kind in taken)


_LOCAL = re.compile(r"(?<![A-Za-z0-9._%+\-/:@])[A-Za-z0-9][A-Za-z0-9._%+-]*\Z")
_HOST = re.compile(r"@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,18}(?![A-Za-z0-9_@-])")
_NO_TLD = frozenset(
    (
        "service socket timer target mount slice scope device path swap local localdomain lan internal example invalid test "
        "localhost png jpg jpeg gif svg webp ico css js ts json html htm xml py rb go rs java so conf cfg txt md log sh deb rpm "
        "git zip gz"
    ).split()
)


def emails(text: str, first: int, last: int) -> Iterator[Span]:
    """The address around the @ at `first`: not an example's, a systemd unit, a file name or the user of a repository's URL."""
    name, host = _LOCAL.search(text, 0, first), _HOST.match(text, first)
    if name is None or host is None or (name.start() == 0 and first >= LEFT):
        return  # or the name is longer than the context, and no name
    domain = host.group()[1:].lower()
    if name.group().lower() == "git" and text[host.end() : host.end() + 1] in (":", "/"):
        return
    if domain.rsplit(".", 1)[-1] in _NO_TLD or re.search(r"(^|\.)example\.(com|org|net|edu|cn)$", domain):
        return
    yield name.start(), host.end()


_BEFORE, _AFTER = r"(?<![0-9A-Za-z_.+\-])(?<![^0-9]/)(?<![0-9][ \-.])", r"(?![0-9A-Za-z_]|[.\-+*=×][0-9])"
_CARD_OF_IDENTITY = re.compile(r"(?<![0-9A-Za-z_.])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z_])")
_BANK_CARD = re.compile(
    rf"(?<![0-9A-Za-z_.+\-])(?<![^0-9]/)"
    rf"[2-6]\d{{3}}(?:(?:[ -]?\d{{4}}){{3}}(?:[ -]?\d{{3}})?|\d{{11}}|\d{{13,14}}|[ -]\d{{6}}[ -]\d{{5}}){_AFTER}"
)


def id_cards(text: str, first: int, last: int) -> Iterator[Span]:
    for match in _CARD_OF_IDENTITY.finditer(text, max(first - 1, 0), last + 1):
        if match.start() >= first and _is_resident(match.group().upper()):
            yield match.span()


def _is_resident(number: str) -> bool:
    """A check character, a day of birth and a county that there are or were.

    `ric.is_valid` asks too whether the county had that code in the year of birth; but codes are those of the registration, which
    came later for whoever was born before 1984: it refuses half of their numbers.
    """
    try:
        born = ric.get_birth_date(number)
    except ValidationError:
        return False
    counties = numdb.get("cn/loc").info(number[:6])
    return born.year >= 1850 and ric.calc_check_digit(number) == number[17] and any("county" in about for _, about in counties)


def bank_cards(text: str, first: int, last: int) -> Iterator[Span]:
    for match in _BANK_CARD.finditer(text, 0, len(text)):
        number = re.sub(r"\D", "", match.group())
        if first <= match.start() < last and _issued(number) and luhn.is_valid(number) and not _counts(text, *match.span()):
            yield match.span()


def _issued(number: str) -> bool:
    """Do the card networks issue numbers of this length that begin like this (ISO/IEC 7812)?"""
    size, two, four = len(number), int(number[:2]), int(number[:4])
    if two in (34, 37):
        return size == 15
    if two == 62 or two == 60 or two == 65:
        return size in ((16, 17, 18, 19) if two == 62 else (16, 19))
    visa, mastercard, jcb = number[0] == "4", 51 <= two <= 55 or 2221 <= four <= 2720, 3528 <= four <= 3589
    return size == 16 and len(set(number)) > 3 and (visa or mastercard or jcb)


_OCTETS = re.compile(r"(?<![0-9A-Za-z_.\-])\d{1,3}(?:\.\d{1,3}){3}(?![0-9A-Za-z_\-]|\.\d)")
_GROUPS = re.compile(r"(?<![0-9A-Za-z_.\-:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z_:.])")
_SAYS_ADDRESS = re.compile(
    r"(?i)(\bip(v4|v6)?\b|addr|host|server|://|ping|nameserver|dns|gateway|login|from|connect|地址|主机|主機|服务器|伺服器|网关|来自|解析)"
    r"[^\n]{0,20}\Z"
)
_SAYS_VERSION = re.compile(
    r"(?i)(\bv|version|release|driver|build|section|chapter|\bsec\.|table|figure|版本?号?|第|节|節|章|图|圖|表)\s*[:：.]?\s*\Z"
)
_RESOLVERS = frozenset(
    (
        "8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 1.1.1.2 1.0.0.2 1.1.1.3 1.0.0.3 9.9.9.9 149.112.112.112 9.9.9.10 149.112.112.10 "
        "208.67.222.222 208.67.220.220 208.67.222.123 208.67.220.123 94.140.14.14 94.140.15.15 94.140.14.15 94.140.15.16 "
        "64.6.64.6 64.6.65.6 4.2.2.1 4.2.2.2 4.2.2.3 4.2.2.4 77.88.8.8 77.88.8.1 84.200.69.80 84.200.70.40 8.26.56.26 "
        "8.20.247.20 185.228.168.9 185.228.169.9 76.76.2.0 76.76.10.0 76.76.19.19 114.114.114.114 114.114.115.115 "
        "114.114.114.119 114.114.115.119 114.114.114.110 114.114.115.110 223.5.5.5 223.6.6.6 119.29.29.29 119.28.28.28 "
        "182.254.116.116 182.254.118.118 180.76.76.76 180.184.1.1 180.184.2.2 1.2.4.8 210.2.4.8 101.226.4.6 218.30.118.6 "
        "123.125.81.6 140.207.198.6 117.50.10.10 52.80.52.52 117.50.11.11 101.101.101.101 101.102.103.104 168.95.1.1 "
        "168.95.192.1 2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001 2620:fe::fe "
        "2620:fe::9 2400:3200::1 2400:3200:baba::1 2402:4e00:: 2400:da00::6666 2001:dc7:1000::1 2620:119:35::35 "
        "2620:119:53::53 "
    ).split()
)
"""Addresses of public name servers, which stand in every manual and belong to nobody."""
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_SECTION = 32  # numbers of sections seldom reach it


def addresses(text: str, first: int, last: int) -> Iterator[Span]:
    """Public IP addresses that are not the number of a version or a section."""
    for match in (_GROUPS if ":" in text[first:last] else _OCTETS).finditer(text, max(first - 1, 0)):
        if first <= match.start() < last and _is_address(match, text):
            yield match.span()


def _is_address(match: re.Match[str], text: str) -> bool:
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or match.group() in _RESOLVERS:
        return False
    if address.version == 6:
        return match.group().count(":") >= 3 and address in _GLOBAL_UNICAST
    before, after = text[: match.start()], text[match.end() : match.end() + 3]
    if _SAYS_VERSION.search(before) or re.match(r"\s*版", after) or _is_money(text, *match.span()):
        return False
    parts = [int(part) for part in match.group().split(".")]
    if sum(part > 9 for part in parts) >= 3 and max(parts) >= _SECTION:
        return True
    return bool(_SAYS_ADDRESS.search(before)) or bool(re.match(r":\d|/\d", after))


_CALLS = re.compile(
    r"(?i)(tel|phone|mobile|\bcell|fax|call|dial|hotline|whats ?app|contact|reach|text me|sms|电话|電話|手机|手機|"
    r"致电|致電|拨打|撥打|热线|熱線|传真|傳真|联系|聯絡|联络|聯繫|查詢|来电|來電|订餐)[^\n]{0,14}\Z"
)
_COUNTS = re.compile(
    r"(?i)(order|invoice|serial|s/n|sku|ticket|tracking|\bref|batch|part|model|\bid\b|isbn|issn|imei|qq|licen[cs]e|meter|"
    r"[单單编編列番序][号號]|流水|批次|条码|條碼|编码|編碼|代码|串号|书号|刊号|型号|案件|档案|工号|学号|用户|授权|专利|"
    r"时间戳|timestamp|epoch|ts\"?:)[^\n0-9]{0,10}\Z"
)
_PAYS = re.compile(r"(?i)(card|account|电话|卡号|账号|帳號)[^\n]{0,8}\Z")
_CALLED = re.compile(
    r"(?i)(\btel|phone|mobile|\bfax|\bcall|\bdial|电话|電話|手机|手機|致电|致電|拨打|撥打|热线|熱線)[\s:：]{0,3}\Z"
)
_ASKS = re.compile(r"(咨询|諮詢|洽询|洽詢|查询|询价|詢價)[^\n]{0,14}\Z")
_IS_MONEY = re.compile(
    r"(?i)([$¥￥€£₩₹]\s{0,2}"
    r"|\b(usd|rmb|cny|hkd|eur|price|cost|costs|worth|total|sum|amount)\b"
    r"(\s|[:：=~≈(]|is|was|of|about|[$¥￥€£]|us|rmb|cny|amount|price){0,6}"
    r"|(价|價|金额|金額|总额|總額|共计|合计|人民币|货款)[格钱錢为為是约約:：$¥￥ ]{0,4})\Z"
)
"""Ends with a word for money and nothing after it but what stands between such a word and its number."""
_OF_THINGS = re.compile(
    r"(?i)\s*(bytes?|people|users|times|years|items|tons?|miles|km|dollars|euros?|%|"
    r"百分|字节|字節|人|元|次|个|個|条|件|吨|年|票|公里|字)"
)


def _counts(text: str, start: int, stop: int) -> bool:
    """Do the words around say that the number counts or names things, and is not one to call or pay with?"""
    before = text[max(start - 24, 0) : start]
    if (_OF_THINGS.match(text, stop) and not _CALLED.search(before)) or _is_sum(before):
        return True
    return bool(_COUNTS.search(before)) and not _PAYS.search(before)


def _is_sum(before: str) -> bool:
    """Do these words say that a sum follows? Not where one of them asks to call or to pay: 「询价电话：」, "price? call"."""
    return bool(_IS_MONEY.search(before)) and not any(said.search(before) for said in (_CALLS, _PAYS, _ASKS))


def _is_money(text: str, start: int, stop: int) -> bool:
    """Do the words around say that the number is a price?"""
    money = re.match(r"(?i)\s*(元|美元|万元|亿元|块|圆|円|dollars?|euros?|yuan|usd|rmb|cny|eur|%)", text[stop : stop + 12])
    return money is not None or _is_sum(text[max(start - 24, 0) : start])


def _calls(text: str, start: int, stop: int) -> bool:
    """Do the words before say that this is a number to call?"""
    return bool(_CALLS.search(text[:start]))


def _unless_it_counts(text: str, start: int, stop: int) -> bool:
    return not _counts(text, start, stop)


def _always(text: str, start: int, stop: int) -> bool:
    return True


Allows = Callable[[str, int, int], bool]


def _shape(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"{_BEFORE}(?:{pattern}){_AFTER}")


_MOBILE = r"(?:86[ .\-]?)?1[3-9]\d(?:[ ]?\d{4}[ ]?\d{4}|-\d{4}-?\d{4}|\.\d{4}\.\d{4}|[ \-]?\d{4}[ \-]?\d{4})"
_LINE = r"(?:\(0\d{1,3}\) ?|0\d{1,3}-|86-\d{2,3}-|86 \d{2,3} )[2-9]\d{2,3}[ -]?\d{4}(?:[-转轉]\d{1,5})?"
_PHONES: tuple[tuple[re.Pattern[str], tuple[str | None, ...], Allows], ...] = (
    # a shape, the plans of which one must know the number, and what the words around must say
    (_shape(r"\+[1-9](?:[ .-]?(?:\d|\(\d{1,5}\)))+"), (None,), _always),
    (_shape(r"(?:\(8(?:52|53|86|6)\) ?|00(?:86|852|853|886)[ -]?)\d[\d -]{6,12}\d"), (None,), _always),
    (_shape(_MOBILE), ("CN",), _unless_it_counts),
    (_shape(_LINE), ("CN", "TW"), _unless_it_counts),
    (_shape(r"09\d{2}[ -]?\d{3}[ -]?\d{3}"), ("TW",), _unless_it_counts),
    (_shape(r"[48]00-\d{3}-?\d{4}"), ("CN",), _unless_it_counts),
    (_shape(r"(?:\([2-9]\d{2}\) ?|[2-9]\d{2}-)[2-9]\d{2}-\d{4}"), ("US",), _unless_it_counts),
    (_shape(r"0\d{9,11}|[48]00\d{7}"), ("CN", "TW"), _calls),
    (_shape(r"[2-9]\d{3}[ -]?\d{4}"), ("HK", "CN"), _calls),
    (_shape(r"(?:86[ .-]|0)\d{2,3}[ .-]\d{3,4}[ .-]?\d{4}(?:[-转轉]\d{1,5})?"), ("CN", "TW"), _calls),
)


def phones(text: str, first: int, last: int) -> Iterator[Span]:
    """Numbers that some plan has given out, in a form in which people write them."""
    taken: list[Span] = []
    for shape, plans, allowed in _PHONES:
        for match in shape.finditer(text, 0, len(text)):
            start, stop = match.span()
            if not first <= start < last or any(start < b and stop > a for a, b in taken) or not allowed(text, start, stop):
                continue
            said = _calls(text, start, stop)
            for end in _ends(match.group()):
                if any(_given_out(match.group()[:end], plan, said) for plan in plans):
                    taken.append((start, start + end))
                    yield start, start + end
                    break


def _ends(number: str) -> Iterator[int]:
    """The whole of a number first, then without its last groups: what follows may be another number."""
    yield len(number)
    yield from (place.start() for place in reversed(list(re.finditer(" ", number))))


def _given_out(text: str, plan: str | None, said: bool) -> bool:
    """Is this a number of the plan (None: it names its country)? Where the words `said` so, a possible one of it will do:
    `phonenumbers` is a little behind the ranges that are in use."""
    if re.search(r"(0{3}|[.,]\d{3}(?!\d)){2}", text):
        return False
    text = re.sub(r"^\((8\d{1,2})\)|^00(8)|^(86)[ .-]?(?=1|\d{2,3}[ .-])", lambda m: "+" + (m[1] or m[2] or m[3]), text)
    text = re.sub(r"(\d{7,8}|\d{4}[ -]\d{4})[-转轉]\d{1,5}$", r"\1", text)  # an extension
    try:
        number = phonenumbers.parse(text, plan)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number) or (said and phonenumbers.is_possible_number(number))


RULES: tuple[tuple[str, tuple[int, ...], Callable[[str, int, int], Iterator[Span]]], ...] = (
    ("email", (AT,), emails),
    ("id_card", (NUMBER,), id_cards),
    ("bank_card", (NUMBER,), bank_cards),
    ("ip", (NUMBER, COLONS), addresses),
    ("phone", (NUMBER,), phones),
)
"""Kind, forms of candidates that it is asked about, and where it is; the first that claims a number has it."""
