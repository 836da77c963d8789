"""The charset of a page, decided once.

What enters are a page's bytes and what the transport said (HTTP header), what leaves is text. Pages declare wrongly all the
time: UTF-8 pages say ISO-8859-1, GBK pages say GB2312 or UTF-8, Big5 pages say nothing. So evidence votes: a byte order
mark decides; text that is valid UTF-8 is UTF-8 (other charsets hardly ever are by chance); for the rest each charset that is
declared, or usual for Chinese, decodes the bytes, and the text that reads best wins, where a declaration gives a lead.
"Reads best" means few replacement characters and common characters where a wrong charset gives rare ones: the levels of
GB 2312 and Big5 order their characters by use, so this needs no word list.
"""

from __future__ import annotations

import codecs
import functools
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

REPLACEMENT = "\ufffd"
_META = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{2,40})""", re.IGNORECASE)
_XML = re.compile(rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9_:.-]{2,40})""", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WIDER = {  # what browsers decode with when a page names the narrower one
    "gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252", "big5": "big5hkscs", "shift_jis": "cp932",
    "euc_kr": "cp949", "iso8859-9": "cp1254",
}  # fmt: skip
_NO_CHARSETS = frozenset(
    ("utf-7", "unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined")
)  # Python's own transports of text; no browser takes them, and some decode to surrogates, which no text holds
_SAMPLE = 1 << 15
_LEAD = 0.1  # how much better than a declared charset an undeclared one must read


@dataclass(frozen=True)
class Decoded:
    """`text`, the `charset` it was decoded with, and the share of its characters that had to be replaced (0 to 1)."""

    text: str
    charset: str
    replaced: float


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """The text of a page. `declared` is what the transport said. Never raises; undecodable bytes become U+FFFD."""
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], charset)
    wide = _utf16_without_mark(data)
    if wide:
        return _decoded(data, wide)
    if b"\x1b$" not in data:  # ISO-2022-JP looks like ASCII
        try:
            return Decoded(data.decode("utf-8"), "utf-8", 0.0)
        except UnicodeDecodeError:
            pass
    utf8 = _decoded(data, "utf-8")
    if _nearly_utf8(data, utf8.text):
        return utf8
    named = [c for c in (known(declared), known(_in_page(data))) if c and not c.startswith("utf-16")]
    return _decoded(data, _vote(data[:_SAMPLE], named))


def known(name: str | None) -> str | None:
    """The Python name of a charset label, widened as browsers do (GB2312 is read as GB18030), or None if unknown."""
    if not name:
        return None
    try:
        info = codecs.lookup(name.strip().strip("\"'"))
    except (LookupError, ValueError):
        return None
    if not info._is_text_encoding or info.name in _NO_CHARSETS:
        return None
    return _WIDER.get(info.name, info.name)


def _in_page(data: bytes) -> str | None:
    head = data[:4096]
    match = _META.search(head) or _XML.search(head)
    return match.group(1).decode("ascii") if match else None


def _vote(sample: bytes, named: list[str]) -> str:
    """The charset under which a sample reads best; ties go to the earlier candidate."""
    candidates = list(dict.fromkeys([*named, "gb18030", "big5hkscs"]))
    scores = {c: _reads(sample, c) + (_LEAD if c in named else 0.0) for c in candidates}
    best = max(candidates, key=lambda c: scores[c])
    if scores[best] < 0.8:  # neither Chinese nor what was declared: a European or another Asian charset
        match = from_bytes(sample[:16384]).best()
        guess = known(match.encoding) if match is not None else None
        if guess and _reads(sample, guess) > scores[best]:
            return guess
    return best


def _reads(sample: bytes, charset: str) -> float:
    """How well a sample reads in a charset: 1 for only common characters, less for rare and replaced ones."""
    text = _decoded(sample, charset).text.rstrip(REPLACEMENT)
    beyond = [c for c in text if c > "\x7f"]
    if not beyond:
        return 1.0
    good = _common()
    score = 0.0
    for char in beyond:
        if char in good:
            score += 1
        elif char == REPLACEMENT or "\x80" <= char <= "\x9f" or "\ue000" <= char <= "\uf8ff":
            score -= 2
        elif not "\u3400" <= char <= "\u9fff":
            score += 0.7 if char.isalpha() else 0.4
    return score / len(beyond)


@functools.cache
def _common() -> frozenset[str]:
    """The first levels of GB 2312 and Big5 with their punctuation: what everyday Chinese is written with."""
    rows = [bytes((high, low)) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF)]
    first = "".join(r.decode("gb2312", "ignore") for r in rows)
    rows = [bytes((high, low)) for high in range(0xA4, 0xC7) for low in (*range(0x40, 0x7F), *range(0xA1, 0xFF))]
    return frozenset(first + "".join(r.decode("big5", "ignore") for r in rows) + "，。、；：？！“”‘’（）《》【】「」『』…—·　￥％")


def _decoded(data: bytes, charset: str) -> Decoded:
    try:
        text = data.decode(charset, "replace")
    except (UnicodeError, LookupError):  # a codec that knows no "replace"
        text, charset = data.decode("utf-8", "replace"), "utf-8"
    return Decoded(text, charset, text.count(REPLACEMENT) / max(len(text), 1))


def _nearly_utf8(data: bytes, text: str) -> bool:
    """Broken UTF-8 (a cut or a stray byte) is still UTF-8 if nearly all its multi-byte sequences are whole."""
    broken = text.count(REPLACEMENT)
    whole = sum(1 for c in text if c > "\x7f") - broken
    return whole > 20 * broken


def _utf16_without_mark(data: bytes) -> str | None:
    """UTF-16 text in which ASCII (tags, spaces) leaves every other byte zero."""
    sample = data[:2048]
    if len(sample) < 8:
        return None
    even, odd = sample[0::2].count(0) / (len(sample) / 2), sample[1::2].count(0) / (len(sample) / 2)
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    if even > 0.3 and odd < 0.05:
        return "utf-16-be"
    return None
