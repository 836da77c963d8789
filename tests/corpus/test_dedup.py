"""Duplicates against an exact comparison of all pairs, on planted copies in both languages."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.units import units
from skyloom.corpus.dedup import DedupConfig, exact_duplicates, jaccard, near_duplicates

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


def shingles(text: str, n: int = 5) -> set[tuple[str, ...]]:
    found = units(text)
    return {tuple(found[k : k + n]) for k in range(len(found) - n + 1)}


def true_similarities(texts: list[str]) -> dict[tuple[int, int], float]:
    sets = [shingles(t) for t in texts]
    return {
        (i, j): len(sets[i] & sets[j]) / max(len(sets[i] | sets[j]), 1) for i, j in itertools.combinations(range(len(texts)), 2)
    }


def components(count: int, links: list[tuple[int, int]]) -> list[int]:
    label = list(range(count))
    for i, j in links:
        old, new = label[i], label[j]
        label = [new if x == old else x for x in label]
    return label


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_near_duplicates_find_what_exact_jaccard_finds(lang: str) -> None:
    texts = planted(lang, seed=7)
    true = true_similarities(texts)
    above = {pair for pair, value in true.items() if value >= 0.8}
    expected = components(len(texts), sorted(above))
    labels = near_duplicates(pa.array(texts), pa.array([f"{k:04d}" for k in range(len(texts))]), DedupConfig()).labels
    together = {(i, j) for i, j in true if labels[i] == labels[j]}
    wanted = {(i, j) for i, j in true if expected[i] == expected[j]}
    assert len(above) > 60, "the planted copies must give pairs to find"
    assert together <= wanted, "every cluster is linked by pairs above the threshold"
    assert len(together & wanted) >= 0.97 * len(wanted)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_exact_similarity_equals_the_plain_python_one(lang: str) -> None:
    texts = planted(lang, seed=3)[:30]
    true = true_similarities(texts)
    measured = jaccard(pa.array(texts), [i for i, _ in true], [j for _, j in true], 5)
    assert np.allclose(measured, list(true.values()), atol=1e-12)


def test_the_longest_stays_then_the_earliest_id() -> None:
    base = "The harbour lights went out one by one while the old ferry crossed the bay and nobody spoke a single word of it"
    texts = pa.array([base, base + " again", base, "完全不同的一句话，说的是另外一件事情。"])
    clusters = near_duplicates(texts, pa.array(["c", "d", "a", "b"]), DedupConfig(threshold=0.7))
    assert clusters.labels.tolist() == [1, 1, 1, 3]
    same = near_duplicates(pa.array([base, base, base]), pa.array(["b", "a", "c"]), DedupConfig())
    assert same.labels.tolist() == [1, 1, 1]
    assert same.keep.tolist() == [False, True, False]


def test_exact_duplicates_ignore_case_spacing_and_punctuation_only() -> None:
    texts = pa.array(
        ["Open the door, please.", "open  the door please", "Open the door now.", "请开门。", "请 开门！", "请关门。", "——", "…"]
    )
    labels = exact_duplicates(texts, pa.array(list("abcdefgh"))).labels.tolist()
    assert labels[0] == labels[1] == 0
    assert labels[3] == labels[4]
    assert len({labels[k] for k in (0, 2, 3, 5, 6, 7)}) == 6, "texts without units are no duplicates of each other"


def test_many_copies_of_one_template_are_one_cluster() -> None:
    body = "这一页介绍如何安装和配置系统，并说明每一个选项的含义以及推荐的取值范围，供管理员参考使用。" * 3
    texts = pa.array([body + f"第{k}页" for k in range(300)])
    labels = near_duplicates(texts, pa.array([f"{k:03d}" for k in range(300)]), DedupConfig()).labels
    assert len(set(labels.tolist())) == 1


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
