"""Share curves: how the share of a source changes over a stage (report 2.1, Stage 2).

A recipe writes a curve in one of three ways; all become one form to compute with. `ramp` has shares at evenly spaced points,
`curve` at given tokens of the stage, both with straight lines between them; `steps` has shares that hold from a given token on.
All become knots: pairs of a position from 0 to 1 through the stage and the share there, in order. Two knots at one position are a
step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

Points = tuple[tuple[int, float], ...]
"""(token of the stage, share), in order."""
Knots = tuple[tuple[float, float], ...]
"""(position, share), in order; the first at 0, the last at 1."""


def evenly(shares: Sequence[float]) -> Knots:
    """Shares at evenly spaced points; one share holds throughout."""
    if len(shares) == 1:
        return ((0.0, shares[0]), (1.0, shares[0]))
    return tuple((i / (len(shares) - 1), share) for i, share in enumerate(shares))


def curve(points: Points, tokens: int) -> Knots:
    """Straight lines between points of a stage of `tokens` tokens; before the first and after the last the share holds."""
    inner = [(place / tokens, share) for place, share in points]
    return tuple([(0.0, points[0][1])] * (points[0][0] > 0) + inner + [(1.0, points[-1][1])] * (points[-1][0] < tokens))


def stairs(points: Points, tokens: int) -> Knots:
    """Shares that hold from their point, the first of which is at token 0, to the next or the end of the stage."""
    ends = [place / tokens for place, _ in points[1:]] + [1.0]
    return tuple(knot for (place, share), end in zip(points, ends, strict=True) for knot in ((place / tokens, share), (end, share)))


def value(knots: Knots, position: float, *, after: bool) -> float:
    """The share at a position; at a step, the one before it or `after` it."""
    ends = bisect_left(knots, position, key=lambda knot: knot[0])  # the piece that ends here, or holds the position
    begins = bisect_right(knots, position, key=lambda knot: knot[0])
    if ends == 0 or (after and begins < len(knots)):
        ends = begins
    (left, before), (right, behind) = knots[ends - 1], knots[ends]
    return before + (behind - before) * (position - left) / (right - left)


def mean(knots: Knots) -> float:
    """The share averaged over the stage."""
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(knots))


def covers(name: str, domain: str) -> bool:
    """Whether a name of a recipe (a domain or a category) means a domain, or means all that another name means."""
    return domain == name or domain.startswith(f"{name}_")


def corners(curves: Iterable[Knots]) -> list[tuple[float, bool]]:
    """Positions at which some share bends or steps, with the ends of the stage; a step comes twice: (position, after it?)."""
    found = {(0.0, True), (1.0, False)}
    for knots in curves:
        for place, times in Counter(place for place, _ in knots if 0 < place < 1).items():
            found.add((place, True))
            if times > 1:
                found.add((place, False))
    return sorted(found)
