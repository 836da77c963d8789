"""The planner against the report's Table 10: constants fitted on LLaMA2-13B, the Skywork-13B rows predicted."""

from dataclasses import astuple

import pytest

from skyloom.planner import table10 as table
from skyloom.planner.machines import TABLE10


def test_the_frozen_constants_are_the_fit():
    """If this fails after a change of the model of memory or time, write what `fit` gives into plan_machines.TABLE10."""
    assert astuple(TABLE10) == pytest.approx(astuple(table.fit()), rel=2e-4)
    assert len(astuple(TABLE10)) <= 4


def test_the_fit_sees_only_the_fitted_model(monkeypatch):
    def half(rows):
        return tuple(row if row.model == table.FITTED else table._row(row.model, 512, 1, 1, 1, 1, 1, 1) for row in rows)

    before = astuple(table.fit())
    monkeypatch.setattr(table, "ROWS", half(table.ROWS))
    assert astuple(table.fit()) == before


def test_the_fit_finds_constants_that_made_the_rows():
    """A table made with known constants gives them back."""
    truth = table.Calibration(0.5, 0.45, 0.7, 7.0)
    made = []
    for row in table.rows(table.FITTED):
        if row.ran:
            found = table.predict(row, truth)
            made.append(table.Row(row.model, row.layout, found.tokens, gib=found.gib))
    assert astuple(table.fit(made)) == pytest.approx(astuple(truth), rel=1e-4)


def test_the_other_half_is_predicted_within_the_bars():
    found = table.validate()
    assert found.tokens_mean <= 0.025 and found.tokens_most <= 0.05
    assert found.memory_mean <= 0.04 and found.memory_most <= 0.06
    assert found.memory_kinds and found.ranked
    assert found.days == pytest.approx(table.DAYS, rel=0.05)


def test_the_fitted_half_runs_out_of_memory_where_the_table_does():
    found = [table.predict(row) for row in table.rows(table.FITTED)]
    assert [p.fits for p in found] == [p.row.ran for p in found]


def test_one_row_contradicts_itself():
    """TFLOP/s over tokens/s is one number for a model; MFU and TFLOP/s always agree."""
    for model in (table.FITTED, table.PREDICTED):
        found = table.contradictions(model)
        off = {str(c.row.layout): c.off for c in found if abs(c.off) > table.CONTRADICTION}
        assert list(off) == (["DP128+TP4"] if model == table.FITTED else [])
        assert all(abs(c.row.tflops / 312 * 100 - c.row.mfu) < 0.06 for c in found)
    wrong = table.contradictions(table.FITTED)[-1]
    assert wrong.off == pytest.approx(-0.11, abs=0.005) and wrong.implied == pytest.approx(1551, abs=1)


def test_the_tables_gb_are_gib():
    """To 3 % in GiB without any constant, 8 % off in units of 10^9 bytes."""
    for model in (table.FITTED, table.PREDICTED):
        printed, size = table.stage_difference(model)
        assert printed == pytest.approx(size / 2**30, rel=0.03) and printed != pytest.approx(size / 1e9, rel=0.07)


def test_treatments_change_only_the_contradicting_row():
    printed = table.rows(table.FITTED)
    for name, treat in table.TREATMENTS.items():
        changed = [(a, b) for a, b in zip(printed, treat(table.FITTED), strict=True) if a != b]
        assert [str(a.layout) for a, _ in changed] == ([] if name == "as printed" else ["DP128+TP4"])
        assert all(a.gib == b.gib for a, b in changed)
    as_printed = table.validate(table.fit(printed))
    assert as_printed.tokens_most > 2 * table.validate().tokens_most


def test_ranking_counts_ties_and_sees_wrong_orders():
    rows = [r for r in table.rows(table.PREDICTED) if r.ran]
    right = [table.Prediction(r, True, r.tokens, r.gib) for r in rows]
    assert table._ranked(right)
    swapped = [table.Prediction(r, True, {1775: 1777.0}.get(r.tokens, r.tokens), r.gib) for r in rows]  # beside 1776: a tie
    assert table._ranked(swapped)
    wrong = [table.Prediction(r, True, {1828: 1770.0}.get(r.tokens, r.tokens), r.gib) for r in rows]
    assert not table._ranked(wrong)
