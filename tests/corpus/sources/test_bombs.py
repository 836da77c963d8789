"""Small files that unpack to much: told from their headers or at the ratio limit, in bounded memory, whatever packs them."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from tests.corpus.sources.server import record

from skyloom.core.engine import Engine, Task
from skyloom.core.errors import StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources import stage as sources
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.readers import tar as tar_files
from skyloom.corpus.sources.readers.byte_streams import File, unpacked
from skyloom.corpus.sources.readers.parquet_pages import chunk_sizes, groups
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch

QUIET = Progress.silent()
BOMB = "decompression bomb: unpacks to more than 300 times its size"


def read(out: Path, **config: Any) -> list[dict[str, Any]]:
    """The rows of a source, also where none of them is a page."""
    (source,) = resolve([SourceConfig(**{"name": "s", **config})], cache=out / "cache", samples=out / "samples", progress=QUIET)
    store = Store(out / "pages")
    store.remove("")
    for number, parts in enumerate(sources._work(source)):
        sources._fetch_part(Task(f"{number:05d}", sources.SourceParts(0, source, parts)), store)
    rows = [r for n in store.names("pages-") for r in store.read_table(n).to_pylist()]
    assert len({r["id"] for r in rows}) == len(rows)
    return rows


def parquet_of(values: pa.Array, path: Path, **options: Any) -> Path:
    pq.write_table(pa.table({"text": values}), path, **{"compression": "zstd", "write_statistics": False, **options})
    return path


def summary(path: Path) -> bytes:
    data = path.read_bytes()
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


def test_a_dictionary_of_one_large_value_is_a_bomb(tmp_path: Path) -> None:
    """Some hundred bytes that ask for 6 GB: 65,536 times a value of 100 kB. No batch is decoded beyond 64 MB."""
    good = pa.table({"text": [f"第{i}行 row" for i in range(5)]})
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 65_536, pa.int32()), pa.array(["大" * 33_000]))
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(path, pa.schema([("text", pa.dictionary(pa.int32(), pa.string()))]), compression="zstd") as writer:
        writer.write_table(good.set_column(0, "text", good["text"].dictionary_encode().cast(writer.schema.field(0).type)))
        writer.write_table(pa.table({"text": values}))
    assert path.stat().st_size < 3000
    rows = read(tmp_path / "o", path=str(path))
    assert [(r["body"].decode(), r["error"]) for r in rows] == [(f"第{i}行 row", None) for i in range(5)] + [("", BOMB)]
    with path.open("rb") as raw:
        table = pq.ParquetFile(raw)
        sizes = chunk_sizes(raw, groups(summary(path))[1].columns[0], table.schema.column(0), path.stat().st_size)
    assert sizes.widest == 99_000
    assert sizes.packed < 300 and sizes.unpacked > 99_000


@pytest.mark.parametrize("what", ["one page", "nulls", "prefixes", "one group again and again"])
def test_parquet_bombs_of_other_kinds(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    if what == "one page":
        parquet_of(pa.array(["大" * 9_000_000]), path, use_dictionary=False)
    elif what == "nulls":
        parquet_of(pa.nulls(3_000_000, pa.string()), path)
    elif what == "prefixes":  # each value repeats the one before
        column = {"text": "DELTA_BYTE_ARRAY"}
        parquet_of(pa.array(["大" * 20_000] * 3000), path, use_dictionary=False, column_encoding=column)
    else:
        path = _again_and_again(tmp_path)
    assert path.stat().st_size < 300_000
    rows = read(tmp_path / "o", path=str(path), max_body_mb=50.0, max_ratio=30.0)
    assert rows[-1]["error"] == BOMB.replace("300", "30")
    assert sum(len(r["body"]) for r in rows) <= 17_000_000
    assert len(rows) < 1_100_000


def _again_and_again(folder: Path) -> Path:
    """A file whose 1,024 row groups are the same bytes: its summary names its one group again and again."""
    values = pa.array([f"第{i}行" + "x" * 10_000 for i in range(20)])
    body = parquet_of(values, folder / "one", compression="none", use_dictionary=False).read_bytes()
    meta = pq.read_metadata(folder / "one")
    for _ in range(10):
        meta.write_metadata_file(str(folder / "meta"))
        meta.append_row_groups(pq.read_metadata(folder / "meta"))
    meta.write_metadata_file(str(folder / "meta"))
    path = folder / "a.parquet"
    path.write_bytes(body[: -8 - int.from_bytes(body[-8:-4], "little")] + (folder / "meta").read_bytes()[4:])
    return path


@pytest.mark.parametrize(
    ("encoding", "lengths"), [("DELTA_BYTE_ARRAY", 0), ("DELTA_BYTE_ARRAY", 1), ("DELTA_LENGTH_BYTE_ARRAY", 0)]
)
def test_a_page_that_says_that_it_holds_more_lengths_than_values(tmp_path: Path, encoding: str, lengths: int) -> None:
    """The library allocates 4 bytes for each of them: here for 2^31."""
    values = pa.array([f"第{i}行 row {i}" for i in range(40)])
    path = parquet_of(values, tmp_path / "a.parquet", compression="none", use_dictionary=False, column_encoding={"text": encoding})
    assert [r["body"].decode() for r in read(tmp_path / "o", path=str(path))] == values.to_pylist()
    data = path.read_bytes()
    place = -1
    for _ in range(lengths + 1):
        place = data.index(b"\x80\x01\x04\x28", place + 1)  # blocks of 128 in 4 parts, 40 numbers
    path.write_bytes(data[: place + 3] + b"\xff\xff\xff\xff\x07" + data[place + 8 :])
    rows = read(tmp_path / "o", path=str(path))
    assert [r["error"] for r in rows] == ["broken: more lengths of strings than values"]


@pytest.mark.parametrize(
    "options", [{}, {"data_page_version": "2.0"}, {"compression": "none"}, {"compression": "lz4"}, {"compression": "gzip"}]
)
@pytest.mark.parametrize("encoding", ["", "PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_sizes_of_whole_files_are_those_of_the_summary(tmp_path: Path, options: dict[str, Any], encoding: str) -> None:
    """What the page headers say of a file that nobody tampered with, its summary says too, and all of it is read."""
    texts = [None if i % 7 == 0 else f"第{i}行 " + "长 long " * (i % 400) for i in range(5000)]
    chosen = {"use_dictionary": not encoding} | ({"column_encoding": {"text": encoding}} if encoding else {})
    path = parquet_of(pa.array(texts, pa.string()), tmp_path / "a.parquet", row_group_size=1700, **options, **chosen)
    with path.open("rb") as raw:
        table = pq.ParquetFile(raw)
        found = groups(summary(path))
        assert [g.rows for g in found] == [1700, 1700, 1600]
        for group in range(table.num_row_groups):
            column = table.metadata.row_group(group).column(0)
            sizes = chunk_sizes(raw, found[group].columns[0], table.schema.column(0), path.stat().st_size)
            assert (found[group].bytes, found[group].start) == (
                table.metadata.row_group(group).total_byte_size, column.dictionary_page_offset or column.data_page_offset
            )  # fmt: skip
            assert sizes.packed == column.total_compressed_size
            assert 0 <= column.total_uncompressed_size - sizes.unpacked < 3000  # it counts the headers too
            assert sizes.widest < 100_000 or encoding == "DELTA_BYTE_ARRAY"
    rows = read(tmp_path / "o", path=str(path))
    assert [r["body"].decode() if r["error"] is None else None for r in rows] == texts


def test_damaged_groups_are_told_and_the_others_read(tmp_path: Path) -> None:
    texts = [f"第{i}行 row" for i in range(30)]
    path = parquet_of(pa.array(texts), tmp_path / "a.parquet", row_group_size=10, compression="none", use_dictionary=False)
    start = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    data = path.read_bytes()
    for damage in (b"\xff" * 12, b"\x15\x00\x15\xfe\xff\xff\xff\x0f\x15\x02\x2c\x15"):  # no header, and one of a page of 2 GB
        path.write_bytes(data[:start] + damage + data[start + len(damage) :])
        rows = read(tmp_path / "o", path=str(path))
        assert [r["body"].decode() for r in rows if not r["error"]] == texts[:10] + texts[20:]
        assert len([r for r in rows if r["error"]]) == 1


def test_a_file_without_text_among_others_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, column in (("a", "text"), ("b", "正文"), ("c", "text")):
        pq.write_table(pa.table({column: [f"{name} 一"]}), tmp_path / "in" / f"{name}.parquet")
    pq.write_table(pa.table({"text": [["list", "单"]]}), tmp_path / "in" / "d.parquet")
    rows = read(tmp_path / "o", path=str(tmp_path / "in"))
    assert [r["body"].decode() for r in rows if not r["error"]] == ["a 一", "c 一"]
    told = [r["error"] for r in rows if r["error"]]
    assert len(told) == 2 and all("no column 'text' or 'html'" in t for t in told) and "正文" in told[0]


def test_a_summary_of_many_megabytes_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(17 << 20) + (17 << 20).to_bytes(4, "little") + b"PAR1")
    assert [r["error"] for r in read(tmp_path / "o", path=str(tmp_path / "a.parquet"))] == [
        "too large: a summary of more than 16 MB"
    ]


def test_members_of_a_web_archive_are_counted_together(tmp_path: Path) -> None:
    """Each unpacks to less than may come out at any ratio, all of them to more."""
    members = [gzip.compress(record(f"http://x/{i}", b"x" * 900_000), 9) for i in range(60)]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(members))
    rows = read(tmp_path / "o", path=str(tmp_path / "a.warc.gz"), max_ratio=100.0)
    assert len(rows) == 60
    assert {r["error"] for r in rows} == {None, BOMB.replace("300", "100")}
    assert sum(len(r["body"]) for r in rows) <= 17_000_000


@pytest.mark.parametrize("kind", ["latex", "tar"])
def test_the_ratio_holds_for_what_a_file_gives_in_all(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for archives within archives, and for readers that count nothing themselves."""
    path = tmp_path / "a.tar"
    path.write_bytes(b"x" * 3000)
    many = [{**sources.broken_row(sources.About("s", "web", None, 10**6), "a.tar", i, "x"), "error": None, "body": "多".encode() * 300_000} for i in range(50)]  # fmt: skip
    monkeypatch.setitem(sources.READERS, kind, lambda file, about: iter(many))
    rows = read(tmp_path / "o", path=str(path), kind=kind)
    assert [r["error"] for r in rows] == [None] * 18 + [BOMB]


