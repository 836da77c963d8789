"""The statistics of the study of known power, from raw results alone, with the detectors and the rule of `leak model`.

Input: the arrays of each seed (`leakage_power_runs`), and the texts for the blind baseline. Output: rows, each a share of looks in
which something was flagged, with its 95 % interval over seeds. All looks are one-sided at 5 %.

- false: both sets are drawn by lot, anew in each replicate, from items that the clean model has not read.
- power: planted against held-back items. A seed is one look, on its own lot. `boot`: the share over resamples of both sets, which
  adds the items' variance once more and so lies nearer to one half; it is shown beside.
- style, published: the final verdict, and what single detectors say, where the reference is of another style.
- order: the permutation test. Under the null each of a shard's orders takes the place of the published one in turn.

The interval is clustered: looks of one seed share a model, so seeds are the observations (Student's t); where all seeds agree, it
is Wilson's for as many looks as there are seeds. A declaration is one that the user makes; a false one says that the reference and
the benchmark are a random split when they are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from scipy import stats
from studies.leakage_power_runs import STREAMED, Raw
from studies.leakage_power_texts import EN, ZH, TextPool

from skyloom.leakage.benchmark_sets import BenchmarkItem, BenchmarkSet
from skyloom.leakage.blind import BlindBaseline, blind_baseline
from skyloom.leakage.suspect import (
    LEVEL,
    DetectorFinding,
    ItemScores,
    clean_twin_gap,
    decide,
    holm,
    loss_gap,
    order_test,
    rule_for,
    score_test,
    twin_gap,
)
from skyloom.score.intervals import Z, generator, wilson

N, MANY = 300, 1000
REPLICATES, RESAMPLES, STYLE_DRAWS, STYLE_SHARES = 60, 20, 20, (0.0, 0.05, 0.10, 0.20)
SINGLE = ("min_k", "min_k_plus", "zlib")
REFERENCE = "reference"
VERDICT, ACCUSED, TOLD = "verdict", "leaked", "cannot tell"
Numbers = npt.NDArray[np.int64]
Texts = Mapping[str, TextPool]


class PowerShare(TypedDict):
    """A row. `copies`: of the planted items; `n`: items of each set; `looks`: all looks of `seeds` seeds."""

    row: str
    detector: str
    lang: str
    size: str
    copies: int
    n: int
    seeds: int
    looks: int
    share: float
    low: float
    high: float
    boot: float | None


@dataclass(frozen=True)
class SeedScores:
    """The raw results of a seed."""

    size: str
    seed: int
    raw: Raw

    def scores(self, copies: int, name: str) -> list[ItemScores]:
        """The figures of a set under a fork, in the order of the file; the same objects each time."""
        key = f"{copies}.{name}"
        if key not in self._scores:
            columns = [self.raw[f"{key}.{one.name}"].tolist() for one in fields(ItemScores)]
            self._scores[key] = [ItemScores(*row) for row in zip(*columns, strict=True)]
        return self._scores[key]

    def items(self, copies: int, name: str) -> list[int]:
        return [int(n) for n in self.raw[f"{copies}.{name}.item"]]

    def by_item(self, copies: int, name: str) -> dict[int, ItemScores]:
        return dict(zip(self.items(copies, name), self.scores(copies, name), strict=True))

    @cached_property
    def _scores(self) -> dict[str, list[ItemScores]]:
        return {}

    def rng(self, *names: str) -> np.random.Generator:
        return generator(self.seed, "figures", self.size, *names)


Look = tuple[str, bool]
"""A detector (or VERDICT), and whether it was flagged."""


def flagged(found: DetectorFinding) -> Look:
    return found.name, found.p <= LEVEL


def two_samples(mine: Sequence[ItemScores], theirs: Sequence[ItemScores]) -> list[DetectorFinding]:
    """The detectors that compare two sets of items."""
    found = [loss_gap("delta1", REFERENCE, mine, theirs, low=True)]
    return found + [score_test(name, REFERENCE, mine, theirs) for name in SINGLE]


def verdict(findings: Sequence[DetectorFinding], declared: str | None, blind: BlindBaseline | None) -> str:
    """The final word of `leak model` on these findings."""
    baselines = {} if blind is None else {REFERENCE: blind}
    rules = {(f.name, f.set): rule_for(f.name, f.set, declared=declared, blind=baselines) for f in findings}
    return decide(findings, rules, holm(findings, rules)).word


def compared(mine: Sequence[ItemScores], theirs: Sequence[ItemScores]) -> list[Look]:
    """All detectors on two sets, Δ2 too, and the verdict if a held-back set was declared and words do not tell the two apart."""
    found = two_samples(mine, theirs)
    second = loss_gap("delta2", "train", mine, theirs, low=False)
    return [*map(flagged, [*found, second]), (VERDICT, verdict(found, REFERENCE, None) == ACCUSED)]


def null_looks(one: SeedScores, lang: str) -> Iterator[Look]:
    """Random splits of what the clean model has not read."""
    scores, rng = one.scores(0, lang), one.rng("null", lang)
    size = min(N, len(scores) // 2)
    for _ in range(REPLICATES):
        order = rng.permutation(len(scores))
        yield from compared([scores[k] for k in order[:size]], [scores[k] for k in order[size : 2 * size]])


def planted_of(one: SeedScores, lang: str, copies: int) -> tuple[Numbers, Numbers]:
    """Places in a fork's file of the planted items, and of the held-back ones."""
    return np.arange(int(one.raw[f"{copies}.planted.{lang}"][0])), np.arange(N, min(2 * N, len(one.scores(copies, lang))))


