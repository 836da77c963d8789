"""Held-out documents: the choice, and that no copy of one stays in training."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skyloom.core.units import units
from skyloom.corpus.heldout.config import HeldoutChoiceConfig
from skyloom.corpus.heldout.nearness import HeldoutIndex
from skyloom.corpus.heldout.selection import REFERENCE, Copies, Proposal, choose, held, propose_heldout

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
    """Rows near a held-out one; whether they are judged in one shard or in two makes no difference."""
    rows = np.arange(len(texts))
    columns: dict[str, Any] = {
        "id": [f"doc{k}" for k in rows],
        "text": texts,
        "origin": ["exercise" if k in (exercises or []) else "page" for k in rows],
        "cluster": [str(k) for k in (clusters or rows)],
    }
    table, mine = pa.table(columns), np.isin(rows, heldout)
    copies = Copies(table.filter(pa.array(mine)).select(REFERENCE), HeldoutChoiceConfig())
    near = copies.near(table, mine)
    half = len(texts) // 2
    assert (
        np.concatenate([copies.near(table[:half], mine[:half]), copies.near(table[half:], mine[half:])]).tolist() == near.tolist()
    )
    return [int(k) for k in np.flatnonzero(near)]


def chosen_of(shards: list[pa.Table], config: HeldoutChoiceConfig) -> frozenset[str]:
    """By way of the proposals' JSON, as between two maps."""
    return choose(
        [Proposal.from_json(json.loads(json.dumps(propose_heldout(shard, config).to_json()))) for shard in shards], config
    )


def test_the_choice_is_by_domain_and_stable() -> None:
    domain = ["web_en"] * 800 + ["web_zh"] * 150 + ["code"] * 47 + ["stem_zh"] * 3
    table = pa.table({"id": [f"doc{k}" for k in range(1000)], "domain": domain, "split": ["train"] * 1000})
    config = HeldoutChoiceConfig(share=0.1, minimum=20, maximum=60)
    chosen = chosen_of([table], config)
    count = Counter(d for name, d in zip(table.column("id").to_pylist(), domain, strict=True) if name in chosen)
    assert count == {"web_en": 60, "web_zh": 20, "code": 9}, "share, minimum, a fifth at most, none of a tiny domain"
    order = random.Random(1).sample(range(1000), 1000)
    shuffled = table.take(pa.array(order))
    assert chosen_of([shuffled[:300], shuffled[300:301], shuffled[301:]], config) == chosen, "shards and their order do not matter"
    assert chosen_of([table], HeldoutChoiceConfig(share=0.1, maximum=60, seed=2)) != chosen
    assert held(table, chosen).tolist() == [name in chosen for name in table.column("id").to_pylist()]


def test_a_domain_that_came_with_a_heldout_part_is_settled() -> None:
    split = ["train"] * 90 + ["valid"] * 10
    table = pa.table({"id": [f"doc{k}" for k in range(100)], "domain": ["stem_en"] * 100, "split": split})
    config = HeldoutChoiceConfig(share=0.1, minimum=20, maximum=60)
    assert chosen_of([table[:95], table[95:]], config) == frozenset()
    assert held(table, frozenset()).tolist() == [s == "valid" for s in split]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_copies_excerpts_and_hosts_of_heldout_text_are_found(lang: str) -> None:
    kept = story(1, lang, 200)
    join = " " if lang == "en" else ""
    words = units(kept)
    near_copy = join.join([*words[:100], *units(story(2, lang, 3)), *words[100:]])
    host = story(3, lang, 2000) + join + kept + join + story(4, lang, 2000)
    excerpt = join.join(words[40:80])
    stranger = story(5, lang, 300)
    quotes = story(6, lang, 400) + join + join.join(words[:20])
    assert judge([kept, near_copy, host, excerpt, stranger, quotes], [0]) == [1, 2, 3]


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
    assert np.allclose(HeldoutIndex(pa.array(references)).contained_share(pa.array(texts)), expected)


def test_nothing_held_out_means_nothing_near() -> None:
    assert judge([story(1, "en", 50), story(1, "en", 50)], []) == []


def test_shards_are_judged_by_themselves() -> None:
    references, texts = (
        [story(1, "en", 60), story(2, "zh", 90)],
        [story(k, "zh", 80) for k in (2, 3)] + [story(1, "en", 60), "", "短"],
    )
    index = HeldoutIndex(pa.array(references))
    whole = index.near(pa.array(texts), 0.3).tolist()
    assert whole == [True, False, True, False, False]
    assert [bool(index.near(pa.array([t]), 0.3)[0]) for t in texts] == whole
    assert index.near(pa.array([], pa.string()), 0.3).tolist() == []
