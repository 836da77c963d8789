"""Parallel text that others have aligned: TSV, TMX, gettext's .po and JSON lines with `en` and `zh`.

Input: a file. Output: PAGE rows of kind "parallel": some dozens of consecutive pairs each, English line, Chinese line, empty
line between two pairs, so that a row already reads as a document of the parallel part (`pairs_of` reads it back). Which column
is Chinese is decided by its script, not by its place. An entry that has no translation, or is not English and Chinese, is a row
with its reason. Memory: one group of pairs; of a .po file its whole (at most the page limit).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import polib  # type: ignore[import-untyped]

from skyloom.core.json_lines import json_object
from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, File, opened, reason_of
from skyloom.corpus.sources.readers.markup.work import Work
from skyloom.corpus.sources.readers.rows import About, broken_row, page_row
from skyloom.corpus.sources.readers.xml import BadXmlError, Elements
from skyloom.corpus.text import charset

KIND = "parallel"
UNTRANSLATED = "pair without a translation"
OTHER = "pair that is not English and Chinese"
PAIRS_A_PAGE = 64
_PAGE_BYTES = 32_000
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")
_LETTER = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class PairEntry:
    """Two sides of an entry in the order of the file, where it stands, and its `origin` (a licence or a document)."""

    place: int
    first: str
    second: str
    license: str = ""


def pairs_of(body: bytes) -> list[tuple[str, str]]:
    """(English, Chinese) of each pair of a row of kind "parallel"."""
    return [(en, zh) for block in body.decode("utf-8").split("\n\n") for en, zh in [block.split("\n")]] if body else []


def pages(file: File, about: About) -> Iterator[PageRow]:
    """PAGE rows of the pairs of a file, in its order, and rows with a reason for entries that are none."""
    group: list[tuple[str, str]] = []
    first, size, last, license_name = 0, 0, 0, ""
    try:
        for entry in _entries(file, about):
            last = entry.place
            pair, reason = _pair(entry)
            if pair is None:
                yield broken_row(about, file.name, entry.place, reason, _raw(entry)[: about.max_body])
                continue
            if group and (len(group) == PAIRS_A_PAGE or size > _PAGE_BYTES or entry.license != license_name):
                yield _row(group, first, license_name, file, about)
                group, size = [], 0
            if not group:
                first, license_name = entry.place, entry.license
            group.append(pair)
            size += len(pair[0]) + 3 * len(pair[1])
    except (*BROKEN, BadXmlError, csv.Error, _UnreadableError) as problem:
        if group:
            yield _row(group, first, license_name, file, about)
        reason = str(problem) if isinstance(problem, _UnreadableError) else reason_of(problem)
        yield broken_row(about, file.name, f"{last}+", reason)
        return
    if group:
        yield _row(group, first, license_name, file, about)


class _UnreadableError(ValueError):
    """The rest of a file cannot be read; the text is the row's reason."""


def _pair(entry: PairEntry) -> tuple[tuple[str, str] | None, str]:
    """(English, Chinese), each on one line, or the reason why there is none."""
    one, two = " ".join(entry.first.split()), " ".join(entry.second.split())
    if not one or not two:
        return None, UNTRANSLATED
    if _share(one) > _share(two):
        one, two = two, one
    if not _HAN.search(two):
        return None, UNTRANSLATED if one == two else OTHER
    return ((one, two), "") if _LETTER.search(one) and _share(one) < 0.3 else (None, OTHER)


def _share(text: str) -> float:
    return len(_HAN.findall(text)) / max(len(text), 1)


def _raw(entry: PairEntry) -> bytes:
    return json.dumps([entry.first, entry.second], ensure_ascii=False).encode("utf-8", "replace")


def _row(group: list[tuple[str, str]], place: int, license_name: str, file: File, about: About) -> PageRow:
    body = "\n\n".join(f"{en}\n{zh}" for en, zh in group).encode("utf-8", "replace")
    where = f"{file.name}#{place}"
    return page_row(
        about, url=f"parallel://{about.source}/{where}", body=body, kind=KIND, place=where, charset="utf-8",
        license=license_name or None, meta={"file": file.name, "pairs": len(group)},
    )  # fmt: skip


