"""Whether a model's gap between two sets is more than its ability explains: a regression over models that are clean.

Input: the family's costs and the suspect's. Output: a `FamilyFinding`. A plain gap (benchmark minus reference) mixes leakage with
style and with ability. Over clean models the gap is regressed on ability (bits per byte on a third set, never on the two whose gap
is judged); the suspect is judged by its residual, against a prediction interval with leverage and Student's quantile. A leak makes
the benchmark cheaper, so the test is one-sided: p is the chance of a residual so low.

**Noise of items.** The items of the two sets are a sample, and every gap carries their noise. All models read the same items. So
the part of the noise that they share (an easy item is easy for all) moves the line and the suspect alike, and falls out of the
residual. The part of its own (what one model finds easy) is in each member's residual; so the family's spread s holds it already,
beside what differs between trainings, and to add the suspect's own part to s would count it twice. But s knows it only for models
like the members, and a suspect may be noisier than they are. So items are drawn again, the same ones for all models, with the line
fitted anew each time: v is the variance of the suspect's residual by its items alone, the line's noise included. The variance of
the prediction is the larger of s² (1 + h) and v, where h is the leverage. So the suspect's noise of items is always covered, and
counted once.

Several models of one lineage are one point, their mean: their errors are no independent evidence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

import numpy as np
from scipy import stats

from skyloom.leakage.family.family_file import (
    ABILITY,
    BENCHMARK,
    BY_DATE,
    DECLARED,
    REFERENCE,
    SETS,
    FamilyRow,
    MemberCosts,
    ModelFamily,
    member_of,
)
from skyloom.score.intervals import Floats, figure, generator, resampled_sums

FEWEST = 8
"""Lineages below which the spread of a line is not known well enough to judge by."""
RESAMPLES = 1000
LEVEL = 0.95


class FamilyMember(TypedDict):
    """A model of the family in `leak.json`. Ability and gap in bits per byte; more ability is fewer bits, so it is below zero."""

    model: str
    lineage: str
    released: str | None
    ability: float | None
    gap: float | None


class SuspectPoint(TypedDict):
    ability: float | None
    gap: float | None


@dataclass(frozen=True)
class FamilyFinding:
    """What the family says. `residual`, `low`, `high`: the suspect's gap beyond the line, with its two-sided 95 % prediction
    interval; `p`: one-sided. All None where it cannot tell, and `why` says what is missing. `inside`: the suspect's ability lies in
    the family's range. `declared`: models that are clean by the user's word alone."""

    models: list[FamilyMember]
    suspect: SuspectPoint
    slope: float | None
    intercept: float | None
    residual: float | None
    low: float | None
    high: float | None
    p: float | None
    inside: bool
    why: str
    declared: list[str]

    @property
    def tells(self) -> bool:
        return self.p is not None

    def as_json(self) -> dict[str, object]:
        """The object `family` of `leak.json`."""
        return asdict(self)


@dataclass(frozen=True)
class LinePrediction:
    """A suspect beside a line. `spread`: standard error of the prediction; `leverage` h; `degrees` of freedom n − 2."""

    slope: float
    intercept: float
    residual: float
    spread: float
    leverage: float
    degrees: int
    p: float
    reach: float


def predict(abilities: Floats, gaps: Floats, ability: float, gap: float, item_variance: float = 0.0) -> LinePrediction:
    """A least-squares line through points float64[n], n ≥ 3, and how far below it the suspect lies.

    `item_variance`: variance of the suspect's residual by its items alone, the smallest that the prediction may have."""
    count, middle = len(abilities), float(abilities.mean())
    square = float(((abilities - middle) ** 2).sum())
    slope = float(((abilities - middle) * (gaps - gaps.mean())).sum() / square) if square > 0 else 0.0
    intercept = float(gaps.mean()) - slope * middle
    rest = gaps - intercept - slope * abilities
    variance = float((rest**2).sum()) / (count - 2)
    leverage = 1 / count + ((ability - middle) ** 2 / square if square > 0 else 0.0)
    spread = math.sqrt(max(variance * (1 + leverage), item_variance))
    residual = gap - intercept - slope * ability
    ratio = residual / spread if spread > 0 else (0.0 if residual == 0 else math.copysign(math.inf, residual))
    p = float(stats.t.cdf(ratio, count - 2))
    return LinePrediction(
        slope, intercept, residual, spread, leverage, count - 2, p, float(stats.t.ppf(0.5 + LEVEL / 2, count - 2)) * spread
    )


def judge_family(
    family: ModelFamily, suspect_rows: Sequence[FamilyRow], *, seed: int = 1, resamples: int = RESAMPLES
) -> FamilyFinding:
    """The suspect's gap against the family's. DataError if it was scored on other items, or is one of the family's models."""
    suspect = member_of(suspect_rows, family, "the suspect's costs")
    return judge_member(family, suspect, seed=seed, resamples=resamples)


