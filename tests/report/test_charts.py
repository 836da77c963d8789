"""Charts stay inside their frame, show what they are given, and survive what is missing."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skyloom.report.charts import HEIGHT, TINIEST, WIDE, Level, Point, Series, line_chart, strip, thin, ticks

FINITE = st.floats(-1e9, 1e12, allow_nan=False, allow_infinity=False)
ANY = st.one_of(FINITE, st.just(math.nan), st.just(math.inf))
NAMES = st.text(st.sampled_from("ab<>&\"'中文🙂 "), max_size=8)


def chart(*series: Series, **options: object) -> str:
    return str(line_chart(series, title="Loss", x_label="tokens", y_label="nats", **options))  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.lists(st.lists(st.builds(Point, FINITE, ANY, ANY, ANY), max_size=12), max_size=3), NAMES, st.booleans())
def test_every_chart_is_well_formed_and_inside_its_frame(lines: list[list[Point]], name: str, zero: bool) -> None:
    text = chart(*(Series(name, "d0", tuple(points)) for points in lines), zero=zero, boundaries=(0.0, 1e6))
    root = ET.fromstring(text)
    if not any(math.isfinite(p.y) for points in lines for p in points):
        assert root.tag == "p" and root.text == "not measured"
        return
    places = re.sub(r"<(title|desc|text).*?</\1>", "", text)
    assert "nan" not in places and "inf" not in places
    drawn = [e for e in root.iter() if e.tag == "circle"]
    assert len(drawn) == sum(math.isfinite(p.y) for points in lines for p in points)
    for dot in drawn:
        assert 0 <= float(dot.attrib["cx"]) <= WIDE and 0 <= float(dot.attrib["cy"]) <= HEIGHT


def test_a_missing_value_breaks_the_line_and_is_not_bridged() -> None:
    points = tuple(Point(x, math.nan if x == 2 else float(x)) for x in range(5))
    text = chart(Series("a", "d0", points))
    assert [len(p.split()) for p in re.findall(r'polyline[^>]*points="([^"]*)"', text)] == [2, 2]
    assert text.count("<circle") == 4


def test_values_stand_where_the_axes_say() -> None:
    root = ET.fromstring(chart(Series("a", "d0", (Point(0, 0.0), Point(50, 5.0), Point(100, 10.0)))))
    labels = {e.text: e for e in root.iter("text") if e.attrib.get("class") == "tick"}
    dots = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter("circle")]
    middle = next(e for e in root.iter("text") if e.text == "50" or e.text == "40")
    assert middle is not None and dots[1][0] == pytest.approx((dots[0][0] + dots[2][0]) / 2, abs=0.11)
    assert dots[2][1] == pytest.approx(float(labels["10"].attrib["y"]), abs=0.11)
    assert dots[0][1] > dots[1][1] > dots[2][1]


def test_hover_texts_and_descriptions_say_the_figures_in_full() -> None:
    text = chart(Series("Stage 1 第一阶段", "stage1", (Point(1000, 2.5, 2.25, 2.75),)))
    assert "Stage 1 第一阶段, 1K: 2.500 (2.250 to 2.750)" in text
    assert "Stage 1 第一阶段 ends at 2.500" in text and "nats over tokens" in text


@settings(deadline=None)
@given(FINITE, FINITE)
@example(0.0, 5e-324)
def test_ticks_are_round_even_and_inside(a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = ticks(low, high)
    if high - low <= TINIEST:
        assert found == [low]
        return
    slack = (high - low) * 1e-6 + max(abs(low), abs(high)) * 1e-9
    assert all(low - slack <= t <= high + slack for t in found)
    assert len(found) <= 9
    if high - low > 1e-6 * max(abs(low), abs(high)):
        assert len(found) >= 2


@settings(deadline=None)
@given(st.lists(ANY, max_size=900), st.integers(1, 200))
def test_thinning_keeps_the_mean_and_drops_what_is_not_finite(values: list[float], most: int) -> None:
    good = [v for v in values if math.isfinite(v)]
    made = thin([Point(float(x), v) for x, v in enumerate(values)], most)
    assert len(made) == min(len(good), most)
    assert [p.x for p in made] == sorted(p.x for p in made)
    if good:
        assert min(good) - 1e-3 <= min(p.y for p in made) and max(p.y for p in made) <= max(good) + 1e-3


def test_a_strip_is_drawn_on_a_common_line_and_clipped_to_it() -> None:
    def place(value: float) -> float:
        root = ET.fromstring(str(strip(value, value - 0.1, value + 0.1, left=-1, right=1, mark=0.0, title="Δ1 & <x>")))
        return float(next(root.iter("circle")).attrib["cx"])

    assert place(-1) < place(0) < place(1)
    assert place(5) == place(1)
    assert place(0) == pytest.approx((place(-1) + place(1)) / 2)
    assert str(strip(None, None, None, left=0, right=1, title="x")) == ""
    assert "whisker" not in str(strip(0.5, None, None, left=0, right=1, title="x"))


@settings(deadline=None)
@given(FINITE, FINITE, NAMES)
def test_levels_are_in_sight_and_well_formed(ours: float, theirs: float, name: str) -> None:
    text = chart(
        Series("s", "d0", (Point(0, ours), Point(1, ours + 1))), levels=(Level(name, "d3", theirs), Level("x", "d4", math.nan))
    )
    (line,) = [e for e in ET.fromstring(text).iter() if e.tag == "line" and e.attrib["class"].startswith("level")]
    assert line.attrib["y1"] == line.attrib["y2"] and 0 <= float(line.attrib["y1"]) <= HEIGHT
    assert line.attrib["class"] == "level tone-d3"
    title = line.find("title")
    assert title is not None and title.text is not None and title.text.startswith(name)


def test_a_level_lies_where_a_point_of_its_value_does() -> None:
    text = chart(Series("s", "d0", (Point(0, 2.0), Point(1, 4.0))), levels=(Level("别的", "d3", 4.0),))
    root = ET.fromstring(text)
    (line,) = [e for e in root.iter() if e.attrib.get("class", "").startswith("level")]
    assert line.attrib["y1"] == [e for e in root.iter() if e.tag == "circle"][-1].attrib["cy"]
    assert "别的 lies at 4.000" in text