def test_a_reader_that_fails_ends_its_file_and_not_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(problem: Exception) -> Any:
        def pages(file: File, about: Any) -> Any:
            yield sources.broken_row(about, file.name, 1, "x")
            raise problem

        return pages

    (tmp_path / "a.tar").write_bytes(b"x")
    monkeypatch.setitem(sources.READERS, "tar", failing(KeyError("想不到")))
    rows = read(tmp_path / "o", path=str(tmp_path / "a.tar"), kind="tar")
    assert [r["error"] for r in rows] == ["x", "broken: cannot be read (KeyError)"]
    for problem in (StorageError("gone"), MemoryError()):  # these are no matter of the source's bytes
        monkeypatch.setitem(sources.READERS, "tar", failing(problem))
        with pytest.raises(type(problem)):
            read(tmp_path / "o", path=str(tmp_path / "a.tar"), kind="tar")


DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"


@pytest.mark.parametrize(
    "head",
    [b"\x28\xb5\x2f\xfd" + bytes(40), b"\x37\xa4\x30\xec" + b"\xff" * 60, b"", zstandard.compress("字典".encode())[:-3], b"x" * 9],
)
def test_a_damaged_dictionary_of_a_web_archive(tmp_path: Path, head: bytes) -> None:
    data = DICTIONARY_MAGIC + len(head).to_bytes(4, "little") + head + zstandard.compress(record("http://x/", "<p>茶 tea".encode()))
    for size in (len(data), 90, 8 + len(head), 9, 6):
        (tmp_path / "a.warc.zst").write_bytes(data[:size])
        rows = read(tmp_path / "o", path=str(tmp_path / "a.warc.zst"), kind="warc")
        assert rows and all(r["error"] is None or r["error"].startswith("broken: ") for r in rows)


