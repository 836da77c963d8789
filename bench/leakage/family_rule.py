"""Simulated clean suspects before three rules: a plain gap, a difference to a family, and the regression on ability that is ours.

Input: none; seeds are fixed. Output: the bars `family-false` and `family-plain`, or tables with 95 % intervals (Wilson; each
suspect has items and a family of its own, so suspects are independent).

An item's loss in nats per token is the model's level, what the item costs all models (standard deviation .17), and what it costs
this model beyond that (.07). Models have abilities from 0 to 1, which move the level by .5. The reference set is dearer by a style
gap of .03 nats per token that grows by .04 from the least able to the most able, and differs by .01 from training to training.
Nobody has read an item: every accusation is false.

    python -m bench.leakage.family_rule [--json family-false,family-plain] [--suspects 2700]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from bench.answers import answer, offer
from skyloom.leakage.family import FamilyHead, MemberCosts, ModelFamily, judge_member, predict
from skyloom.score.intervals import wilson

BARS = ("family-false", "family-plain")
SEED, SUSPECTS, MODELS, ITEMS, LEVEL = 16, 2700, 8, 300, 0.05
SHARED, OWN, RANGE, STYLE, SLOPE, TRAINING = 0.17, 0.07, 0.5, 0.03, 0.04, 0.01
BYTES_A_TOKEN = 4
SETS = ("benchmark", "reference", "ability")
HEAD: FamilyHead = {
    "family": 1, "benchmark_sha256": "", "sha256": {}, "sets": dict.fromkeys(SETS, ITEMS), "template": "", "benchmark_date": None,
}  # fmt: skip
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Of all suspects: whom our rule judged, and whom each rule accused; `bare`: ours without the floor of the item noise."""

    suspects: int
    judged: int
    family: int
    bare: int
    plain: int
    difference: int


def member(
    name: str, ability: float, shared: dict[str, Floats], tokens: npt.NDArray[np.int64], rng: np.random.Generator, own: float
) -> MemberCosts:
    """A clean model's costs."""
    style = STYLE + SLOPE * (ability - 0.5) + rng.normal(0, TRAINING)
    nats = {}
    for one in SETS:
        loss = 1.5 - RANGE * ability + shared[one] + rng.normal(0, own, len(tokens)) + (style if one == "reference" else 0.0)
        nats[one] = loss * tokens
    return MemberCosts(name, name, None, "declared", nats, dict.fromkeys(SETS, tokens * BYTES_A_TOKEN))


def accused_plainly(suspect: MemberCosts) -> bool:
    """Plain Δ1: the mean loss of the benchmark is below the reference's, one-sided 5 %, items drawn."""
    a, b = (suspect.nats[one] / suspect.bytes[one] for one in SETS[:2])
    return bool((a.mean() - b.mean()) / math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) < -1.645)


def accused_by_difference(suspect: MemberCosts, family: Sequence[MemberCosts]) -> bool:
    """The suspect's gap minus the mean of the family's, item by item, with the noise of items alone."""
    rest = [
        suspect.nats[one] / suspect.bytes[one] - np.mean([m.nats[one] / m.bytes[one] for m in family], axis=0) for one in SETS[:2]
    ]
    a, b = rest
    return bool((a.mean() - b.mean()) / math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) < -1.645)


@cache
def simulated(suspects: int = SUSPECTS, models: int = MODELS, own: float = OWN, seed: int = SEED, resamples: int = 200) -> Counts:
    """Clean suspects, each with items and a family of its own; `own`: what items cost the suspect beyond what they cost all."""
    judged = family = bare = plain = difference = 0
    for number in range(suspects):
        rng = np.random.default_rng([seed, models, int(own * 1000), number])
        shared = {one: rng.normal(0, SHARED, ITEMS) for one in SETS}
        tokens = rng.integers(60, 250, ITEMS)
        members = tuple(member(f"m{k}", a, shared, tokens, rng, OWN) for k, a in enumerate(rng.uniform(0, 1, models)))
        suspect = member("suspect", float(rng.uniform(0, 1)), shared, tokens, rng, own)
        found = judge_member(
            ModelFamily(HEAD, dict.fromkeys(SETS, tuple(map(str, range(ITEMS)))), members), suspect, resamples=resamples
        )
        judged += found.p is not None
        family += found.p is not None and found.p < LEVEL
        abilities, gaps = np.array([m.ability for m in members]), np.array([m.gap for m in members])
        bare += found.p is not None and predict(abilities, gaps, suspect.ability, suspect.gap).p < LEVEL
        plain += accused_plainly(suspect)
        difference += accused_by_difference(suspect, members)
    return Counts(suspects, judged, family, bare, plain, difference)


