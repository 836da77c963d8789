"""The figure of a learning-rate test: well-formed, complete, in both languages, with nothing to fetch."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from skyloom.report.rate_figure import MEAN, TRAINING, Curve, figure

SVG = "{http://www.w3.org/2000/svg}"


def curve(name: str, level: float) -> Curve:
    fall = [(1000.0 * k, level - 0.01 * k) for k in range(200)]
    return Curve(name, {TRAINING: fall, MEAN: fall[::40], "web_en": fall[::40], "web_zh": fall[::40], "stem_zh": fall[::40]})


def test_a_panel_for_each_loss_and_a_line_for_each_rate() -> None:
    lost = Curve("0.01 (diverged 发散)", {TRAINING: [(1000.0, 3.0)]})
    text = figure(
        "stage1b <at> rates", "不同的学习率", [curve("6e-05", 3.0), curve("0.00012", 3.1), lost], "Take 6e-05.", "取 6e-05。"
    )
    root = ElementTree.fromstring(text)
    panels = [part for part in root.iter(f"{SVG}svg") if part is not root]
    assert len(panels) == 5
    assert all(len(list(panel.iter(f"{SVG}polyline"))) == 2 for panel in panels), "a single point is a dot"
    said = " ".join(part.text or "" for part in root.iter(f"{SVG}text"))
    for told in ("stage1b <at> rates", "不同的学习率", "Web, Chinese 中文网页", "Exercises", "发散", "Take 6e-05.", "取 6e-05。"):
        assert told in said, told
    thinned = next(panels[0].iter(f"{SVG}polyline")).get("points", "")
    assert 2 < len(thinned.split()) <= 60
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_without_any_figures_it_says_so() -> None:
    text = figure("t", "题", [Curve("1", {TRAINING: []}), Curve("2", {TRAINING: []})], "", "")
    assert "not measured 未测量" in text and ElementTree.fromstring(text) is not None
