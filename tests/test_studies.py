"""What the studies rest on; the studies themselves take minutes to hours and third-party text."""

from __future__ import annotations

import pytest
from studies.vocabulary_size import Outcome, draw, sizes_of, table

from skyloom.tokenizer.config import TokenizerConfig


@pytest.mark.parametrize("size", [16_384, 32_768, 65_536, 102_400])
def test_parts_keep_the_reports_proportions(size):
    parts = sizes_of(size)
    TokenizerConfig(**parts)  # refuses parts that do not add up
    assert parts["base"] / size == pytest.approx(0.488, abs=0.001) and parts["characters"] / size == pytest.approx(0.122, abs=0.001)
    if size == 65_536:
        assert (parts["base"], parts["characters"], parts["words"]) == (32_000, 8_000, 25_519)


def test_the_figure_and_the_table_show_what_was_measured(tmp_path):
    pytest.importorskip("matplotlib")
    outcomes = [
        Outcome(v, 1_000_000, {"en": 4.0, "zh": z}, {"en": [1.5, 1.7], "zh": [1.25, 1.35]})
        for v, z in ((16_384, 3.5), (65_536, 4.25))
    ]
    lines = table(outcomes).split("\n")
    assert lines[2] == "| 16,384 | 1,000,000 | 3.75 | 4.000 | 3.500 | 1.600 (1.500 to 1.700) | 1.300 (1.250 to 1.350) |"
    for name in ("a.svg", "b.svg"):
        draw(outcomes, tmp_path / name)
    first = (tmp_path / "a.svg").read_text()
    assert first == (tmp_path / "b.svg").read_text() and first.count('<g id="axes_') == 2
