"""Powers and indices stay apart from the number before them, and the marks of notes go."""

from __future__ import annotations

import pytest
from tests.corpus.extract.kinds import article

from skyloom.corpus.extract.stage import extract_html

FIGURES = [
    ("10<sup>6</sup> cells", "10^6 cells"), ("面积10<sup>4</sup>平方米", "面积10^4平方米"), ("3.2×10<sup>-3</sup>立方千米", "3.2×10^-3立方千米"),
    ("3 × 10<sup>−9</sup>", "3 × 10^-9"), ("10<sup>&minus;9</sup>", "10^-9"), ("5 m<sup>2</sup>;", "5 m^2;"), ("12 km<sup>2</sup>", "12 km^2"),
    ("每平方米<sup>2</sup>", "每平方米^2"), ("2<sup>n</sup>", "2^n"), ("x<sup>n+1</sup>", "x^{n+1}"), ("e<sup><i>k</i></sup>", "e^k"),
    ("10 <sup>6</sup>", "10^6"), ("10<sup class=x>12</sup>", "10^12"), ("(a+b)<sup>2</sup>", "(a+b)^2"), ("the <sup>14</sup>C date", "the ^14C date"),
    ("H<sub>2</sub>O", "H2O"), ("CO<sub>2</sub>", "CO2"), ("C<sub>6</sub>H<sub>12</sub>O<sub>6</sub>", "C6H12O6"), ("Ca(OH)<sub>2</sub>", "Ca(OH)2"),
    ("PM<sub>2.5</sub>浓度", "PM2.5浓度"), ("x<sub>1</sub>", "x_1"), ("log<sub>2</sub> 8", "log_2 8"), ("1011<sub>2</sub>", "1011_2"),
    ("T<sub>max</sub>", "T_max"), ("a<sub>i,j</sub>", "a_{i,j}"), ("SO<sub>4</sub><sup>2-</sup>", "SO4^{2-}"),
    ("the 1<sup>st</sup>, 2<sup>nd</sup> and 5<sup>th</sup>", "the 1st, 2nd and 5th"), ("Brand<sup>™</sup>", "Brand™"), ("M<sup>lle</sup>", "Mlle"),
    ("20<sup>o</sup>C", "20°C"), ("36.5<sup>0</sup>C", "36.5°C"), ("$19<sup>99</sup>", "$19.99"), ("￥25<sup>80</sup>", "￥25.80"),
]  # fmt: skip
NOTES = [
    "<sup>[1]</sup>", "<sup>[注 2]</sup>", "<sup>【3】</sup>", "<sup class='reference' id='cite_ref-1'><a href='#cite_note-1'>[1]</a></sup>",
    "<sup><a href='#fn1'>1</a></sup>", "<a href='#fn1'><sup>12</sup></a>", "<sup id='fnref:2'><a href='#fn:2' rel='footnote'>2</a></sup>",
    "<sup class='footnote'>3</sup>", "<sup role='doc-noteref'>a</sup>", "<sup>†</sup>", "<sup>①</sup>", "<sup>[citation needed]</sup>",
    "<sup>[来源请求]</sup>", "<sup><a href='n.htm#4'>*</a></sup>",
]  # fmt: skip
PLACES = ["in 1998{}, and", "建于1782年{}，后来", "the results{} show", "as he said.{} Then", "“如此。”{}他说", "研究表明{}，水位"]
BARE = ["in 1998{} and", "the results{} show", "as he said.{} Then", "“如此。”{}他说", "研究表明{}，水位", "the wood,{} and"]


def _line(inner: str) -> str:
    """What becomes of one paragraph."""
    found = extract_html(article("zh", f"<p>甲乙丙丁戊己庚辛，abc def: {inner} 子丑寅卯辰巳午未，end of it.</p>")).blocks
    (line,) = [block for block in found if "甲乙丙丁" in block]
    return line.removeprefix("甲乙丙丁戊己庚辛，abc def: ").removesuffix(" 子丑寅卯辰巳午未，end of it.")


@pytest.mark.parametrize(("inner", "text"), FIGURES)
def test_powers_and_indices_can_be_told(inner: str, text: str) -> None:
    assert _line(inner) == text


@pytest.mark.parametrize("place", PLACES)
def test_marks_of_notes_go(place: str) -> None:
    for note in NOTES:
        assert _line(place.format(note)) == place.format(""), note


@pytest.mark.parametrize("place", BARE)
def test_bare_numbers_after_words_stops_and_years_are_marks(place: str) -> None:
    for note in ("<sup>3</sup>", "<sup>12</sup>", "<sup>1,2</sup>", "<sup>3–5</sup>", "<sup>*</sup>"):
        assert _line(place.format(note)) == place.format(""), note


def test_small_print_is_text() -> None:
    words = "a whole sentence that somebody wanted to have in small letters at the end"
    assert words in _line(f"word <sup>{words}</sup>") and words in _line(f"word <sub>{words}</sub>")
    assert _line("x<sup>2") == "x2" and _line("a<sup></sup>b") == "ab"
