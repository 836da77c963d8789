"""The data mixture of a training stage: which share of its tokens comes from which source (report 2.1, Table 1).

A phase of the recipe is resolved against the manifest of the tokens; the result is a checked plan.

Shares are of tokens. In Stage 1 they are constant; in Stage 2 STEM rises from 10 % to 40 % while the other domains share the
rest in proportion to their base shares. So a source may have a share curve of its own, piecewise linear or stepwise in
tokens. A domain may instead be given a number of passes: it is then gone through exactly that often, spread evenly over the
stage; the canaries need this.

A source is repeated at most 5 times (report 2.1; Muennighoff et al. 2023, arXiv 2305.16264, find four passes nearly as
good as new data and little left after that). A plan that wants more is refused before anything runs, with the figures; or,
with `fit` on, sources of `shares` that run out leave their place to the others, and if that is not enough the stage is
shortened. Share curves and passes are kept as they are: they are what a stage is about. (A stage is
shortened as a whole: its share curves keep their form.)

Nothing here follows the order in which a recipe writes its names: a phase holds them sorted, and shares are summed exactly.

`mixture_table` says what came of it: planned against realised, with the passes over each part, in the form of Table 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import ConfigError
from skyloom.core.json_files import TokensManifest
from skyloom.core.progress import Progress
from skyloom.data.config import CANARY, TOLERANCE, Phase
from skyloom.data.share_curves import Knots, corners, covers, mean, value


@dataclass(frozen=True)
class StagePlan:
    """A phase resolved against a manifest. Tuples run over `domains`; `used` is what earlier stages read, in tokens.

    `shares[k]` are the shares at `positions[k]` (0 to 1 through the stage) of what `passes` (0: no fixed number) leave over;
    each row adds up to 1, and shares are linear between positions; two equal positions are a step. `set_aside`: what earlier
    stages read of domains that this one does not. `name` stands in messages.
    """

    tokens: int
    domains: tuple[str, ...]
    available: tuple[int, ...]
    used: tuple[int, ...]
    passes: tuple[int, ...]
    positions: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]
    set_aside: tuple[tuple[str, int], ...] = ()
    repeat_cap: float = math.inf
    name: str = "stage"

    def mean_shares(self) -> npt.NDArray[np.float64]:
        """Shares averaged over the stage, of what the passes leave over, float64[domains]."""
        rows, widths = np.array(self.shares), np.diff(self.positions)
        return np.asarray((rows[:-1] + rows[1:]).T @ widths / 2)

    def wants(self) -> dict[str, float]:
        """Tokens that the stage reads of each domain."""
        fixed = np.array(self.passes) * np.array(self.available, np.float64)
        wanted = fixed + (self.tokens - fixed.sum()) * self.mean_shares()
        return dict(zip(self.domains, wanted.tolist(), strict=True))

    def epochs(self) -> dict[str, float]:
        """Passes over each domain at the end of the stage, earlier stages included."""
        sizes = zip(self.domains, self.available, self.used, strict=True)
        wanted = self.wants()
        return {d: (wanted[d] + used) / available for d, available, used in sizes}


def resolve(
    phase: Phase, manifest: TokensManifest, *, progress: Progress, name: str = "stage", used: Mapping[str, float] | None = None
) -> StagePlan:
    """The plan of a phase for the domains of `tokens.json`.

    `used`: tokens of each domain that earlier stages have read (`Loader.consumed`); they count against the cap, and the
    loader goes on where they ended. ConfigError if nothing is left to read, shares make no sense, or a domain would be
    repeated beyond the cap and `phase.fit` is off.
    """
    available = {d: int(entry["tokens"]) for d, entry in sorted(manifest["domains"].items()) if entry["tokens"]}
    read = {d: round(n) for d, n in (used or {}).items() if n}
    _check_present(phase, available, name)
    passes = {d: n for group, n in phase.passes.items() if n for d in _members(group, available)}
    curves = {group: knots for group, knots in phase.share_curves().items() if _members(group, available)}
    base = _base(phase, available, {*passes, *(d for r in curves for d in _members(r, available))}, name, progress)
    if phase.fit:
        left = {d: max(phase.repeat_cap * size - read.get(d, 0), 0.0) for d, size in available.items()}
        free = phase.tokens - sum(n * available[d] for d, n in passes.items())
        base = _within_reach(base, left, _base_tokens(free, curves, left, available), name, progress)
    positions, rows = _rows(curves, base, available, name)
    domains = tuple(d for d in available if d in passes or any(row.get(d) for row in rows))
    plan = StagePlan(
        tokens=phase.tokens,
        domains=domains,
        available=tuple(available[d] for d in domains),
        used=tuple(read.get(d, 0) for d in domains),
        passes=tuple(passes.get(d, 0) for d in domains),
        positions=positions,
        shares=tuple(tuple(row.get(d, 0.0) for d in domains) for row in rows),
        set_aside=tuple(sorted((d, n) for d, n in read.items() if d not in domains)),
        repeat_cap=phase.repeat_cap,
        name=name,
    )
    return _capped(plan, phase, name, progress)


def _capped(plan: StagePlan, phase: Phase, name: str, progress: Progress) -> StagePlan:
    """The plan, shortened if it must be and may be. ConfigError naming the source that would be repeated too often."""
    fixed = sum(n * tokens for n, tokens in zip(plan.passes, plan.available, strict=True))
    longest, tightest = float("inf"), ""
    columns = zip(plan.domains, plan.available, plan.used, plan.passes, plan.mean_shares().tolist(), strict=True)
    for domain, available, used, passes, share in columns:
        left = phase.repeat_cap * available - used
        if passes and passes * available > left + TOLERANCE * available:
            raise ConfigError(
                f"{name}: {domain} has {available:,} tokens and was read {used / available:.2f} times before; {passes} more "
                f"passes exceed the cap of {phase.repeat_cap:g}. Lower {name}.passes or raise {name}.repeat_cap"
            )
        if not passes and share > 0 and fixed + max(left, 0.0) / share < longest:
            longest, tightest = fixed + max(left, 0.0) / share, domain
    if fixed >= plan.tokens:
        raise ConfigError(
            f"{name}: the passes take {fixed:,} tokens, the stage has {plan.tokens:,}; raise {name}.tokens or lower {name}.passes"
        )
    if plan.tokens <= longest * (1 + TOLERANCE):
        return plan
    has, wants, epochs = plan.available[plan.domains.index(tightest)], plan.wants()[tightest], plan.epochs()[tightest]
    problem = (
        f"{name}: {tightest} has {has:,} tokens and the plan of {plan.tokens:,} tokens wants {wants:,.0f} of it "
        f"({epochs:.1f} passes by the end, the cap is {phase.repeat_cap:g})"
    )
    if longest <= fixed:
        raise ConfigError(f"{problem}. Nothing of it is left to read: give {tightest} more text or no share in {name}")
    if not phase.fit:
        raise ConfigError(
            f"{problem}. Give {tightest} more text or a smaller share, set {name}.tokens to at most {int(longest):,}, "
            f"or set {name}.fit = true"
        )
    progress.log(f"{problem}; the stage is shortened to {int(longest):,} tokens")
    return replace(plan, tokens=int(longest * (1 + TOLERANCE)))


def _base_tokens(tokens: float, curves: Mapping[str, Knots], left: Mapping[str, float], available: Mapping[str, int]) -> float:
    """What share curves leave to the base shares, of `tokens` tokens or of as many as the curves' sources have text for."""
    means = {d: mean(knots) * part for group, knots in curves.items() for d, part in _split(group, available).items()}
    longest = min([tokens, *(left[d] / share for d, share in means.items() if share > 0)])
    return max(longest * (1 - math.fsum(means.values())), 0.0)


