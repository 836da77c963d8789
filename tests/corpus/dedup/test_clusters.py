"""Duplicates against an exact comparison of all pairs, on planted copies in both languages."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import DataError
from skyloom.core.units import units
from skyloom.corpus.dedup.candidate_pairs import ANCHORS, CROWD, all_pairs, standing
from skyloom.corpus.dedup.clusters import exact_duplicates, jaccard, near_duplicates
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.survivors import choose

ENGLISH = (
    "river mountain valley market teacher engine letter winter garden window story music silver bridge harbour morning evening "
    "carries follows builds remembers paints crosses answers gathers repairs watches slowly quietly often never almost under over "
    "before after between the a this every another old new bright heavy gentle narrow"
).split()
CHINESE = "山水城市清晨河流老师工人书信冬天花园窗户故事音乐银色桥梁港口傍晚带走跟随建造记得描绘穿过回答收集修理看见慢慢安静常常几乎下面上面以前以后每个明亮沉重温和狭窄"


def passage(rng: random.Random, lang: str, size: int) -> list[str]:
    pool = ENGLISH if lang == "en" else list(CHINESE)
    return [rng.choice(pool) for _ in range(size)]


def render(parts: list[str], lang: str) -> str:
    return (" " if lang == "en" else "").join(parts)


def planted(lang: str, seed: int) -> list[str]:
    """40 families: an original and copies with 0 to 30 % of the units changed in one run or scattered."""
    rng = random.Random(seed)
    texts = []
    for _ in range(40):
        original = passage(rng, lang, rng.randint(80, 300))
        texts.append(render(original, lang))
        for share in (0.01, 0.03, 0.06, 0.3):
            copy = list(original)
            start, count = rng.randrange(len(copy) // 2), max(1, int(share * len(copy)))
            places = range(start, start + count) if rng.random() < 0.5 else rng.sample(range(len(copy)), count)
            for place in places:
                copy[place] = rng.choice(ENGLISH if lang == "en" else CHINESE)
            texts.append(render(copy, lang))
    rng.shuffle(texts)
    return texts


def names(count: int) -> pa.Array:
    return pa.array([f"{k:04d}" for k in range(count)])


def shingles(text: str, n: int = 5) -> set[tuple[str, ...]]:
    found = units(text)
    return {tuple(found[k : k + n]) for k in range(max(len(found) - n, 0) + 1)} if found else set()


def true_similarities(texts: list[str]) -> dict[tuple[int, int], float]:
    sets = [shingles(t) for t in texts]
    return {
        (i, j): len(sets[i] & sets[j]) / max(len(sets[i] | sets[j]), 1) for i, j in itertools.combinations(range(len(texts)), 2)
    }


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_near_duplicates_find_what_exact_jaccard_finds(lang: str) -> None:
    texts = planted(lang, seed=7)
    true = true_similarities(texts)
    clusters = near_duplicates(pa.array(texts), names(len(texts)), DedupConfig())
    alike = [pair for pair, value in true.items() if value >= 0.9]
    together = [pair for pair in alike if clusters.labels[pair[0]] == clusters.labels[pair[1]]]
    both_stay = [(i, j) for (i, j), value in true.items() if value >= 0.8 and clusters.keep[i] and clusters.keep[j]]
    assert len(alike) > 40, "the planted copies must give pairs to find"
    assert len(together) >= 0.98 * len(alike)
    assert len(both_stay) <= 1


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_removed_text_is_similar_to_the_very_one_that_stays(lang: str) -> None:
    texts = planted(lang, seed=11)
    true = true_similarities(texts)
    clusters = near_duplicates(pa.array(texts), names(len(texts)), DedupConfig())
    gone = np.flatnonzero(~clusters.keep)
    assert len(gone) > 80
    for row in gone.tolist():
        kept = int(clusters.labels[row])
        assert clusters.keep[kept]
        assert true[min(row, kept), max(row, kept)] == pytest.approx(clusters.jaccard[row], abs=1e-12)
        assert clusters.jaccard[row] >= 0.7
    assert np.all(clusters.jaccard[clusters.keep] == 1)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_exact_similarity_equals_the_plain_python_one(lang: str) -> None:
    texts = [*planted(lang, seed=3)[:30], "", "two words", "两词", "two words"]
    true = true_similarities(texts)
    measured = jaccard(pa.array(texts), [i for i, _ in true], [j for _, j in true], 5)
    assert np.allclose(measured, list(true.values()), atol=1e-12)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_chains_are_cut(lang: str) -> None:
    """Each text is like its neighbours; the ends have nothing in common and may not stand for each other."""
    parts = passage(random.Random(5), lang, 400)
    texts = [render(parts[k : k + 150], lang) for k in range(0, 250, 15)]
    clusters = near_duplicates(pa.array(texts), names(len(texts)), DedupConfig())
    true = true_similarities(texts)
    assert true[0, len(texts) - 1] == 0
    assert 2 <= clusters.keep.sum() < len(texts)
    assert all(true[min(k, j), max(k, j)] >= 0.7 for k, j in enumerate(clusters.labels.tolist()) if k != j)


def test_the_best_stays_quality_then_the_centre_then_the_longest() -> None:
    base = "The harbour lights went out one by one while the old ferry crossed the bay and nobody spoke a single word of it"
    texts = pa.array([base, base + " again", base, "完全不同的一句话，说的是另外一件事情。"])
    clusters = near_duplicates(texts, pa.array(["c", "d", "a", "b"]), DedupConfig(threshold=0.7))
    assert clusters.labels.tolist() == [1, 1, 1, 3]
    judged = near_duplicates(texts, pa.array(["c", "d", "a", "b"]), DedupConfig(), quality=pa.array([-0.5, None, -0.25, 9.0]))
    assert judged.labels.tolist() == [2, 2, 2, 3]
    # one fringe text is the longest, but the middle one is similar to all
    words = [f"w{k}" for k in range(100)]
    middle, left, right = " ".join(words), " ".join([*words, *"abcdefgh"]), " ".join([*"ijklmnop", *words])
    assert near_duplicates(pa.array([left, middle, right]), names(3), DedupConfig(threshold=0.9)).labels.tolist() == [1, 1, 1]
    with pytest.raises(DataError, match="must hold numbers"):
        near_duplicates(texts, names(4), DedupConfig(), quality=pa.array(["good"] * 4))


def test_quality_keeps_its_order_in_32_bits() -> None:
    values = [None, float("nan"), float("-inf"), -3.5, -0.0, 0.0, 1e-30, 2.0, float("inf")]
    scores = standing(names(len(values)), np.zeros(len(values), np.int64), pa.array(values, pa.float64())).score
    assert scores[0] == scores[1] == 0
    assert scores[4] == scores[5]
    assert np.all(np.diff(scores[[1, 2, 3, 4, 6, 7, 8]].astype(object)) > 0)


def test_exact_duplicates_ignore_case_spacing_and_punctuation_only() -> None:
    texts = pa.array(
        ["Open the door, please.", "open  the door please", "Open the door now.", "请开门。", "请 开门！", "请关门。", "——", "…"]
    )
    labels = exact_duplicates(texts, pa.array(list("abcdefgh"))).labels.tolist()
    assert labels[0] == labels[1] == 0
    assert labels[3] == labels[4]
    assert len({labels[k] for k in (0, 2, 3, 5, 6, 7)}) == 6, "texts without units are no duplicates of each other"


def test_texts_shorter_than_a_shingle_are_like_their_exact_copies_alone() -> None:
    texts = pa.array(["Buy now", "buy now!", "Buy it now", "now buy", "立即购买", "立即购买。", "立即", "", "…", None])
    labels = near_duplicates(texts, names(10), DedupConfig()).labels
    assert labels[0] == labels[1]
    assert labels[4] == labels[5]
    assert len(set(labels.tolist())) == 8


def test_many_copies_of_one_template_are_one_cluster() -> None:
    body = "这一页介绍如何安装和配置系统，并说明每一个选项的含义以及推荐的取值范围，供管理员参考使用。" * 3
    texts = pa.array([body + f"第{k}页" for k in range(300)])
    labels = near_duplicates(texts, names(300), DedupConfig()).labels
    assert len(set(labels.tolist())) == 1


@pytest.mark.parametrize("size", [CROWD, CROWD + 1, 5000])
def test_a_hot_bucket_costs_no_more_than_its_size(size: int) -> None:
    """All documents agree in every band: the worst that can come."""
    keys = np.zeros((size, 4), np.uint64)
    who = standing(names(size), np.arange(size))
    pairs = all_pairs(keys, np.arange(size), who, room=2**40)
    assert pairs is not None
    better, worse = (pairs >> np.uint64(32)).astype(int), (pairs & np.uint64(0xFFFFFFFF)).astype(int)
    assert len(set(zip(better.tolist(), worse.tolist(), strict=True))) == len(pairs)
    assert np.all(better > worse), "the one with more units is the better one"
    assert set(worse.tolist()) | set(better.tolist()) == set(range(size))
    assert len(pairs) == size * (size - 1) // 2 if size <= CROWD else len(pairs) <= size * (ANCHORS + 1)
    assert all_pairs(keys, np.arange(size), who, room=10) is None


def test_a_crowd_is_split_by_the_next_band() -> None:
    """In a crowd of 400, ten pairs agree in the next band as well and are compared, though neither is an anchor."""
    keys = np.zeros((400, 2), np.uint64)
    keys[:, 1] = np.arange(400) // 2
    pairs = all_pairs(keys, np.arange(400), standing(names(400), np.zeros(400, np.int64)), room=2**40)
    assert pairs is not None
    found = {frozenset((int(p >> np.uint64(32)), int(p & np.uint64(0xFFFFFFFF)))) for p in pairs}
    assert all(frozenset((k, k + 1)) in found for k in range(0, 400, 2))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_choice_is_the_greedy_one(seed: int) -> None:
    """Against the definition, over random graphs: the best first, neighbours of the kept go, to the most similar kept one."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 25))
    every = np.array(list(itertools.combinations(range(size), 2)), np.int64).reshape(-1, 2)
    edges = every[rng.random(len(every)) < rng.random()]
    value = rng.integers(70, 100, len(edges)) / 100
    who = standing(names(size), rng.integers(1, 4, size))
    found = choose(edges[:, 0], edges[:, 1], value, who)
    weight = {frozenset(e): v for e, v in zip(edges.tolist(), value.tolist(), strict=True)}
    degree = np.bincount(edges.ravel(), minlength=size)
    order = sorted(range(size), key=lambda k: (-degree[k], -int(who.units[k]), int(who.tie[k]), k))
    kept: list[int] = []
    for node in order:
        if not any(frozenset((node, k)) in weight for k in kept):
            kept.append(node)
    for node in range(size):
        if node in kept:
            assert found.owner[node] == node
        else:
            near = [(-weight[frozenset((node, k))], order.index(k), k) for k in kept if frozenset((node, k)) in weight]
            assert found.owner[node] == min(near)[2]
            assert found.jaccard[node] == -min(near)[0]


@given(
    st.lists(st.text(alphabet=st.sampled_from("abc 春夏秋冬。, \U0001f600é"), max_size=60), max_size=12),
    st.integers(min_value=1, max_value=4),
)
@settings(max_examples=40, deadline=None)
def test_labels_are_kept_rows_and_do_not_depend_on_threads_or_order(texts: list[str], threads: int) -> None:
    ids = [f"{k:02d}" for k in range(len(texts))]
    for find in (exact_duplicates, lambda t, i: near_duplicates(t, i, DedupConfig(shingle=2), threads=threads)):
        clusters = find(pa.array(texts, pa.string()), pa.array(ids, pa.string()))
        assert all(clusters.labels[k] == k for k in clusters.labels)
        order = list(reversed(range(len(texts))))
        turned = find(pa.array([texts[k] for k in order], pa.string()), pa.array([ids[k] for k in order], pa.string()))
        kept = {ids[k] for k in np.flatnonzero(clusters.keep)}
        assert kept == {ids[order[k]] for k in np.flatnonzero(turned.keep)}
