"""Invisible characters: what is cleaned from plain text, and that duplicates and benchmark items are found behind them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from skyloom.core.units import hash_units
from skyloom.corpus.decontaminate.match import narrow, unit_places
from skyloom.corpus.dedup.clusters import exact_duplicates, near_duplicates
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.minhash import fingerprints
from skyloom.corpus.extract import extract_html
from skyloom.corpus.text import clean, comparable, language, plainness

EN = (
    "The ferry to the northern islands leaves at six in the morning, and by the time the sun has cleared the harbour wall most of "
    "the passengers are asleep again on the wooden benches below deck."
)
ZH = "清晨六点，开往北部岛屿的渡轮准时离港。太阳刚刚越过防波堤，大多数乘客又在船舱的木椅上睡着了，只有几个钓鱼的老人还站在甲板上看海。"
HANT = "清晨六點，開往北部島嶼的渡輪準時離港。太陽剛剛越過防波堤，大多數乘客又在船艙的木椅上睡著了，只有幾個釣魚的老人還站在甲板上看海。"
MARKS = ["\u200b", "\u00ad", "\ufeff", "\u2060", "\u200e", "\u202c", "\u200d", "\u200c", "\u180e", "\u034f", "\u2063", "\u061c"]


def strewn(text: str, mark: str) -> str:
    """The text with a mark after every third character, but not after its spaces."""
    return "".join(c + mark if k % 3 == 1 and c != " " else c for k, c in enumerate(text))


def wide(text: str) -> str:
    """The text with full-width letters and digits."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)


@pytest.mark.parametrize("text", [EN, ZH])
@pytest.mark.parametrize("mark", MARKS)
def test_clean(text: str, mark: str) -> None:
    assert clean(pa.array([text, strewn(text, mark), None])).to_pylist() == [text, text, ""]
    page = f"<html><body><article><p>{strewn(text, mark)}</p><p>{text}</p></article></body></html>"
    assert extract_html(page).blocks[0] == text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("one\r\ntwo\rthree\x0cfour\u2028five\x85six", "one\ntwo\nthree\nfour\nfive\nsix"),
        ("\x1b[1;31m红色\x1b[0m and \x1b]0;title\x07red\x1b(B", "红色 and red"),
        ("\x1b]8;;http://a.example/\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]never ended", "never ended"),
        ("N\bNA\bAME 名\b名称 _\bx", "NAME 名称 x"),
        ("\b\bat the start\n\bof a line", "at the start\nof a line"),
        ("a\x00b\x7fc\x01d\x9b1me", "abcde"),
        ("tab\tand no\u00a0break", "tab\tand no break"),
        ("👩\u200d👧 می\u200cخواهم क्\u200dष", "👩\u200d👧 می\u200cخواهم क्\u200dष"),
        ("葛\U000e0100城", "葛\U000e0100城"),
    ],
)
def test_controls(given: str, expected: str) -> None:
    assert clean(pa.array([given])).to_pylist() == [expected]


def test_clean_is_stable_and_takes_slices() -> None:
    texts = pa.chunked_array([["\u200b", strewn(ZH, "\u200b")], [EN, "\x1b", "\x1b[", "\xc2"]])
    once = clean(texts)
    assert clean(once).equals(once)
    assert clean(texts.slice(1, 2)).to_pylist() == [ZH, EN]


@pytest.mark.parametrize("text", [EN * 3, ZH * 3])
@pytest.mark.parametrize("mark", MARKS)
def test_duplicates_are_found_and_the_clean_one_stays(text: str, mark: str) -> None:
    other = strewn(text, mark)
    texts = pa.array([other, text, other])
    assert len({tuple(row) for row in fingerprints(texts).tolist()}) == 1
    assert exact_duplicates(texts, pa.array(["a", "b", "c"])).keep.tolist() == [False, True, False]
    assert near_duplicates(texts, pa.array(["a", "b", "c"]), DedupConfig()).keep.sum() == 1


def test_full_width() -> None:
    assert exact_duplicates(pa.array([wide(EN), EN]), pa.array(["a", "b"])).keep.tolist() == [False, True]
    assert language.identify(pa.array([wide(EN), wide("The ferry leaves at six.")]))[0] == ["en", "en"]
    assert comparable(pa.array([wide("Ab9"), "é ｅ\u0301", ""])).to_pylist() == ["Ab9", "é ｅ\u0301", ""]
    assert (plainness(pa.array([EN, ZH])) == [len(EN.encode()), len(ZH.encode())]).all()


@pytest.mark.parametrize("form", [HANT, *(strewn(ZH, mark) for mark in MARKS), wide(ZH)])
def test_one_item_in_every_form(form: str) -> None:
    known, found = hash_units(narrow(pa.array([ZH]))), hash_units(narrow(pa.array([form])))
    assert found.hashes.tolist() == known.hashes.tolist()
    starts, stops = unit_places(form)
    assert len(starts) == len(stops) == known.counts[0]
    assert (form[starts[0]], form[starts[-1] : stops[-1]]) == (form[0], "海")


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [("頭髮發現", "头发发现"), ("後天皇后", "后天皇后"), ("乾燥幹部", "干燥干部"), ("裡面裏面", "里面里面"), ("看著顯著", "看着显著"),
     ("為了爲了", "为了为了"), ("臺灣台灣", "台湾台湾"), ("麵粉面對", "面粉面对"), ("雲說云", "云说云")],
)  # fmt: skip
def test_characters_with_several_forms(traditional: str, simplified: str) -> None:
    one, other = comparable(pa.array([traditional, simplified]), one_script=True).to_pylist()
    assert sum(a != b for a, b in zip(one, other, strict=True)) <= ("著" in traditional)
    assert comparable(pa.array([traditional])).to_pylist() == [traditional]