def _within_reach(
    base: dict[str, float], left: Mapping[str, float], tokens: float, name: str, progress: Progress
) -> dict[str, float]:
    """Base shares in which no source is asked for more than its `left` in tokens, as far as all together have enough."""
    total = math.fsum(left[d] for d in base)
    if total <= tokens:  # all run out together, and then the stage is shortened
        return {d: left[d] / total for d in base if left[d]} if total else base
    shares, full = dict(base), set[str]()
    while over := [d for d in shares if d not in full and shares[d] * tokens > left[d] * (1 + TOLERANCE)]:
        full.update(over)
        rest_share = 1 - math.fsum(left[d] for d in full) / tokens  # `full` is a set: a plain sum would follow its order
        rest = math.fsum(base[d] for d in base if d not in full)
        shares = {d: left[d] / tokens if d in full else base[d] / rest * rest_share for d in base}
    if full:
        told = ", ".join(f"{d} {base[d]:.3f} → {shares[d]:.3f}" for d in sorted(full))
        progress.log(
            f"{name}: too little text for some base shares under the repeat cap; lowered, the others take their place: {told}"
        )
    return shares


def _check_present(phase: Phase, available: Mapping[str, int], name: str) -> None:
    """ConfigError if passes or a share curve ask for what no part has: the stage would not be what its recipe says."""
    asked = {group: "passes" for group, n in phase.passes.items() if n}
    asked |= {group: phase.names()[group] for group, knots in phase.share_curves().items() if any(share for _, share in knots)}
    for group, kind in asked.items():
        if not _members(group, available):
            raise ConfigError(
                f"{name}.{kind} names '{group}', and there are no tokens of it (there are: {', '.join(available) or 'none'}); "
                "correct the name, give it text, or leave it out"
            )