def _entries(file: File, about: About) -> Iterator[PairEntry]:
    name = re.sub(r"\.(gz|zst|bz2|xz)$", "", file.name.lower())
    with opened(file, about.max_ratio) as stream:
        if name.endswith((".tmx", ".xml")):
            yield from _tmx(stream, about)
        elif name.endswith((".po", ".pot")):
            yield from _po(stream, about)
        elif name.endswith((".jsonl", ".json", ".ndjson")):
            yield from _json(stream, about)
        else:
            yield from _tsv(stream, about)


def _lines(stream: BinaryIO, limit: int) -> Iterator[tuple[int, bytes]]:
    """(number, line) from 1; the rest of a line beyond the limit is passed over, and the line is empty."""
    number = 0
    while line := stream.readline(limit):
        number += 1
        if len(line) == limit and not line.endswith(b"\n"):
            while (rest := stream.readline(limit)) and not rest.endswith(b"\n"):
                pass
            line = b""
        yield number, line


_HEADERS = {"en": "en", "english": "en", "eng": "en", "en-us": "en", "zh": "zh", "chinese": "zh", "zho": "zh", "zh-cn": "zh",
            "source": "en", "target": "zh", "src": "en", "tgt": "zh"}  # fmt: skip


def _tsv(stream: BinaryIO, about: About) -> Iterator[PairEntry]:
    """Two columns: those that the first line names, else the first two."""
    where = (0, 1)
    for number, line in _lines(stream, about.max_body):
        cells = charset.decode(line.rstrip(b"\r\n")).text.removeprefix("\ufeff").split("\t")
        if number == 1:
            named = {_HEADERS[c.strip().lower()]: i for i, c in enumerate(cells) if c.strip().lower() in _HEADERS}
            if len(named) == 2:
                where = (named["en"], named["zh"])
                continue
        if line.strip():
            one, two = (cells[i] if i < len(cells) else "" for i in where)
            yield PairEntry(number, one, two)


def _json(stream: BinaryIO, about: About) -> Iterator[PairEntry]:
    for number, line in _lines(stream, about.max_body):
        if not line.strip():
            continue
        record = json_object(line)
        if isinstance(record, str):
            yield PairEntry(number, "", line.decode("utf-8", "replace"))
            continue
        if isinstance(record.get("translation"), dict):  # as the hub's translation data sets have it
            record = {**record, **record["translation"]}
        one, two = (v if isinstance(v := record.get(k), str) else "" for k in ("en", "zh"))
        licensed = record.get("license")
        yield PairEntry(number, one, two, licensed if isinstance(licensed, str) else "")


_TMX = frozenset(("tu", "tuv", "seg", "bpt", "ept", "ph", "it", "ut"))  # the last five hold codes of formats, which are no text


def _tmx(stream: BinaryIO, about: About) -> Iterator[PairEntry]:
    """Translation units: the first English and the first Chinese variant, or else the first two."""
    variants: list[tuple[str, str]] = []
    number, seg = 0, ""
    for name, attributes, text, _ in Elements(_TMX, about.max_body).read(stream):
        if name == "seg":
            seg = text
        elif name == "tuv":
            lang = (attributes.get("xml:lang") or attributes.get("lang") or "").lower()
            if len(variants) < 2 or (lang[:2] in ("en", "zh") and all(lang[:2] != known for known, _ in variants)):
                variants.append((lang[:2], seg))
            seg = ""
        elif name == "tu":
            number += 1
            yield PairEntry(number, *_chosen(variants))
            variants = []


def _chosen(variants: list[tuple[str, str]]) -> tuple[str, str]:
    named = dict(reversed(variants))
    if "en" in named or "zh" in named:
        return named.get("en", ""), named.get("zh", "")
    texts = [t for _, t in variants] + ["", ""]
    return texts[0], texts[1]