def judge_member(family: ModelFamily, suspect: MemberCosts, *, seed: int = 1, resamples: int = RESAMPLES) -> FamilyFinding:
    """As `judge_family`, for costs that have been brought into order."""
    members = [m for m in family.members if m.model != suspect.model and m.lineage != suspect.lineage]
    clean = [m for m in members if m.clean in (BY_DATE, DECLARED)]
    groups: defaultdict[str, list[MemberCosts]] = defaultdict(list)
    for member in clean:
        groups[member.lineage].append(member)
    lineages = [groups[name] for name in sorted(groups)]
    abilities = np.array([np.mean([m.ability for m in g]) for g in lineages], np.float64)
    gaps = np.array([np.mean([m.gap for m in g]) for g in lineages], np.float64)
    inside = bool(len(lineages) and abilities.min() <= suspect.ability <= abilities.max())
    why = _missing(family, suspect, members, clean, len(lineages)) or _outside(abilities, suspect, inside)
    found = None
    if not why:
        variance = _item_variance(lineages, suspect, generator(seed, "family"), resamples)
        found = predict(abilities, gaps, suspect.ability, suspect.gap, variance)
        why = _told(found, len(lineages))
    declared = [m.model for m in clean if m.clean == DECLARED]
    if declared:
        why += f"; clean by the user's word, not by date: {', '.join(declared)}"
    return FamilyFinding(
        [_shown(m) for m in clean], {"ability": figure(suspect.ability), "gap": figure(suspect.gap)},
        figure(found.slope) if found else None, figure(found.intercept) if found else None,
        figure(found.residual) if found else None, figure(found.residual - found.reach) if found else None,
        figure(found.residual + found.reach) if found else None, figure(found.p) if found else None, inside, why, declared,
    )  # fmt: skip


def _shown(member: MemberCosts) -> FamilyMember:
    return {
        "model": member.model, "lineage": member.lineage, "released": member.released,
        "ability": figure(member.ability), "gap": figure(member.gap),
    }  # fmt: skip


def _missing(
    family: ModelFamily, suspect: MemberCosts, members: Sequence[MemberCosts], clean: Sequence[MemberCosts], count: int
) -> str:
    """Why a family is too small, "" if it is not."""
    if count >= FEWEST:
        return ""
    unknown = [m.model for m in members if m not in clean]
    own = [m.model for m in family.members if m not in members]
    more = f"cannot tell: the family has {count} clean lineages, {FEWEST} are needed"
    if len(clean) > count:
        more += f"; {len(clean)} models, but those of one lineage count once"
    if unknown:
        more += f"; not known to be clean (neither released before the benchmark nor declared): {', '.join(unknown)}"
    if own:
        more += f"; of the suspect's own lineage or name: {', '.join(own)}"
    return more


def _outside(abilities: Floats, suspect: MemberCosts, inside: bool) -> str:
    if inside:
        return ""
    side = "more able than all" if suspect.ability > abilities.max() else "less able than all"
    return (
        f"cannot tell: the suspect is {side} of the family ({-suspect.ability:.3f} bits per byte on the third set, the family has "
        f"{-abilities.max():.3f} to {-abilities.min():.3f}); a line says nothing outside of its points"
    )


def _told(found: LinePrediction, count: int) -> str:
    return (
        f"the gap lies {abs(found.residual):.4f} bits per byte {'below' if found.residual < 0 else 'above'} the line through "
        f"{count} clean lineages; prediction with leverage {found.leverage:.2f}, {found.degrees} degrees of freedom"
    )


def _item_variance(
    lineages: Sequence[Sequence[MemberCosts]], suspect: MemberCosts, rng: np.random.Generator, resamples: int
) -> float:
    """Variance of the suspect's residual when items are drawn again: the same items for all models, so that what they share
    falls out; the line is fitted anew in each draw."""
    everybody = [*(member for group in lineages for member in group), suspect]
    places = {id(member): place for place, member in enumerate(everybody)}
    bits: dict[str, list[Floats]] = {}  # of each set, float64[resamples] for each of `everybody`
    for name in SETS:
        if len(suspect.nats[name]) < 2:
            bits[name] = [np.full(resamples, member.bits_per_byte(name)) for member in everybody]
            continue
        columns = [np.asarray(column, np.float64) for member in everybody for column in (member.nats[name], member.bytes[name])]
        sums = resampled_sums(columns, rng, resamples)
        bits[name] = [nats / sizes / math.log(2) for nats, sizes in zip(sums[::2], sums[1::2], strict=True)]

    def rates(member: MemberCosts, name: str) -> Floats:
        return bits[name][places[id(member)]]

    def point(members: Sequence[MemberCosts]) -> tuple[Floats, Floats]:
        x = np.mean([-rates(m, ABILITY) for m in members], axis=0)
        y = np.mean([rates(m, BENCHMARK) - rates(m, REFERENCE) for m in members], axis=0)
        return x, y

    points = [point(group) for group in lineages]
    x, y = (np.stack([p[k] for p in points]) for k in (0, 1))  # float64[lineages, resamples]
    own_x, own_y = point([suspect])
    centred = x - x.mean(0)
    slope = (centred * (y - y.mean(0))).sum(0) / np.maximum((centred**2).sum(0), 1e-300)
    rest = own_y - y.mean(0) - slope * (own_x - x.mean(0))
    return float(np.var(rest, ddof=1))
