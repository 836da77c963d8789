"""Local items: every format, and what is told of files that cannot be used."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyloom.core.errors import ConfigError, DataError
from skyloom.evaluate.benchmarks.task_data import columns_of, parse, read_items

ITEMS = [{"id": "甲", "question": "谁？", "n": 1}, {"id": "b", "question": "who?", "n": 2}]
LINES = '{"id": "甲", "question": "谁？", "n": 1}\n{"id": "b", "question": "who?", "n": 2}\n'


def test_the_same_items_in_all_formats(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES, encoding="utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    (tmp_path / "c.json").write_text("[" + ",".join(LINES.splitlines()) + "]", encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(ITEMS), tmp_path / "d.parquet")
    (tmp_path / "e.csv").write_text("id,question,n\n甲,谁？,1\nb,who?,2\n", encoding="utf-8-sig")
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress("id,question,n\r\n甲,谁？,1\r\nb,who?,2\r\n".encode()))
    for path in sorted(tmp_path.iterdir()):
        assert read_items(path) == ITEMS, path.name


def test_texts_of_csv_stay_texts(tmp_path: Path) -> None:
    """A column of whole numbers is labels; one with a leading zero, an empty cell or NA stays as it is written."""
    (tmp_path / "a.csv").write_text(',A,B,C,label\n0,"1,5",NA,007,0\n1,"二\n行",,8,1\n', encoding="utf-8")
    assert read_items(tmp_path / "a.csv") == [
        {"column 1": 0, "A": "1,5", "B": "NA", "C": "007", "label": 0},
        {"column 1": 1, "A": "二\n行", "B": "", "C": "8", "label": 1},
    ]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("题.txt", b"x", "none of the formats"),
        ("a.jsonl", b"", "holds no item"),
        ("a.csv", b"question\n", "holds no item"),
        ("题.jsonl", b'{"a": 1}\n[1]\n', "题.jsonl, line 2: not a JSON object"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "line 2: not JSON"),
        ("a.json", b"[1]", "item 1: not a JSON object"),
        ("a.json", b"[", "not JSON"),
        ("a.jsonl", "中".encode("gb18030"), "not UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:30], "cannot be read"),
        ("a.parquet", b"PAR1", "not a whole Parquet file"),
        ("a.csv", b"a,b\n1\n", "item 1: 1 values for 2 columns"),
        ("a.csv", b"a,a\n1,2\n", "same name"),
        ("a.jsonl", '{"id": "甲"}\n{"id": "b"}\n{"id": "甲"}\n'.encode(), "the id '甲' stands in items 1 and 3"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as problem:
        read_items(path)
    assert told in str(problem.value) and str(path) in str(problem.value)


def test_a_field_of_several_types_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the field 'n' has values of several types"):
        columns_of(tmp_path, [{"n": 1}, {"n": "一"}])


def test_what_data_names(tmp_path: Path) -> None:
    file = tmp_path / "题=1.jsonl"
    file.write_text(LINES, encoding="utf-8")
    given = parse([f"arc_easy={file}", f"arc_easy:train={file}", f"g::inner={file}", f"cmmlu={tmp_path}"])
    assert given["arc_easy"].files == {"": file, "train": file}
    assert given["g::inner"].files == {"": file}
    assert given["cmmlu"].folder == tmp_path


def test_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("test.jsonl", "dev/农学.csv", "agronomy/test.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    given = parse([f"x={tmp_path}"])["x"]
    assert given.find("test", True, ["x"], alone=True) == tmp_path / "test.jsonl"
    assert given.find("test", True, ["agronomy"], alone=False) == tmp_path / "agronomy/test.parquet"
    assert given.find("dev", False, ["农学"], alone=False) == tmp_path / "dev/农学.csv"
    assert given.find("dev", False, ["law"], alone=False) is None
    assert "dev/农学.csv" in given.listing()


@pytest.mark.parametrize("values", [["x"], ["=x"], ["x=/nowhere/题.jsonl"], ["x:test={folder}"], ["x={folder}", "x={folder}"]])
def test_data_that_is_not_well_given(tmp_path: Path, values: list[str]) -> None:
    with pytest.raises(ConfigError, match="--data"):
        parse([value.format(folder=tmp_path) for value in values])
