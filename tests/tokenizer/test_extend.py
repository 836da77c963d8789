from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError
from skyloom.core.store import Store
from skyloom.tokenizer.extend import choose_characters, choose_words, dictionary_runs, rank_characters, unreachable
from skyloom.tokenizer.pieces import extended_model, first_pieces, read_model
from skyloom.tokenizer.sample import draw, fair_shares
from skyloom.tokenizer.words import Runs
from tests.tokenizer.test_encode import model_of
from tests.tokenizer.texts import write_documents

BASE = model_of({"▁": -1.0, "a": -2.0, "b": -3.0, "ab": -4.0, "▁▁": -1e9})


def points_of(counts: dict[str, int]) -> np.ndarray:
    points = np.zeros((0x110000, 2), np.int64)
    for char, count in counts.items():
        points[ord(char)] = (10 * count, count)
    return points


def test_characters_are_ranked_by_use_and_known_or_control_ones_left_out():
    points = points_of({"中": 5, "，": 9, "a": 50, "龘": 1, "\x07": 30, "国": 5, " ": 99, "\u2581": 8})
    more = Runs.of(["丙甲", "甲中"], np.array([1.0, 5.0]), np.zeros(2, np.int64))
    assert rank_characters(points, {"a"}, 2, more) == (["，", "中", "国"], ["甲", "丙"])


def test_a_character_that_the_base_joins_with_the_space_in_front_is_not_added():
    base = model_of({"▁": -1.0, "a": -2.0, "▁天": -3.0}, prefix=True)
    assert choose_characters(["天", "地", "人"], base, 2) == ["地", "人"]
    assert choose_characters(["天", "地", "人"], model_of({"▁": -1.0, "▁天": -3.0}), 2) == ["天", "地"]


def test_the_dictionary_has_words_of_both_kinds():
    runs = dictionary_runs()
    texts = {"".join(map(chr, runs.points[a:b])) for a, b in zip(runs.offsets, runs.offsets[1:], strict=False)}
    assert {"人民", "因地制宜", "的"} <= texts and len(texts) > 300_000
    assert not runs.seen.any() and (runs.weight > 0).all() and np.diff(runs.offsets).max() == 8


def test_words_that_no_merge_leads_to_are_put_aside():
    """Of 甲乙丙丁 neither half is there; 丁丙 takes the 丁 that 乙丁 would need in 乙丁丙; without it 乙丁丙戊 has no halves."""
    found = iter(["丁丙", "甲乙丙丁", "乙丁", "乙丁丙", "丙丁", "甲乙"])
    chosen = choose_words(found, BASE, list("甲乙丙丁戊"), 4)
    assert chosen.words == ["丁丙", "乙丁", "乙丁丙", "丙丁"] and chosen.aside == 1 and not chosen.exhausted
    assert unreachable(extended_model(BASE, list("甲乙丙丁戊"), chosen.words), chosen.words) == []
    short = choose_words(iter(["甲乙", "丙丁戊"]), BASE, list("甲乙丙丁戊"), 3)
    assert short.words == ["甲乙"] and short.exhausted and short.aside == 1


def test_a_word_that_needs_one_put_aside_goes_too():
    """甲乙丙 cannot be reached, and 甲乙丙丁, whose only halves are 甲乙丙 and 丁, falls with it."""
    chosen = choose_words(iter(["甲乙丙", "甲乙丙丁"]), BASE, list("甲乙丙丁"), 2)
    assert chosen.words == [] and chosen.aside == 2


@pytest.mark.parametrize("prefix", [False, True])
def test_the_base_keeps_ids_scores_and_segmentation(prefix):
    base = model_of({"▁": -1.0, "a": -2.0, "b": -3.0, "ab": -4.0, "▁▁": -1e9}, prefix=prefix)
    model = extended_model(base, ["中", "国", "，"], ["中国"])
    size = len(read_model(base).pieces)
    before, after = read_model(base).pieces, read_model(model).pieces
    assert [(p.piece, p.score, p.type) for p in after[:size]] == [(p.piece, p.score, p.type) for p in before]
    assert read_model(first_pieces(model, size)).pieces == before
    added = [p.score for p in after[size : size + 4]]
    assert added == [-5.0, -6.0, -7.0, -8.0], "below the lowest score that is no sentinel, each by one, exact in float32"
    assert unreachable(model, ["中国", "，"]) == []


def test_a_piece_that_is_there_already_is_refused():
    with pytest.raises(ConfigError, match="'ab' already"):
        extended_model(BASE, [], ["ab"])
    with pytest.raises(ConfigError, match="do not fit"):
        extended_model(model_of({"a": -8_388_600.0}), [], [f"{i:06d}" for i in range(20)])


@given(
    sizes=st.dictionaries(st.sampled_from(["web_en", "web_zh", "code", "stem_zh", "parallel"]), st.integers(1, 10**6), min_size=1),
    limit=st.integers(1, 10**6),
)
def test_shares_are_fair(sizes, limit):
    shares = fair_shares(Counter(sizes), limit)
    assert sum(shares.values()) <= limit + 1e-3
    assert all(shares[d] <= sizes[d] for d in sizes)
    full = [d for d in sizes if shares[d] < sizes[d] - 1e-6]
    if full:  # whoever gives less than it has gives as much as any other
        assert max(shares.values()) <= min(shares[d] for d in full) + 1e-3
    else:
        assert sum(sizes.values()) <= limit + 1e-3


def test_the_sample_does_not_depend_on_the_shards(tmp_path):
    sets = []
    for shards in (1, 4):
        store = Store(tmp_path / str(shards))
        write_documents(store, {"web_en": 80, "web_zh": 20, "code": 10}, shards=shards)
        sample = draw(store, 20_000, seed=3)
        texts = [(domain, t) for domain, column in sample.tables() for t in column.to_pylist()]
        sets.append(set(texts))
        assert 8_000 < sum(len(t.encode()) for _, t in texts) < 32_000 < sample.corpus_bytes
        assert {domain for domain, _ in texts} == {"web_en", "web_zh", "code"}
        other = dataclasses.replace(sample, seed=4)
        assert {t for _, column in other.tables() for t in column.to_pylist()} != {t for _, t in texts}
    assert sets[0] == sets[1]


def test_weights_even_domains_out(tmp_path):
    store = Store(tmp_path)
    write_documents(store, {"web_en": 90, "web_zh": 10}, shards=2)
    sizes = dict.fromkeys(("web_en", "web_zh"), 0)
    for domain, column in draw(store, 10**9, 1).tables():
        sizes[domain] += sum(len(t.encode()) for t in column.to_pylist())
    for balance, ratio in ((1.0, 1.0), (0.0, sizes["web_en"] / sizes["web_zh"])):
        weights = draw(store, 10**9, 1, balance).weights
        assert weights["web_zh"] / weights["web_en"] == pytest.approx(ratio, rel=0.01)
    named = draw(store, 10**9, 1, 1.0, {"web_en": 3.0}).weights
    assert named["web_en"] == 3 * named["web_zh"]
    with pytest.raises(ConfigError, match=r"'web_fr'.*domain.*web_en, web_zh"):
        draw(store, 10**9, 1, 1.0, {"web_fr": 1.0})
