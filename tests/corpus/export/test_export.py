"""Export of a corpus: every document once, in files that other programs read, resumable, with counts and checksums that hold."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from skyloom.core.config import build
from skyloom.core.engine import Engine, Task
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, domain_of, record_id
from skyloom.core.store import Store
from skyloom.corpus.export import ExportConfig, Exported, export_corpus
from skyloom.corpus.export import command as module

WORDS = {"en": "The mill stands by the river. ", "zh-Hans": "磨坊立在河边。"}
CONFIG = ExportConfig(size=3000)


def row(k: int) -> dict[str, Any]:
    lang, category = (("en", "web"), ("zh-Hans", "web"), ("zh-Hans", "encyclopedia"))[k % 3]
    text = WORDS[lang] * (3 + k % 7) + f"\n\n{k}"
    return {"id": record_id(str(k)), "text": text, "lang": lang, "source": "网站/一" if k % 2 else "..", "domain": domain_of(category, lang),
            "category": category, "url": f"https://a/{k}", "date": None if k % 4 else "2024-02-01", "license": None, "meta": "{}",
            "split": "valid" if k % 11 == 0 else "train"}  # fmt: skip


ROWS = [row(k) for k in range(150)]


@pytest.fixture
def corpus(tmp_path: Path) -> Store:
    store = Store(tmp_path / "corpus")
    for number in range(3):
        store.write_table(f"documents-{number:05d}-000.parquet", pa.Table.from_pylist(ROWS[number::3], schema=DOCUMENT))
    store.write_table("dropped-00000-000.parquet", pa.table({"id": ["x"]}))
    return store


def export(corpus: Store, out: Path, config: ExportConfig = CONFIG, engine: Engine | None = None, content: str = "c") -> Exported:
    return export_corpus(
        corpus, Store(out), config, content=content, name="test", engine=engine or Engine(), progress=Progress.silent()
    )


def read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()
    data = zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read()
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("kind", ["parquet", "jsonl.zst"])
@pytest.mark.parametrize("by", [(), ("language",), ("language", "category"), ("source", "license")])
def test_every_document_once_in_its_folder(corpus: Store, tmp_path: Path, kind: str, by: tuple[str, ...]) -> None:
    found = export(corpus, tmp_path / "out", replace(CONFIG, format=kind, by=by))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["files"] == found.files and manifest["columns"] == DOCUMENT.names
    seen = []
    for one in found.files:
        file = tmp_path / "out" / one["name"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == one["sha256"] and file.stat().st_size == one["size"]
        rows = read(file)
        assert len(rows) == one["documents"]
        assert sum(len(r["text"].encode()) for r in rows) == one["text_bytes"] <= CONFIG.size
        columns = {"language": "lang", "category": "category", "source": "source", "license": "license"}
        for r in rows:
            assert r["split"] == one["split"] == file.name.split("-")[0]
            assert {name: r[columns[name]] or "" for name in by} == one["group"]
        seen += rows
    assert sorted(seen, key=lambda r: r["id"]) == sorted(ROWS, key=lambda r: r["id"])
    on_disk = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert on_disk == {"manifest.json", *(f["name"] for f in found.files)}, "nothing else is left"
    totals = Counter({(*t["group"].values(), t["split"]): t["documents"] for t in manifest["totals"]})
    assert totals.total() == len(ROWS)
    if by == ("source", "license"):
        assert {f["name"].split("/")[0] for f in found.files} == {"网站%2F一", "%2E."}
        assert {f["name"].split("/")[1] for f in found.files} == {"none"}


def test_plain_text_is_told_apart_by_form_feeds(tmp_path: Path) -> None:
    store = Store(tmp_path / "corpus")
    texts = ["One.\n\n\nTwo.", "一。\f二。", "三。"]
    rows = [{**ROWS[1], "id": str(k), "text": text} for k, text in enumerate(texts)]
    store.write_table("documents-00000-000.parquet", pa.Table.from_pylist(rows, schema=DOCUMENT))
    found = export(store, tmp_path / "out", ExportConfig("text", ()))
    assert [f["name"] for f in found.files] == ["train-00000.txt"]
    assert (tmp_path / "out/train-00000.txt").read_text(encoding="utf-8").split("\n\f\n") == ["One.\n\n\nTwo.", "一。 二。", "三。"]


def test_datasets_reads_a_folder(corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    wanted = {
        split: {r["id"] for r in ROWS if (r["lang"], r["category"], r["split"]) == ("zh-Hans", "web", split)}
        for split in ("train", "valid")
    }
    for kind in ("parquet", "jsonl.zst"):
        export(corpus, tmp_path / kind, replace(CONFIG, format=kind))
        found = datasets.load_dataset(str(tmp_path / kind / "zh-Hans" / "web"), cache_dir=str(tmp_path / "cache"))
        assert set(found["train"]["id"]) == wanted["train"] and set(found["validation"]["id"]) == wanted["valid"]
        assert set(found["train"].column_names) == set(DOCUMENT.names)


def test_one_split_only(corpus: Store, tmp_path: Path) -> None:
    found = export(corpus, tmp_path / "out", replace(CONFIG, splits=("valid",)))
    assert sum(f["documents"] for f in found.files) == sum(r["split"] == "valid" for r in ROWS)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_interrupted_export_goes_on_with_the_same_bytes(corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(corpus, tmp_path / "whole")
    written = []
    real = module.write_part

    def stops(task: Task[Any], out: Store) -> Any:
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(task.key)
        return real(task, out)

    monkeypatch.setattr(module, "write_part", stops)
    with pytest.raises(KeyboardInterrupt):
        export(corpus, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()
    with pytest.raises(ConfigError, match="holds another export or other files"):
        export(corpus, tmp_path / "out", replace(CONFIG, size=4000))
    more: list[str] = []

    def counts(task: Task[Any], out: Store) -> Any:
        more.append(task.key)
        return real(task, out)

    monkeypatch.setattr(module, "write_part", counts)
    assert not export(corpus, tmp_path / "out").there
    assert not set(more) & set(written), "what was finished is not done again"
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert export(corpus, tmp_path / "out").there and str(export(corpus, tmp_path / "out")).endswith("already there")


def test_a_damaged_file_is_mended(corpus: Store, tmp_path: Path) -> None:
    found = export(corpus, tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "out" / found.files[2]["name"]).write_bytes(b"damaged")
    assert not export(corpus, tmp_path / "out").there
    assert contents(tmp_path / "out") == before


def test_the_bytes_do_not_depend_on_the_workers(corpus: Store, tmp_path: Path) -> None:
    pool = Engine(2)
    try:
        export(corpus, tmp_path / "pool", engine=pool)
    finally:
        pool.close()
    export(corpus, tmp_path / "alone")
    assert contents(tmp_path / "pool") == contents(tmp_path / "alone")


def test_values_that_are_names_of_our_own(tmp_path: Path) -> None:
    """A source that is called as our own files are, one without a value, and a long one."""
    values = ["receipts", "none", "", "manifest.json", ".export", "许可" * 60, "许可" * 60 + "一"]
    rows = [{**row(k), "source": value, "split": "train"} for k, value in enumerate(values)]
    store = Store(tmp_path / "corpus")
    store.write_table("documents-00000-000.parquet", pa.Table.from_pylist(rows, schema=DOCUMENT))
    found = export(store, tmp_path / "out", replace(CONFIG, by=("source",)))
    assert {one["group"]["source"] for one in found.files} == set(values) and len(found.files) == len(values)
    assert all((tmp_path / "out" / one["name"]).is_file() for one in found.files)
    assert export(store, tmp_path / "out", replace(CONFIG, by=("source",))).there
    rows = [{**rows[0], "source": value} for value in ("MIT", "mit")]
    store.write_table("documents-00000-000.parquet", pa.Table.from_pylist(rows, schema=DOCUMENT))
    with pytest.raises(ConfigError, match="differ only in large and small letters"):
        export(store, tmp_path / "two", replace(CONFIG, by=("source",)))


def test_what_it_refuses(corpus: Store, tmp_path: Path) -> None:
    export(corpus, tmp_path / "out")
    for config, content in ((replace(CONFIG, by=("source",)), "c"), (CONFIG, "another corpus")):
        with pytest.raises(ConfigError, match="holds another export or other files; name an empty folder"):
            export(corpus, tmp_path / "out", config, content=content)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/我的.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds another export or other files"):
        export(corpus, tmp_path / "full")
    with pytest.raises(DataError, match="no document of the splits train"):
        export(Store(tmp_path / "nothing"), tmp_path / "new")
    with pytest.raises(ConfigError, match="did you mean 'language'"):
        build(ExportConfig, {"by": ["languages"]}, origin="command line")
    with pytest.raises(ConfigError, match="by names one thing twice"):
        build(ExportConfig, {"by": ["source", "source"]}, origin="command line")