def power_looks(one: SeedScores, lang: str, copies: int, mine: Numbers, theirs: Numbers) -> list[Look]:
    """Planted against held-back items in one fork, also beside the clean twin model and the twins of the items."""
    scores, clean = one.by_item(copies, lang), one.by_item(0, lang)
    names = one.items(copies, lang)
    chosen, held = [names[k] for k in mine], [names[k] for k in theirs]
    found = compared([scores[n] for n in chosen], [scores[n] for n in held])
    pairs = [[(scores[n], clean[n]) for n in part] for part in (chosen, held)]
    found.append(flagged(clean_twin_gap(REFERENCE, pairs[0], pairs[1])))
    twins = one.by_item(copies, f"{lang}-twins")
    found.append(flagged(twin_gap("twins", [(scores[n], twins[n]) for n in chosen if n in twins])))
    return found


def resampled(one: SeedScores, lang: str, copies: int) -> Iterator[Look]:
    mine, theirs = planted_of(one, lang, copies)
    rng = one.rng("power", lang, str(copies))
    for _ in range(RESAMPLES):
        yield from power_looks(one, lang, copies, rng.choice(mine, len(mine)), rng.choice(theirs, len(theirs)))


def between_seeds(one: SeedScores, other: SeedScores, lang: str, copies: int) -> Iterator[Look]:
    """A suspect beside another clean model, trained on other texts from other weights, on the items that both were asked. Without
    copies the suspect is clean, and items are divided by lot REPLICATES times."""
    mine, theirs = one.by_item(copies, lang), other.by_item(0, lang)
    if copies:
        names = one.items(copies, lang)
        parts = [[(mine[names[k]], theirs[names[k]]) for k in part if names[k] in theirs] for part in planted_of(one, lang, copies)]
        yield flagged(clean_twin_gap(REFERENCE, parts[0], parts[1]))
        return
    common = [n for n in one.items(0, lang) if n in theirs]
    rng, size = one.rng("between", lang), min(N, len(common) // 2)
    for _ in range(REPLICATES):
        order = [common[k] for k in rng.permutation(len(common))]
        pairs = [(mine[n], theirs[n]) for n in order]
        yield flagged(clean_twin_gap(REFERENCE, pairs[:size], pairs[size : 2 * size]))


def tenth_looks(one: SeedScores) -> list[Look]:
    """A tenth of 1,000 English items leaked ten times, against 1,000 held-back ones."""
    ten, planted = MANY // 10, int(one.raw[f"{STREAMED}.planted.{EN}"][0])
    if planted != ten:
        raise ValueError(f"{planted} items were leaked ten times; {ten} are needed")
    mine = np.concatenate([np.arange(ten), np.arange(N, N + MANY - ten)])
    theirs = np.concatenate([np.arange(ten, N), np.arange(N + MANY - ten, 2 * MANY)])
    return [look for look in power_looks(one, EN, STREAMED, mine, theirs) if look[0] != "twins"]


def style_looks(one: SeedScores, n: int, share: float) -> Iterator[Look]:
    """A clean model, and a reference of which a share of the items is of the published set; declared falsely, words not asked."""
    clean, other, rng = one.scores(0, EN), one.scores(0, "published"), one.rng("style", str(n), str(share))
    for _ in range(STYLE_DRAWS):
        order, strange = rng.permutation(len(clean)), rng.permutation(len(other))[: round(n * share)]
        mixed = [clean[k] for k in order[n : 2 * n - len(strange)]] + [other[k] for k in strange]
        yield from compared([clean[k] for k in order[:n]], mixed)


def told_looks(one: SeedScores, texts: Texts, n: int, share: float) -> list[Look]:
    """The final verdict on a clean model with the blind baseline of the same texts: not declared ("undeclared", flagged: not
    `cannot tell`), and declared falsely ("declared", flagged: accused). `share` of the reference is of the published set."""
    clean, other, rng = one.items(0, EN), one.items(0, "published"), one.rng("told", str(n), str(share))
    scores, strange = one.by_item(0, EN), one.by_item(0, "published")
    order, picked = [clean[k] for k in rng.permutation(len(clean))], [other[k] for k in rng.permutation(len(other))]
    mine = order[:n]
    foreign = picked[: round(n * share)]
    held = order[n : 2 * n - len(foreign)] if share < 1 else []
    found = two_samples([scores[k] for k in mine], [*(scores[k] for k in held), *(strange[k] for k in foreign)])
    own, far = texts[EN].texts, texts["published"].texts
    blind = blind_baseline(_set([own[k] for k in mine]), _set([*(own[k] for k in held), *(far[k] for k in foreign)]))
    words = {declared: verdict(found, declared, blind) for declared in (None, REFERENCE)}
    return [("undeclared", words[None] != TOLD), ("declared", words[REFERENCE] == ACCUSED), ("vetoed", blind.vetoes)] + [
        flagged(f) for f in found
    ]


def order_looks(one: SeedScores, lang: str, copies: int) -> Iterator[Look]:
    """The permutation test of a file's order. Without copies also each other order of the shards in the published one's place."""
    nats = one.raw[f"{copies}.order.{lang}"]
    items = int(one.raw[f"{copies}.order-items.{lang}"][0])
    for turn in range(nats.shape[1] if not copies else 1):
        rows = [np.roll(row[~np.isnan(row)], -turn).astype(np.float64) for row in nats]
        yield flagged(order_test("item_order", "benchmark", rows, tokens=0, items=items, seed=one.seed))


def _set(texts: list[str]) -> BenchmarkSet:
    return BenchmarkSet("", "", "", tuple(BenchmarkItem(f"{k} {text[:40]}", EN, "", "", text) for k, text in enumerate(texts)))


def clustered(shares: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval of shares, one of each seed."""
    values = np.array(shares, np.float64)
    value = float(values.mean())
    if len(values) < 2 or values.std() == 0:
        found = wilson(round(value * len(values)), len(values))
        return value, min(value, found.low), max(value, found.high)
    reach = float(stats.t.ppf(0.5 + math.erf(Z / math.sqrt(2)) / 2, len(values) - 1) * values.std(ddof=1)) / math.sqrt(len(values))
    return value, max(0.0, value - reach), min(1.0, value + reach)


Looks = Mapping[tuple[str, int], Sequence[Look]]
"""Of each seed (size, number) its looks."""


def rows_of(row: str, lang: str, size: str, copies: int, n: int, looks: Looks, boots: Looks | None = None) -> Iterator[PowerShare]:
    """A row for each detector."""
    for detector in dict.fromkeys(name for some in looks.values() for name, _ in some):
        per = {seed: [hit for name, hit in some if name == detector] for seed, some in looks.items()}
        value, low, high = clustered([sum(hits) / len(hits) for hits in per.values()])
        again = [hit for some in (boots or {}).values() for name, hit in some if name == detector]
        yield {
            "row": row, "detector": detector, "lang": lang, "size": size, "copies": copies, "n": n, "seeds": len(per),
            "looks": sum(map(len, per.values())), "share": value, "low": low, "high": high,
            "boot": sum(again) / len(again) if again else None,
        }  # fmt: skip


def figures(seeds: Sequence[SeedScores], texts: Texts | None, say: Callable[[str], None] = lambda _: None) -> list[PowerShare]:
    """All rows. `texts`: None leaves out the rows that need the blind baseline."""
    found: list[PowerShare] = []
    for size in dict.fromkeys(one.size for one in seeds):
        mine = [one for one in seeds if one.size == size]
        say(f"{size}: {len(mine)} seeds")
        for lang in (EN, ZH):
            found += _of_language(mine, lang, size)
        wide = [one for one in mine if len(one.scores(0, EN)) >= 2 * MANY]
        if wide:
            found += rows_of("tenth", EN, size, STREAMED, MANY, {_key(one): tenth_looks(one) for one in wide})
        for n, some in ((N, mine), (MANY, wide)):
            for share in STYLE_SHARES if some else ():
                name = f"style {share:.0%}"
                found += rows_of(name, EN, size, 0, n, {_key(one): list(style_looks(one, n, share)) for one in some})
                if texts is not None:
                    found += rows_of(f"told {share:.0%}", EN, size, 0, n, {_key(o): told_looks(o, texts, n, share) for o in some})
        if texts is not None:
            found += rows_of("published", EN, size, 0, N, {_key(one): told_looks(one, texts, N, 1.0) for one in mine})
    return found


def _key(one: SeedScores) -> tuple[str, int]:
    return one.size, one.seed


def _of_language(seeds: Sequence[SeedScores], lang: str, size: str) -> Iterator[PowerShare]:
    yield from rows_of("false", lang, size, 0, N, {_key(one): list(null_looks(one, lang)) for one in seeds})
    for copies in (1, 3, STREAMED):
        some = [one for one in seeds if f"{copies}.planted.{lang}" in one.raw]
        looks = {_key(one): power_looks(one, lang, copies, *planted_of(one, lang, copies)) for one in some}
        boots = {_key(one): list(resampled(one, lang, copies)) for one in some}
        yield from rows_of(
            "power", lang, size, copies, max([len(planted_of(one, lang, copies)[0]) for one in some], default=0), looks, boots
        )
    for copies in (0, STREAMED):
        some = [one for one in seeds if f"{copies}.order.{lang}" in one.raw]
        orders = {_key(one): list(order_looks(one, lang, copies)) for one in some}
        items = max([int(one.raw[f"{copies}.order-items.{lang}"][0]) for one in some], default=0)
        yield from rows_of("order", lang, size, copies, items, orders)
    wide = [one for one in seeds if lang == ZH or len(one.scores(0, lang)) >= 2 * MANY]
    if len(wide) > 1:
        pairs = list(zip(wide, [*wide[1:], wide[0]], strict=True))
        for copies in (0, 1):
            looks = {_key(one): list(between_seeds(one, other, lang, copies)) for one, other in pairs}
            yield from rows_of("another clean model", lang, size, copies, N, looks)