def _po(stream: BinaryIO, about: About) -> Iterator[PairEntry]:
    """Messages and their translations; plural forms give the first, and what is fuzzy counts as untranslated."""
    data = stream.read(about.max_body + 1)
    if len(data) > about.max_body:
        raise _UnreadableError(about.too_large)
    text = charset.decode(data).text.replace("\x00", "")
    try:  # with a charset, since polib looks for one in quadratic time
        catalogue = polib.pofile(_Content(text), encoding="utf-8", klass=_Catalogue, check_for_duplicates=False)
    except (OSError, ValueError) as problem:
        raise _UnreadableError("broken: not a .po file") from problem
    header = next((e for e in catalogue if not e.obsolete and not e.msgid), None)
    entries = [e for e in catalogue if e is not header]
    if (
        not entries and text.strip() and (header is None or ":" not in header.msgstr)
    ):  # polib takes some broken files for empty ones
        raise _UnreadableError("broken: not a .po file")
    for number, entry in enumerate(entries, 1):
        if not entry.obsolete and entry.msgid:
            done = "" if entry.fuzzy else entry.msgstr or (entry.msgstr_plural or {}).get(0, "")
            yield PairEntry(number, *without_accelerators(entry.msgid, done))


_IN_BRACKETS = re.compile(r"\s*[(（]\s*[_&~][A-Za-z0-9]\s*[)）]")
_MARKED = re.compile(
    r"(?<![A-Za-z0-9_&\\%])[_&](?=[A-Za-z0-9\u3400-\u9fff])|(?<=[A-Za-z])[&](?=[A-Za-z])|(?<=[A-Za-z])_(?=[a-z]+(?:\W|$))"
)


def without_accelerators(text: str, translated: str) -> tuple[str, str]:
    """A message and its translation without the marks of their keys: "_Open" and 「打开(_O)」, "&File" and 「文件(&F)」.

    A mark in the message is one only if it has no other, and the translation has one too.
    """
    mine, theirs = _MARKED.findall(text), _IN_BRACKETS.search(translated) or _MARKED.search(translated)
    if theirs and len(mine) == 1:
        text = _MARKED.sub("", text)
        translated = _IN_BRACKETS.sub("", translated) if _IN_BRACKETS.search(translated) else _MARKED.sub("", translated)
    elif _IN_BRACKETS.search(translated) and not mine:
        translated = _IN_BRACKETS.sub("", translated)
    return text, translated


class _Content:
    """A file's text for polib, which takes a string that names a file of this machine for that file. This is no string and names
    nothing. Its lines are those that we need: without comments, and with a string of many lines on one, because polib joins
    comments and strings line by line, each time from the beginning."""

    def __init__(self, text: str) -> None:
        self._text = text

    def splitlines(self) -> list[str]:
        """ValueError for a line of a string that is not whole, or that continues nothing."""
        work = Work(len(self._text))
        lines: list[str] = []
        parts: list[str] = []  # of the string that is being read, the first with what stands before it
        for raw in self._text.removeprefix("\ufeff").splitlines():
            work.look(len(raw))
            line = raw.strip()
            if not line or _UNREAD.match(line):
                continue
            if line.startswith('"'):
                if not parts or not _STRING.fullmatch(line):
                    raise ValueError("a string that is not whole")
                parts.append(line[1:-1])
                continue
            if parts:
                lines.append("".join(parts) + '"')
            parts = [line[:-1]] if _MESSAGE.fullmatch(line) else []
            if not parts:
                lines.append(line)
        return [*lines, "".join(parts) + '"'] if parts else lines


_UNREAD = re.compile(r'#(?![,~])|#~(?:\||\s*+")')  # comments, except flags; of obsolete messages the strings' further lines
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_MESSAGE = re.compile(r"(?:#~\s+)?msg(?:id|str|ctxt|id_plural|str\[\d\])\s*+" + _STRING.pattern)


class _Catalogue(polib.POFile):  # type: ignore[misc]
    """A catalogue whose header stays an entry: polib would join its lines as it joins comments."""

    def find(self, *_: object, **__: object) -> None:
        """Nothing: polib asks for the header only."""
