"""Charset detection for pages.

Input: a page's bytes and what the transport said (HTTP header). Output: text. Pages declare wrongly all the time: UTF-8 pages
say ISO-8859-1, GBK pages say GB2312 or UTF-8, Big5 pages say nothing. So evidence votes: a byte order mark decides; text that
is valid UTF-8 is UTF-8 (other charsets hardly ever are by chance); for the rest each charset that is declared, or usual for
Chinese, decodes the bytes, and the text that reads best wins, where a declaration gives a lead. "Reads best" means few
replacement characters and common characters where a wrong charset gives rare ones: the levels of GB 2312 and Big5 order their
characters by use, so this needs no word list.

Nearly all pages are plain UTF-8, and for those nothing is decoded at all: `inspect` looks through whole columns in compiled
code, a gigabyte and more in a CPU-second, and says which rows need a vote, and which are no text (a PDF, an image, zeros).
"""

from __future__ import annotations

import codecs
import functools
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from charset_normalizer import from_bytes

from skyloom.core.kernels import Bytes, Int, Ints, kernel, read_only

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
    if _nearly_utf8(utf8.text):
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
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    beyond = points[points > 0x7F]
    return float(_merits()[beyond].mean()) if len(beyond) else 1.0


@functools.cache
def _merits() -> npt.NDArray[np.float32]:
    """What each code point says for the charset that gave it, float32[0x110000]: 1 for everyday Chinese, -2 for broken ones."""
    merits = np.full(0x110000, 0.4, np.float32)
    merits[0x3400:0xA000] = 0
    for first, last in ((0xC0, 0x24F), (0x370, 0x58F), (0x5D0, 0x6FF), (0x900, 0x109F), (0x1E00, 0x1FFF), (0x3041, 0x30FF),
                        (0xAC00, 0xD7A3), (0xFF66, 0xFF9D)):  # fmt: skip
        merits[first : last + 1] = 0.7
    merits[[0xAA, 0xB5, 0xBA]], merits[[0xD7, 0xF7]] = 0.7, 0.4
    merits[0x80:0xA0], merits[0xE000:0xF900], merits[ord(REPLACEMENT)] = -2, -2, -2
    merits[[ord(c) for c in _common()]] = 1
    return merits


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


def _nearly_utf8(text: str) -> bool:
    """Broken UTF-8 (a cut or a stray byte) is still UTF-8 if nearly all its multi-byte sequences are whole."""
    broken = text.count(REPLACEMENT)
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return int((points > 0x7F).sum()) - broken > 20 * broken


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


PLAIN, VOTE, NO_TEXT = 0, 1, 2
"""What `inspect` finds: valid UTF-8 without marks; something that `decode` must look at; no text at all."""


def inspect(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """PLAIN, VOTE or NO_TEXT for each row data[offsets[i]:offsets[i + 1]], uint8[rows]."""
    return _inspect(data, offsets, _MAGIC)


def inspect_column(bodies: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """`inspect` for a binary column; a null is an empty row."""
    return inspect(*binary_buffers(bodies))


def binary_buffers(bodies: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a binary or string column, to read only, and where each row begins: uint8[bytes], int64[rows + 1].

    Nothing is copied where Arrow allows it.
    """
    column = bodies.combine_chunks() if isinstance(bodies, pa.ChunkedArray) else bodies
    column = column.cast(pa.large_binary())
    if column.null_count:
        column = pc.fill_null(column, b"")
    _, bounds, data = column.buffers()
    if not len(column) or bounds is None:
        return read_only(np.zeros(1, np.uint8)), read_only(np.zeros(len(column) + 1, np.int64))
    offsets = np.frombuffer(bounds, np.int64)[column.offset : column.offset + len(column) + 1]
    found = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return read_only(found), read_only(offsets)


def kind_of(data: bytes) -> str:
    """What a body is that is no text: "PDF", "image", "archive", "document", "program" or "binary"."""
    return next((kind for magic, kind in _KINDS if data.startswith(magic)), "binary")


_KINDS = (
    (b"%PDF-", "PDF"), (b"\x89PNG", "image"), (b"GIF8", "image"), (b"\xff\xd8\xff", "image"), (b"RIFF", "image"),
    (b"PK\x03\x04", "archive"),
    (b"\x1f\x8b\x08", "archive"), (b"BZh9", "archive"), (b"7z\xbc\xaf", "archive"), (b"Rar!", "archive"),
    (b"\xd0\xcf\x11\xe0", "document"),
    (b"{\\rtf", "document"), (b"\x7fELF", "program"), (b"MZ\x90\x00", "program"), (b"%!PS", "document"), (b"ID3\x03", "binary"),
)  # fmt: skip
_MAGIC = np.array([int.from_bytes(magic[:3], "little") for magic, _ in _KINDS], np.int64)


@kernel
def _valid(data: Bytes, i: Int, stop: Int) -> bool:
    """Whether data[i:stop] is UTF-8 in its shortest form, without surrogates, escapes of ISO-2022 and a byte order mark."""
    while i < stop:
        if i + 32 <= stop:
            seen = np.uint8(0)
            escape = False
            for k in range(32):
                seen |= data[i + k]
                escape |= data[i + k] == 27
            if seen < 128 and not escape:
                i += 32
                continue
        end = min(i + 32, stop)
        while i < end:
            lead = data[i]
            if lead < 128:
                if lead == 27 and i + 1 < stop and data[i + 1] == 36:
                    return False
                i += 1
                continue
            size = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
            if lead < 0xC2 or lead > 0xF4 or i + size > stop:
                return False
            for k in range(1, size):
                if data[i + k] & 0xC0 != 0x80:
                    return False
            second = data[i + 1]
            if (lead == 0xE0 and second < 0xA0) or (lead == 0xED and second > 0x9F):
                return False
            if (lead == 0xF0 and second < 0x90) or (lead == 0xF4 and second > 0x8F):
                return False
            i += size
    return True


@kernel
def _zeros(data: Bytes, i: Int, stop: Int) -> tuple[int, int]:
    """Of the first 2,048 bytes: how many at even and at odd places are zero."""
    even = odd = 0
    for k in range(i, min(i + 2048, stop)):
        if data[k] == 0:
            if (k - i) % 2:
                odd += 1
            else:
                even += 1
    return even, odd


@kernel
def _inspect(data: Bytes, offsets: Ints, magic: Ints) -> Bytes:
    out = np.zeros(len(offsets) - 1, np.uint8)
    for row in range(len(out)):
        i, stop = offsets[row], offsets[row + 1]
        if stop - i < 4:
            out[row] = PLAIN if _valid(data, i, stop) else VOTE
            continue
        first = np.int64(data[i]) | np.int64(data[i + 1]) << 8 | np.int64(data[i + 2]) << 16
        even, odd = _zeros(data, i, stop)
        looked = min(stop - i, 2048)
        marked = first & 0xFFFF == 0xFEFF or first & 0xFFFF == 0xFFFE
        for k in range(len(magic)):
            if first == magic[k]:
                out[row] = NO_TEXT
        if even + odd > 0.3 * looked and not marked and min(even, odd) > 0.05 * looked:
            out[row] = NO_TEXT
        if out[row] == NO_TEXT:
            continue
        if first == 0xBFBBEF or marked or even + odd > 0.1 * looked or not _valid(data, i, stop):
            out[row] = VOTE
    return out
