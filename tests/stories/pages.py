"""Pages for stories: ordinary English and Chinese prose of our own, and every kind of broken input that we promise to bear."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

_EN = {
    "who": "the baker|a young engineer|our neighbour|the old captain|a careful editor|the night nurse|the village teacher",
    "did": "repaired|described|carried home|sketched|weighed|explained|sold|remembered|counted|painted",
    "what": "a wooden clock|three baskets of pears|the map of the harbour|a long letter|the copper kettle|an unfinished bridge",
    "when": "before the rain came|on the first day of spring|while the market was closing|after the trains had stopped",
    "why": "because nobody else would|and wrote down what it cost|so that the children could see it|without asking for help",
}
_ZH = {
    "who": "面包师|年轻的工程师|隔壁的邻居|老船长|细心的编辑|值夜班的护士|我的祖母|村里的老师",
    "did": "修好了|描述了|带回家|画下了|称了称|讲解了|卖掉了|想起了|数了数|粉刷了",
    "what": "一座木钟|三筐梨|港口的地图|一封长信|那把铜水壶|还没完工的桥|一盒种子|坏掉的收音机|两辆自行车|一本讲河流的书",
    "when": "在下雨之前|春天的第一天|集市快要收摊的时候|末班火车开走以后|漫长的冬天里|刚刚点灯的时候|午饭后安静的时光里",
    "why": "因为没有别人愿意做|并且记下了花费|好让孩子们看一看|没有请任何人帮忙|尽管路已经封了|并为此感到自豪",
}


def prose(seed: int, lang: str, sentences: int = 30) -> list[str]:
    """Paragraphs of six sentences each, all different for different seeds."""
    dice = random.Random(f"{seed}/{lang}")
    written = []
    for _ in range(sentences):
        words = {k: dice.choice(v.split("|")) for k, v in (_EN if lang == "en" else _ZH).items()}
        number = dice.randrange(2, 900)
        if lang == "en":
            text = f"{words['when']}, {words['who']} {words['did']} {words['what']} number {number} {words['why']}."
            written.append(text[0].upper() + text[1:])
        else:
            written.append(f"{words['when']}，{words['who']}{words['did']}{words['what']}，编号{number}，{words['why']}。")
    joint = " " if lang == "en" else ""
    return [joint.join(written[i : i + 6]) for i in range(0, sentences, 6)]


def page(seed: int, lang: str, *, charset: str = "utf-8", declared: str | None = None) -> bytes:
    """An HTML page with navigation and a footer around its prose; `declared` lies about the charset when given."""
    title = f"Story {seed}" if lang == "en" else f"故事{seed}"
    menu = "Home|News|About us|Contact" if lang == "en" else "首页|新闻|关于我们|联系我们"
    body = "".join(f"<p>{p}</p>" for p in prose(seed, lang))
    links = "".join(f'<li><a href="/{i}">{m}</a></li>' for i, m in enumerate(menu.split("|")))
    return (
        f'<!DOCTYPE html><html><head><meta charset="{declared or charset}"><title>{title}</title></head><body>'
        f"<nav><ul>{links}</ul></nav><article><h1>{title}</h1>{body}</article>"
        f"<footer>© example.com · {menu.replace('|', ' · ')}</footer></body></html>"
    ).encode(charset, "replace")


def write_site(folder: Path, count: int = 40, langs: tuple[str, ...] = ("en", "zh")) -> Path:
    """A folder of good pages, `count` for each language."""
    for lang in langs:
        (folder / lang).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (folder / lang / f"p{i:03d}.html").write_bytes(page(i, lang))
    return folder


def warc_record(url: str, body: bytes, content_type: str = "text/html") -> bytes:
    """One WARC/1.0 response record, not compressed."""
    http = b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type.encode() + b"\r\nContent-Length: " + str(len(body)).encode()
    payload = http + b"\r\n\r\n" + body
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-"
        f"{abs(hash(url)) % 10**12:012d}>\r\nWARC-Date: 2023-06-30T00:00:00Z\r\nWARC-Target-URI: {url}\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload + b"\r\n\r\n"


def write_warc(path: Path, count: int = 40, break_member: int | None = None) -> Path:
    """A WARC with one gzip member per record; `break_member` flips bytes in the middle of that member."""
    members = []
    for i in range(count):
        lang = ("en", "zh")[i % 2]
        members.append(gzip.compress(warc_record(f"http://example.com/{lang}/{i}", page(i, lang)), mtime=0))
    if break_member is not None:
        broken = bytearray(members[break_member])
        middle = len(broken) // 2
        broken[middle : middle + 40] = bytes(255 - b for b in broken[middle : middle + 40])
        members[break_member] = bytes(broken)
    path.write_bytes(b"".join(members))
    return path
