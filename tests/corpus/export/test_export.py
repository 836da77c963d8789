"""Export of a corpus: every document once, in files that other programs read, resumable, with counts and checksums that hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from skyloom.core.config import build
from skyloom.core.engine import Engine, Shard, ShardsMissingError, Task
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
    whose = {"content": content, "name": "test", "leases": Store(out.parent / "work")}
    return export_corpus(corpus, Store(out), config, **whose, engine=engine or Engine(), progress=Progress.silent())


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


@pytest.mark.parametrize("kind", ["parquet", "text"])
def test_each_shard_is_read_once_however_many_files_there_are(
    corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Documents of one licence lie in all shards: a file of them reads its own documents only."""
    licences = [f"许可-{k}" for k in range(20)]
    for number in range(3):
        rows = [{**r, "license": licences[k % 20]} for k, r in enumerate(ROWS[number::3])]
        corpus.write_table(f"documents-{number:05d}-000.parquet", pa.Table.from_pylist(rows, schema=DOCUMENT))
    read = Counter[str]()
    real = Store.reading_arrow

    def counts(store: Store, name: str) -> Any:
        read[name] += store.root == corpus.root
        return real(store, name)

    monkeypatch.setattr(Store, "reading_arrow", counts)
    found = export(corpus, tmp_path / "out", ExportConfig(kind, ("license",), splits=("train",)))
    assert {f["group"]["license"] for f in found.files} == set(licences) and len(found.files) == 20
    assert sum(f["documents"] for f in found.files) == sum(r["split"] == "train" for r in ROWS)
    assert set(read.values()) <= {0, 1} and sum(read.values()) == 3


def test_documents_of_a_group_keep_their_order_over_many_batches(tmp_path: Path) -> None:
    store, texts = Store(tmp_path / "corpus"), {"en": "Mill.", "zh-Hans": "磨坊。"}
    rows = [{**row(k), "lang": ("en", "zh-Hans")[k % 2], "split": "train"} for k in range(6 * module.BATCH)]
    rows = [{**r, "text": texts[r["lang"]]} for r in rows]
    for number, part in enumerate((rows[: len(rows) // 2], rows[len(rows) // 2 :])):
        store.write_table(f"documents-{number:05d}-000.parquet", pa.Table.from_pylist(part, schema=DOCUMENT))
    found = export(store, tmp_path / "out", ExportConfig(by=("language",), size=module.BATCH * 16))
    assert [f["documents"] for f in found.files] == [3072, 1536, 1536], "5 bytes in an English text, 9 in a Chinese one"
    for lang in texts:
        ids = [r["id"] for f in found.files if f["group"]["language"] == lang for r in read(tmp_path / "out" / f["name"])]
        assert ids == [r["id"] for r in rows if r["lang"] == lang]


@pytest.mark.parametrize("second", [True, False])
def test_shard_runs_leave_only_the_files(corpus: Store, tmp_path: Path, second: bool) -> None:
    """Rounds of two shards, as an array submits them; the last alone or both: nothing is left but the export."""
    export(corpus, tmp_path / "whole")
    out, rounds = tmp_path / "out", 0
    while not (out / "manifest.json").exists():
        rounds += 1
        for number in (1, 2):
            if number == 2 and not second and (out / "manifest.json").exists():
                continue
            with contextlib.suppress(ShardsMissingError):
                export(corpus, out, engine=Engine(shard=Shard(number, 2)))
    assert rounds > 1
    assert contents(out) == contents(tmp_path / "whole")


def test_shards_that_run_together_leave_only_the_files(corpus: Store, tmp_path: Path) -> None:
    export(corpus, tmp_path / "whole")
    engines = [Engine(shard=Shard(number, 3), patience=60) for number in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda engine: export(corpus, tmp_path / "out", engine=engine), engines))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


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
