from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.data.share_curves import corners, curve, evenly, mean, stairs, value

TOKENS = 1_000
SHARES = st.floats(0, 1)
POINTS = st.dictionaries(st.integers(0, TOKENS), SHARES, min_size=1, max_size=6).map(lambda d: tuple(sorted(d.items())))


def sampled(knots, after: bool) -> np.ndarray:
    return np.array([value(knots, token / TOKENS, after=after) for token in range(TOKENS + 1)])


@settings(max_examples=60, deadline=None)
@given(points=POINTS)
def test_a_curve_is_numpys_interpolation(points):
    expected = np.interp(np.arange(TOKENS + 1), [p for p, _ in points], [s for _, s in points])
    for after in (False, True):
        np.testing.assert_allclose(sampled(curve(points, TOKENS), after), expected, atol=1e-9)
    assert mean(curve(points, TOKENS)) == pytest.approx(np.trapezoid(expected) / TOKENS, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(points=POINTS, first=SHARES)
def test_steps_hold_from_their_token_to_the_next(points, first):
    points = ((0, first), *((p, s) for p, s in points if p))
    held = [[s for p, s in points if p <= token][-1] for token in range(TOKENS)]
    knots = stairs(points, TOKENS)
    np.testing.assert_allclose(sampled(knots, True)[:-1], held)
    np.testing.assert_allclose(sampled(knots, False)[1:], held, err_msg="before a step the share is that of the token before")
    assert mean(knots) == pytest.approx(np.mean(held))
    steps = {p / TOKENS for p, _ in points if 0 < p < TOKENS}
    assert corners([knots]) == sorted({(0.0, True), (1.0, False)} | {(p, a) for p in steps for a in (False, True)})


def test_a_ramp_has_evenly_spaced_points():
    assert evenly((0.1, 0.4)) == ((0.0, 0.1), (1.0, 0.4)) and evenly((0.2,)) == ((0.0, 0.2), (1.0, 0.2))
    assert [value(evenly((0.0, 0.4, 0.2)), p, after=True) for p in (0.25, 0.5, 0.75)] == pytest.approx([0.2, 0.4, 0.3])
    assert mean(evenly((0.1, 0.4))) == pytest.approx(0.25)
    assert corners([evenly((0.0, 0.4, 0.2)), evenly((0.1, 0.4))]) == [(0.0, True), (0.5, True), (1.0, False)]