PEAK = """
import resource, sys
from skyloom.corpus.sources.readers import {0} as reader
from skyloom.corpus.sources.readers.byte_streams import File
from skyloom.corpus.sources.readers.rows import About
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = list(reader.pages(File(sys.argv[1], "a", {1}), About("s", "web", None, 16_000_000)))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, len(rows), rows[-1]["error"])
"""


def peak(reader: str, path: Path) -> tuple[int, int, str]:
    """(MB that reading took beyond the program, rows, the last one's reason), of a process of its own."""
    code = PEAK.format(reader, path.stat().st_size)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    megabytes, rows, error = done.stdout.rstrip("\n").split(" ", 2)
    return int(megabytes), int(rows), error


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_of_a_tar_are_bounded(tmp_path: Path, kind: bytes) -> None:
    size = 600_000_000
    head, small = tarfile.TarInfo("头"), tarfile.TarInfo("a.txt")
    head.type, head.size, small.size = kind, size, 4
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        file.write(small.tobuf() + b"text" + bytes(508) + head.tobuf())
        file.seek(size, io.SEEK_CUR)
        file.write(small.tobuf() + b"text" + bytes(508))
    megabytes, rows, error = peak("tar", path)
    assert (rows, error) == (2, f"broken: {tar_files.LONG_HEADERS}")
    assert megabytes < 100


