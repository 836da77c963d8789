"""Hostile families of records and archives: JSON lines, tables, plain text, tar, web archives, Parquet.

Input: a family's name and a size. Output: the name and bytes of a file of about that size, and its reader. These readers have no
budget of work: each looks at its bytes a fixed number of times, which the families are made to break.
"""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers import delimited, folders, jsonl, latex, mediawiki, pairs, parquet, tar
from skyloom.corpus.sources.readers.byte_streams import File
from skyloom.corpus.sources.readers.rows import About
from skyloom.corpus.sources.readers.web_archives import warc
from tests.corpus.sources.server import record

LINES = (
    "文", '"', "\\", "\\u4e", "\n", "{}\n", "{", "[", '{"a":', '{"text":', '{"text":1}\n', "9", '"{i}":1,', '{"text":"文"}{', '{"text": "文 a"}\n',
)  # fmt: skip
WRAPPED = ("9", "[", '"k{i}":1,"x":', "\\\\", '\\"', "文")
TABLE = ('"', '",', ",", "\n", "\r", ";", '"\n', '""', "文", "a,文\n", '"a\n', "\t", "列{i},", "\ufffe,")
PAIRS = ("\t", "a\t文\n", "文", "\n", '"')
TEXT = ("\x00", " ", "\n", "文", "\x01a", "%")
HEADERS = ("X: 文\r\n", "X", "X\r\n", "\r\n", ":", "Content-Length: 1\r\n", "WARC-Type: response\r\n")


