"""The evaluation step over a small run: three files in the contract's form, figures that agree with the one loss, no surprise."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from skyloom.core.errors import IntegrityError
from skyloom.core.records import DOMAINS
from skyloom.core.store import Store
from skyloom.evaluate.models import LoadedModel, load
from skyloom.evaluate.report import training_unigram
from skyloom.evaluate.samples import PROMPTS
from skyloom.score.nll import score_texts
from skyloom.tokenizer import Tokenizer
from tests.evaluate.conftest import CONFIG, run
from tests.evaluate.world import World

MODELS = ("stage1", "final", "unigram", "xz")


def test_every_model_has_a_row_for_every_domain_and_an_average(evaluated: Store) -> None:
    found = evaluated.read_json("perplexity.json")
    assert [(r["model"], r["set"]) for r in found["rows"]] == [(m, s) for m in MODELS for s in sorted(DOMAINS)]
    assert [r["model"] for r in found["average"]] == list(MODELS)
    assert "units" in found["reference"]
    for row in found["rows"]:
        assert row["bits_per_byte"] > 0 and row["bytes"] <= CONFIG.set_bytes
        tokens = ("loss", "perplexity", "low", "high", "reference_loss", "reference_perplexity", "tokens")
        assert all((row[key] is None) == (row["model"] == "xz") for key in tokens)
        if row["loss"] is not None:
            assert row["low"] <= row["loss"] <= row["high"]
            assert row["perplexity"] == pytest.approx(math.exp(row["loss"]), rel=1e-5)


@pytest.mark.parametrize("name", ["web_zh", "stem_en"])
def test_rows_hold_the_one_loss_of_the_checkpoint_on_held_out_texts(world: World, evaluated: Store, name: str) -> None:
    """Recomputed from the corpus, past `evaluate`: the same documents by id, cut, scored by `score_texts`."""
    (row,) = [r for r in evaluated.read_json("perplexity.json")["rows"] if (r["model"], r["set"]) == ("final", name)]
    documents = world.corpus.read_table("documents-00000.parquet", ["id", "text", "domain", "split"]).to_pylist()
    texts = [d["text"][:2000] for d in sorted(documents, key=lambda d: d["id"]) if (d["domain"], d["split"]) == (name, "valid")]
    model, tokenizer = load(world.final), Tokenizer.load(world.tokenizer)
    shown, encode = texts[: row["documents"]], tokenizer.encode_column
    losses = score_texts(model.decoder, encode, shown, context=96, batch_tokens=512, bos_id=tokenizer.bos_id)
    assert row["loss"] == pytest.approx(losses.loss, rel=1e-4)
    assert row["bits_per_byte"] == pytest.approx(losses.bits_per_byte, rel=1e-4)
    assert row["tokens"] == losses.tokens.sum()


def test_the_unigram_is_that_of_the_token_shards(world: World) -> None:
    costs = training_unigram(world.tokens)
    manifest = world.tokens.read_json("tokens.json")
    total = sum(domain["tokens"] for domain in manifest["domains"].values())
    assert len(costs) == manifest["vocabulary"] and np.exp(-costs).sum() == pytest.approx(1.0)
    documents = sum(domain["documents"] for domain in manifest["domains"].values())
    end = Tokenizer.load(world.tokenizer).eos_id  # stands once behind each document
    assert np.exp(-costs[end]) == pytest.approx((documents + 1) / (total + len(costs)))


def test_models_are_compared_on_the_same_documents(evaluated: Store) -> None:
    found = evaluated.read_json("perplexity.json")
    bits = {(r["model"], r["set"]): r["bits_per_byte"] for r in found["rows"]}
    pairs = [(m, o) for place, m in enumerate(MODELS) for o in MODELS[place + 1 :]]
    expected = [(m, o, s) for m, o in pairs for s in (*sorted(DOMAINS), None)]
    assert [(r["model"], r["other"], r["set"]) for r in found["paired"]] == expected
    for row in found["paired"]:
        if row["set"] is not None:
            gap = bits[row["model"], row["set"]] - bits[row["other"], row["set"]]
            assert row["bits_per_byte"] == pytest.approx(gap, abs=1e-5)
        assert row["bits_per_byte_low"] <= row["bits_per_byte"] <= row["bits_per_byte_high"]
        assert (row["reference_loss"] is None) == (row["other"] == "xz")


def test_sanity_says_that_training_helped_on_every_set(evaluated: Store) -> None:
    checks = evaluated.read_json("perplexity.json")["sanity"]
    final = [c for c in checks if c["check"] == "final is below unigram"]
    assert {c["set"] for c in final} == set(DOMAINS)
    assert all(c["ok"] and c["value"] < c["bound"] for c in final)


def test_choices_have_both_languages_and_chance(evaluated: Store) -> None:
    rows = {(r["model"], r["lang"]): r for r in evaluated.read_json("choice.json")["rows"]}
    assert set(rows) == {(m, lang) for m in ("stage1", "final") for lang in ("en", "zh-Hans", "both")}
    for (model, lang), row in rows.items():
        assert row["items"] == (24 if lang == "both" else 12) and row["chance"] == 0.25
        assert row["low"] <= row["accuracy"] <= row["high"]
        if lang == "both":
            assert row["correct"] == rows[model, "en"]["correct"] + rows[model, "zh-Hans"]["correct"]


def test_samples_continue_the_pinned_prompts(evaluated: Store) -> None:
    samples = evaluated.read_json("samples.json")
    assert [(s["model"], s["lang"], s["prompt"]) for s in samples] == [(m, *p) for m in ("stage1", "final") for p in PROMPTS]
    assert {lang for lang, _ in PROMPTS} == {"en", "zh-Hans", "code"}
    assert not any(text.endswith(" ") for _, text in PROMPTS)
    assert any(s["text"].strip() for s in samples)


def test_same_settings_same_bytes(world: World, evaluated: Store, tmp_path: Path) -> None:
    again = Store(str(tmp_path))
    run(world, again, CONFIG)
    assert again.names() == evaluated.names() == ["choice.json", "losses.json", "perplexity.json", "samples.json"]
    assert all(again.read_bytes(n) == evaluated.read_bytes(n) for n in again.names())
    for name in again.names():  # strict JSON: no NaN or Infinity, which browsers cannot read
        json.loads(again.read_text(name), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_another_reference_changes_only_what_it_normalises(world: World, evaluated: Store, tmp_path: Path) -> None:
    """The model's own tokenizer as the reference: the reference loss is then its own loss."""
    out = Store(str(tmp_path))
    run(world, out, dataclasses.replace(CONFIG, reference=str(world.tokenizer.path("tokenizer.model"))))
    before, after = (s.read_json("perplexity.json")["rows"] for s in (evaluated, out))
    for old, new in zip(before, after, strict=True):
        assert {k: v for k, v in old.items() if not k.startswith("reference")} == {
            k: v for k, v in new.items() if not k.startswith("reference")
        }
        assert new["reference_loss"] == new["loss"]


def test_a_damaged_checkpoint_is_named(world: World, tmp_path: Path) -> None:
    copy = Store(str(tmp_path))
    for name in world.final.names():
        copy.write_bytes(name, world.final.read_bytes(name))
    data = bytearray(copy.read_bytes("model.safetensors"))
    data[-1] ^= 1
    copy.write_bytes("model.safetensors", bytes(data))
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load(copy)
    with pytest.raises(IntegrityError, match="not a whole checkpoint"):
        load(Store(str(tmp_path / "nothing")))


def test_a_model_in_memory_is_taken_as_it_is(world: World) -> None:
    model = load(world.stage1)
    assert isinstance(load(model), LoadedModel) and load(model).decoder is model.decoder
    assert model.context == 96 and not model.decoder.training
