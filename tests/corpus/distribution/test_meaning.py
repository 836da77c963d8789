"""Blocks that recur in meaning: templates are found in both languages, prose stays, shards do not matter."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planted.distribution import families, planted, prose

from skyloom.core.errors import DataError
from skyloom.corpus.distribution.arrays import pack, unpack
from skyloom.corpus.distribution.config import MeaningConfig
from skyloom.corpus.distribution.meaning import count_meaning, judge_meaning, merge_counts, merge_meaning, sketch_meaning, vectors
from skyloom.corpus.distribution.meaning_groups import MeaningCounts, MeaningSketch, decide, find_groups, tightness
from skyloom.corpus.distribution.space import (
    BUCKETS,
    MEANING,
    SCALE,
    WORDING,
    BlockSpace,
    embed,
    fit,
    language_codes,
    merge_samples,
    sample_blocks,
    sentence_encoder,
)

CONFIG = MeaningConfig(minimum_blocks=20, keep=2, tables=8, bits=8, tightness_en=0.17, tightness_zh=0.17)


@functools.cache
def corpus() -> pa.Table:
    """Two templates of each language at two spreads, and prose on all topics, alternating."""
    rows = []
    for lang in ("en", "zh"):
        for family, spread in (("recipe", "words"), ("property", "sentences")):
            rows += [(lang, family, d.blocks) for d in planted(family, lang, spread, 60, 5)]
        rows += [(lang, d.family, d.blocks) for f in families("all") for d in prose(f, lang)]
    order = np.random.default_rng(1).permutation(len(rows))
    rows = [rows[k] for k in order]
    return pa.table(
        {
            "id": [f"{k:032x}" for k in range(len(rows))],
            "lang": ["zh-Hans" if r[0] == "zh" else "en" for r in rows],
            "family": [r[1] for r in rows],
            "blocks": pa.array([list(r[2]) for r in rows], pa.list_(pa.string())),
            "tags": pa.array([["p"] * len(r[2]) for r in rows], pa.list_(pa.string())),
        }
    )


def flat_langs(table: pa.Table) -> np.ndarray:
    return np.repeat(language_codes(table.column("lang")), [len(b) for b in table.column("blocks").to_pylist()])


@functools.cache
def space() -> BlockSpace:
    table = corpus()
    return fit(table.column("blocks").combine_chunks().flatten(), flat_langs(table))


def same(one: object, other: object) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))  # type: ignore[arg-type]


def verdict_by_shards(table: pa.Table, size: int, config: MeaningConfig = CONFIG):  # type: ignore[no-untyped-def]
    shards = [table.slice(k, size) for k in range(0, len(table), size)]
    groups = find_groups(merge_meaning([sketch_meaning(s, space(), config) for s in shards], config), config)
    counts = merge_counts([count_meaning(s, space(), groups, config) for s in reversed(shards)])
    decision = decide(groups, counts, config)
    verdicts = [judge_meaning(s, space(), groups, decision, config) for s in shards]
    return decision, {f.name: np.concatenate([getattr(v, f.name) for v in verdicts]) for f in dataclasses.fields(verdicts[0])}


def test_templates_are_found_and_prose_stays_in_both_languages() -> None:
    table = corpus()
    _, verdict = verdict_by_shards(table, len(table))
    family = np.repeat(table.column("family").to_pylist(), [len(b) for b in table.column("blocks").to_pylist()])
    for code in (0, 1):
        mine = flat_langs(table) == code
        copies = mine & np.isin(family, ["recipe", "property"])
        assert (verdict["group"][copies] >= 0).mean() > 0.85
        assert not verdict["remove"][mine & ~copies].any()


def test_shards_change_nothing() -> None:
    table = corpus()
    _, whole = verdict_by_shards(table, len(table))
    for size in (7, 100):
        _, parts = verdict_by_shards(table, size)
        for name, values in whole.items():
            assert np.array_equal(parts[name], values), name


def test_of_each_group_the_best_stay() -> None:
    table = corpus()
    quality = np.random.default_rng(2).random(len(table)).round(3)
    table = table.append_column("quality", pa.array(quality))
    decision, verdict = verdict_by_shards(table, 50)
    lengths = [len(b) for b in table.column("blocks").to_pylist()]
    owner = np.repeat(np.arange(len(table)), lengths)
    groups = np.unique(verdict["group"][verdict["group"] >= 0])
    assert len(groups) >= 4
    for group in groups:
        rows = verdict["group"] == group
        assert decision.often[group] and verdict["count"][rows][0] == rows.sum() == decision.blocks[group]
        stay = quality[owner[rows & ~verdict["remove"]]]
        assert len(stay) == CONFIG.keep
        assert stay.min() >= np.sort(quality[owner[rows]])[-CONFIG.keep]


def test_keeping_none_removes_the_whole_group() -> None:
    _, verdict = verdict_by_shards(corpus(), 64, dataclasses.replace(CONFIG, keep=0))
    assert np.array_equal(verdict["remove"], verdict["group"] >= 0) and verdict["remove"].any()


def test_the_sketch_adds_up_in_any_order() -> None:
    shards = [corpus().slice(k, 40) for k in range(0, len(corpus()), 40)]
    parts = [sketch_meaning(s, space(), CONFIG) for s in shards]
    whole = sketch_meaning(corpus(), space(), CONFIG)
    assert same(merge_meaning(parts, CONFIG), whole)
    assert same(merge_meaning([merge_meaning(parts[3:], CONFIG), merge_meaning(parts[:3], CONFIG)], CONFIG), whole)


def test_a_small_sketch_undercounts_by_its_error_at_most() -> None:
    shards = [corpus().slice(k, 40) for k in range(0, len(corpus()), 40)]
    exact = sketch_meaning(corpus(), space(), CONFIG)
    few = dataclasses.replace(CONFIG, capacity=64)
    small = merge_meaning([sketch_meaning(s, space(), few) for s in shards], few)
    assert len(small.keys) <= 64 and small.error > 0
    counts = dict(zip(small.keys.tolist(), small.counts.tolist(), strict=True))
    for key, count in zip(exact.keys.tolist(), exact.counts.tolist(), strict=True):
        assert count - small.error <= counts.get(key, 0) <= count


def test_vectors_made_once_are_as_good() -> None:
    table = corpus()
    made = vectors(table, space(), CONFIG)
    assert same(sketch_meaning(table, space(), CONFIG, made=made), sketch_meaning(table, space(), CONFIG))
    assert made.wording.shape == (len(made.rows), WORDING) and made.signs.shape == (len(made.rows), 4)


def reference_wording(features: list[int], weights: np.ndarray, projection: np.ndarray) -> np.ndarray:
    total = sum((int(weights[f]) * projection[f].astype(np.float64) for f in features), np.zeros(WORDING))
    return np.clip(np.rint(total * SCALE / max(np.sqrt((total**2).sum()), 1e-9)), -127, 127)


def test_the_kernel_computes_what_its_reference_does() -> None:
    from skyloom.corpus.distribution import space as module

    table = corpus().slice(0, 30)
    blocks, langs = table.column("blocks").combine_chunks().flatten(), flat_langs(table)
    indices, offsets, _, rows = module._features(blocks, langs, 12)
    made = embed(blocks, langs, space())
    for k in range(len(made.rows)):
        at = int(np.flatnonzero(rows == made.rows[k])[0])
        features = indices[offsets[at] : offsets[at + 1]].tolist()
        assert len(set(features)) == len(features)
        lang = int(made.langs[k])
        assert np.array_equal(made.wording[k], reference_wording(features, space().weights[lang], module._projection()))
        place = sum(
            (space().meaning[lang, f].astype(np.int64) for f in features if space().weights[lang, f]), np.zeros(MEANING, np.int64)
        )
        for turn in range(2):
            values = place
            for flips in module._flips()[2 * turn : 2 * turn + 2]:
                values = hadamard(MEANING) @ (values * flips)
            bits = [(int(made.signs[k, 2 * turn + (j >> 6)]) >> (j & 63)) & 1 for j in range(MEANING)]
            assert bits == (values >= 0).astype(int).tolist()


def hadamard(size: int) -> np.ndarray:
    matrix = np.ones((1, 1), np.int64)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_text_has_a_vector_or_none(texts: list[str]) -> None:
    texts = [t.encode("utf-8", "ignore").decode() for t in texts]
    long = [t * 5 for t in texts] + ["把锅烧热 and stir 🙂 " * 3]
    made = embed(pa.array(long), np.arange(len(long)) % 3 - 1, space())
    assert (np.diff(made.rows) > 0).all()
    norms = np.sqrt((made.wording.astype(float) ** 2).sum(axis=1))
    assert ((norms > 0.5 * SCALE) & (norms < 1.05 * SCALE)).all()


def test_digits_and_case_are_alike_and_short_blocks_have_no_vector() -> None:
    texts = [
        "Heat the pan and simmer 12 minutes, serve with bread and salad today",
        "heat the PAN and simmer 7 minutes, serve with bread and salad today",
        "too short",
    ]
    made = embed(pa.array(texts), np.zeros(3, np.int64), space())
    assert made.rows.tolist() == [0, 1] and np.array_equal(made.wording[0], made.wording[1])


def test_tightness_is_the_mean_cosine_of_pairs() -> None:
    random = np.random.default_rng(0)
    points = random.standard_normal((9, WORDING))
    points *= SCALE / np.sqrt((points**2).sum(axis=1, keepdims=True))
    cosines = points @ points.T / SCALE**2
    expected = cosines[~np.eye(9, dtype=bool)].mean()
    assert tightness(np.array([9]), points.sum(axis=0)[None])[0] == pytest.approx(expected)
    assert tightness(np.array([0, 1]), np.zeros((2, WORDING))).tolist() == [0, 0]


def test_code_blocks_and_other_languages_are_not_judged() -> None:
    table = corpus().slice(0, 10)
    n = [len(b) for b in table.column("blocks").to_pylist()]
    pre = table.set_column(table.schema.get_field_index("tags"), "tags", pa.array([["pre"] * k for k in n]))
    assert not len(vectors(pre, space(), CONFIG).rows)
    other = table.set_column(table.schema.get_field_index("lang"), "lang", pa.array(["other"] * 10))
    assert not len(vectors(other, space(), CONFIG).rows)


def test_an_encoder_takes_the_place_of_the_vectors() -> None:
    table = corpus()
    blocks = table.column("blocks").combine_chunks().flatten()

    def encoder(texts: list[str]) -> np.ndarray:
        return np.array([[len(t), t.count("e"), t.count("的"), 1.0] for t in texts], np.float32)

    made = embed(blocks, flat_langs(table), space(), encoder=encoder)
    assert len(made.rows) and np.array_equal(made.wording, embed(blocks, flat_langs(table), space(), encoder=encoder).wording)


def test_a_missing_embedding_package_or_model_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(DataError, match="extra"):
        sentence_encoder("nowhere")


def test_a_space_learned_from_merged_samples_is_that_of_the_whole_corpus() -> None:
    blocks, langs = corpus().column("blocks").combine_chunks().flatten(), flat_langs(corpus())
    cuts = [0, 100, 101, 400, len(blocks)]
    parts = [sample_blocks(blocks.slice(a, b - a), langs[a:b], sample=150) for a, b in itertools.pairwise(cuts)]
    merged = merge_samples([merge_samples(parts[2:], sample=150), *parts[:2]], sample=150)
    assert merged.equals(sample_blocks(blocks, langs, sample=150))
    assert merged.column("lang").to_pylist() == [0] * 150 + [1] * 150
    learned = fit(merged.column("text"), merged.column("lang").to_numpy(), sample=150)
    assert same(learned, fit(blocks, langs, sample=150))


def test_too_little_text_to_learn_from() -> None:
    with pytest.raises(DataError, match="100 are needed"):
        fit(pa.array(["一段太短的话", "short"]), np.array([1, 0]))


def test_files_and_empty_shards() -> None:
    sketch = sketch_meaning(corpus(), space(), CONFIG)
    assert same(unpack(MeaningSketch, pack(sketch), origin="x"), sketch)
    small = BlockSpace(space().weights, space().meaning)
    assert same(unpack(BlockSpace, pack(small), origin="x"), small) and small.meaning.shape == (2, BUCKETS, MEANING)
    with pytest.raises(DataError, match="MeaningCounts"):
        unpack(MeaningCounts, pack(sketch), origin="x")
    empty = corpus().slice(0, 0)
    nothing = merge_meaning([sketch_meaning(empty, space(), CONFIG)], CONFIG)
    groups = find_groups(nothing, CONFIG)
    decision = decide(groups, merge_counts([count_meaning(empty, space(), groups, CONFIG)]), CONFIG)
    verdict = judge_meaning(corpus(), space(), groups, decision, CONFIG)
    assert not len(groups.langs) and not verdict.remove.any() and verdict.reason.null_count == len(verdict.remove)
