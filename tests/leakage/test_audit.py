"""The audit over a small run: the planted half of the control is found, the held-back half and the clean splits stay clean."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skyloom.core.errors import SkyloomError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import generate
from skyloom.evaluate.models import load
from skyloom.leakage.audit_items import Items, pairs, read_split
from skyloom.leakage.config import LeakageConfig
from skyloom.leakage.contrast import Scored
from skyloom.leakage.control_words import FOUND, NOT_FOUND, CleanTest, holds, outcome
from skyloom.leakage.corpus_overlap import corpus_overlap
from skyloom.leakage.gap import Audited, _control, _words, audit
from skyloom.leakage.verdict import UNKNOWN, LeakageVerdict
from skyloom.score.nll import score_texts
from skyloom.tokenizer import Tokenizer
from tests.evaluate.world import World, shared

CONFIG = LeakageConfig(resamples=400)


@pytest.fixture(scope="session")
def world() -> World:
    return shared()


def run(world: World, out: Path, *, exercises: Store | None = None, corpus: Store | None = None) -> dict[str, Any]:
    models = {"stage1": world.stage1, "final": world.final}
    audit(models, exercises or world.exercises, world.tokenizer, Store(str(out)), CONFIG, corpus=corpus, progress=Progress.silent())
    text = (out / "leakage.json").read_text()
    return dict(json.loads(text, parse_constant=lambda word: pytest.fail(f"leakage.json holds {word}")))


@pytest.fixture(scope="session")
def audited(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(world, tmp_path_factory.mktemp("leakage"), corpus=world.corpus)


def test_the_planted_half_is_found_and_the_held_back_half_is_not(audited: dict[str, Any]) -> None:
    """A model that has memorised the planted half, and the one before it, which has read neither."""
    control = audited["control"]
    final, before = control["models"]["final"], control["models"]["stage1"]
    assert final["flagged"] and final["delta1_high"] < 0
    assert not final["heldback_flagged"] and final["heldback_delta1_low"] < 0 < final["heldback_delta1_high"]
    assert final["flagged_paired"] and final["paired_high"] < 0
    assert not before["flagged"] and before["delta1_low"] < 0 < before["delta1_high"]
    assert not before["heldback_flagged"] and before["heldback_delta1_low"] < 0 < before["heldback_delta1_high"]
    assert before["paired_low"] < 0 < before["paired_high"]
    assert control["holds"] is True and control["clean_test_flagged_in_stage1"] is False
    assert audited["words"]["final"].endswith("planted canaries: found")
    assert audited["words"]["stage1"].endswith("planted canaries: not found")


def test_both_halves_are_of_one_size_and_judged_by_one_rule(audited: dict[str, Any]) -> None:
    for row in audited["control"]["models"].values():
        assert row["n"]["heldback"] == row["n"]["canary"] == row["n"]["pairs"] == 40
        assert row["delta1"] == pytest.approx(row["L_canary"] - row["L_ref"], abs=1e-5)
        # the families are weighted by the tokens of the half that is judged
        assert row["heldback_delta1"] == pytest.approx(row["L_heldback"] - row["L_ref"], abs=0.05)


@pytest.mark.parametrize(
    ("canary", "heldback", "told"), [(-0.3, 0.0, FOUND), (-0.3, -0.3, UNKNOWN), (0.0, 0.0, NOT_FOUND), (0.0, -0.3, NOT_FOUND)]
)
def test_the_rule_is_the_same_for_both_halves(canary: float, heldback: float, told: str) -> None:
    """Losses by hand: what was planted is found, what only looks easier is not, in both languages."""
    kinds = tuple((family, lang) for family in ("加法", "ratio", "area") for lang in ("en", "zh-Hans") for _ in range(8))
    rng = np.random.default_rng(3)  # with 2 the pairs before planting differ by chance

    def split(shift: float) -> Scored:
        tokens = rng.integers(30, 90, len(kinds))
        return Scored(tokens * (1.5 + shift + rng.normal(0, 0.1, len(kinds))), tokens, kinds)

    scored = {"canary": split(canary), "heldback": split(heldback), "ref": split(0.0)}
    row = _control(scored, [(k, k) for k in range(len(kinds))], CONFIG)
    assert outcome(row) == told and (row["flagged"], row["heldback_flagged"]) == (canary < 0, heldback < 0)
    before = _control({**scored, "canary": split(0.0), "heldback": split(0.0)}, [(k, k) for k in range(len(kinds))], CONFIG)
    assert holds({"final": row, "stage1": before}, CleanTest(False, False)) is (told == FOUND)


def test_one_interval_that_only_just_excludes_zero_is_not_called_a_leak() -> None:
    """Halves that are equally easy, with one interval just below zero and the other just around it, in both languages."""
    kinds = tuple((family, lang) for family in ("加法", "ratio") for lang in ("en", "zh-Hans") for _ in range(10))
    tokens = np.full(len(kinds), 50)
    noise = np.tile(np.linspace(-0.3, 0.3, 10), 4)

    def split(shift: float) -> Scored:
        return Scored(tokens * (1.5 + shift + noise), tokens, kinds)

    row = _control(
        {"canary": split(-0.1), "heldback": split(-0.06), "ref": split(0.0)}, [(k, k) for k in range(len(kinds))], CONFIG
    )
    assert (row["flagged"], row["heldback_flagged"], row["flagged_paired"]) == (True, False, True)  # equal noise: the pairs see .04
    other = Scored(tokens * (1.44 + noise[::-1]), tokens, kinds)
    row = _control({"canary": split(-0.1), "heldback": other, "ref": split(0.0)}, [(k, k) for k in range(len(kinds))], CONFIG)
    assert (row["flagged"], row["heldback_flagged"], row["flagged_paired"], outcome(row)) == (True, False, False, UNKNOWN)


def test_the_clean_test_split_is_not_flagged(audited: dict[str, Any]) -> None:
    for row in audited["rows"]:
        assert row["leaked"] is False and row["delta1_low"] < 0 < row["delta1_high"]
        assert row["detectable1"] > 0


def test_rows_hold_gaps_of_the_losses_with_intervals(world: World, audited: dict[str, Any]) -> None:
    assert [row["model"] for row in audited["rows"]] == ["stage1", "final"]
    for row in audited["rows"]:
        assert row["delta1"] == pytest.approx(row["L_test"] - row["L_ref"], abs=1e-5)
        assert row["delta2"] == pytest.approx(row["L_test"] - row["L_train"], abs=1e-5)
        for name in ("L_train", "L_test", "L_ref", "delta1", "delta2"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    row = audited["rows"][1]
    items, model, tokenizer = read_split(world.exercises, "test"), load(world.final), Tokenizer.load(world.tokenizer)
    encode = tokenizer.encode_column
    losses = score_texts(model.decoder, encode, items.texts, context=96, batch_tokens=2048, bos_id=tokenizer.bos_id)
    assert row["n"]["test"] == len(items) and row["L_test"] == pytest.approx(losses.loss, rel=1e-4)


def test_a_leaked_test_split_is_named(world: World, tmp_path: Path) -> None:
    """The canaries put in the place of the test split: now the verdict itself must say so, for the final model only."""
    folder = Store(str(tmp_path / "exercises"))
    for split in ("train", "test", "ref", "canary", "heldback"):
        source = "canary" if split == "test" else split
        folder.write_bytes(f"exercises-{split}.parquet", world.exercises.read_bytes(f"exercises-{source}.parquet"))
    found = {row["model"]: row for row in run(world, tmp_path / "out", exercises=folder)["rows"]}
    assert found["final"]["leaked"] and found["final"]["verdict"].startswith("test data leaked")
    assert found["stage1"]["leaked"] is False


def test_same_settings_same_bytes(world: World, audited: dict[str, Any], tmp_path: Path) -> None:
    assert run(world, tmp_path, corpus=world.corpus) == audited


def test_a_run_without_canaries_is_audited_without_a_control(world: World, tmp_path: Path) -> None:
    folder = Store(str(tmp_path / "exercises"))
    generate(StemConfig(train=30, valid=2, test=30, ref=30, canaries=0), folder, progress=Progress.silent())
    found = run(world, tmp_path / "out", exercises=folder)
    assert found["control"] is None and "no canaries" in found["words"]["control"]
    assert {row["strata"]["by"] for row in found["rows"]} == {"language"}  # too few for families
    assert found["corpus"] is None


def test_canaries_that_training_did_not_read_are_no_control(world: World, tmp_path: Path) -> None:
    out = Store(str(tmp_path))
    models = {"stage1": world.stage1, "final": world.final}
    audit(models, world.exercises, world.tokenizer, out, CONFIG, planted=None, progress=Progress.silent())
    found = out.read_json("leakage.json")
    assert found["control"] is None and "no canaries" in found["words"]["control"]
    assert "canaries" not in found["words"]["final"]


def test_canaries_without_an_interval_are_not_called_absent() -> None:
    row = Audited("final", {}, LeakageVerdict(None, None, "no sign"))
    unknown: Any = {"flagged": None, "heldback_flagged": None}
    assert _words([row], {"final": unknown})["final"].endswith("planted canaries: cannot tell (too few items for an interval)")
    alike: Any = {"flagged": True, "heldback_flagged": False, "flagged_paired": False}
    assert _words([row], {"final": alike})["final"].endswith("cannot tell (flagged, but not told from the held-back half)")
    both: Any = {"flagged": True, "heldback_flagged": True}
    assert _words([row], {"final": both})["final"].endswith("planted canaries: cannot tell (flagged, but so is the held-back half)")


def test_a_missing_split_is_told(world: World, tmp_path: Path) -> None:
    with pytest.raises(SkyloomError, match=r"exercises-train\.parquet"):
        run(world, tmp_path / "out", exercises=Store(str(tmp_path / "nothing")))


def test_pairs_are_of_one_family_and_language_and_use_each_item_once(world: World) -> None:
    canaries, heldback = read_split(world.exercises, "canary"), read_split(world.exercises, "heldback")
    matched = pairs(canaries, heldback)
    assert len(matched) == len(canaries) == len(heldback) == 40
    assert all(len(set(rows)) == 40 for rows in zip(*matched, strict=True))
    for one, other in matched:
        assert canaries.kinds[one] == heldback.kinds[other] and canaries.canonical[one] != heldback.canonical[other]
    assert {lang for _, lang in canaries.kinds} == {"en", "zh-Hans"}
    some = Items(heldback.ids[:25], heldback.texts[:25], heldback.kinds[:25], heldback.canonical[:25])
    assert len(pairs(canaries, some)) == len(pairs(some, canaries)) == 25 and pairs(canaries, Items((), (), (), ())) == []


def test_items_are_a_fixed_sample_with_no_family_short(world: World) -> None:
    whole, some = read_split(world.exercises, "train"), read_split(world.exercises, "train", 150)
    assert len(some) == 150 and list(some.ids) == sorted(some.ids) and set(some.ids) < set(whole.ids)
    counts = Counter(some.kinds)
    assert set(counts) == set(whole.kinds) and max(counts.values()) - min(counts.values()) <= 1
    assert set(read_split(world.exercises, "train", 60).ids) < set(some.ids)


def test_the_corpus_holds_its_own_exercises_and_no_others(audited: dict[str, Any]) -> None:
    rows = {row["split"]: row for row in audited["corpus"]["rows"]}
    assert rows["train"]["whole"] == rows["train"]["items"] and rows["train"]["share"] == 1.0
    for split in ("test", "ref", "canary", "heldback"):
        assert rows[split]["whole"] == 0 and 0 < rows[split]["share"] < 0.5


@pytest.mark.parametrize("lang", ["en", "zh-Hans"])
def test_a_test_item_that_slipped_into_the_corpus_is_found(world: World, tmp_path: Path, lang: str) -> None:
    table = world.exercises.read_table("exercises-test.parquet")
    slipped = [{**r, "split": "train"} for r in table.to_pylist() if r["lang"] == lang][:7]
    corpus = Store(str(tmp_path))
    corpus.write_table("documents-00000.parquet", world.corpus.read_table("documents-00000.parquet"))
    splits = {name: read_split(world.exercises, name) for name in ("test", "ref")}
    before = corpus_overlap(splits, corpus, Progress.silent())
    corpus.write_table("documents-00001.parquet", pa.Table.from_pylist(slipped, schema=DOCUMENT))
    after = corpus_overlap(splits, corpus, Progress.silent())
    whole = [[row["whole"] for row in found["rows"]] for found in (before, after)]
    assert whole == [[0, 0], [7, 0]]
    assert after["rows"][0]["share"] > before["rows"][0]["share"] + 0.5 * 7 / len(splits["test"])
    assert after["documents"] == before["documents"] + 7
