"""JSON lines and columns: blocks and single lines give the same rows, ranges share a file, and what is odd is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyloom.core.records import PAGE
from skyloom.corpus.sources.readers import jsonl as sources_json
from skyloom.corpus.sources.readers import parquet as sources_parquet
from skyloom.corpus.sources.readers.byte_streams import File, split
from skyloom.corpus.sources.readers.hosts import load
from skyloom.corpus.sources.readers.jsonl import record_row
from skyloom.corpus.sources.readers.page_columns import page_table
from skyloom.corpus.sources.readers.rows import About

ABOUT = About("s", "web", None, 2000)


def rows_of(found: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for part in found:
        if isinstance(part, dict):
            rows.append(part)
        else:
            assert part.schema == PAGE
            rows += part.to_pylist()
    return rows


def read(path: Path, about: About = ABOUT) -> list[dict[str, Any]]:
    return rows_of(sources_json.pages(File(str(path), path.name, path.stat().st_size), about))


words = st.text(st.sampled_from('ab \n\t"\\中文页é😀\x00%PDF-'), max_size=30)
records = st.fixed_dictionaries(
    {},
    optional={
        "html": words, "text": words, "content": words, "url": words, "date": words, "license": words, "title": words,
        "pair": words, "id": words, "more": st.integers(),
    },
)  # fmt: skip


@given(
    st.lists(records, max_size=8),
    st.sampled_from(["web", "code"]),
    st.sampled_from([None, "MIT"]),
    st.sampled_from(["", "more", "title"]),
)
def test_columns_give_the_rows_that_records_give(
    found: list[dict[str, Any]], category: str, license_name: str | None, field: str
) -> None:
    about = About("来源", category, license_name, 40, text_field=field)
    places = [f"文件.jsonl#{i}" for i in range(len(found))]
    keys = ("html", "text", "content", "url", "date", "license", "title", "pair", "id", *((field,) if field else ()))
    columns = {k: pa.array([r[k] if isinstance(r.get(k), str) else None for r in found], pa.string()) for k in dict.fromkeys(keys)}
    by_column = page_table(about, "文件.jsonl", columns, places).to_pylist()
    by_row = [record_row(r, i, "文件.jsonl", about) for i, r in enumerate(found)]
    assert by_column == by_row


def test_hosts_give_columns_and_rows_their_category() -> None:
    about = About("s", "web", None, 2000, hosts=load())
    urls = ["https://zh.wikipedia.org/wiki/北京", "https://www.zhihu.com/question/1", "http://example.org/", "没有地址", None]
    columns = {"text": pa.array(["文"] * 5), "url": pa.array(urls)}
    table = page_table(about, "f", columns, [f"f#{i}" for i in range(5)])
    assert table.column("category").to_pylist() == ["encyclopedia", "social", "web", "web", "web"]
    assert [record_row({"text": "文", "url": u}, i, "f", about)["category"] for i, u in enumerate(urls)] == table.column(
        "category"
    ).to_pylist()


odd_lines = st.sampled_from(
    [b"", b"   ", b"{broken", b"[1]", b'{"text": 5}', b'{"text": "a"} {"text": "b"}', b'{"text": "\xff\xfe"}', b'{"text": "\\ud800"}',
     b'{"id": 7, "text": "\xe4\xb8\x80"}', b'{"text": "\xe4\xba\x8c", "url": "u"}\r', b'{"no": 1}', b'null', b' {"text": "x"}']
)  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(odd_lines | records.map(lambda r: json.dumps(r, ensure_ascii=False).encode()), max_size=20),
    st.booleans(),
    st.integers(1, 6),
)
def test_any_lines_in_blocks_and_ranges(tmp_path: Path, lines: list[bytes], ended: bool, ranges: int) -> None:
    """A row for each line that is not blank, in order, at the line's offset; ranges of the file give the same rows."""
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    whole = read(path)
    offsets, at = [], 0
    for line in data.split(b"\n"):
        if line.strip():
            offsets.append(at)
        at += len(line) + 1
    assert len(whole) == len(offsets)
    assert [r["url"] for r in whole if r["error"] and "JSON" in r["error"]] == [
        f"a.jsonl#{o}" for o, r in zip(offsets, whole, strict=True) if r["error"] and "JSON" in r["error"]
    ]
    assert len({r["id"] for r in whole}) == len(whole)
    for row, line in zip(whole, (x for x in data.split(b"\n") if x.strip()), strict=True):
        try:
            record = json.loads(line)
        except ValueError:
            assert row["error"] == "broken: not JSON"
            continue
        if isinstance(record, dict) and row["error"] is None:
            text = next(record[k] for k in ("html", "text", "content") if isinstance(record.get(k), str))
            assert row["body"] == text.encode("utf-8", "replace")
    parts = split(File(str(path), "a.jsonl", len(data)), max(1, len(data) // ranges))
    assert [r for part in parts for r in rows_of(sources_json.pages(part, ABOUT))] == whole


@pytest.mark.parametrize("block", [7, 64, 1000])
def test_the_size_of_a_block_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"第{i}行 line " * (i % 5), "id": i}, ensure_ascii=False) + "\n" for i in range(60))
    )
    whole = read(path)
    monkeypatch.setattr(sources_json, "BLOCK", block)
    assert read(path) == whole
    assert [json.loads(r["meta"])["id"] for r in whole] == [str(i) for i in range(60)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_line_beyond_the_limit_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    """Held never whole: the reader sees at most some blocks of it."""
    monkeypatch.setattr(sources_json, "BLOCK", 10_000)
    lines = [
        json.dumps({"text": t}, ensure_ascii=False) for t in ("一 one", "x" * 300_000 + "大" * 10_000, "二 two", "y" * 200_000)
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(pack("\n".join(lines).encode()))
    rows = read(path)
    assert [(r["body"].decode(), r["error"]) for r in rows] == [
        ("一 one", None), ("", "too large: more than 0.002 MB"), ("二 two", None), ("", "too large: more than 0.002 MB"),
    ]  # fmt: skip


def test_a_mark_before_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + '{"text": "一"}\n{"text": "two"}\n'.encode())
    assert [r["body"].decode() for r in read(tmp_path / "a.jsonl")] == ["一", "two"]


def test_records_with_one_id_stay_two_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "x", "url": "u", "text": "同一 same"}\n' * 3)
    rows = read(tmp_path / "a.jsonl")
    assert len({r["id"] for r in rows}) == 3
    assert [json.loads(r["meta"])["id"] for r in rows] == ["x"] * 3


def test_ranges_of_a_parquet_file_share_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"第{i}行 row" for i in range(100)]
    pq.write_table(pa.table({"text": texts, "id": list(range(100))}), path, row_group_size=10)
    file = File(str(path), "a.parquet", path.stat().st_size)
    whole = rows_of(sources_parquet.pages(file, ABOUT))
    assert [r["body"].decode() for r in whole] == texts
    for size in (1, 100, 500, 10**9):
        assert [r for part in split(file, size) for r in rows_of(sources_parquet.pages(part, ABOUT))] == whole


def test_bytes_in_a_parquet_column_are_pages_of_any_charset(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"html": ["<p>中文</p>".encode("gbk"), None, b"%PDF-1.7"], "url": ["http://x/1", "", None]}),
        tmp_path / "a.parquet",
    )
    path = tmp_path / "a.parquet"
    rows = rows_of(sources_parquet.pages(File(str(path), "a.parquet", path.stat().st_size), ABOUT))
    assert [(r["kind"], r["body"], r["charset"], r["error"]) for r in rows] == [
        ("html", "<p>中文</p>".encode("gbk"), None, None), ("html", b"", None, "broken: neither text nor html"),
        ("html", b"", None, "not text: PDF"),
    ]  # fmt: skip
