"""PAGE rows, which all readers write: one for a page, whole or quarantined with its reason.

Input: what a reader found (address, bytes, date, licence). Output: a row of `core.records.PAGE`. Three promises are kept here
for all kinds of sources: an id depends on the source, the address, the place in its file and the bytes, so two records never
share one even where their own ids do; a body beyond the limit, or one that is no text (a PDF called .html), becomes a row with
a reason and without the body; and a category comes from the source or from the host.

Reasons are few and hold no figures of single pages, since the ledger counts by reason; figures stand in `meta`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skyloom.core.records import PageRow, record_id
from skyloom.corpus.sources.readers.hosts import Hosts

NO_TEXT = "broken: neither text nor html"


@dataclass(frozen=True)
class About:
    """What every row of a source shares.

    `max_body` is in bytes, `max_ratio` is how many times its size packed data may unpack to, `text_field` names the column
    or key that holds the text ("" for the usual ones), `hosts` gives each row its category where it is not None.
    """

    source: str
    category: str
    license: str | None
    max_body: int
    max_ratio: float = 300.0
    text_field: str = ""
    hosts: Hosts | None = None

    @property
    def too_large(self) -> str:
        """The reason of a row whose body is beyond the limit."""
        return f"too large: more than {self.max_body / 1e6:g} MB"

    def category_of(self, url: str) -> str:
        return self.category if self.hosts is None else self.hosts.category(url, self.category)


def page_row(
    about: About,
    *,
    url: str,
    body: bytes,
    size: int | None = None,
    kind: str = "html",
    place: str = "",
    date: str | None = None,
    charset: str | None = None,
    license: str | None = None,
    error: str | None = None,
    meta: Mapping[str, str | int | list[str]] | None = None,
) -> PageRow:
    """A PAGE row. `size` is the true size of a body that was not read because it is too large; `place` tells two records
    of one URL apart. Lone surrogates (names that are no UTF-8, escapes in JSON) are written out: text cannot hold them."""
    if size is None:
        size = len(body)
    if error is None and size > about.max_body:
        error, body, meta = about.too_large, b"", {**(meta or {}), "size": size}
    if error is None and (what := not_text(body)):
        error, body, meta = f"not text: {what}", b"", {**(meta or {}), "size": size}
    if kind == "text" and about.category == "code":
        kind = "code"
    return {
        "id": record_id(about.source, url, place, body), "source": about.source, "category": about.category_of(url),
        "kind": kind, "url": spelt(url), "date": spelt(date), "license": spelt(license or about.license), "charset": charset,
        "body": body, "error": error,
        "meta": json.dumps({k: spelt(v) for k, v in (meta or {}).items()}, ensure_ascii=False, sort_keys=True),
    }  # fmt: skip


def broken_row(about: About, file: str, place: str | int, error: str, body: bytes = b"") -> PageRow:
    """The row of a record that could not be read; `place` is where in the file it stands."""
    where = f"{file}#{place}"
    return page_row(about, url=where, place=where, body=body, error=error, meta={"file": file})


def spelt(value: Any) -> Any:
    """A string whose lone surrogates are spelt out as in Python (`\\udcff`); lists and dicts of such; anything else as it is."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {k: spelt(v) for k, v in value.items()}
    return [spelt(v) for v in value] if isinstance(value, (list, tuple)) else value


