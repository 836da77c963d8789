"""Generate texts with personal data whose places are known, among hard negatives that only look like it.

Output: `Case`s: a text in English or Chinese, the spans of personal data in it by kind, and what the case is about.
Every number is made up here from the public numbering plans (E.164, the Chinese, Taiwanese and Hong Kong plans, GB 11643,
ISO/IEC 7812, the IANA address registries); nobody's data is in it. The wordings of the two splits are disjoint: rules may be
developed on `dev`; figures are reported on `test`. Half of the cases have no personal data: versions, section numbers, ISBN,
ISSN, DOI, order numbers, dates, times, coordinates, amounts, formulas, hashes, UUIDs, MAC addresses, private and documentation
addresses, ids and cards with a wrong check digit, file names and repositories with an @.

    python -m tests.planted.redaction [--split test] [--count 20] [--seed 1]      print some cases

This file was frozen before the rules that it measures were written.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass

SPLITS = ("dev", "test")
LANGS = ("en", "zh")
Draw = Callable[[random.Random], str]


@dataclass(frozen=True)
class Case:
    """`spans`: (start, stop, kind) in characters, ascending. `about`: the form of the data or of the negative."""

    text: str
    lang: str
    about: str
    spans: tuple[tuple[int, int, str], ...]


def digits(rng: random.Random, count: int, first: str = "0123456789") -> str:
    return rng.choice(first) + "".join(rng.choice("0123456789") for _ in range(count - 1))


def luhn(prefix: str) -> str:
    """`prefix` with its check digit (ISO/IEC 7812-1, annex B)."""
    total = sum(int(d) if k % 2 else sum(divmod(2 * int(d), 10)) for k, d in enumerate(reversed(prefix)))
    return prefix + str(-total % 10)


def id_card(rng: random.Random) -> str:
    """A resident identity number: county, date of birth, order, check character (ISO 7064 MOD 11-2)."""
    county = rng.choice("110105 120101 310104 320102 330106 350203 420106 430102 440305 500103 510107 610113 130102 210202".split())
    born = f"{rng.randint(1940, 2015)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    body = f"{county}{born}{rng.randint(1, 999):03}"
    rest = sum(int(d) * pow(2, 17 - k, 11) for k, d in enumerate(body)) % 11
    return body + "10X98765432"[rest]


def bank_card(rng: random.Random) -> str:
    """A UnionPay, Visa, Mastercard, American Express or JCB number, bare or in its usual groups."""
    kind = rng.choice(["unionpay19", "unionpay16", "visa", "mastercard", "amex", "jcb"])
    if kind == "unionpay19":
        number = luhn(rng.choice("622202 622848 622700 621700 621661 623058".split()) + digits(rng, 12))
    elif kind == "unionpay16":
        number = luhn(rng.choice("622588 625965 622155".split()) + digits(rng, 9))
    elif kind == "amex":
        number = luhn(rng.choice(["34", "37"]) + digits(rng, 12))
    else:
        heads = {"visa": ["4"], "mastercard": ["51", "52", "53", "54", "55", "2221", "2530"], "jcb": ["3528", "3566", "3589"]}
        head = rng.choice(heads[kind])
        number = luhn(head + digits(rng, 15 - len(head)))
    style = rng.choice(["", " ", "-", ""])
    if kind == "amex" and style:
        return style.join([number[:4], number[4:10], number[10:]])
    return style.join(number[k : k + 4] for k in range(0, len(number), 4)) if style else number


MOBILE = "130 131 132 133 135 136 137 138 139 150 151 152 155 157 158 159 166 173 176 177 178 180 181 183 185 186 187 188 189 199".split()


def mainland_mobile(rng: random.Random) -> str:
    head, middle, tail = rng.choice(MOBILE), digits(rng, 4), digits(rng, 4)
    form = rng.choice(["{a}{b}{c}", "{a} {b} {c}", "{a}-{b}-{c}", "+86 {a} {b} {c}", "+86{a}{b}{c}", "+86-{a}{b}{c}", "{a}{b}{c}"])
    return form.format(a=head, b=middle, c=tail)


def mainland_landline(rng: random.Random) -> str:
    area, size = rng.choice([("010", 8), ("021", 8), ("020", 8), ("0755", 8), ("0571", 8), ("028", 8), ("0431", 8), ("0931", 7)])
    number = digits(rng, size, "2345678")
    form = rng.choice(["{a}-{n}", "({a}) {n}", "({a}){n}", "（{a}）{n}", "+86 {b} {n}", "+86-{b}-{n}", "{a}-{h}-{t}"])
    return form.format(a=area, b=area[1:], n=number, h=number[:-4], t=number[-4:])


def taiwan(rng: random.Random) -> str:
    mobile = "9" + rng.choice("1235678") + digits(rng, 7)
    line = rng.choice("2") + digits(rng, 7)
    return rng.choice(
        [
            f"0{mobile[:3]}-{mobile[3:6]}-{mobile[6:]}",
            f"0{mobile}",
            f"+886 {mobile[:3]} {mobile[3:6]} {mobile[6:]}",
            f"+886{mobile}",
            f"(02) {line[:4]}-{line[4:]}",
            f"02-{line[:4]}-{line[4:]}",
            f"+886-2-{line[:4]}-{line[4:]}",
        ]
    )


def hong_kong(rng: random.Random) -> str:
    number = rng.choice(["51", "54", "60", "62", "64", "66", "91", "92", "94", "96", "98"]) + digits(rng, 6)
    line = rng.choice(["21", "22", "23", "25", "26", "27", "28", "31", "35"]) + digits(rng, 6)
    chosen = rng.choice([number, line])
    pair = f"{chosen[:4]} {chosen[4:]}"
    return rng.choice([f"+852 {pair}", f"+852{chosen}", f"+852-{chosen[:4]}-{chosen[4:]}", f"(852) {pair}"])


def hong_kong_local(rng: random.Random) -> str:
    chosen = rng.choice(["9", "6", "2"]) + rng.choice("123456") + digits(rng, 6)
    return rng.choice([f"{chosen[:4]} {chosen[4:]}", chosen, f"{chosen[:4]}-{chosen[4:]}"])


def e164(rng: random.Random) -> str:
    return rng.choice(
        [
            f"+1 {rng.choice(['212', '415', '617', '312'])}-{rng.choice('23456789')}{digits(rng, 2)}-{digits(rng, 4)}",
            f"+1{rng.choice(['212', '415', '617', '312'])}{rng.choice('23456789')}{digits(rng, 6)}",
            f"+44 20 7{digits(rng, 3)} {digits(rng, 4)}",
            f"+447{rng.choice('4578')}{digits(rng, 8)}",
            f"+49 30 {digits(rng, 7, '2345678')}",
            f"+33 6 {' '.join(digits(rng, 2) for _ in range(4))}",
            f"+81 3-{digits(rng, 4, '345')}-{digits(rng, 4)}",
            f"+81 90-{digits(rng, 4, '123456')}-{digits(rng, 4)}",
            f"+65 {rng.choice('89')}{digits(rng, 3, '123456')} {digits(rng, 4)}",
            f"+61 4{digits(rng, 2, '0123')} {digits(rng, 3)} {digits(rng, 3)}",
            f"+7 9{rng.choice(['16', '03', '26', '85'])} {digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 2)}",
        ]
    )


NAMES = "jane.doe zhang_wei li.na m-schmidt wang1987 info sales kontakt chenyu office k.tanaka hr-team a_b.c support99".split()
HOSTS = (
    "mail.skyland.org youxiang.cn 163.com qq.com uni-west.edu.cn riverbank.co.uk labor.de post.com.tw harbour.hk gmail.com".split()
)


def email(rng: random.Random) -> str:
    name = rng.choice(NAMES)
    return f"{rng.choice([name, name.title(), name + '+news', name + str(rng.randint(1, 99))])}@{rng.choice(HOSTS)}"


def ipv4(rng: random.Random) -> str:
    return f"{rng.choice([8, 23, 47, 52, 81, 106, 114, 119, 139, 183, 202, 210])}.{rng.randint(10, 254)}.{rng.randint(10, 254)}.{rng.randint(1, 254)}"


def ipv6(rng: random.Random) -> str:
    head = rng.choice("2a00:1450 2001:4860 2400:3200 240e:e0 2607:f8b0 2408:8000".split())
    group = [f"{rng.randint(0x10, 0xFFFF):x}" for _ in range(6)]
    return rng.choice([f"{head}:{group[0]}::{group[1]}", f"{head}:{':'.join(group)}", f"{head}::{group[0]}:{group[1]}"])


PHONE_WORDINGS = {
    "en": [
        "You can reach the office at {}.", "Phone: {}", "Call {} before noon.", "Mobile {}, ask for Ms Lin.",
        "Tel. {} (weekdays)", "Our hotline is {}; it is free.", "Fax {} or write to us.", "text me on {}, ok?",
        "For bookings dial {}.", "Contact the caretaker ({}) about the key.",
    ],
    "zh": [
        "联系电话：{}。", "请拨打{}预约。", "手机{}，微信同号", "客服热线 {}（工作日）", "有意者请致电{}联系王女士。",
        "电话/傳真：{}", "报名请打 {}，过时不候。", "負責人電話是{}。", "联系人：陈先生 {}", "本店地址不变，订餐：{}",
    ],
}  # fmt: skip
LOCAL_WORDINGS = {
    "en": ["Tel: {}", "Phone {} (Hong Kong)", "WhatsApp {}", "Fax: {}"],
    "zh": ["電話：{}", "查詢熱線：{}", "聯絡電話 {}", "WhatsApp：{}"],
}
WORDINGS: dict[str, dict[str, list[str]]] = {
    "email": {
        "en": ["Write to {} today.", "Contact: {}", "<{}> asked on the list", "Send the form to {}, please.", "Reply-To: {}", "mail {}; thanks"],
        "zh": ["请发邮件到{}，谢谢。", "邮箱：{}", "投稿信箱{}（请注明标题）", "有问题可以写信给 {} 。", "聯絡信箱：{}", "把简历发送至{}即可"],
    },
    "id_card": {
        "en": ["His ID number is {}.", "Resident ID: {}", "The form asked for the identity card ({}).", "ID {} was registered."],
        "zh": ["身份证号{}已登记。", "公民身份号码：{}", "被执行人张某，男，身份证号码{}，住北京市。", "证件号（{}）核验通过"],
    },
    "bank_card": {
        "en": ["Charge card {} please.", "Card number: {}", "We paid with {} last week.", "My account {} was blocked."],
        "zh": ["银行卡号：{}", "请转账至{}，户名李某。", "开户行工商银行，账号{}。", "捐款账户 {}（请备注）"],
    },
    "ipv4": {
        "en": ["The host {} answered.", "Failed login from {} port 22", "ping {} shows no loss", "Blocked IP: {}", "connect to {}:8080 first", "Requests came from {} all night."],
        "zh": ["服务器地址 {}，端口 80", "来自{}的登录失败", "IP：{}", "把域名解析到{}即可。", "访问 http://{}/index 查看", "攻击源 {} 已被封禁。"],
    },
    "ipv6": {
        "en": ["from {} at noon", "AAAA record {}", "The router uses {} as its address.", "host {} is unreachable"],
        "zh": ["IPv6 地址：{}", "域名解析到 {} 。", "来自{}的请求", "网关为 {}，请检查"],
    },
}  # fmt: skip
POSITIVES: list[tuple[str, str, Draw, dict[str, list[str]]]] = [
    ("email", "email", email, WORDINGS["email"]),
    ("mainland mobile", "phone", mainland_mobile, PHONE_WORDINGS),
    ("mainland landline", "phone", mainland_landline, PHONE_WORDINGS),
    ("Taiwan", "phone", taiwan, PHONE_WORDINGS),
    ("Hong Kong", "phone", hong_kong, PHONE_WORDINGS),
    ("Hong Kong, local", "phone", hong_kong_local, LOCAL_WORDINGS),
    ("E.164", "phone", e164, PHONE_WORDINGS),
    ("identity card", "id_card", id_card, WORDINGS["id_card"]),
    ("bank card", "bank_card", bank_card, WORDINGS["bank_card"]),
    ("IPv4", "ip", ipv4, WORDINGS["ipv4"]),
    ("IPv6", "ip", ipv6, WORDINGS["ipv6"]),
]


def version(rng: random.Random) -> str:
    return ".".join(str(rng.choice([rng.randint(0, 9), rng.randint(10, 254)])) for _ in range(4))


def big_version(rng: random.Random) -> str:
    return f"{rng.randint(10, 130)}.0.{rng.randint(1000, 22631)}.{rng.randint(1, 3000)}"


def section(rng: random.Random) -> str:
    return ".".join(str(rng.randint(1, 19)) for _ in range(4))


def isbn13(rng: random.Random) -> str:
    body = rng.choice(["9787", "9780", "9789"]) + digits(rng, 8)
    check = -sum(int(d) * (3 if k % 2 else 1) for k, d in enumerate(body)) % 10
    full = f"{body}{check}"
    return rng.choice([full, f"{full[:3]}-{full[3]}-{full[4:7]}-{full[7:12]}-{full[12]}"])


def isbn10(rng: random.Random) -> str:
    body = "7" + digits(rng, 8)
    check = -sum(int(d) * (10 - k) for k, d in enumerate(body)) % 11
    last = "X" if check == 10 else str(check)
    return rng.choice([body + last, f"{body[0]}-{body[1:4]}-{body[4:9]}-{last}"])


def order(rng: random.Random) -> str:
    day = f"20{rng.randint(10, 25)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    return rng.choice([day + digits(rng, rng.choice([6, 9, 12])), digits(rng, rng.choice([8, 10, 12, 14, 20]), "123456789")])


def elevenths(rng: random.Random) -> str:
    """Eleven digits that could be a mobile number, were it not for the words around them."""
    return rng.choice(MOBILE) + digits(rng, 8)


def wrong_id(rng: random.Random) -> str:
    number = id_card(rng)
    if rng.random() < 0.5:
        return number[:17] + rng.choice([c for c in "0123456789" if c != number[17]])
    body = number[:10] + "13" + number[12:17]
    rest = sum(int(d) * pow(2, 17 - k, 11) for k, d in enumerate(body)) % 11
    return body + "10X98765432"[rest]


def wrong_card(rng: random.Random) -> str:
    number = luhn(rng.choice(["4", "51", "622202"]) + digits(rng, 10))
    number = luhn(number[:15].ljust(15, "7"))
    wrong = number[:-1] + str((int(number[-1]) + rng.randint(1, 9)) % 10)
    return rng.choice([wrong, " ".join(wrong[k : k + 4] for k in range(0, 16, 4))])


def foreign_luhn(rng: random.Random) -> str:
    """Sixteen digits with a Luhn digit that no card network issues."""
    return luhn(rng.choice("1789") + digits(rng, 14))


def hexadecimal(rng: random.Random) -> str:
    length = rng.choice([32, 40, 64])
    return "".join(rng.choice("0123456789abcdef") for _ in range(length - 12)) + digits(rng, 11, "1") + "c"


def uuid(rng: random.Random) -> str:
    return "-".join("".join(rng.choice("0123456789abcdef") for _ in range(k)) for k in (8, 4, 4, 4, 12))


def mac(rng: random.Random) -> str:
    return rng.choice([":", "-"]).join(f"{rng.randint(0, 255):02x}" for _ in range(6))


def unrouted(rng: random.Random) -> str:
    return rng.choice(
        [f"192.168.{rng.randint(0, 255)}.{rng.randint(1, 254)}", f"10.{rng.randint(0, 255)}.{rng.randint(10, 255)}.{rng.randint(1, 254)}",
         f"172.16.{rng.randint(10, 255)}.{rng.randint(1, 254)}", "127.0.0.1", "255.255.255.0", f"203.0.113.{rng.randint(1, 254)}", "0.0.0.0",
         f"2001:db8::{rng.randint(1, 0xFFFF):x}", f"fe80::{rng.randint(1, 0xFFFF):x}:{rng.randint(1, 0xFFFF):x}", "::1"]
    )  # fmt: skip


NEGATIVES: list[tuple[str, Draw, dict[str, list[str]]]] = [
    ("version", version, {"en": ["Version {} fixes the crash.", "upgraded to v{} last week", "release {}: notes", "driver version: {}"],
                          "zh": ["版本 {} 修复了崩溃。", "升级到 v{} 之后正常", "固件版本号：{}", "请安装 {} 版"]}),
    ("long version", big_version, {"en": ["Chrome/{} Safari", "build {} was shipped", "Windows {} (KB5031354)", "package foo-{}.tar.gz"],
                                   "zh": ["浏览器内核为 Chrome/{}", "内部版本 {}", "系统版本{}发布", "下载 foo-{}.zip 即可"]}),
    ("section", section, {"en": ["See section {} for details.", "{} Setting up the network", "Table {} lists the units.", "as in chapter {} above"],
                          "zh": ["见第 {} 节。", "{} 网络配置", "表 {} 列出了单位", "参照图{}所示"]}),
    ("ISBN-13", isbn13, {"en": ["ISBN {}", "ISBN-13: {} (paperback)"], "zh": ["书号：{}", "国际标准书号 ISBN {}，定价 45 元"]}),
    ("ISBN-10", isbn10, {"en": ["ISBN {}", "ISBN-10 {}, 2nd edition"], "zh": ["ISBN：{}", "书号 {}"]}),
    ("ISSN", lambda r: f"{digits(r, 4)}-{digits(r, 4)}", {"en": ["ISSN {}", "ISSN: {} (print)"], "zh": ["国际刊号 ISSN {}", "刊号：{}"]}),
    ("order number", order, {"en": ["Order no. {} has shipped.", "Tracking number {}", "Invoice {} is due.", "ticket #{} closed"],
                             "zh": ["订单号 {}，请查收。", "运单号：{}", "流水号{}已入账", "案件编号 {} 已办结"]}),
    ("eleven digits", elevenths, {"en": ["Order no. {} has shipped.", "Serial number {}", "SKU {} is sold out", "invoice #{}"],
                                  "zh": ["订单编号：{}", "快递单号 {} 已签收", "商品条码{}", "序列号 {} 无效"]}),
    ("date", lambda r: f"{r.randint(1950, 2025)}-{r.randint(1, 12):02}-{r.randint(1, 28):02} {r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}",
     {"en": ["Logged at {}.", "Updated: {}"], "zh": ["发布时间：{}", "于{}完成"]}),
    ("compact date", lambda r: f"20{r.randint(10, 25)}{r.randint(1, 12):02}{r.randint(1, 28):02}{r.randint(0, 23):02}{r.randint(10, 59)}{r.randint(10, 59)}",
     {"en": ["backup-{}.tar", "snapshot {} kept"], "zh": ["备份文件 {}", "时间戳{}"]}),
    ("timestamp", lambda r: str(r.randint(1300000000, 1799999999)) + r.choice(["", digits(r, 3)]),
     {"en": ["epoch {} in ms", "\"ts\": {},", "modified={}", "expires {}"], "zh": ["时间戳为 {}", "\"ts\": {},", "创建于{}（Unix 时间）", "过期时间 {}"]}),
    ("years", lambda r: f"{r.randint(1900, 1990)}-{r.randint(1991, 2025)}", {"en": ["({})", "in the years {} they grew"], "zh": ["（{}）", "{}年间"]}),
    ("coordinates", lambda r: f"{r.uniform(18, 53):.6f}, {r.uniform(73, 135):.6f}",
     {"en": ["The hut stands at {}.", "GPS: {}"], "zh": ["坐标：{}", "位于 {} 附近"]}),
    ("amount", lambda r: f"{r.randint(1, 999)},{r.randint(100, 999)},{r.randint(100, 999)}.{r.randint(10, 99)}",
     {"en": ["It cost ${} in all.", "a budget of {} euro"], "zh": ["金额 {} 元", "总投资¥{}"]}),
    ("count", lambda r: str(r.randint(10**8, 2 * 10**10)), {"en": ["about {} bytes were read", "{} people live there"], "zh": ["共读取 {} 字节", "总人口{}人"]}),
    ("constant", lambda r: r.choice(["3.14159265358979323846", "2.71828182845904523536", "6.02214076e23", "2147483647", "+2147483647", "18446744073709551615", "4294967296"]),
     {"en": ["The value is {} exactly.", "a limit of {}"], "zh": ["其值为 {}。", "上限为{}"]}),
    ("equation", lambda r: f"{r.randint(1000000, 9999999)} × {r.randint(100, 999)} - {r.randint(100, 999)} = {digits(r, 10, '123456789')}",
     {"en": ["Compute {}.", "so {} holds"], "zh": ["计算 {}。", "于是有 {}"]}),
    ("subtraction", lambda r: f"{r.randint(200, 999)}-{r.randint(200, 999)}-{r.randint(1000, 9999)}+{r.randint(1, 99)}",
     {"en": ["x = {}", "evaluate {} mod 7"], "zh": ["求 x = {} 的值", "计算{}"]}),
    ("DOI", lambda r: f"10.{r.randint(1000, 9999)}/{r.choice(['j.cell', 's41586', ''])}{r.randint(100, 999)}{r.choice(['.', '-'])}{digits(r, 7)}.{digits(r, 7)}",
     {"en": ["doi:{}", "https://doi.org/{}"], "zh": ["DOI：{}", "参见 doi.org/{}"]}),
    ("hash", hexadecimal, {"en": ["commit {}", "sha256: {}"], "zh": ["校验和 {}", "提交{}已合并"]}),
    ("UUID", uuid, {"en": ["id={}", "device {} removed"], "zh": ["设备标识 {}", "UUID：{}"]}),
    ("MAC address", mac, {"en": ["MAC {} seen", "ether {}"], "zh": ["物理地址 {}", "网卡{}"]}),
    ("private address", unrouted, {"en": ["The router is {}.", "bind to {} and restart"], "zh": ["路由器地址是 {}。", "监听{}端口"]}),
    ("wrong identity card", wrong_id, {"en": ["Ref. {} was filed.", "batch {} failed"], "zh": ["批次号{}不合格", "编码 {} 无效"]}),
    ("wrong card", wrong_card, {"en": ["Serial {} on the back", "licence key {}"], "zh": ["序列号 {} 印在背面", "授权码{}"]}),
    ("no network's card", foreign_luhn, {"en": ["Meter {} was read.", "account book {}"], "zh": ["电表号{}", "档案 {} 已归档"]}),
    ("IMEI", lambda r: luhn("35" + digits(r, 12)), {"en": ["IMEI {}", "IMEI: {}"], "zh": ["手机串号 IMEI {}", "IMEI：{}"]}),
    ("credit code", lambda r: f"9{r.choice('1235')}{digits(r, 6)}MA{digits(r, 3)}X{digits(r, 4)}",
     {"en": ["company code {}", "registered as {}"], "zh": ["统一社会信用代码：{}", "代码{}"]}),
    ("patent", lambda r: f"ZL20{r.randint(10, 24)}1{digits(r, 7)}.{r.randint(0, 9)}", {"en": ["patent {}", "see {}"], "zh": ["专利号 {}", "专利{}已授权"]}),
    ("standard", lambda r: f"GB {r.randint(1000, 50999)}-{r.randint(1980, 2024)}", {"en": ["as {} demands", "by {}"], "zh": ["依据 {}", "符合{}的规定"]}),
    ("messenger id", lambda r: digits(r, r.choice([8, 9, 10]), "123456789"), {"en": ["QQ {}", "user id {}"], "zh": ["QQ群：{}", "用户编号{}"]}),
    ("part number", lambda r: f"{digits(r, 3, '1')}-{digits(r, 3, '1')}-{digits(r, 4)}", {"en": ["part {}", "model no. {}"], "zh": ["零件 {}", "型号{}"]}),
    ("file name", lambda r: f"icon@{r.randint(2, 4)}x.png", {"en": ["load {}", "see {} here"], "zh": ["加载 {}", "图片{}"]}),
    ("package", lambda r: f"left-pad@{r.randint(1, 9)}.{r.randint(0, 9)}.{r.randint(0, 9)}", {"en": ["npm install {}", "uses {}"], "zh": ["安装 {}", "依赖{}"]}),
    ("repository", lambda r: f"git@{r.choice(['github.com', 'gitlab.org', 'gitee.com'])}:team/project{r.randint(1, 99)}.git",
     {"en": ["git clone {}", "remote {}"], "zh": ["git clone {}", "远程仓库 {}"]}),
    ("example address", lambda r: f"{r.choice(['user', 'you', 'alice'])}@{r.choice(['example.com', 'example.org', 'localhost', 'host.example'])}",
     {"en": ["ssh {}", "such as {}"], "zh": ["例如 {}", "登录 {}"]}),
    ("handle", lambda r: r.choice(["@property", "@张三", "a@b", "@media", "x@y"]), {"en": ["the {} rule", "use {}"], "zh": ["使用 {}", "提醒{}"]}),
    ("scope", lambda r: r.choice(["std::vector<int>::size", "a::b::c", "12:34:56", "10:20:30:40", "Foo::bar2::baz"]), {"en": ["call {}", "at {}"], "zh": ["调用 {}", "在{}处"]}),
]  # fmt: skip

FILLERS = {
    "en": [
        "The harbour was calm that morning.",
        "Nobody had expected 12 guests.",
        "Prices rose by 3.5 % in 2021.",
        "See the notes below.",
        "",
    ],
    "zh": ["那天早晨港口很平静。", "谁也没想到来了12位客人。", "2021年价格上涨了3.5%。", "详见下文说明。", ""],
}


def cases(split: str, count: int, seed: int = 1) -> list[Case]:
    """`count` cases, each form in turn, half of them with personal data. `split`: "dev" or "test", with wordings of its own."""
    rng = random.Random(f"{split} {seed}")
    found = []
    for number in range(count):
        lang = rng.choice(LANGS)
        if number % 2:
            about, draw, wordings = NEGATIVES[number // 2 % len(NEGATIVES)]
            kind = ""
        else:
            about, kind, draw, wordings = POSITIVES[number // 2 % len(POSITIVES)]
        wording = rng.choice(wordings[lang][SPLITS.index(split) :: 2])
        value, (left, right) = draw(rng), wording.split("{}")
        glue = " " if lang == "en" else "\n"
        before, after = rng.choice(FILLERS[lang]), rng.choice(FILLERS[lang])
        start = len(before + glue + left)
        text = before + glue + left + value + right + glue + after
        found.append(Case(text, lang, about, ((start, start + len(value), kind),) if kind else ()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Print generated texts with personal data and hard negatives.")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for case in cases(options.split, options.count, options.seed):
        print(case.lang, case.about, case.spans, case.text, sep="\t")


if __name__ == "__main__":
    main()
