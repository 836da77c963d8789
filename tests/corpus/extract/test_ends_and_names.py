"""Rules of the choice of blocks that look at more than one: lines at the ends of a page, headings between passages, drawn lines,
and comments that are readers' comments by the name of their element alone."""

from __future__ import annotations

import pytest
from tests.corpus.extract import kinds

from skyloom.corpus.extract import extract_html

TEXTS = {"en": kinds.EN, "zh": kinds.ZH}
PROSE = {lang: "".join(f"<p>{text}</p>" for text in texts) for lang, texts in TEXTS.items()}
LINKS = {
    "en": "<a href=/>Home</a>|<a href=/f>Forum</a>|<a href=/m>Music</a>",
    "zh": "<a href=/>首页</a>|<a href=/f>论坛</a>|<a href=/m>音乐</a>",
}
VISITS = {"en": ("Visits to this site: 1234567", "Best seen at 800*600"), "zh": ("本站总访问量：1234567", "最佳分辨率800*600")}
LANGUAGES = ("en", "zh")


def text_of(inner: str) -> str:
    return extract_html(f"<html><head><meta charset=utf-8><title>X</title></head><body>{inner}</body></html>").text


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("deep", [1, 4])
def test_lines_in_elements_of_their_own_go_from_both_ends(lang: str, deep: int) -> None:
    row, (visits, screen) = "<table><tr><td>{}</td></tr></table>", VISITS[lang]
    inside = PROSE[lang]
    for _ in range(deep):
        inside = row.format(inside)
    found = text_of(row.format(LINKS[lang]) + inside + f"<table><tr><td align=center>{visits}<br>{screen}</td></tr></table>")
    assert all(text in found for text in TEXTS[lang])
    assert "Music" not in found and "音乐" not in found and visits not in found and screen not in found


@pytest.mark.parametrize("lang", LANGUAGES)
def test_last_lines_beside_the_prose_stay(lang: str) -> None:
    """Not in an element of its own: (a+b)^2 ends no sentence, and is text."""
    last = "As a formula: (a+b)² = a²+2ab+b²" if lang == "en" else "写成公式就是：(a+b)² = a²+2ab+b²"
    assert last in text_of(f"<article><h1>X</h1>{PROSE[lang]}<p>{last}</p></article>")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_heading_between_passages_of_one_element_stays(lang: str) -> None:
    heading = "Lamps and mirrors" if lang == "en" else "灯与镜子"
    first, *rest = (f"<p>{text}</p>" for text in TEXTS[lang])
    assert heading in text_of(f"<article>{first}{first.replace('the', 'a')}<h2>{heading}</h2>{''.join(rest)}</article>").split("\n")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_last_heading_without_text_goes(lang: str) -> None:
    heading = "Read more" if lang == "en" else "延伸阅读"
    assert heading not in text_of(f"<article><h1>X</h1>{PROSE[lang]}<h2>{heading}</h2></article>")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("line", ["_" * 40, "—" * 20, "=-=-=-=-=-=-=-=", "＊" * 12])
def test_a_line_drawn_of_signs_goes(lang: str, line: str) -> None:
    first, *rest = (f"<p>{text}</p>" for text in TEXTS[lang])
    found = text_of(f"<article><h1>X</h1>{first}<p>{line}</p>{''.join(rest)}</article>")
    assert line not in found and all(text in found for text in TEXTS[lang])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_part_that_only_its_name_makes_comments_stays(lang: str) -> None:
    """A chapter of a manual may be named so too; readers' comments below an article go."""
    said = "".join(f"<p>{text.replace('the ', 'a ').replace('的', '之')}</p>" for text in TEXTS[lang][:2])
    chapter = f'<div class="section" id="comments-in-code">{said}</div>'
    found = text_of(f'<main><div class="section"><h1>X</h1>{PROSE[lang]}{PROSE[lang].replace("the", "this")}{chapter}</div></main>')
    assert TEXTS[lang][0].replace("the ", "a ").replace("的", "之") in found
    by = (
        ("Anonymous said on May 5, 2019: ", "nice post, thanks!!!")
        if lang == "en"
        else ("网友 2019-05-05 发表：", "好文章，顶一下！！！")
    )
    below = "".join(f'<div class="comment"><span class="user">{by[0]}</span><div>{by[1]}</div></div>' for _ in range(6))
    assert by[1] not in text_of(f'<article><h1>X</h1>{PROSE[lang]}</article><div id="comments">{below}</div>')
