"""CSV and TSV by column; text in a column of another name; files that are no text."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyloom.core.engine import Engine
from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.readers.rows import not_text
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch

QUIET = Progress.silent()
RECORDS = [
    ("1", "标题, 一", '第一行\n第二行 "引用"', "https://例.cn/1"),
    ("2", "Title", "The second; text\tand more", "https://example.org/2"),
    ("3", "", "", ""),
]


def table(delimiter: str, header: tuple[str, ...] = ("id", "Title", "text", "url")) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([header, *RECORDS])
    return out.getvalue()


def read(path: Path, **settings: Any) -> list[dict[str, Any]]:
    config = SourceConfig(name="表", path=str(path), **settings)
    out = Store(path.parent / f"out-{path.name}-{len(list(path.parent.iterdir()))}")
    found = resolve([config], cache=path.parent, samples=path.parent, progress=QUIET)
    fetch(found, out, engine=Engine(0), progress=QUIET)
    return [row for name in out.names("pages-") for row in out.read_table(name).to_pylist()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_table_is_read_by_column(tmp_path: Path, delimiter: str, charset: str) -> None:
    path = tmp_path / "书.csv"
    path.write_bytes(table(delimiter).encode(charset))
    rows = read(path)
    assert [row["body"].decode("utf-8" if row["charset"] else charset) for row in rows] == [record[2] for record in RECORDS]
    assert [row["error"] for row in rows] == [None] * 3 and {row["kind"] for row in rows} == {"text"}
    assert rows[1]["url"] == "https://example.org/2" and json.loads(rows[0]["meta"])["title"] == "标题, 一"
    assert [json.loads(row["meta"])["id"] for row in rows] == ["1", "2", "3"] and len({row["id"] for row in rows}) == 3


def test_a_tsv_with_a_column_of_text_is_a_table_and_one_of_pairs_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(table("\t").encode()))
    assert [row["kind"] for row in read(tmp_path / "a.tsv.gz")] == ["text"] * 3
    (tmp_path / "b.tsv").write_text("en\tzh\nGood morning\t早上好\n")
    assert [row["kind"] for row in read(tmp_path / "b.tsv")] == ["parallel"]
    (tmp_path / "c.tsv").write_text("id\t正文\n1\t今天天气很好\n")
    assert [row["body"].decode() for row in read(tmp_path / "c.tsv", text_field="正文")] == ["今天天气很好"]


def test_a_quote_that_is_never_closed_costs_one_counted_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    long = "长" * 20_000
    path.write_text(f'id,text\n1,好 good\n2,"{long}\n{long}"\n3,之后 after\n4,"never\n{long * 3}')
    rows = read(path, max_body_mb=0.001)
    assert [(row["error"], row["body"].decode()) for row in rows if not row["body"].startswith(b"\xe9")] == [
        (None, "好 good"), ("too large: more than 0.001 MB", ""), (None, "之后 after"), ("too large: more than 0.001 MB", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("end", "kept"), [('"从不 never\nmore\n', 0), ('5" pipe', 1), ('"whole"', 1), ('a,b,"c\nd"', 1)])
def test_what_follows_a_quote_without_end_is_counted(tmp_path: Path, end: str, kept: int) -> None:
    (tmp_path / "x.csv").write_text(f"text,b,c\n好 good\n{end}")
    rows = read(tmp_path / "x.csv")
    assert [row["error"] for row in rows] == [None, None if kept else "broken: a quote that is never closed"]


def test_a_first_line_without_end_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("列," * 90_000)
    (tmp_path / "y.csv").write_text("text\n好 good\n")
    rows = read(tmp_path, max_body_mb=0.001, kind="csv")
    assert [row["error"] for row in rows] == ["too large: more than 0.001 MB", None]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv"])
def test_text_in_another_column_is_found_by_its_name_and_the_error_names_the_columns(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.jsonl":
        path.write_text("".join(json.dumps({"id": r[0], "n": 1, "正文 body": r[2]}, ensure_ascii=False) + "\n" for r in RECORDS))
    else:
        path.write_text(
            table("\t" if name == "a.tsv" else ",", ("id", "title", "正文_body", "link")).replace("\n第二行", " 第二行")
        )
    field = "正文 body" if name == "a.jsonl" else "正文_body"
    with pytest.raises(DataError, match=f"'表'.*none of its .*: id, .*{field}.*--text-field.*text_field"):
        read(path)
    with pytest.raises(DataError, match="its text in 别的; text stands in: id"):
        read(path, text_field="别的", **({"kind": "csv"} if name == "a.tsv" else {}))
    told = [record[2].replace("\n", "\n" if name == "a.jsonl" else " ") for record in RECORDS]
    assert [row["body"].decode() for row in read(path, text_field=field)] == told


@pytest.mark.parametrize("name", ["weights.bin", "文.txt", "page.html"])
def test_a_binary_file_is_never_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for seed, size in enumerate((100, 3000, 200_000)):
        path.write_bytes(b"\x07" + random.Random(seed).randbytes(size))
        with pytest.raises(DataError, match=r"not text: (binary data|null bytes)"):
            read(path)
    path.write_bytes("开头是文字 text first. ".encode() * 9000 + os.urandom(400_000))
    with pytest.raises(DataError, match="not text: binary data"):
        read(path)


@pytest.mark.parametrize("charset", ["utf-8", "gb18030", "big5hkscs", "utf-16-le", "utf-16-be", "latin-1"])
def test_long_text_in_any_charset_is_no_binary_data(charset: str) -> None:
    text = "Über die Berge, naïve café. " * 500 if charset == "latin-1" else "天地玄黃,宇宙洪荒。The quick brown fox 日月\n" * 500
    assert not_text(text.encode(charset)) == ""
    assert not_text(b"N\x08NA\x08AM\x08ME\x08E manual page overstruck \x1b[1mbold\x1b[0m\xff\n" * 50) == ""


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("share", [1, 3, 8])
def test_pages_in_utf_16_without_a_mark_are_text(charset: str, share: int) -> None:
    first = {"utf-16-le": 0x01, "utf-16-be": 0x00}[charset]
    han = "".join(chr(0x4E00 + 256 * (k % 80) + (k * 7 + first) % 32) for k in range(40))  # low bytes as of control characters
    for text in (f"<p class=text>{han}</p>" * share * 20, "<ul>" + f"<li><a href='/{share}'>渡轮\u3002</a></li>\n" * 200):
        assert not_text(text.encode(charset)) == ""
    for seed in range(4):
        numbers = np.random.default_rng(seed).integers(0, 200, 4000).astype("<u2" if charset == "utf-16-le" else ">u2")
        assert not_text(numbers.tobytes()) == "binary data"
