"""Documents taken out of a release: what is written again still agrees with itself, and what was read is not denied."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release import sums
from skyloom.release.check import check
from skyloom.release.corpus_shards import PublishedDocument, documents
from skyloom.release.removal import remove as module
from skyloom.release.removal.remove import STAGE, remove
from tests.planted.small_release import resign

SILENT = Progress.silent()


def _some(folder: Path, split: str, lang: str) -> list[PublishedDocument]:
    return [d for _, d in documents(Store(folder), split) if d["lang"] == lang and d["source"] != "exercises"]


def _state(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_documents_are_gone_and_everything_that_counts_them_says_so(copy: Path) -> None:
    """Chinese and English, twice: the second removal adds to the list of the first. The results are measured again at the end."""
    before = _state(copy)
    first = [_some(copy, "train", lang)[n] for lang in ("en", "zh-Hans") for n in (3, 50)]
    (copy / "SHA256SUMS.sig").write_text("of the old sums 旧签名")
    done = CliRunner().invoke(main, ["release", "remove", str(copy), *(a for d in first for a in ("--id", d["id"]))])
    assert done.exit_code == 0, done.output
    assert all(f"removed {d['id']} (train, " in done.output for d in first) and "written again: README.md" in done.output
    assert not (copy / "SHA256SUMS.sig").exists()
    second = _some(copy, "train", "zh-Hans")[7]
    told = remove(copy, [second["id"]], reason="作者要求", progress=SILENT)
    assert [row["id"] for row in told.removed] == [second["id"]] and told.left == ()
    after = _state(copy)
    assert not [name for name, data in after.items() if second["text"].encode() in data]
    assert {d["id"] for d in [*first, second]} == {row["id"] for row in json.loads(after["corpus/removed.json"])}
    changed = {name for name in after if after[name] != before.get(name)}
    assert {"README.md", "corpus/README.md", "corpus/removed.json", "run/corpus/ledger.json", "run/corpus/mixture.json"} <= changed
    assert not [
        name for name in changed if name.endswith((".safetensors", ".model")) or name.startswith(("evaluation/", "run/stage"))
    ]
    card = after["corpus/README.md"].decode()
    assert "5 documents (" in card and "the model had read 5 of them" in card and f"| {STAGE} |" in card and "作者要求: 1" in card
    findings = check(copy, again=True)
    assert all(f.ok for f in findings), findings
    details = {f.name: f.detail for f in findings}
    assert "5 documents that training read were removed" in details["tokens again"] and "rows agree" in details["perplexity again"]


def test_a_heldout_document_can_be_removed_too(copy: Path) -> None:
    remove(copy, [_some(copy, "valid", "en")[0]["id"]], progress=SILENT)
    findings = check(copy, again=True)
    assert all(f.ok for f in findings), findings
    assert "held-out documents were removed" in next(f.detail for f in findings if f.name == "perplexity again")


def test_a_file_that_is_no_list_of_ids_is_told(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "编号.txt").write_bytes("编号".encode("gbk"))
    before = _state(copy)
    done = CliRunner().invoke(main, ["release", "remove", str(copy), "--ids-file", str(tmp_path / "编号.txt")])
    assert done.exit_code == 3 and "is no list of ids" in done.output
    assert _state(copy) == before


def test_nothing_is_written_if_an_id_is_unknown(copy: Path) -> None:
    known, before = _some(copy, "train", "zh-Hans")[0]["id"], _state(copy)
    for ids in ([known, "f" * 32], ["不存在"], []):
        with pytest.raises(DataError, match="nothing was changed"):
            remove(copy, ids, progress=SILENT)
        assert _state(copy) == before and [p.name for p in copy.parent.iterdir()] == [copy.name]


def test_the_folder_of_a_step_is_refused(copy: Path) -> None:
    (copy / "_step.json").write_text("{}")
    with pytest.raises(DataError, match="would make it again"):
        remove(copy, [_some(copy, "train", "en")[0]["id"]], progress=SILENT)


def test_a_removal_that_is_cut_short_leaves_the_old_folder(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is written, and between the two renames."""
    known, before = _some(copy, "train", "zh-Hans")[0]["id"], _state(copy)

    def cut(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.licenses, "write_table", cut)
        remove(copy, [known], progress=SILENT)
    assert _state(copy) == before
    shutil.move(copy, copy.with_name(f"{copy.name}.before-removal"))
    remove(copy, [known], progress=SILENT)
    assert known not in {d["id"] for _, d in documents(Store(copy), "train")} and sums.differences(Store(copy)) == []
    assert [p.name for p in copy.parent.iterdir()] == [copy.name]


def test_a_text_that_the_run_page_shows_is_named(copy: Path) -> None:
    shown = _some(copy, "train", "zh-Hans")[1]
    (copy / "report.html").write_text(f"<p>{shown['text'][:60]}</p>")
    resign(copy)
    assert remove(copy, [shown["id"]], progress=SILENT).left == (f"report.html shows the beginning of {shown['id']}",)