def repeated(unit: str, size: int) -> str:
    count = max(1, size // len(unit.encode()))
    return "".join(unit.replace("{i}", str(i)) for i in range(count)) if "{i}" in unit else unit * count


def _member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, form: int = tarfile.GNU_FORMAT) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    return info.tobuf(form) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _tars(what: str, size: int) -> bytes:
    small = _member("文/a.txt")
    if what == "empty":
        return b"".join(_member(f"{i}.txt") for i in range(size // 512)) + bytes(1024)
    if what == "names":
        return b"".join(_member("长" * 100 + f"{i}.txt") for i in range(size // 2048)) + bytes(1024)
    if what == "name":
        return _member("文/" * (size // 4) + "a.txt") + bytes(1024)
    if what == "globals":
        head = [tarfile.TarInfo.create_pax_global_header({f"键{i}": "值"}) + small for i in range(size // 1536)]
        return b"".join(head) + bytes(1024)
    data = {"digits": b"9" * size, "records": b"6 abc\n" * (size // 6) + b"=", "values": b"9 ab=1 x\n" * (size // 9)}[what]
    return _member("x", data, tarfile.XHDTYPE) + small + bytes(1024)


def _archives(what: str, size: int) -> bytes:
    if what == "records":
        return b"".join(record(f"http://例/{i}", b"<p>x") for i in range(max(1, size // 300)))
    if what == "chunks":
        return record("http://x/", b"1\r\na\r\n" * (size // 6) + b"0\r\n\r\n", headers="Transfer-Encoding: chunked\r\n")
    if what == "extensions":
        return record("http://x/", (b"1;" + b"x" * 190 + b"\r\na\r\n") * (size // 197), headers="Transfer-Encoding: chunked\r\n")
    place, _, unit = what.partition(" ")
    if place == "http":
        return record("http://x/", b"<p>x", headers=repeated(unit, size) + "\r\n")
    return b"WARC/1.0\r\n" + repeated(unit, size).encode() + b"\r\n\r\n" + record("http://x/", b"<p>x")


def _packed(what: str, size: int) -> bytes:
    whole = gzip.compress(record("http://x/", "<p>文".encode()), mtime=0)
    small = {
        "members": gzip.compress(b"", mtime=0), "heads": b"\x1f\x8b\x08", "broken": gzip.compress(b"WARC/", mtime=0)[:-8],
        "junk": "杂".encode(), "words": gzip.compress(b"WARC/1.0", mtime=0),
    }[what]  # fmt: skip
    return whole + small * (size // len(small)) + whole


def _streams(what: str, size: int) -> bytes:
    whole = bz2.compress("<page><title>茶</title><ns>0</ns><revision><text>文</text></revision></page>".encode())
    small = {"streams": bz2.compress(b""), "heads": b"BZh91AY&SY", "junk": "杂".encode(), "words": bz2.compress(b"<x/>")}[what]
    return whole + small * (size // len(small)) + whole


def _columns(what: str, size: int) -> bytes:
    out = io.BytesIO()
    if what == "columns":
        table = pa.table({"text": ["文"], **{f"列{i}": ["x"] for i in range(size // 200)}})
        pq.write_table(table, out, write_statistics=False)
    elif what == "groups":
        pq.write_table(pa.table({"text": ["文"] * max(1, size // 200)}), out, row_group_size=1)
    else:
        table = pa.table({"text": [f"文{i}" * 9 for i in range(max(1, size // 30))]})
        pq.write_table(table, out, data_page_size=1, write_batch_size=1, use_dictionary=what == "values", compression="none")
    return out.getvalue()


def _wrapped(what: str, size: int) -> bytes:
    text = repeated(what, size)
    if what in ("9", "["):
        return ('{"text":"文","x":' + text + ("]" * len(text) if what == "[" else "") + "}\n").encode()
    return ('{"text":"文",' + text + "1}\n").encode() if "{i}" in what else ('{"text":"' + text + '"}\n').encode()


Reader = Callable[[File, About], Iterator["pa.Table | PageRow"]]

_MAKERS: dict[str, tuple[str, Reader, Callable[[str, int], bytes], tuple[str, ...]]] = {
    "jsonl": ("a.jsonl", jsonl.pages, lambda what, size: repeated(what, size).encode(), LINES),
    "object": ("a.jsonl", jsonl.pages, _wrapped, WRAPPED),
    "csv": ("a.csv", delimited.pages, lambda what, size: repeated(what, size).encode("utf-8").replace(b"\xef\xbf\xbe", b"\xff"), TABLE),
    "cells": ("a.csv", delimited.pages, lambda what, size: b"text,b\n" + repeated(what, size).encode(), TABLE),
    "tsv": ("a.tsv", pairs.pages, lambda what, size: repeated(what, size).encode(), PAIRS),
    "text": ("a.txt", folders.text, lambda what, size: repeated(what, size).encode(), TEXT),
    "tar": ("a.tar", tar.pages, _tars, ("empty", "names", "name", "globals", "digits", "records", "values")),
    "papers": ("a.tar", latex.pages, lambda _, size: b"".join(_member(f"{i}.tex", "文".encode()) for i in range(size // 1024)), ("",)),
    "warc": (
        "a.warc", warc.pages, _archives,
        ("records", "chunks", "extensions", *(f"{p} {h}" for p in ("http", "warc") for h in HEADERS)),
    ),
    "gzip": ("a.warc.gz", warc.pages, _packed, ("members", "heads", "broken", "junk", "words")),
    "bzip2": ("a-multistream.xml.bz2", mediawiki.pages, _streams, ("streams", "heads", "junk", "words")),
    "parquet": ("a.parquet", parquet.pages, _columns, ("columns", "groups", "pages", "values")),
}  # fmt: skip


def families() -> list[str]:
    """The names of all families: a kind of file and what is repeated."""
    return [f"{kind} {what}" for kind, (_, _, _, units) in _MAKERS.items() for what in units]


def read(family: str, size: int, folder: Path) -> Sequence[pa.Table | PageRow]:
    """The rows of a file of a family, about `size` bytes of what is repeated; of what has ranges, of one range."""
    kind, _, what = family.partition(" ")
    name, reader, make, _ = _MAKERS[kind]
    data = make(what, size)
    path = folder / name
    path.write_bytes(data)
    end = len(data) if kind in ("gzip", "bzip2") else -1
    return list(reader(File(str(path), name, len(data), 0, end), About("s", "web", None, 16_000_000)))