_MAGIC = (
    (b"%PDF-", "PDF"), (b"%!PS", "PostScript"), (b"{\\rtf", "RTF"), (b"\x89PNG\r\n", "PNG"), (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"PK\x03\x04", "ZIP"), (b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"), (b"\xfd7zXZ\x00", "xz"), (b"\x7fELF", "ELF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1", "Office"), (b"SQLite format 3\x00", "SQLite"), (b"wOFF", "font"), (b"wOF2", "font"),
    (b"OggS\x00", "audio"), (b"ID3\x03", "audio"), (b"ID3\x04", "audio"), (b"fLaC", "audio"), (b"\x00\x00\x01\x00", "icon"),
    (b"PAR1", "Parquet"), (b"\xca\xfe\xba\xbe", "Java class"), (b"\x00asm", "WebAssembly"),
)  # fmt: skip
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_MEDIA = re.compile(rb"RIFF.{4}(?:WAVE|AVI |WEBP)|.{4}ftyp", re.DOTALL)
MAGIC_STARTS = frozenset(m[:2] for m, _ in _MAGIC) | {b"BZ", b"RI"}
"""The first two bytes of whatever `not_text` may know by its beginning: a quick look over many bodies."""
_CONTROLS = bytes(b for b in range(256) if b < 0x20 and b not in b"\b\t\n\v\f\r\x1b") + b"\x7f"
_BINARY = 0.05  # the least share of control characters; in random bytes it is 0.1, in text next to nothing
_SHORT = 64  # bytes; of less nothing can be said
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_ZEROS_OF_ASCII, _ZEROS_OF_OTHERS = 0.3, 0.05  # of UTF-16 with tags: zeros on the side of high bytes, and on the other
_STRANGE = 0.01
_LOOK = 1 << 16
_NULLS = "null bytes"


def not_text(body: bytes) -> str:
    """What a body is if it is no text ("PDF", "null bytes", …), by its first bytes; "" for text in any charset.

    Null bytes are text only in UTF-16 and UTF-32, where they stand at equal distances. The same holds for other control
    characters: a byte of UTF-16 may look like one, but only every second.
    """
    head = body[:64].lstrip(b" \t\r\n\xef\xbb\xbf")
    if head[:2] in MAGIC_STARTS:
        for magic, name in _MAGIC:
            if head.startswith(magic):
                return name
        if _BZIP2.match(head):
            return "bzip2"
    if _MEDIA.match(head):
        return "media"
    if body.startswith(_WIDE) or _is_utf16(body[:_LOOK]):
        return ""
    middle = len(body) // 2
    if _is_binary(body[:_LOOK]) or (middle > _LOOK and _is_binary(body[middle : middle + _LOOK])):
        return _NULLS if b"\x00" in body and _has_nulls(body) else "binary data"
    return _NULLS if b"\x00" in body and _has_nulls(body) else ""


def _is_binary(part: bytes) -> bool:
    """Whether control characters are common at both even and odd places of what is no UTF-8."""
    if len(part) < _SHORT or len(part) - len(part.translate(None, _CONTROLS)) < _BINARY * len(part):
        return False
    halves = (part[0::2], part[1::2])
    if any(len(half) - len(half.translate(None, _CONTROLS)) < _BINARY * len(half) for half in halves):
        return False
    return part.decode("utf-8", "replace").count("\ufffd") > 4  # a character may be cut at either end


def _is_utf16(part: bytes) -> bool:
    """Whether a text is in UTF-16 without a mark: the zero bytes of its ASCII (tags, blanks) stand on one side, and what it says
    holds next to no control characters, which small whole numbers of two bytes are."""
    zeros = np.frombuffer(part, np.uint8) == 0
    if len(part) < 8 or not zeros.any():
        return False
    sides = float(zeros[0::2].mean()), float(zeros[1::2].mean())
    if max(sides) < _ZEROS_OF_ASCII or min(sides) > _ZEROS_OF_OTHERS:
        return False
    text = part[: len(part) // 2 * 2].decode("utf-16-be" if sides[0] > sides[1] else "utf-16-le", "replace")
    strange = sum((c < " " and c not in "\b\t\n\v\f\r\x1b") or "\x7f" <= c < "\xa0" or c == "\ufffd" for c in text)
    return strange <= _STRANGE * len(text)


def _has_nulls(body: bytes) -> bool:
    """Whether null bytes are common, and not where UTF-16 and UTF-32 have them."""
    zeros = np.frombuffer(body[:_LOOK], np.uint8) == 0
    if zeros.mean() < 0.05:
        return False  # stray ones, which the extraction takes out
    even, odd = float(zeros[0::2].mean()), float(zeros[1::2].mean()) if len(zeros) > 1 else 1.0
    return min(even, odd) > 0.1 * max(even, odd)


_LANGUAGE = re.compile(
    r"(?<=[/._-])(?:(?P<hant>zh[-_](?:tw|hk|hant))|(?P<hans>zh(?:[-_](?:cn|hans|sg))?)|(?P<en>en(?:[-_](?:us|gb))?))(?=[/._-]|$)",
    re.IGNORECASE,
)
_PATH = 4096  # characters of a path: in archives they may be a million, and the search below is not made for that
_OTHER = re.compile(r"\.[a-z]{2}(?:[-_][a-z]{2})?\.x?html?$", re.IGNORECASE)


def pair_of(path: str) -> tuple[str, str]:
    """The language that a path names ("en", "zh-Hans", "zh-Hant", "other" or "") and the path without it.

    `/help/en-US/a.html` and `/help/zh-CN/a.html` have one key, and so have `/doc/a.en.html` and `/doc-zh-cn/a.zh-cn.html`. A
    path that names neither language has no key (""), nor has one longer than a path can be.
    """
    if len(path) > _PATH:
        return "", ""
    found = list(_LANGUAGE.finditer("/" + path))
    if not found:
        return ("other" if _OTHER.search(path) else ""), ""
    last = found[-1]
    lang = "en" if last["en"] else "zh-Hans" if last["hans"] else "zh-Hant"
    bare = _LANGUAGE.sub("", "/" + path)
    return lang, re.sub(r"[._-]+(?=[/.])|(?<=/)/+", "", bare).lstrip("/")


def sample(names: Sequence[str], limit: int) -> set[str]:
    """`limit` of the names, spread evenly, where the two languages of one page are chosen together."""
    return set(sorted(names, key=lambda n: (record_id(pair_of(n)[1] or n), n))[:limit])