@dataclass(frozen=True)
class Mixed:
    """A reference of which a tenth has another style. `comparable`: share of draws in which the AUC's upper end is at most .60."""

    items: int
    auc: float
    comparable: float
    accused: int
    draws: int


OTHER_STYLE, SHARE = 0.056, 0.1
"""Nats per token by which the published reference's style is dearer, and the share of such items."""


@cache
def mixed(items: int, draws: int = 4000, seed: int = SEED) -> Mixed:
    """Plain Δ1 of a clean model, where a bag of words knows the items of the other style without fault and no others (AUC .55)."""
    rng = np.random.default_rng([seed, items])
    deviation = math.hypot(SHARED, OWN)
    accused = comparable = 0
    aucs = np.empty(draws)
    for k in range(draws):
        benchmark = rng.normal(0, deviation, items)
        other = rng.uniform(size=items) < SHARE
        reference = rng.normal(0, deviation, items) + OTHER_STYLE * other
        error = math.sqrt(benchmark.var(ddof=1) / items + reference.var(ddof=1) / items)
        accused += (benchmark.mean() - reference.mean()) / error < -1.645
        seen = np.concatenate([rng.uniform(size=items), rng.uniform(size=items) + other])
        ranks = np.argsort(np.argsort(seen)) + 1
        area = (ranks[items:].sum() - items * (items + 1) / 2) / items**2
        q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)  # Hanley and McNeil, 1982
        spread = math.sqrt((area * (1 - area) + (items - 1) * (q1 + q2 - 2 * area**2)) / items**2)
        aucs[k] = area
        comparable += area + 1.96 * spread <= 0.60
    return Mixed(items, float(aucs.mean()), comparable / draws, int(accused), draws)


def value(bar: str, suspects: int) -> float:
    found = simulated(suspects)
    return found.family / found.judged if bar == "family-false" else found.plain / found.suspects


def line(name: str, count: int, of: int) -> None:
    share = wilson(count, of)
    print(f"{name:58s} {100 * share.value:5.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}] of {of:,}")


def tables(suspects: int) -> None:
    for models, own in ((MODELS, OWN), (12, OWN), (MODELS, 3 * OWN)):
        found = simulated(suspects if own == OWN and models == MODELS else suspects // 4, models, own)
        print(f"clean suspects, {models} models, {ITEMS} items of each set, own noise of the suspect {own:.2f}")
        line("  family rule: accused, of those judged", found.family, found.judged)
        line("  the same without the floor of the suspect's item noise", found.bare, found.judged)
        line("  cannot tell: ability outside the family's range", found.suspects - found.judged, found.suspects)
        line("  difference to the family's mean, items resampled: accused", found.difference, found.suspects)
        line("  plain Δ1: accused", found.plain, found.suspects)
    print(f"\na tenth of the reference in a style that is dearer by {OTHER_STYLE} nats per token")
    for items in (300, 600, 1000):
        one = mixed(items)
        print(f"  {items:5,} items: AUC {one.auc:.3f}, called comparable (upper end at most .60) in {100 * one.comparable:.0f} %")
        line("    plain Δ1: accused", one.accused, one.draws)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    offer(parser, BARS)
    parser.add_argument("--suspects", type=int, default=SUSPECTS)
    asked = parser.parse_args(arguments)
    return answer(asked.json, lambda bar: value(bar, asked.suspects), lambda: tables(asked.suspects))


if __name__ == "__main__":
    sys.exit(main())
