"""The permutation tests: whether a model prefers the published order of a benchmark, of its items or of the choices of an item.

Input: items with an `order`, or with `choices`. Output: which texts to score, and from their nats a `DetectorFinding`. A model that
has read a file also knows what followed what. So the items are cut into runs of neighbours (shards), and each is scored in
its published order and in a few others drawn at random (Oren et al. 2023). If the order means nothing, any of these is as likely
to be the cheapest; which one is called published is drawn anew thousands of times, and the p-value is exact for any number of
shards. It needs no reference set. But a published order that has a meaning (by topic, by difficulty) is preferred by any model, and
right answers are not always spread evenly over the choices: so these tests support a verdict and carry none. Only many copies are
seen: claim power from ten on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from skyloom.leakage.benchmark_sets import BenchmarkItem
from skyloom.leakage.suspect.detectors import PER_ITEM, DetectorFinding, mean_below_zero
from skyloom.score.intervals import Floats, generator

SHUFFLES = 5
"""Other orders that each shard is scored in."""
LONGEST = 8
"""Items of a shard."""
DRAWS = 9999
BETWEEN = "\n\n"

Orders = list[list[int]]


def item_shards(items: Sequence[BenchmarkItem], tokens: Sequence[int], context: int, *, seed: int = 1) -> list[Orders]:
    """Runs of neighbouring items that fit into the context together; of each the published order (row numbers), then others.

    `tokens`: of each item. Only items with an `order` are taken."""
    rows = sorted((n for n, item in enumerate(items) if item.order is not None), key=lambda n: (items[n].order or 0.0, n))
    shards: list[list[int]] = []
    held, size = list[int](), 0
    for row in rows:
        if held and (size + tokens[row] + 4 > context or len(held) == LONGEST):
            shards.append(held)
            held, size = [], 0
        held.append(row)
        size += tokens[row] + 4  # what stands between two items
    shards.append(held)
    rng = generator(seed, "item order")
    return [_orders(shard, rng) for shard in shards if len(shard) > 1]


def choice_shards(item: BenchmarkItem, *, seed: int = 1) -> Orders:
    """The published order of an item's choices, then others; the same for the same item. Empty for fewer than two choices."""
    places = list(range(len(item.choices)))
    return _orders(places, generator(seed, "choice order", item.id)) if len(places) > 1 else []


def shard_text(items: Sequence[BenchmarkItem], order: Sequence[int]) -> str:
    return BETWEEN.join(items[row].text for row in order)


def choice_text(item: BenchmarkItem, order: Sequence[int]) -> str:
    """The question and its choices in an order, without the answer."""
    letters = (chr(ord("A") + k) if k < 26 else str(k + 1) for k in range(len(order)))
    return "\n".join([item.question, *(f"{letter}. {item.choices[place]}" for letter, place in zip(letters, order, strict=True))])


def order_test(name: str, other: str, nats: Sequence[Floats], *, tokens: int, items: int, seed: int = 1) -> DetectorFinding:
    """From nats float64[1 + orders] of each shard, the published order first: how many nats an item it is cheaper than others.

    The interval is Student's over shards; the p-value that of the exact test."""
    if len(nats) < 2:
        return DetectorFinding(name, other, math.nan, math.nan, math.nan, PER_ITEM, math.nan, items, tokens)
    gaps = [(row - (row.sum() - row) / (len(row) - 1)) * len(nats) / items for row in nats]
    value, low, high, _ = mean_below_zero(np.array([row[0] for row in gaps]))
    rng, drawn = generator(seed, "order test", name), np.zeros(DRAWS)
    for row in gaps:
        drawn += row[rng.integers(len(row), size=DRAWS)] / len(gaps)
    p = (1 + int((drawn <= value + 1e-12).sum())) / (1 + DRAWS)
    return DetectorFinding(name, other, value, low, high, PER_ITEM, p, items, tokens)


def _orders(shard: list[int], rng: np.random.Generator) -> Orders:
    """The order that is given and at most SHUFFLES different others."""
    if len(shard) <= 4:  # all of them are few
        others = [list(order) for order in itertools.permutations(shard)][1:]
        return [shard, *(others[k] for k in rng.permutation(len(others))[:SHUFFLES])]
    found = [shard]
    while len(found) <= SHUFFLES:
        order = [shard[k] for k in rng.permutation(len(shard))]
        if order not in found:
            found.append(order)
    return found
