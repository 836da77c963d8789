"""Ordinary pages that a rule about hidden text, notes, dates or copies could hit by mistake, and pages beside each other."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.corpus.extract import kinds

from skyloom.corpus.extract import extract_column, extract_html

EN, ZH = ("".join(f"<p>{text}</p>" for text in texts) for texts in (kinds.EN, kinds.ZH))


def page(inside: str, head: str = "") -> str:
    return f"<html><head><meta charset=utf-8>{head}</head><body><article><h1>X</h1>{EN}{ZH}{inside}</article></body></html>"


VISIBLE = [
    '<div style="position:absolute;left:50%;margin-left:-960px;width:1920px"><p>{}</p></div>',
    '<div style="height:0;padding-bottom:56.25%;overflow:hidden"><p>{}</p></div>',
    '<p style="font-size:0"><span style="font-size:16px">{}</span></p>',
    '<embed src="bgm.mp3" hidden="true" autostart><p>{}</p>',
    '<bgsound src="bgm.mid" style="display:none"><p>{}</p>',
    '<div class="inner"><p>{}</p></div>',
]
SHEET = "<style>.outer{font-size:0}.inner{font-size:14px;display:inline-block}</style>"


@pytest.mark.parametrize("frame", VISIBLE)
@pytest.mark.parametrize(
    "said",
    ["The pier was built in the year of the great storm and never repaired.", "码头是在大风暴那一年修建的，后来再也没有人修过它。"],
)
def test_visible_text_stays(frame: str, said: str) -> None:
    inside = frame.format(said)
    found = extract_html(page(f'<div class="outer">{inside}</div>' if "inner" in frame else inside, SHEET))
    assert said in found.text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("（a+b）<sup>2</sup>=a<sup>2</sup>+2ab+b<sup>2</sup>", "（a+b）^2=a^2+2ab+b^2"),
        ("体重(kg)÷身高<sup>2</sup>(m<sup>2</sup>)", "体重(kg)÷身高^2(m^2)"),
        ("an island of 100 miles<sup>2</sup>", "an island of 100 miles^2"),
        ("守塔人已经老了<sup>2</sup>，", "守塔人已经老了，"),
        ("the keeper<sup>2</sup> is old", "the keeper is old"),
    ],
)
def test_powers_stay_and_notes_go(given: str, expected: str) -> None:
    assert expected in extract_html(page(f"<p>In words: {given}</p>")).text


@pytest.mark.parametrize(
    ("line", "date"),
    [
        ("<p>The book was published on March 5, 1921, and nobody has read it since then, as the keeper says.</p>", ""),
        ("<p>Decree 12, 2019</p>", ""),
        ("<div>今天是2024年5月1日 星期三</div>", ""),
        ("<div>Published on March 5, 2021</div>", "2021-03-05"),
        ("<div>发布时间：2021年3月5日</div>", "2021-03-05"),
        ("<div>Sept. 5, 2021</div>", "2021-09-05"),
    ],
)
def test_dates_of_prose_and_clocks_are_not_the_page_s(line: str, date: str) -> None:
    assert extract_html(page(line)).date == date


@pytest.mark.parametrize(
    "text",
    [
        "我不想离开这里啊……我不想离开这里啊！他站在码头上一遍又一遍地喊着，风把他的声音吹得很远。",
        "I do not want to go there... I do not want to go there! He called it again and again from the end of the pier.",
    ],
)
def test_what_people_say_twice_stays(text: str) -> None:
    assert text in extract_html(page(f"<p>{text}</p>")).text


def test_a_page_does_not_depend_on_the_one_before() -> None:
    spans = f"<html><body>{EN}<table><tr><td rowspan=64>AAAA</td><td>b</td></tr><tr><td>c</td></tr></table>{EN}</body></html>"
    rows = f"<html><body>{ZH}<div><tr><td>x</td><td>y</td></tr></div>{ZH}</body></html>"
    alone = extract_column(pa.array([rows.encode()]))
    beside = extract_column(pa.array([spans.encode(), rows.encode()]))
    assert beside.slice(1).to_pylist() == alone.to_pylist()


@pytest.mark.parametrize(
    "hostile",
    [
        "<style>" + "@media{" * 200_000 + "</style>",
        "x" + '<sup>ab<i t=\'</sup ="" ="\'>' * 60_000,
        "<table>" + "<tr>" + "<td><b><div></div>" * 20_000 + "</table>",
    ],
)
def test_hostile_pages_end(hostile: str) -> None:
    assert extract_html(page(hostile)).reason in (None, "too much work", "too many tags")
