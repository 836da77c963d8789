"""Rows in other dress (UTF-16, a JSON array, tables of Excel, gettext's accelerators) and web archives that keep the rules loosely."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zlib
from pathlib import Path

import pytest
import zstandard

from skyloom.core.records import PageRow
from skyloom.corpus.sources import READERS, About, find
from skyloom.corpus.sources.readers.byte_streams import File
from skyloom.corpus.sources.readers.json_arrays import ArrayLines
from skyloom.corpus.sources.readers.pairs import without_accelerators
from skyloom.corpus.sources.readers.web_archives.warc_records import TidyRecords, is_usual

RECORDS = [
    {"id": "a", "text": 'The ferry leaves at six, [and] "on time\\".'},
    {"id": "b", "text": "清晨六点，渡轮\n准时离港。", "more": {"x": [1, {"y": "]"}]}},
]
ABOUT = About("s", "web", None, 10**6)


def texts(path: Path, kind: str = "auto") -> list[tuple[str, str | None]]:
    found, files, _ = find("s", kind, str(path), code=False)
    rows: list[PageRow] = []
    for file in files:
        for part in READERS[found](file, ABOUT):
            rows += part.to_pylist() if not isinstance(part, dict) else [part]
    return [(row["body"].decode("utf-8"), row["error"]) for row in rows]


WANTED = [(str(record["text"]), None) for record in RECORDS]


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", ["lines", "array", "pretty", "one line"])
def test_json(tmp_path: Path, charset: str, form: str) -> None:
    if form == "lines":
        text = "".join(json.dumps(r, ensure_ascii=False) + "\r\n" for r in RECORDS)
    else:
        text = json.dumps(RECORDS, ensure_ascii=False, indent=2 if form == "pretty" else None)
    data = text.encode(charset)
    for name, packed in (
        ("a.jsonl", data),
        ("a.json", data),
        ("a.jsonl.gz", gzip.compress(data)),
        ("a.json.zst", zstandard.compress(data)),
    ):
        (tmp_path / name).write_bytes(packed)
        assert texts(tmp_path / name) == WANTED, name
        (tmp_path / name).unlink()


def test_an_array_that_is_damaged_loses_only_what_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "one"},\n{"text": 字},\n{"text": "three"},\n{"text": "fo', encoding="utf-8")
    found = texts(tmp_path / "a.json")
    assert [(t, e) for t, e in found if e is None] == [("one", None), ("three", None)]
    assert len(found) == 4


def test_lines_after_an_array_are_records_of_their_own() -> None:
    lines = b'{"text":"a, [b","id":"1"}\n{"text":"\xe6\xb8\xa1\xe8\xbd\xae","id":"2"}\n{"broken\n]\n{"text":"c","id":"3"}\n'
    for first, expected in ((b'["v1"]\n', b' "v1" \n'), (b'[{"a":1},\n{"b":2}]\n', b' {"a":1}\n {"b":2} \n')):
        for size in (1, 3, 1000):
            stream = ArrayLines(io.BytesIO(first + lines))
            assert b"".join(iter(lambda s=stream, n=size: s.read(n), b"")) == expected + lines


def test_array_lines_in_any_pieces() -> None:
    data = json.dumps(RECORDS, ensure_ascii=False, indent=1).encode()
    whole = ArrayLines(io.BytesIO(data)).read(1 << 20)
    for size in (1, 2, 7):
        stream = ArrayLines(io.BytesIO(data))
        assert b"".join(iter(lambda s=stream, n=size: s.read(n), b"")) == whole
    assert len(whole) == len(data)
    assert [json.loads(line) for line in whole.splitlines() if line.strip()] == RECORDS


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n"])
def test_tables(tmp_path: Path, charset: str, mark: str, first: str) -> None:
    rows = [["id", "text", "note, and more, and more"], ["1", "渡轮六点开", "x"], ["2", 'The "ferry"', "y"]]
    lines = [mark.join(f'"{c}"'.replace('"ferry"', '""ferry""') for c in row) for row in rows]
    (tmp_path / "a.csv").write_bytes((first.format(mark) + "\r\n".join(lines) + "\r\n").encode(charset))
    assert texts(tmp_path / "a.csv") == [("渡轮六点开", None), ('The "ferry"', None)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("_Open", "打开(_O)"), ("Open", "打开")),
        (("&File", "文件(&F)"), ("File", "文件")),
        (("Save _As…", "另存为（_A）…"), ("Save As…", "另存为…")),
        (("E&xit", "退出(&X)"), ("Exit", "退出")),
        (("E_xit", "退出(_X)"), ("Exit", "退出")),
        (("_Edit", "_编辑"), ("Edit", "编辑")),
        (("Q&A for file_name_x", "file_name_x 的问答"), ("Q&A for file_name_x", "file_name_x 的问答")),
        (("Salt & pepper (_a)", "盐和胡椒"), ("Salt & pepper (_a)", "盐和胡椒")),
    ],
)
def test_accelerators(given: tuple[str, str], expected: tuple[str, str]) -> None:
    assert without_accelerators(*given) == expected


TMX = '<?xml version="1.0"?><tmx version="1.4"><body>' + "".join(
    f'<tu><tuv xml:lang="en"><seg>Line {k} is here.</seg></tuv><tuv xml:lang="zh"><seg>第{k}行在这里。</seg></tuv></tu>'
    for k in range(5)
)


@pytest.mark.parametrize("cut", [1, 10, 40, 60, 90])
def test_a_tmx_that_is_cut_gives_what_stands_before(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.tmx").write_bytes(TMX.encode()[:-cut])
    found = texts(tmp_path / "a.tmx", "parallel")
    assert found[0][0].startswith("Line 0 is here.\n第0行在这里。")
    assert found[0][0].count("\n\n") == 3
    assert found[-1][1] is not None
    assert found[-1][1].startswith("broken: ")


# Web archives


def page(k: int) -> bytes:
    return f"<html><body><p>The ferry {k}. 渡轮 {k}。</p></body></html>".encode()


def response(k: int, *, body: bytes | None = None, head: bytes = b"", more: int = 0, end: bytes = b"\r\n", name: str = "") -> bytes:
    """A record of page k whose length is wrong by `more`; `end`: its line ends; `name`: "lower" or "upper" names."""
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n" + head + b"\r\n" + (page(k) if body is None else body)
    lines = [b"WARC/1.0", b"WARC-Type: response", b"WARC-Record-ID: <urn:uuid:%032d>" % k, b"WARC-Date: 2023-06-01T00:00:00Z",
             b"WARC-Target-URI: http://a.example/%d" % k, b"Content-Type: application/http; msgtype=response",
             b"Content-Length: %d" % (len(http) + more)]  # fmt: skip
    if name:
        parts = [line.partition(b":") for line in lines[1:]]
        lines[1:] = [(n.lower() if name == "lower" else n.upper()) + c + v for n, c, v in parts]
    return end.join(lines) + end + end + http + end + end


def archive(path: Path, data: bytes) -> list[tuple[str, str | None]]:
    path.write_bytes(data)
    return texts(path)


ALL = [(page(k).decode(), None) for k in range(4)]


@pytest.mark.parametrize("name", ["", "lower", "upper"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("form", ["plain", "members", "one member", "zst"])
def test_names_and_line_ends(tmp_path: Path, name: str, end: bytes, form: str) -> None:
    records = [response(k, end=end, name=name) for k in range(4)]
    data = b"".join(records)
    packed = {
        "plain": data,
        "members": b"".join(map(gzip.compress, records)),
        "one member": gzip.compress(data),
        "zst": zstandard.compress(data),
    }
    assert archive(tmp_path / f"a.warc{'.zst' if form == 'zst' else '' if form == 'plain' else '.gz'}", packed[form]) == ALL


@pytest.mark.parametrize("more", [-5, -60, 1, 7, 60, 400, 5000])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("form", ["plain", "members"])
def test_wrong_lengths(tmp_path: Path, more: int, which: int, form: str) -> None:
    records = [response(k, more=more if k == which else 0) for k in range(4)]
    data = b"".join(records) if form == "plain" else b"".join(map(gzip.compress, records))
    found = archive(tmp_path / ("a.warc" if form == "plain" else "a.warc.gz"), data)
    good = [row for row in found if row[1] is None]
    assert good == ALL or (good == ALL[:which] + ALL[which + 1 :] and len(found) == 4)
    if form == "plain":
        assert found == ALL


def test_a_length_that_is_missing_or_no_number(tmp_path: Path) -> None:
    for number in (b"", b"Content-Length: many\r\n", b"Content-Length: -3\r\n"):
        lines = response(1).split(b"\r\n")
        lines = [line for line in lines if not line.startswith(b"Content-Length")]
        lines.insert(3, number.strip()) if number else None
        assert archive(tmp_path / "a.warc", response(0) + b"\r\n".join(lines) + response(2) + response(3)) == ALL


def test_bytes_between_records_are_told(tmp_path: Path) -> None:
    found = archive(
        tmp_path / "a.warc", response(0) + b"stray bytes\r\n\r\n" + response(1) + b"\r\n\r\n\r\n" + response(2) + response(3)
    )
    assert [row for row in found if row[1] is None] == ALL
    assert [row[1] for row in found if row[1]] == ["broken: bytes that are no WARC record"]


@pytest.mark.parametrize(
    ("kind", "wanted"), [("text/html", True), ("text/html; charset=gbk", True), ("TEXT/PLAIN", True), ("image/png", False)]
)
def test_resources(tmp_path: Path, kind: str, wanted: bool) -> None:
    body = "渡轮六点开".encode("gbk" if "gbk" in kind else "utf-8")
    head = f"WARC/1.0\r\nWARC-Type: resource\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Date: 2023-06-01T00:00:00Z\r\nWARC-Target-URI: file:///a\r\nContent-Type: {kind}\r\n"
    path = tmp_path / "a.warc"
    path.write_bytes(response(0) + head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body + b"\r\n\r\n")
    rows = [row for row in READERS["warc"](File(str(path), path.name, path.stat().st_size), ABOUT) if isinstance(row, dict)]
    assert [(row["body"], row["kind"], row["error"]) for row in rows[1:]] == (
        [(body, "text" if "PLAIN" in kind else "html", None)] if wanted else []
    )
    assert not wanted or rows[1]["charset"] == ("gbk" if "gbk" in kind else None)


def test_bodies_that_are_cut_give_what_stands_before(tmp_path: Path) -> None:
    long = ("<p>" + "".join(f"The ferry {k}, 渡轮{k}。" for k in range(500)) + "</p>").encode()
    packer = zlib.compressobj()
    packed = {"gzip": gzip.compress(long), "deflate": packer.compress(long) + packer.flush(), "zstd": zstandard.compress(long)}
    for name, data in packed.items():
        half = data[: len(data) // 2]
        found = archive(tmp_path / "a.warc", response(0, body=half, head=f"Content-Encoding: {name}\r\n".encode()) + response(1))
        assert found[1] == ALL[1]
        if name != "zstd":  # a block of zstd is read whole or not at all
            assert found[0][1] is None
            assert long.decode().startswith(found[0][0].rstrip("\ufffd"))
            assert len(found[0][0]) > 500
        else:
            assert found[0][0] or found[0][1]


def test_a_dictionary_and_its_archive_are_known_by_themselves(tmp_path: Path) -> None:
    samples = [response(k) for k in range(200)]
    known = zstandard.train_dictionary(2048, samples)
    packer = zstandard.ZstdCompressor(dict_data=known)
    frame = b"\x5d\x2a\x4d\x18" + len(known.as_bytes()).to_bytes(4, "little") + known.as_bytes()
    assert archive(tmp_path / "a.warc.zst", frame + b"".join(packer.compress(response(k)) for k in range(4))) == ALL


def test_tidy_records_in_any_pieces_and_linear_work() -> None:
    class Pieces(io.BytesIO):
        asked = 0

        def read1(self, size: int | None = -1, /) -> bytes:
            self.asked += 1
            return super().read(min(size or 1, 7))

    data = response(0, name="lower", more=9) + b"x\r\n\r\n" + response(1, end=b"\n")
    tidy = TidyRecords(Pieces(data), 10**6)
    found = b"".join(iter(lambda: tidy.read(5), b""))
    assert found.count(b"WARC/1.0") == 2
    assert page(0) in found
    assert page(1) in found
    assert not is_usual(response(0, name="lower"))
    assert is_usual(response(0))
    for hostile in (b"WARC/1.0\r\n" * 20_000, b"\r\n" * 100_000, response(0, more=10**9) + b"\n\nWARC/1" * 20_000, b"x" * 200_000):
        stream = TidyRecords(io.BytesIO(hostile), 10**6)
        assert (
            sum(len(d) for d in itertools.takewhile(bool, (stream.read(1 << 16) for _ in range(10**6)))) <= 2 * len(hostile) + 10**6
        )
