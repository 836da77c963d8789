"""Sets of documents are read from every format, and what cannot be scored is told with its file and record."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyloom.core.errors import ConfigError, DataError, SkyloomError, StorageError
from skyloom.evaluate.texts import read_sets

ROWS = [{"id": "a", "text": "The loom.", "lang": "en"}, {"id": "文", "text": "织布机。", "url": "http://例.cn/1"}]


def lines(rows: list[dict[str, object]]) -> bytes:
    return "\n".join(json.dumps(r, ensure_ascii=False) for r in rows).encode()


def test_each_format_gives_the_same_documents(tmp_path: Path) -> None:
    (tmp_path / "plain.jsonl").write_bytes(lines(ROWS) + b"\n\n")
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(lines(ROWS)))
    pq.write_table(pa.Table.from_pylist([{"lang": None, "url": None, **r} for r in ROWS]), tmp_path / "columns.parquet")
    found = read_sets([str(tmp_path)])
    assert [s.name for s in found] == ["columns", "packed", "plain"]
    for one in found:
        assert [(d.id, d.text) for d in one.documents] == [("a", "The loom."), ("文", "织布机。")]
        assert one.documents[0].facts == {"lang": "en"} and one.documents[1].facts == {"url": "http://例.cn/1"}
    assert read_sets([f"法律={tmp_path / 'plain.jsonl'}"])[0].name == "法律"


def test_text_files_are_documents_of_one_set(tmp_path: Path) -> None:
    folder = tmp_path / "网页"
    folder.mkdir()
    (folder / "one.txt").write_text("The loom.", encoding="utf-8")
    (folder / "二.txt").write_text("织布机。", encoding="utf-8")
    (one,) = read_sets([str(folder)])
    assert (one.name, [(d.id, d.text) for d in one.documents]) == ("网页", [("one", "The loom."), ("二", "织布机。")])
    (alone,) = read_sets([str(folder / "二.txt")])
    assert (alone.name, alone.documents[0].text) == ("二", "织布机。")


@pytest.mark.parametrize(
    ("name", "data", "kind", "words"),
    [
        ("x.jsonl", b"", DataError, "is empty"),
        ("x.jsonl", b"{\"text\": \"a\"}\nnot json", DataError, "line 2: not JSON"),
        ("x.jsonl", "{\"正文\": \"机\", \"id\": \"甲\"}".encode(), DataError, "record 甲: no text under 'text'; its fields are id, 正文"),
        ("x.jsonl", lines([{"id": "甲", "text": "a"}, {"id": "甲", "text": "b"}]), DataError, "the first is '甲'"),
        ("x.jsonl", lines([{"id": "甲", "text": "  \n"}]), DataError, "record 甲: its text is empty"),
        ("x.jsonl", b'{"id": "b", "text": "\\ud800"}', DataError, "record b: its text is not Unicode"),
        ("x.jsonl.gz", gzip.compress(lines(ROWS * 50), mtime=0)[:60], StorageError, "cannot be read"),
        ("x.jsonl.gz", b"\x1f\x8bnothing", StorageError, "cannot be read"),
        ("x.parquet", b"PAR1", DataError, "not a whole Parquet file"),
        ("x.txt", b"\xff\xfe\x00", DataError, "is not UTF-8"),
        ("x.csv", b"text\na", DataError, "its name must end in"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_told(tmp_path: Path, name: str, data: bytes, kind: type[SkyloomError], words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(kind, match=words):
        read_sets([str(tmp_path / name)])


def test_wrong_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        read_sets(["没有"])
    with pytest.raises(DataError, match="holds no set"):
        read_sets([str(tmp_path)])
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(lines(ROWS))
    with pytest.raises(ConfigError, match="two sets are named 'x'"):
        read_sets([f"x={tmp_path / 'a.jsonl'}", f"x={tmp_path / 'b.jsonl'}"])
    with pytest.raises(ConfigError, match="leave 'x=' out"):
        read_sets([f"x={tmp_path}"])
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match="no column 'text'; it has body"):
        read_sets([str(tmp_path / "c.parquet")])