@pytest.mark.parametrize("what", ["chain", "globals", "sparse", "back"])
def test_headers_of_a_tar_in_other_forms(what: str) -> None:
    out = io.BytesIO()
    name, small = tarfile.TarInfo("长"), tarfile.TarInfo("a.txt")
    if what == "chain":  # a long name of a long name of …
        name.type = tarfile.GNUTYPE_LONGNAME
        out.write(name.tobuf() * 5000)
    elif what == "globals":  # headers for all files, other ones before each file
        for i in range(1500):
            small.pax_headers = {}
            out.write(tarfile.TarInfo.create_pax_global_header({f"键{i}": "值" * 100}) + small.tobuf())
    elif what == "sparse":  # a map of millions of pieces
        name.type = tarfile.GNUTYPE_SPARSE
        head = bytearray(name.tobuf(tarfile.GNU_FORMAT))
        head[482] = 1
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\x00 " % sum(head)
        out.write(bytes(head) + (b"%011o\x00%011o\x00" * 21 % ((1, 1) * 21) + b"\x01" + bytes(7)) * 4000)
    else:  # a size below nothing leads back to where the file began
        small.size = 0
        head = bytearray(small.tobuf())
        head[124:136] = b"\xff" * 4 + (2**64 - 512).to_bytes(8, "big")
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\x00 " % sum(head)
        out.write(small.tobuf() + bytes(head) * 3)
    out.write(bytes(1024))
    out.seek(0)
    with pytest.raises(tarfile.TarError, match=r"headers or names of more than|damaged header"):
        list(tar_files.members(out, 1000))


def test_a_name_of_a_million_characters_costs_no_time(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("-" * 900_000 + "x.txt", "名/a.txt"):
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"text"))
    (tmp_path / "a.tar").write_bytes(data.getvalue())
    rows = read(tmp_path / "o", path=str(tmp_path / "a.tar"))
    assert [r["body"] for r in rows] == [b"text", b"text"]


