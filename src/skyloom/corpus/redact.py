"""Personal data becomes placeholders: e-mail and IP addresses, phone, identity-card and bank-card numbers.

What enters is a text column; what leaves is the column with `<EMAIL>`, `<PHONE>`, `<ID_CARD>`, `<BANK_CARD>` and `<IP>` in
place of what was found, and a count for each kind and row. The report's release (3.2) warns that such data may still be
in it and asks users to filter again; we do it before anything is trained or released.

A number is only taken for what it seems when it proves it: identity cards and bank cards by their check digits, IP
addresses by being public (192.168.0.1, 2001:db8::1 and 127.0.0.1 say nothing about anybody), e-mail addresses by a
domain that can exist (user@example.com and getty@tty1.service stay). Version numbers, section numbers, ISBNs, times
and hashes stay. Four numbers with points count as an address if three of them have two digits or if the words around
them say so.

RE2 runs over the whole column first, so that Python handles only rows that have a candidate.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import setting
from skyloom.corpus.columns import Texts

KINDS = ("email", "id_card", "bank_card", "ip", "phone")


@dataclass(frozen=True)
class RedactConfig:
    """What is redacted."""

    kinds: tuple[str, ...] = setting(KINDS, doc="kinds of personal data that become placeholders", choices=KINDS)


@dataclass(frozen=True)
class Redacted:
    """`texts`: string[rows]. `counts`: by kind, int64[rows], how many were replaced."""

    texts: pa.Array
    counts: dict[str, npt.NDArray[np.int64]]


def redact(texts: Texts, config: RedactConfig) -> Redacted:
    """Replace personal data in each text; a text without any comes back as it was, byte for byte."""
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    counts = {}
    for kind in KINDS:
        counts[kind] = np.zeros(len(column), np.int64)
        if kind not in config.kinds:
            continue
        rows = np.flatnonzero(pc.match_substring_regex(column, _PREFILTERS[kind]).to_numpy(zero_copy_only=False))
        changed = {}
        for row, text in zip(rows.tolist(), column.take(pa.array(rows)).to_pylist(), strict=True):
            new, found = redact_text(text, kind)
            if found:
                changed[row], counts[kind][row] = new, found
        if changed:
            mask = np.zeros(len(column), bool)
            mask[list(changed)] = True
            column = pc.replace_with_mask(column, pa.array(mask), pa.array(list(changed.values()), column.type))
    return Redacted(column, counts)


def redact_text(text: str, kind: str) -> tuple[str, int]:
    """One text with one kind of personal data replaced, and how many there were."""
    pattern, is_it = _DETECTORS[kind]
    found = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        if not is_it(match):
            return match.group()
        found += 1
        return f"<{kind.upper()}>"

    return pattern.sub(replace, text), found


_NO_TLD = frozenset(
    (
        "service socket timer target mount slice scope device path swap local localdomain lan internal example invalid test "
        "localhost png jpg jpeg gif svg webp ico css js ts json html htm xml py rb go rs java so conf cfg txt md log sh deb rpm "
        "git zip gz"
    ).split()
)


def _is_email(match: re.Match[str]) -> bool:
    """Not an example's address, a systemd unit, a file name or the user part of a repository's URL."""
    local, _, domain = match.group().lower().rpartition("@")
    last = domain.rsplit(".", 1)[-1]
    if local == "git" and match.string[match.end() : match.end() + 1] in (":", "/"):
        return False
    return last not in _NO_TLD and not re.search(r"(^|\.)example\.(com|org|net|edu|cn)$", domain)


def _digits(match: re.Match[str]) -> str:
    return re.sub(r"[^0-9Xx]", "", match.group())


def _is_id_card(match: re.Match[str]) -> bool:
    """A date of birth in the middle and the check character of GB 11643-1999 at the end."""
    number = match.group().upper()
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    weight = sum(int(d) * (2 ** (17 - k) % 11) for k, d in enumerate(number[:17]))
    return born.year >= 1850 and "10X98765432"[weight % 11] == number[17]


def _is_bank_card(match: re.Match[str]) -> bool:
    """A length and first digits that card networks use, and a Luhn check digit."""
    number = _digits(match)
    sizes = {"34": (15,), "37": (15,), "4": (16,), "5": (16,), "2": (16,), "60": (16, 19), "62": (16, 17, 18, 19), "65": (16, 19)}
    if len(number) not in sizes.get(number[:2], sizes.get(number[0], ())) or len(set(number)) < 4:
        return False
    doubled = (int(d) if k % 2 == 0 else sum(divmod(2 * int(d), 10)) for k, d in enumerate(reversed(number)))
    return sum(doubled) % 10 == 0


_SAYS_ADDRESS = re.compile(
    r"(?i)(\bip(v4|v6)?\b|addr|host|server|://|ping|nameserver|dns|gateway|地址|主机|服务器|网关)[^\n]{0,20}\Z"
)
_SAYS_NUMBER = re.compile(r"(?i)(\bv|version|release|section|chapter|\bsec\.|table|figure|版本?|第|节|章|图|表)\s*[:：.]?\s*\Z")


def _is_ip(match: re.Match[str]) -> bool:
    """A public address: globally routable, and not the number of a version or a section."""
    text, before = match.group(), match.string[max(match.start() - 40, 0) : match.start()]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast:
        return False
    if address.version == 6:
        return text.count(":") >= 3 and address in _GLOBAL_UNICAST
    if _SAYS_NUMBER.search(before):
        return False
    after = match.string[match.end() : match.end() + 3]
    long_parts = sum(len(part) > 1 for part in text.split("."))
    return long_parts >= 3 or bool(_SAYS_ADDRESS.search(before)) or bool(re.match(r":\d|/\d", after))


_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def _is_phone(match: re.Match[str]) -> bool:
    """Chinese mobile and landline numbers, North American ones, and international ones of 9 to 15 digits."""
    text, digits = match.group(), re.sub(r"\D", "", match.group())
    if not text.startswith("+"):
        return True
    if digits.startswith("86"):
        return 11 <= len(digits) <= 14
    if digits.startswith("1"):
        return len(digits) == 11 and digits[1] in "23456789"
    compact = text[1:].isdigit()  # +2147483647 is a number, not a number to call
    return (11 if compact else 9) <= len(digits) <= 15 and not re.search(r"(0{3}|[.,]\d{3}){2}", text)


_LEFT, _RIGHT = r"(?<![0-9A-Za-z_.+\-])(?<![^0-9]/)", r"(?![0-9A-Za-z_]|[.\-]\d)"
_MOBILE = r"(?:86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}"
_LANDLINE = r"(?:\(0\d{2,3}\) ?|（0\d{2,3}）|0\d{2,3}-|86-\d{2,3}-)[2-9]\d{6,7}(?:[-转]\d{1,5})?"
_SERVICE = r"[48]00-\d{3}-?\d{4}"
_NORTH_AMERICAN = r"(?:\([2-9]\d{2}\) ?|[2-9]\d{2}-)[2-9]\d{2}-\d{4}"
_INTERNATIONAL = r"\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,5}\)?){2,6}"
_EMAIL = r"(?<![A-Za-z0-9._%+\-/:@])[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,18}(?![A-Za-z0-9_@-])"
_ID_CARD = r"(?<![0-9A-Za-z_.])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z_])"
_BANK_CARD = r"[2-6]\d{3}(?:(?:[ -]?\d{4}){3}(?:[ -]?\d{3})?|\d{11}|\d{13,14}|[ -]\d{6}[ -]\d{5})"
_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}(?![0-9A-Za-z_\-]|\.\d)"
_IPV6 = r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z_:.])"

_DETECTORS: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], bool]]] = {
    "email": (re.compile(_EMAIL), _is_email),
    "id_card": (re.compile(_ID_CARD), _is_id_card),
    "bank_card": (re.compile(_LEFT + _BANK_CARD + _RIGHT), _is_bank_card),
    "ip": (re.compile(rf"(?<![0-9A-Za-z_.\-])(?:{_IPV4}|{_IPV6})"), _is_ip),
    "phone": (re.compile(f"{_LEFT}(?:{_INTERNATIONAL}|{_MOBILE}|{_LANDLINE}|{_SERVICE}|{_NORTH_AMERICAN}){_RIGHT}"), _is_phone),
}

_PREFILTERS = {
    "email": r"[A-Za-z0-9]@[A-Za-z0-9]",
    "id_card": r"[0-9]{17}[0-9Xx]",
    "bank_card": r"[2-6][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}|[2-6][0-9]{3}[ -][0-9]{6}[ -][0-9]{5}",
    "ip": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|2[0-9A-Fa-f]{3}:[0-9A-Fa-f:]{4}|3[0-9A-Fa-f]{3}:[0-9A-Fa-f:]{4}",
    "phone": r"\+[1-9]|1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}|[0-9]{3}[)）] ?[2-9][0-9]{2}|[0-9]{3}-[2-9][0-9]{2}|[48]00-[0-9]{3}",
}
"""RE2 patterns that match wherever a detector may; what they let pass costs time, what they miss would stay."""
