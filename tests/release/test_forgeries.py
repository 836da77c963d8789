"""`release check --recompute` measures a release again: an honest one passes, each of ten forgeries is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from skyloom.core.errors import IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release.check import check
from skyloom.release.likeness import unlike
from skyloom.release.recompute import Recomputation
from tests.planted.small_release import FORGERIES, change, forged, resign, rewrite_cards

AGAIN = [f"{name} again" for name in ("exercises", "tokens", "perplexity", "choices", "samples", "leakage", "journals")]
CAUGHT = {
    "accuracy in the card": "cards",
    "loss in the card": "cards",
    "choice.json": "choices again",
    "perplexity.json": "perplexity again",
    "leakage.json's verdict": "leakage again",
    "a swapped checkpoint": "journals again",
    "a corpus document replaced": "tokens again",
    "a document added": "tokens again",
    "a canary left in the corpus": "exercises again",
    "the licence field changed": "licences",
}


def test_an_honest_release_is_measured_again_and_passes(measured: Path) -> None:
    findings = check(measured, again=True)
    assert all(f.ok for f in findings), findings
    assert [f.name for f in findings][-len(AGAIN) :] == AGAIN
    assert "4 of 4 models were watched" in findings[-1].detail


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused(measured: Path, tmp_path: Path, name: str) -> None:
    failed = {f.name: f.detail for f in check(forged(measured, name, tmp_path / "forged"), again=True) if not f.ok}
    assert CAUGHT[name] in failed, failed
    if name not in ("accuracy in the card", "loss in the card"):
        assert "cards" not in failed  # the forger wrote them anew, so only what is behind them can tell


def test_the_released_weights_of_another_step_are_found(measured: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(measured, tmp_path / "forged"))
    shutil.copy(folder / "checkpoints/stage2-0000003/model.safetensors", folder / "model.safetensors")
    resign(folder)
    failed = {f.name for f in check(folder, again=True) if not f.ok}
    assert {"perplexity again", "leakage again", "journals again"} <= failed


def test_an_answer_key_that_fits_the_model_is_found(measured: Path, tmp_path: Path) -> None:
    """Right answers can be forged in the items as well as in the results."""
    folder = Path(shutil.copytree(measured, tmp_path / "forged"))
    store = Store(folder)
    table = store.read_table("exercises/exercises-test.parquet")
    metas = [json.dumps({**json.loads(m), "answer_index": 0}) for m in table["meta"].to_pylist()]
    store.write_table(
        "exercises/exercises-test.parquet", table.set_column(table.column_names.index("meta"), table.schema.field("meta"), [metas])
    )
    resign(folder)
    failed = {f.name: f.detail for f in check(folder, again=True) if not f.ok}
    assert "exercises-test.parquet is not what the recipe's seed gives" in failed["exercises again"]


def test_a_rounding_difference_is_no_forgery_and_a_small_lie_is_one(measured: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(measured, tmp_path / "forged"))
    for factor, verdict in ((1.0001, True), (1.01, False)):

        def scale(value: object, factor: float = factor) -> None:
            for row in value["rows"]:  # type: ignore[index]
                row["bits_per_byte"] *= factor

        shutil.copy(measured / "evaluation/perplexity.json", folder / "evaluation/perplexity.json")
        change(folder, "evaluation/perplexity.json", scale)
        rewrite_cards(folder)
        store = Store(folder)
        proof = Recomputation(store, Store(tmp_path / f"scratch-{verdict}"), Progress.silent()).perplexity
        if verdict:
            assert "agree within 0.001" in proof()
        else:
            with pytest.raises(IntegrityError, match="bits_per_byte"):
                proof()


@pytest.mark.parametrize(
    ("stated", "found", "count"),
    [
        ({"a": 1.0}, {"a": 1.0009}, 0),
        ({"a": 1.0}, {"a": 1.002}, 1),
        ({"a": 1000.0}, {"a": 1000.9}, 0),
        ({"a": 1}, {"a": 2}, 1),
        ({"a": None}, {"a": 0.0}, 1),
        ({"a": True}, {"a": False}, 1),
        ({"a": True}, {"a": 1}, 1),
        ({"a": 1}, {"b": 1}, 2),
        ([1, 2], [1], 1),
        ("a leak of 0.052 泄漏", "a leak of 0.053 泄漏", 0),
        ("a leak of 0.052 泄漏", "a leak of 0.072 泄漏", 1),
        ("泄漏0.052。", "泄漏0.053。", 0),
        ("泄漏0.052。", "泄漏0.072。", 1),
        ("no sign", "没有迹象", 1),
        (float("nan"), 1.0, 1),
        ("5e999", "5e999", 0),
        ("56a1e5", "56a1e6", 1),
    ],
)
def test_what_counts_as_a_difference(stated: object, found: object, count: int) -> None:
    assert len(list(unlike(stated, found, 1e-3))) == count