def test_xz_asks_for_bounded_memory(tmp_path: Path) -> None:
    data = lzma.compress("<p>好 good".encode(), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 26}])  # as `xz -9`
    (tmp_path / "a.html.xz").write_bytes(data)
    size = 4 * (data[12] + 1)  # of the header of the first block, which a checksum ends
    head = bytearray(data[12 : 12 + size - 4])
    head[head.index(b"\x21\x01") + 2] = 38  # a window of 2 GB
    (tmp_path / "b.html.xz").write_bytes(data[:12] + head + zlib.crc32(head).to_bytes(4, "little") + data[12 + size :])
    rows = read(tmp_path / "o", path=str(tmp_path / "*.xz"), kind="html")
    assert [(r["body"].decode(), r["error"]) for r in rows] == [("<p>好 good", None), ("", "broken: Memory usage limit exceeded")]


@pytest.mark.parametrize("pieces", [[b"one ", "二".encode()], [b"", b"a" * 300_000, b""], [b"x"]])
@pytest.mark.parametrize("padding", [b"", bytes(4), bytes(400_000)])
def test_xz_streams_one_after_the_other(pieces: list[bytes], padding: bytes) -> None:
    data = padding.join(lzma.compress(p) for p in pieces) + padding
    assert unpacked(io.BytesIO(data), 1e9).read() == b"".join(pieces)
    for damaged in (data.rstrip(b"\x00")[:-5], data + b"\xfd7zXZ\x00"):
        with pytest.raises((EOFError, lzma.LZMAError)):
            unpacked(io.BytesIO(damaged), 1e9).read()


def test_long_names_fill_a_shard_as_bodies_do(tmp_path: Path) -> None:
    lines = [
        json.dumps({"text": f"第{i}行", "title": "题" * 30_000, "url": f"http://x/{i}"}, ensure_ascii=i % 2 == 0) for i in range(60)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    for path in (tmp_path / "a.jsonl", _as_tar(tmp_path)):
        config = SourceConfig(name="s", path=str(path), shard_mb=1.0)
        out = Store(tmp_path / f"pages-{path.name}")
        fetch(resolve([config], cache=tmp_path, samples=tmp_path, progress=QUIET), out, engine=Engine(0), progress=QUIET)
        tables = [out.read_table(n) for n in out.names("pages-")]
        assert sum(t.num_rows for t in tables) == 60
        assert all(t.nbytes < 1_300_000 for t in tables)


def _as_tar(folder: Path) -> Path:
    with tarfile.open(folder / "a.tar", "w") as archive:
        for i in range(60):
            info = tarfile.TarInfo("名/" * 20_000 + f"{i}.txt")
            info.size = 4
            archive.addfile(info, io.BytesIO(b"text"))
    return folder / "a.tar"


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, data in (
        (b"\xff\xe9.jsonl", '{"text": "好 good", "title": "题"}\n'),
        (b"\xb2\xe8.jsonl", '{"text": "茶", "url": "http://x/"}\n[]\n'),
    ):
        Path(bytes(tmp_path / "in").decode() + "/" + name.decode("utf-8", "surrogateescape")).write_text(data)
    rows = read(tmp_path / "o", path=str(tmp_path / "in"))
    assert sorted(r["body"].decode() for r in rows if not r["error"]) == ["好 good", "茶"]
    assert [r["error"] for r in rows if r["error"]] == ["broken: not a JSON object"]
    assert any("\\udcff" in r["meta"] or "\\\\udcff" in r["meta"] for r in rows)


@pytest.mark.parametrize("data", ["13 path=文a\nno-space=文\n".encode(), b"13 path=word\n=\n", b"9 a=bcdef\n00000000000=\n"])
def test_extended_headers_whose_later_record_has_no_length_are_damaged(data: bytes) -> None:
    """The first record ends in a line end and holds a `=`; what follows has no space to end its length."""
    from skyloom.corpus.sources.readers.tar import check_records

    with pytest.raises(tarfile.TarError, match="damaged header"):
        check_records(data)
