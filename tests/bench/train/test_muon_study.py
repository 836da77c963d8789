"""The arithmetic of the study of Muon, and the seconds of a step at a tiny size."""

from dataclasses import replace

import pytest
from studies import muon

from skyloom.model.presets import PRESETS


def test_where_a_curve_reaches_a_loss():
    curve = [(0, 9.0), (100, 5.0), (200, 4.0), (300, 4.5)]
    assert muon.reached(curve, 4.5) == 150 and muon.reached(curve, 5.0) == 100 and muon.reached(curve, 7.0) == 50
    assert muon.reached(curve, 9.5) == 0 and muon.reached(curve, 3.9) is None


def test_the_best_rate_and_the_edges():
    assert muon.best_rate({1e-3: 4.0, 2e-3: 3.5, 4e-3: 3.6}) == (2e-3, False)
    assert muon.best_rate({1e-3: 3.5, 2e-3: 3.5, 4e-3: 3.6}) == (1e-3, True)


def lines(*losses):
    sets = ("en_news", "en_books", "zh_news")
    return [{"set": s, "step": 10 * i, "loss": v + j} for i, v in enumerate(losses) for j, s in enumerate(sets)]


def test_curves_are_means_of_sets_and_languages():
    found = muon.curves(lines(6.0, 4.0), 8)
    assert found == {"en": [(0, 6.5), (80, 4.5)], "zh": [(0, 8.0), (80, 6.0)], "mean": [(0, 7.25), (80, 5.25)]}


def test_the_table_tells_shares_of_tokens_and_time():
    adamw, better, worse = (muon.curves(lines(*losses), 8) for losses in ((6.0, 5.0, 4.0), (6.0, 4.0, 3.0), (6.0, 5.5, 5.0)))
    assert muon.shares(adamw, better) == {"en": 0.5, "zh": 0.5, "mean": 0.5}
    told = {"rates": {"adamw": 3e-3, "muon": 6e-3}, "edges": {"adamw": False, "muon": True}, "seconds": {"adamw": 1.0, "muon": 1.2}}
    rows = muon.table({"demo-3m": {**told, "seeds": {1: {"adamw": adamw, "muon": better}, 2: {"adamw": adamw, "muon": worse}}}})
    assert rows.split("\n")[2:] == [
        "| demo-3m | 1 | 0.003 | 0.006 (edge) | 4.500, 6.000 | 3.500, 5.000 | 0.50 | 0.50 | 0.50 | 0.60 |",
        "| demo-3m | 2 | 0.003 | 0.006 (edge) | 4.500, 6.000 | 5.500, 7.000 | – | – | – | – |",
    ]


@pytest.mark.slow
def test_both_optimizers_are_timed(monkeypatch):
    tiny = replace(PRESETS["demo-3m"], hidden=32, layers=1, heads=2, ffn=64)
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    monkeypatch.setattr(muon, "choose_compile", lambda *told: False)
    found = muon.step_seconds("tiny", 1)
    assert set(found) == {"adamw", "muon"} and min(found.values()) > 0
