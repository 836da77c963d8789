"""The charset is decided from the bytes, whatever the page and its server claim, and nothing raises."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyloom.corpus.text.charset import decode, known

CHINESE = "围棋是一种两人对弈的棋类游戏。双方各执黑子和白子，轮流把棋子放在棋盘的交叉点上，最后占地多的一方获胜。" * 3
TRADITIONAL = "圍棋是一種兩人對弈的棋類遊戲。雙方各執黑子和白子，輪流把棋子放在棋盤的交叉點上，最後佔地多的一方獲勝。" * 3
FRENCH = "Le café est fermé à Noël; où êtes-vous allés, mes chères élèves? L'été dernier, déjà. " * 3


def page(text: str, declared: str) -> str:
    return f'<html><head><meta charset="{declared}"><title>x</title></head><body><p>{text}</p></body></html>'


@pytest.mark.parametrize("transport", [None, "utf-8", "iso-8859-1", "gb2312", "big5", "nonsense", "base64"])
@pytest.mark.parametrize("charset", ["utf-8", "gbk", "gb18030", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_simplified_chinese_survives_any_declaration(charset: str, transport: str | None) -> None:
    html = page(CHINESE, "iso-8859-1")
    found = decode(html.encode(charset), transport)
    assert found.text == html
    assert found.replaced == 0


@pytest.mark.parametrize("transport", [None, "utf-8", "iso-8859-1", "gb2312", "big5"])
@pytest.mark.parametrize("charset", ["utf-8", "big5", "utf-16-le"])
def test_traditional_chinese_survives_any_declaration(charset: str, transport: str | None) -> None:
    html = page(TRADITIONAL, "gb2312")
    assert decode(html.encode(charset), transport).text == html


def test_a_declaration_decides_among_latin_charsets() -> None:
    assert decode(page(FRENCH, "iso-8859-1").encode("latin-1")).text == page(FRENCH, "iso-8859-1")
    assert decode(page(FRENCH, "windows-1252").encode("cp1252"), "text/html").charset == "cp1252"


def test_marks_are_removed_and_decide() -> None:
    for mark, charset in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        found = decode(mark + "文字 text".encode(charset), "gbk")
        assert (found.text, found.charset) == ("文字 text", charset)


def test_a_cut_character_does_not_change_the_charset() -> None:
    data = CHINESE.encode("utf-8")[:-1]
    found = decode(data, "gbk")
    assert found.charset == "utf-8"
    assert found.text.startswith(CHINESE[:-1])
    assert 0 < found.replaced < 0.02


def test_binary_counts_as_replaced_or_rare() -> None:
    assert decode(bytes(range(128, 256)) * 40).text != ""
    assert decode(b"").text == ""


def test_labels_are_widened() -> None:
    assert known("GB2312") == "gb18030"
    assert known(" 'Big5' ") == "big5hkscs"
    assert known("ISO-8859-1") == "cp1252"
    assert known("rot13") is None
    assert known("no-such") is None
    assert known("") is None
    for transport in ("utf-7", "unicode_escape", "raw-unicode-escape", "punycode", "idna", "undefined"):
        assert known(transport) is None


@pytest.mark.parametrize("declared", ["raw_unicode_escape", "unicode_escape", "utf-7"])
def test_no_declaration_brings_surrogates(declared: str) -> None:
    found = decode(b"\xe9t\xe9 \\ud800 +2AA- " * 50, declared)
    assert found.text.encode("utf-8")


@given(st.binary(max_size=300), st.one_of(st.none(), st.sampled_from(["utf-8", "gbk", "utf-16", "utf-7", "idna", "x"])))
def test_never_raises(data: bytes, declared: str | None) -> None:
    found = decode(data, declared)
    assert 0 <= found.replaced <= 1
    assert known(found.charset) is not None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_utf8_is_its_own_inverse(text: str) -> None:
    data = text.encode("utf-8")
    if (
        not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        and "\x00" not in text
        and "\x1b" not in text
    ):
        assert decode(data).text == text
