"""Held-out documents: the choice, and that no copy of one stays in training."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from skyloom.core.units import units
from skyloom.corpus.heldout.config import HeldoutChoiceConfig
from skyloom.corpus.heldout.nearness import HeldoutIndex, choose_heldout, contained_share, near_heldout

HAN = "天地山川风云雨雪春秋日月城乡村路桥船车马书画琴棋诗酒茶饭衣食住行来去高低大小长短新旧明暗冷热"


def story(seed: int, lang: str, size: int) -> str:
    rng = random.Random(seed)
    if lang == "zh":
        return "".join(rng.choice(HAN) for _ in range(size))
    return " ".join("".join(rng.choice("aeioubdklmnrst") for _ in range(rng.randint(2, 7))) for _ in range(size))


def grams(text: str, n: int = 13) -> set[tuple[str, ...]]:
    found = units(text)
    return {tuple(found[k : k + n]) for k in range(len(found) - n + 1)}


def judge(texts: list[str], heldout: list[int], exercises: list[int] | None = None, clusters: list[int] | None = None) -> list[int]:
    rows = np.arange(len(texts))
    near = near_heldout(
        pa.array(texts),
        np.isin(rows, heldout),
        np.isin(rows, exercises or []),
        np.array(clusters) if clusters else rows,
        HeldoutChoiceConfig(),
    )
    return [int(k) for k in np.flatnonzero(near)]


def test_the_choice_is_by_domain_and_stable() -> None:
    ids = [f"doc{k}" for k in range(1000)]
    domains = ["web_en"] * 800 + ["web_zh"] * 150 + ["code"] * 47 + ["stem_zh"] * 3
    config = HeldoutChoiceConfig(share=0.1, minimum=20, maximum=60)
    chosen = choose_heldout(pa.array(ids), pa.array(domains), np.ones(1000, bool), config)
    count = {d: sum(1 for k in np.flatnonzero(chosen) if domains[k] == d) for d in set(domains)}
    assert count == {"web_en": 60, "web_zh": 20, "code": 9, "stem_zh": 0}, "share, minimum, a fifth at most, none of a tiny domain"
    order = random.Random(1).sample(range(1000), 1000)
    again = choose_heldout(pa.array([ids[k] for k in order]), pa.array([domains[k] for k in order]), np.ones(1000, bool), config)
    assert {ids[k] for k in np.flatnonzero(chosen)} == {ids[order[k]] for k in np.flatnonzero(again)}
    other = choose_heldout(
        pa.array(ids), pa.array(domains), np.ones(1000, bool), HeldoutChoiceConfig(share=0.1, maximum=60, seed=2)
    )
    assert (other != chosen).any()
    none = choose_heldout(pa.array(ids), pa.array(domains), np.array([d != "code" for d in domains]), config)
    assert not none[950:997].any()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_copies_excerpts_and_hosts_of_heldout_text_are_found(lang: str) -> None:
    held = story(1, lang, 200)
    join = " " if lang == "en" else ""
    words = units(held)
    near_copy = join.join([*words[:100], *units(story(2, lang, 3)), *words[100:]])
    host = story(3, lang, 2000) + join + held + join + story(4, lang, 2000)
    excerpt = join.join(words[40:80])
    stranger = story(5, lang, 300)
    quotes = story(6, lang, 400) + join + join.join(words[:20])
    assert judge([held, near_copy, host, excerpt, stranger, quotes], [0]) == [1, 2, 3]


def test_a_heldout_parallel_document_takes_both_of_its_pages_along() -> None:
    english, chinese = story(1, "en", 100), story(2, "zh", 160)
    page_en = story(3, "en", 400) + " " + english + " " + story(4, "en", 400)
    page_zh = story(5, "zh", 600) + chinese + story(6, "zh", 600)
    assert judge([english + "\n\n" + chinese, page_en, page_zh, story(7, "en", 300)], [0]) == [1, 2]


def test_exercises_are_near_only_to_their_own_question() -> None:
    items = [
        "Tom has 3 apples and buys 5 more at the market in the small town near the river. How many has he now? Answer: 8",
        "Tom has 4 apples and buys 5 more at the market in the small town near the river. How many has he now? Answer: 9",
        "Tom has 3 apples, and buys 5 more at the market in the small town near the river. How many has he now? Answer: 8",
    ]
    assert judge([*items, "Exercises of the week.\n" + items[0]], [0], [0, 1, 2]) == [2, 3], "a page that holds the item is near"


def test_members_of_a_heldout_cluster_are_near() -> None:
    texts = [story(k, "zh", 60) for k in range(4)]
    assert judge(texts, [1], clusters=[0, 7, 7, 3]) == [2]


def test_contained_share_equals_plain_sets() -> None:
    references = [story(1, "en", 60), story(2, "zh", 90), "short", story(1, "en", 60) + story(2, "zh", 90)]
    texts = [references[3], units(references[1])[0] * 20, story(2, "zh", 50), "", references[0] + " " + references[0]]
    expected = [max((len(grams(t) & grams(r)) / max(len(grams(r)), 1) for r in references), default=0.0) for t in texts]
    assert np.allclose(contained_share(pa.array(texts), pa.array(references)), expected)


def test_nothing_held_out_means_nothing_near() -> None:
    assert judge([story(1, "en", 50), story(1, "en", 50)], []) == []


def test_shards_are_judged_by_themselves() -> None:
    held, texts = [story(1, "en", 60), story(2, "zh", 90)], [story(k, "zh", 80) for k in (2, 3)] + [story(1, "en", 60), "", "短"]
    index = HeldoutIndex(pa.array(held))
    whole = index.near(pa.array(texts), 0.3).tolist()
    assert whole == [True, False, True, False, False]
    assert [bool(index.near(pa.array([t]), 0.3)[0]) for t in texts] == whole
    assert index.near(pa.array([], pa.string()), 0.3).tolist() == []