def _base(phase: Phase, available: Mapping[str, int], taken: set[str], name: str, progress: Progress) -> dict[str, float]:
    """Base shares of the domains that have neither a ramp nor a number of passes; they add up to 1, or there are none."""
    if phase.shares:
        weights: dict[str, float] = {}
        for group, share in _present(phase.shares, available, f"{name}.shares", progress).items():
            weights |= {d: share * w for d, w in _split(group, available).items() if d not in taken}
    else:
        weights = {d: float(tokens) for d, tokens in available.items() if d not in taken and d != CANARY}
    total = math.fsum(weights.values())
    return {d: w / total for d, w in weights.items() if w > 0}


def _rows(
    curves: Mapping[str, Knots], base: Mapping[str, float], available: Mapping[str, int], name: str
) -> tuple[tuple[float, ...], list[dict[str, float]]]:
    """Positions from 0 to 1 and the shares there, each row adding up to 1."""
    if not base and not curves:
        raise ConfigError(f"{name}: none of its sources has tokens; there are: {', '.join(available) or 'none at all'}")
    positions, rows = [], []
    for position, after in corners(curves.values()):
        row: dict[str, float] = {}
        for group, knots in curves.items():
            share = value(knots, position, after=after)
            row |= {d: share * w for d, w in _split(group, available).items()}
        bent = math.fsum(row.values())
        if not base and bent <= 0:
            raise ConfigError(
                f"{name}: at {position:.0%} of the stage ramp, curve and steps leave all to the base shares, and there are none: "
                f"give a source in {name}.shares"
            )
        if base:
            row |= {d: max(1 - bent, 0.0) * share for d, share in base.items()}
        total = math.fsum(row.values())
        positions.append(position)
        rows.append({d: share / total for d, share in row.items()})
    return tuple(positions), rows


def _present(shares: Mapping[str, float], available: Mapping[str, int], key: str, progress: Progress) -> dict[str, float]:
    absent = [group for group in shares if not _members(group, available)]
    if absent:
        progress.log(
            f"{key}: no tokens of {', '.join(absent)} (there are: {', '.join(available)}); the others share what it would take"
        )
    return {group: share for group, share in shares.items() if group not in absent}


def _members(group: str, available: Mapping[str, int]) -> list[str]:
    return [d for d in available if covers(group, d)]


def _split(group: str, available: Mapping[str, int]) -> dict[str, float]:
    """The domains of a group with their parts of it, by the tokens they have."""
    members = _members(group, available)
    total = sum(available[d] for d in members)
    return {d: available[d] / total for d in members}
