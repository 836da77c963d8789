"""Files that are read in ranges: each record and each damage belongs to one range, and no two rows have one id."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.corpus.sources.server import record
from tests.planted.mutants import ending

from skyloom.core.records import PAGE, PageRow
from skyloom.corpus.sources.readers.byte_streams import File, split
from skyloom.corpus.sources.readers.rows import About
from skyloom.corpus.sources.stage import READERS

SIZES = (1, 150, 333, 999, 5000)


def texts(count: int) -> list[str]:
    return [f"第{i}篇 article {i} {random.Random(i).randbytes(60).hex()}" for i in range(count)]


def stream(i: int, text: str) -> str:
    page = f"<page><title>题{i}</title><ns>0</ns><id>{i}</id><revision><text>{text}</text></revision></page>"
    head = "<mediawiki><siteinfo><base>https://zh.wikipedia.org/wiki/x</base></siteinfo>"
    return (head if i == 0 else "") + page


def dump() -> list[bytes]:
    return [bz2.compress(stream(i, t).encode()) for i, t in enumerate(texts(12))] + [bz2.compress(b"</mediawiki>")]


def archive() -> list[bytes]:
    return [gzip.compress(record(f"http://x/{i}", f"<p>{t}".encode()), mtime=0) for i, t in enumerate(texts(12))]


FILES: dict[str, tuple[str, Callable[[], list[bytes]]]] = {
    "mediawiki": ("a-multistream.xml.bz2", dump), "warc": ("a.warc.gz", archive)
}  # fmt: skip


def rows(kind: str, name: str, data: bytes, folder: Path, size: int = 0) -> list[PageRow]:
    """The rows of a file in ranges of a size, or (0) at once."""
    (folder / name).write_bytes(data)
    file, about = File(str(folder / name), name, len(data)), About("源 s", "web", None, 10**6)
    parts = split(file, size) if size else [file]
    tables: list[pa.Table] = []
    for part in parts:
        for found in READERS[kind](part, about):
            tables.append(found if isinstance(found, pa.Table) else pa.Table.from_pylist([found], schema=PAGE))
    return pa.concat_tables(tables).to_pylist() if tables else []


def unlike(found: Sequence[PageRow]) -> list[PageRow]:
    assert len({r["id"] for r in found}) == len(found)
    return list(found)


def test_a_dump_that_holds_an_article_twice(tmp_path: Path) -> None:
    assert ending(19317, tmp_path) == ""
    parts = dump()
    data = b"".join([parts[0], *parts[1:4], parts[2], *parts[4:8], parts[2], *parts[8:]])
    for size in SIZES:
        found = unlike(rows("mediawiki", "a-multistream.xml.bz2", data, tmp_path, size))
        assert found == rows("mediawiki", "a-multistream.xml.bz2", data, tmp_path)
        assert [json.loads(r["meta"])["title"] for r in found].count("题2") == 3
    twice = "<mediawiki>" + stream(1, "茶 tea") * 2 + "</mediawiki>"
    assert len(unlike(rows("mediawiki", "a.xml", twice.encode(), tmp_path))) == 2


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("where", ["head", "middle", "tail", "between", "end"])
def test_a_damage_is_one_row_wherever_the_ranges_begin(kind: str, where: str, tmp_path: Path) -> None:
    name, make = FILES[kind]
    whole = make()
    for i in (0, 1, 5, 6, 11):
        parts = list(whole)
        if where == "between":
            parts[i] += "杂 junk".encode() * 5
        elif where == "end":
            parts = [*parts[: i + 1], "杂 junk".encode()]
        else:
            at = {"head": 0, "middle": len(parts[i]) // 2, "tail": len(parts[i]) - 6}[where]
            parts[i] = parts[i][:at] + b"\xff" * 6 + parts[i][at + 6 :]
        data = b"".join(parts)
        expected = unlike(rows(kind, name, data, tmp_path))
        assert sum(r["error"] is not None for r in expected) == 1
        for size in SIZES:
            assert unlike(rows(kind, name, data, tmp_path, size)) == expected, (i, size)


def test_an_empty_member_is_told_once(tmp_path: Path) -> None:
    parts = archive()
    for i in (3, 6, 12):
        data = b"".join([*parts[:i], gzip.compress(b"", mtime=0), *parts[i:]])
        expected = unlike(rows("warc", "a.warc.gz", data, tmp_path))
        assert len(expected) == 13
        for size in SIZES:
            assert unlike(rows("warc", "a.warc.gz", data, tmp_path, size)) == expected


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_dump_that_only_its_name_calls_multistream(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = pack(b"".join(stream(i, t).encode() for i, t in enumerate(texts(12))) + b"</mediawiki>")
    for size in (0, *SIZES):
        found = unlike(rows("mediawiki", "a-multistream.xml", data, tmp_path, size))
        assert [r["error"] for r in found] == [None] * 12


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_what_follows_a_packed_stream_is_never_passed_over(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    one, two = (json.dumps({"text": t}).encode() + b"\n" for t in ("一 one", "二 two"))
    for between, errors in ((b"", 0), (bytes(64), 0), (b"junk" * 4, 1)):
        found = rows("jsonl", "a.jsonl.x", pack(one) + between + pack(two) + between, tmp_path)
        assert [r["body"].decode() for r in found if not r["error"]] == ["一 one", "二 two"][: 2 - errors]
        assert sum(r["error"] is not None for r in found) == errors


def test_streams_of_a_dump_are_counted_together(tmp_path: Path) -> None:
    """What is no text of an article is passed over, however much a stream unpacks to."""
    parts = dump()
    bombs = [bz2.compress(b"<x>" + b" " * 8_000_000 + b"</x>")] * 4
    found = unlike(rows("mediawiki", "a-multistream.xml.bz2", b"".join([*parts[:3], *bombs, *parts[3:]]), tmp_path))
    assert "decompression bomb: unpacks to more than 300 times its size" in {r["error"] for r in found}


def lines() -> bytes:
    found = [json.dumps({"text": t, "url": "http://例.cn/"}, ensure_ascii=False).encode() for t in texts(12)]
    return b"\n".join(
        [*found[:3], b'{"text": "' + b"x" * 3_000_000 + b'"}', *found[3:6], b"{not", found[6], b"", b"\xff", *found[7:]]
    )


def test_lines_are_told_apart_wherever_the_ranges_begin(tmp_path: Path) -> None:
    """One line is longer than the limit, and than many ranges; all records have one address."""
    data = lines()
    expected = unlike(rows("jsonl", "a.jsonl", data, tmp_path))
    assert [r["error"] for r in expected if r["error"]] == ["too large: more than 1 MB", "broken: not JSON", "broken: not JSON"]
    for size in (1000, 40_000, 1_000_000):
        assert unlike(rows("jsonl", "a.jsonl", data, tmp_path, size)) == expected


def test_row_groups_are_told_apart_wherever_the_ranges_begin(tmp_path: Path) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["同 same"] * 12, "url": ["http://例.cn/"] * 12}), out, row_group_size=2, compression="none")
    data = bytearray(out.getvalue())
    start = pq.read_metadata(out).row_group(3).column(0).dictionary_page_offset
    data[start : start + 4] = b"\xff" * 4
    expected = unlike(rows("parquet", "a.parquet", bytes(data), tmp_path))
    assert len(expected) == 11
    assert sum(r["error"] is not None for r in expected) == 1
    for size in (1, 99, 500):
        assert unlike(rows("parquet", "a.parquet", bytes(data), tmp_path, size)) == expected
