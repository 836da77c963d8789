"""Data sets of the hub are others' work: a card that names files of this machine, and data that is damaged."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyloom.core.engine import Engine
from skyloom.core.errors import DataError, SkyloomError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.readers.hub import _is_away, is_own
from skyloom.corpus.sources.readers.rows import NO_TEXT
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch

pytest.importorskip("datasets")
QUIET = Progress.silent()
SECRET = "秘密 secret"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set with one good file, and beside it what is none of its business."""
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "secret.jsonl").write_text(json.dumps({"text": SECRET}))
    with zipfile.ZipFile(tmp_path / "secret.zip", "w") as archive:
        archive.writestr("a.jsonl", json.dumps({"text": SECRET}))
    path = tmp_path / "集 set"
    path.mkdir()
    (path / "train.jsonl").write_text(
        "".join(json.dumps({"text": f"第{i}行 line {i}"}, ensure_ascii=False) + "\n" for i in range(5))
    )
    return path


def read(folder: Path, out: Path, **more: Any) -> list[dict[str, Any]]:
    source = SourceConfig(name="s", kind="hub", path=str(folder), **more)
    found = resolve([source], cache=out / "cache", samples=out / "samples", progress=QUIET)
    store = Store(out / "pages")
    store.remove("")
    fetch(found, store, engine=Engine(0), progress=QUIET)
    return [r for n in store.names("pages-") for r in store.read_table(n).to_pylist()]


def card(folder: Path, files: str) -> None:
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files: {json.dumps(files)}\n---\n", encoding="utf-8"
    )


@pytest.mark.parametrize(
    "files",
    ["{beside}/secret.txt", "../secret.jsonl", "{own}/../secret.jsonl", "zip://*.jsonl::{beside}/secret.zip", "file://{beside}/secret.txt",
     "/proc/self/status", "../*.jsonl"],
)  # fmt: skip
def test_a_card_that_names_files_of_the_machine_is_refused(folder: Path, tmp_path: Path, files: str) -> None:
    card(folder, files.replace("{beside}", str(tmp_path)).replace("{own}", str(folder)))
    with pytest.raises(SkyloomError) as told:
        read(folder, tmp_path / "o")
    assert "not its own" in str(told.value) or "no data set" in str(told.value)
    assert SECRET not in str(told.value)


def test_its_own_files_are_read(folder: Path, tmp_path: Path) -> None:
    for files in ("train.jsonl", "*.jsonl", str(folder / "train.jsonl"), "./train.jsonl"):
        card(folder, files)
        assert len(read(folder, tmp_path / "o")) == 5


def test_where_a_data_set_lies(folder: Path) -> None:
    hub = "hf://datasets/owner/name@0123abc"
    assert is_own(f"{hub}/data/页.parquet", hub) and is_own(f"zip://a.csv::{hub}/a.zip", hub)
    assert is_own("hf://datasets/owner/name@main/a", hub), "another revision of the same"
    assert is_own("hf://buckets/owner/name/a", "hf://buckets/owner/name")
    for wrong in (
        "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/a", "https://example.org/a.jsonl", "hf://datasets/owner/name2@1/a",
        "hf://datasets/owner/other@1/a", f"file:///etc/passwd::{hub}/a", f"{hub}/../../other@1/a", "zip://a::/tmp/a.zip", f"simplecache::{hub}/a",
    ):  # fmt: skip
        assert not is_own(wrong, hub), wrong
    assert not is_own("hf://buckets/owner/name2/a", "hf://buckets/owner/name")
    assert is_own(f"{folder}/a", str(folder)) and not is_own(f"{folder}2/a", str(folder)) and not is_own(f"{hub}/a", str(folder))


def test_columns_of_media_are_not_opened(folder: Path, tmp_path: Path) -> None:
    (folder / "train.jsonl").write_text(
        "".join(json.dumps({"text": [f"行 {i}", i, {}][i], "picture": str(tmp_path / "secret.txt")}) + "\n" for i in range(3))
    )
    features = "  features:\n  - name: text\n    dtype: json\n  - name: picture\n    dtype: image\n"
    (folder / "README.md").write_text(f"---\ndataset_info:\n{features}---\n")
    rows = read(folder, tmp_path / "o")
    assert [(r["body"].decode(), r["error"]) for r in rows] == [("行 0", None), ("", NO_TEXT), ("", NO_TEXT)]


def test_what_lies_before_damage_is_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "train.jsonl").unlink()
    filler = "长 long " * 150  # the library reads ten megabytes before the first record
    lines = [json.dumps({"text": f"第{i}行 {i * i}{filler}"}, ensure_ascii=False) for i in range(30_000)]
    packed = gzip.compress("\n".join(lines).encode())
    (folder / "train.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    rows = read(folder, tmp_path / "o")
    broken = [r["error"] for r in rows if r["error"]]
    assert len(broken) == 1 and broken[0].startswith("broken: data set: ")
    good = [r["body"].decode() for r in rows if not r["error"]]
    assert len(good) > 5_000 and good == [f"第{i}行 {i * i}{filler}" for i in range(len(good))]


@pytest.mark.parametrize("damage", ["line", "parquet", "charset", "zip", "nothing"])
def test_damaged_data_ends_in_a_row_or_a_sentence(folder: Path, tmp_path: Path, damage: str) -> None:
    table = pa.table({"text": [f"第{i}行 line" for i in range(5000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[len(whole) // 3 : len(whole) // 3 + 2000] = b"\xff" * 2000
    name, data = {
        "line": ("train.jsonl", b'{"text": "a"}\n{"text": \n{]\n'),
        "parquet": ("train.parquet", bytes(whole)),
        "charset": ("train.jsonl", b'{"text": "\xff\xfe"}\n'),
        "zip": ("train.zip", b"PK\x03\x04" + b"\0" * 100),
        "nothing": ("train.jsonl", b""),
    }[damage]
    (folder / "train.jsonl").unlink()
    (folder / name).write_bytes(data)
    try:
        rows = read(folder, tmp_path / "o")
    except DataError:
        return
    assert any(r["error"] for r in rows)


@pytest.mark.parametrize(
    "text",
    ["---\nconfigs: [\n---\n", "---\nconfigs: 3\n---\n", "---\n" + "[" * 5000 + "\n---\n", "---\ndataset_info: 页\n---\n",
     "---\ndataset_info:\n  features:\n  - name: text\n    dtype: 没有\n---\n"],
    ids=["open", "number", "deep", "text", "type"],
)  # fmt: skip
def test_a_card_that_is_none(folder: Path, tmp_path: Path, text: str) -> None:
    (folder / "README.md").write_text(text, encoding="utf-8")
    try:
        assert read(folder, tmp_path / "o")
    except SkyloomError as problem:
        assert "source 's'" in str(problem)


def test_what_is_away_is_not_damaged() -> None:
    away = [ConnectionResetError(), TimeoutError(), FileNotFoundError("a"), PermissionError(13, "no"), OSError(5, "disk")]
    assert all(map(_is_away, away))
    damaged = [OSError("Corrupt snappy compressed data."), gzip.BadGzipFile("no"), ValueError("no"), EOFError()]
    assert not any(map(_is_away, damaged))
    caused = ValueError("wrapped")
    caused.__cause__ = ConnectionResetError()
    assert _is_away(caused) and issubclass(StorageError, SkyloomError)
