"""Settings of token shards and of the data mixture of a training stage (report 2.1).

What can be known of a mixture without the corpus is checked here, when the recipe is read: shares that are no shares, curves
that together want more than there is, a part that two names mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.data.share_curves import Knots, Points, corners, curve, evenly, stairs, value

CANARY = "canary"


@dataclass(frozen=True)
class PackConfig:
    """How documents become token shards."""

    seed: int = setting(1, doc="orders the documents inside each domain", low=0, high=2**63 - 1)
    canary_copies: int = setting(
        10, doc="how often each canary stands in its domain; 0 leaves the canaries out", low=0, high=1_000_000
    )


SPECIAL = ("ramp", "curve", "steps", "passes")
"""Settings that take a name out of `shares`."""
ROUNDING = 1e-9
"""By which shares that people write, such as three times 0.3333333333, may add up to more than 1."""
_NAME_PARTS = 8
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
        for field in fields(self):  # sums of shares, and so the plan and its hash, must not follow the order of keys
            if isinstance(table := getattr(self, field.name), dict):
                object.__setattr__(self, field.name, dict(sorted(table.items())))
        self._check_names()
        if self.repeat_cap <= 0:
            raise ConfigError(f"repeat_cap is {self.repeat_cap:g}, which lets nothing be read; 1 reads everything once")
        for name, passes in self.passes.items():
            if passes < 0:
                raise ConfigError(f"passes.{name} is {passes}, it must not be negative")
        for name, share in self.shares.items():
            _check_share(f"shares.{name}", share, most=math.inf)
        for name, shares in self.ramp.items():
            for share in shares:
                _check_share(f"ramp.{name}", share)
        for key, points in (*_keyed("curve", self.curve), *_keyed("steps", self.steps)):
            _check_points(key, points, self.tokens)
        self._check_sums()

    def names(self) -> dict[str, str]:
        """What `ramp`, `curve`, `steps` and `passes` say something of, and which of them does."""
        return {name: kind for kind in SPECIAL for name in getattr(self, kind)}

    def _check_names(self) -> None:
        """ConfigError if a name, or a part that two names mean, stands twice: which of them holds would be left to chance."""
        seen: dict[str, str] = {}
        for kind in SPECIAL:
            for name in getattr(self, kind):
                if name in seen:
                    raise ConfigError(f"{name} stands in {seen[name]} and in {kind}; a name has one of {', '.join(SPECIAL)}")
                seen[name] = kind
        _check_once(dict.fromkeys(self.shares, "shares"))
        _check_once(seen)

    def _check_sums(self) -> None:
        """ConfigError if at some point of the stage the curves want more than there is, or nothing is asked for at all."""
        curves = self.share_curves()
        nothing = bool(self.shares) and not any(self.shares.values())
        for position, after in corners(curves.values()):
            total = math.fsum(value(knots, position, after=after) for knots in curves.values())
            if total > 1 + ROUNDING:
                raise ConfigError(
                    f"what ramp, curve and steps say adds up to {total:g} at {position:.0%} of the stage; "
                    "it must lie between 0 and 1"
                )
            if nothing and total <= 0:
                raise ConfigError(f"at {position:.0%} of the stage every share is 0: give a source in shares")

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


def _check_once(names: Mapping[str, str]) -> None:
    """ConfigError if one name means a part of another; the values are the settings that they stand in."""
    for name in names:
        parts = name.split("_")
        for wide in ("_".join(parts[:n]) for n in range(1, min(len(parts), _NAME_PARTS))):
            if wide in names:
                raise ConfigError(
                    f"{name} is meant by {name} in {names[name]} and by {wide} in {names[wide]}, which is all of {wide}_…; "
                    "leave one of them out"
                )


def _check_share(key: str, share: float, most: float = 1.0) -> None:
    if not math.isfinite(share):
        raise ConfigError(f"{key} holds {share}; a share is a number")
    if not 0 <= share <= most:
        bounds = "lie between 0 and 1" if most == 1 else "not be negative"
        raise ConfigError(f"{key} has the share {share:g}; it must {bounds}")


def _keyed(kind: str, curves: Mapping[str, Points]) -> list[tuple[str, Points]]:
    return [(f"{kind}.{name}", points) for name, points in curves.items()]


def _check_points(key: str, points: Points, tokens: int) -> None:
    """ConfigError if the points of a share curve are not places of the stage in order, or its shares no shares."""
    places = [place for place, _ in points]
    for _, share in points:
        _check_share(key, share)
    if any(a >= b for a, b in pairwise(places)) or any(place < 0 for place in places):
        raise ConfigError(f"{key}: its points must be in order, [token, share] from token 0 on, found tokens {places}")
    if places and places[-1] > tokens:
        raise ConfigError(f"{key} has a point at token {places[-1]:,}, the stage has {tokens:,}")
    if places and key.startswith("steps") and places[0]:
        raise ConfigError(f"{key} must say from token 0 on what holds; its first point is at token {places[0]:,}")
