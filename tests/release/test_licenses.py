"""Licences go with the text: copyright files are shipped, each document has its source's, and what has none is not published."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.release import licenses
from skyloom.release.check import check, unlicensed
from skyloom.release.corpus_shards import PublishedCorpus
from skyloom.release.licenses import Rules
from skyloom.release.weights import warnings
from tests.planted import small_release


def document(source: str, url: str, license: str | None) -> licenses.PublishedDocument:
    return {"text": "", "id": "", "lang": "", "source": source, "domain": "", "url": url, "date": None, "license": license}


def test_copyright_files_are_shipped_with_names_versions_and_licences(tmp_path: Path) -> None:
    pages = Store(tmp_path / "pages")
    pages.write_text("copyright/doc-zh.txt", "版权 Copyright")
    rows = [
        {"source": "debian", "package": "doc-zh", "version": "1:2", "license": "GPL-2.0-or-later", "file": "copyright/doc-zh.txt"},
        {"source": "debian", "package": "bare", "version": "3", "license": "LicenseRef-debian-bare", "file": ""},
    ]
    pages.write_json("copyright/packages.json", rows)
    published = PublishedCorpus(licenses={("debian", "GPL-2.0-or-later"): 5, ("mine", "unknown"): 2})
    out = Store(tmp_path / "release")
    names = {record.name for record in licenses.write(pages, published, out)}
    assert names == {"licenses/README.md", "licenses/doc-zh.txt", "licenses/packages.json"}
    assert out.read_text("licenses/doc-zh.txt") == "版权 Copyright"
    text = out.read_text("licenses/README.md")
    assert "| doc-zh | 1:2 | GPL-2.0-or-later | [doc-zh.txt](doc-zh.txt) |" in text and "| bare | 3 |" in text
    assert "| unknown | 2 |" in text and "states no licence" in text
    recipe = {"corpus": {"sources": [{"name": "debian", "kind": "debian-docs", "license": ""}]}}
    found = licenses.rules(out, recipe, {"debian": "debian-docs"})
    assert found.broken(document("debian", "debian://doc-zh/usr/x.html", "GPL-2.0-or-later")) == ""
    assert "states 'GPL-2.0-or-later'" in found.broken(document("debian", "debian://doc-zh/usr/x.html", "MIT"))


def test_the_rule_is_the_recipes_unless_records_state_their_own(tmp_path: Path) -> None:
    sources = [
        {"name": "网页", "kind": "auto", "path": "x", "license": "CC0-1.0"}, {"name": "rows", "kind": "jsonl", "license": "MIT"},
        {"name": "python", "kind": "stdlib"}, {"name": "samples", "kind": "samples", "path": ""}, {"name": "mine", "kind": "samples", "path": "p"},
    ]  # fmt: skip
    found = licenses.rules(Store(tmp_path), {"corpus": {"sources": sources}}, {"网页": "warc"})
    assert found.sources == {
        "exercises": "Apache-2.0",
        "网页": "CC0-1.0",
        "python": "PSF-2.0",
        "samples": "Apache-2.0",
        "mine": None,
    }
    assert found.broken(document("rows", "u", "GPL-3.0-only")) == "" and found.broken(document("网页", "u", None))
    assert Rules().broken(document("anything", "u", None)) == ""


def test_documents_without_a_licence_are_not_published_unless_somebody_decides_so(
    measured_run: dict[str, Store], tmp_path: Path
) -> None:
    corpus = Store(shutil.copytree(measured_run["corpus"].path(), tmp_path / "corpus"))
    rows = corpus.read_table("documents-00000.parquet").to_pylist()
    rows = [{**row, "license": None if row["source"] == "handbook-zh" else row["license"]} for row in rows]
    corpus.write_table("documents-00000.parquet", pa.Table.from_pylist(rows, schema=DOCUMENT))
    run = {**measured_run, "corpus": corpus}
    folder = small_release.publish(run, tmp_path / "release")
    assert "documents state no licence" in unlicensed(Store(folder)) and "--allow-unknown-license" in unlicensed(Store(folder))
    allowed = replace(small_release.CONFIG, allow_unknown_license=True)
    second = small_release.publish(run, tmp_path / "decided", allowed)
    assert unlicensed(Store(second)) == "" and "state no licence.**" in (second / "corpus/README.md").read_text()
    # The rule of the recipe still says that this source has a licence, which its documents do not state.
    failed = {f.name: f.detail for f in check(second) if not f.ok}
    assert list(failed) == ["licences"] and "states 'CC-BY-SA-4.0'" in failed["licences"]


def test_a_publisher_is_told_what_to_put_right() -> None:
    nobody = replace(small_release.CONFIG, authors=(), contact="")
    told = warnings(nobody, PublishedCorpus(licenses={("x", "unknown"): 3}))
    assert len(told) == 3 and "authors" in told[0] and "contact" in told[1] and "3 documents state no licence" in told[2]
    assert warnings(small_release.CONFIG, PublishedCorpus()) == []


def test_what_an_outsider_needs_is_in_the_folder(measured: Path) -> None:
    names = {p.relative_to(measured).as_posix() for p in measured.rglob("*") if p.is_file()}
    splits = {f"exercises/exercises-{split}.parquet" for split in ("train", "valid", "test", "ref", "canary", "heldback")}
    journals = {f"run/{stage}/{name}" for stage in ("stage1", "stage2") for name in ("metrics.jsonl", "heldout.jsonl", "plan.json")}
    records = {"run/corpus/ledger.json", "run/extract/ledger.json", "run/tokens/tokens.json", "run/run.json", "run/models.json"}
    assert splits | journals | records <= names
    assert json.loads((measured / "run/models.json").read_text())[0]["folder"] == ""


@pytest.mark.parametrize("folder", ["/home/somebody/models/base", "base"])
def test_no_folder_of_a_machine_is_published(measured_run: dict[str, Store], tmp_path: Path, folder: str) -> None:
    stage = Store(shutil.copytree(measured_run["stage1"].path(), tmp_path / "stage1"))
    stage.write_json("plan.json", {"stage": "stage1", "train": {"init_from": folder}})
    out = small_release.publish({**measured_run, "stage1": stage}, tmp_path / "release")
    assert json.loads((out / "run/stage1/plan.json").read_text())["train"]["init_from"] == "base"
