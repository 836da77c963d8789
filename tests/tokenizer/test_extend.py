from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer.extend import count_words, rank_characters, rank_words, segmenter
from skyloom.tokenizer.sample import draw, fair_shares
from tests.tokenizer.texts import write_documents


def test_characters_are_ranked_by_use_and_known_or_control_ones_left_out():
    counts = Counter({"中": 5, "，": 9, "a": 50, "龘": 1, "\x07": 30, "国": 5})
    assert rank_characters(counts, {"a"}, 2) == ["，", "中", "国"]


def test_words_count_the_words_inside_them():
    jieba = segmenter()
    with Progress.silent().task("count") as bar:
        counts = count_words(Counter({"中华人民共和国": 3, "人民": 2}), jieba, bar)
    assert counts["中华人民共和国"] == 3 and counts["人民"] == 5 and counts["共和国"] == 3
    ranked = rank_words(counts, jieba, 3, 0.0)
    assert ranked[0] == "中华人民共和国" and set(ranked) >= {"人民", "共和国"}


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
        sets.append(set(sample.texts))
        assert 8_000 < sample.taken_bytes < 32_000 < sample.corpus_bytes
        assert set(sample.domains) == {"web_en", "web_zh", "code"}
    assert sets[0] == sets[1]
