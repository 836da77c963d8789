"""Settings of token shards and of the data mixture of a training stage (report 2.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.data.share_curves import Knots, Points, curve, evenly, stairs

CANARY = "canary"


@dataclass(frozen=True)
class PackConfig:
    """How documents become token shards."""

    seed: int = setting(1, doc="orders the documents inside each domain", low=0)
    canary_copies: int = setting(10, doc="how often each canary stands in its domain; 0 leaves the canaries out", low=0)


TOLERANCE = 1e-12
"""Of sums of shares in float64. A stage of 3 T tokens is then exact to a few tokens, which is far less than a sample."""


@dataclass(frozen=True)
class Phase:
    """One stage's part of the recipe. A name is a domain (`stem_en`) or a category (`stem`: all `stem_…` by their size)."""

    tokens: int = setting(doc="length of the stage", unit="tokens", low=1)
    shares: dict[str, float] = setting(
        factory=dict, doc="base shares by name, normalised over what exists; empty: in proportion to the tokens there are"
    )
    ramp: dict[str, tuple[float, ...]] = setting(
        factory=dict, doc="shares of what passes leave over, at evenly spaced points, linear in between: stem = [0.1, 0.4]"
    )
    curve: dict[str, tuple[tuple[int, float], ...]] = setting(
        factory=dict, doc="the same at given tokens of the stage: stem = [[0, 0.1], [90_000, 0.2], [130_000, 0.4]]"
    )
    steps: dict[str, tuple[tuple[int, float], ...]] = setting(
        factory=dict, doc="the same, held from a token on until the next: web_zh = [[0, 0.4], [90_000, 0.2]]"
    )
    passes: dict[str, int] = setting(factory=dict, doc="names that are gone through exactly this often: canary = 1")
    repeat_cap: float = setting(5.0, doc="most passes over any domain, earlier stages included", unit="epochs", low=0.0)
    fit: bool = setting(
        False, doc="beyond the repeat cap, let scarce sources of `shares` give less, then shorten the stage, instead of refusing it"
    )

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for kind, names in (("ramp", self.ramp), ("curve", self.curve), ("steps", self.steps), ("passes", self.passes)):
            for name in names:
                if name in seen:
                    raise ConfigError(f"{name} stands in {seen[name]} and in {kind}; a name has one of ramp, curve, steps, passes")
                seen[name] = kind
        for name, share in self.shares.items():
            _check_share(f"shares.{name}", share)
        for name, shares in self.ramp.items():
            for share in shares:
                _check_share(f"ramp.{name}", share)
        for key, points in (*_keyed("curve", self.curve), *_keyed("steps", self.steps)):
            _check_points(key, points, self.tokens)

    def resized(self, tokens: int) -> Phase:
        """The phase with another length, the points of its share curves moved in proportion."""

        def moved(curves: Mapping[str, Points]) -> dict[str, Points]:
            # Points that come to lie on one token: the last of them holds.
            return {k: tuple({place * tokens // self.tokens: share for place, share in v}.items()) for k, v in curves.items()}

        return replace(self, tokens=tokens, curve=moved(self.curve), steps=moved(self.steps))

    def share_curves(self) -> dict[str, Knots]:
        """How the shares of `ramp`, `curve` and `steps` run over the stage."""
        bent = {name: evenly(shares) for name, shares in self.ramp.items() if shares}
        bent |= {name: curve(points, self.tokens) for name, points in self.curve.items() if points}
        return bent | {name: stairs(points, self.tokens) for name, points in self.steps.items() if points}


def _check_share(key: str, share: float) -> None:
    if not math.isfinite(share):
        raise ConfigError(f"{key} holds {share}; a share is a number")


def _keyed(kind: str, curves: Mapping[str, Points]) -> list[tuple[str, Points]]:
    return [(f"{kind}.{name}", points) for name, points in curves.items()]


def _check_points(key: str, points: Points, tokens: int) -> None:
    """ConfigError if the points of a share curve are not places of the stage in order, or its shares no shares."""
    places = [place for place, _ in points]
    for _, share in points:
        _check_share(key, share)
        if not 0 <= share <= 1:
            raise ConfigError(f"{key} has the share {share:g}; it must lie between 0 and 1")
    if any(a >= b for a, b in pairwise(places)) or any(place < 0 for place in places):
        raise ConfigError(f"{key}: its points must be in order, [token, share] from token 0 on, found tokens {places}")
    if places and places[-1] > tokens:
        raise ConfigError(f"{key} has a point at token {places[-1]:,}, the stage has {tokens:,}")
    if places and key.startswith("steps") and places[0]:
        raise ConfigError(f"{key} must say from token 0 on what holds; its first point is at token {places[0]:,}")
