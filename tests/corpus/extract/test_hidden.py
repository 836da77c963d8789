"""What a page hides is left out, in all the ways of hiding; what a click or a script shows stays."""

from __future__ import annotations

import itertools

import pytest
from tests.corpus.extract.kinds import TEXTS, article, page

from skyloom.corpus.extract.stage import extract_html

SPAM = {
    "en": "Cheap watches and free casino bonus codes without deposit, order your replica bags today, fast shipping and safe payment "
    "for all our friends.",
    "zh": "注册送彩金，百家乐平台，真人娱乐，在线投注，欢迎访问某某娱乐城官网，首存一百送一百，提款快速安全可靠。",
}
WAYS = [
    'style="display:none"', "style='DISPLAY : none !important; color: red'", "hidden", 'hidden=""', 'aria-hidden="true"',
    'style="visibility:hidden"', 'style="visibility: collapse"', 'style="position:absolute;left:-9999px"',
    'style="position:fixed; top:-5000px"', 'style="position:absolute;left:-999em"', 'style="text-indent:-9999px"',
    'style="margin-left:-10000px"', 'style="font-size:0"', 'style="font-size:0px;line-height:0"', 'style="font-size:1px"',
    'style="width:0;height:0;overflow:hidden"', 'style="height:1px;overflow:hidden"',
    'style="position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0,0,0,0)"', 'style="max-height:0;overflow:hidden"',
    'style="transform:scale(0)"', 'style="opacity:0"', 'class="hidden"', 'class="x hide y"', 'class="d-none"', 'class="sr-only"',
    'class="visually-hidden"', 'class="screen-reader-text"', 'class="invisible"', 'class="u-hidden"',
]  # fmt: skip
SHEETS = [
    ".q7{display:none}", "div.q7, p.q7, span.q7 { display : none ; }", "#i7{visibility:hidden}", "/* x */ .q7\n{position:absolute;left:-9999px}",
    ".a{color:red}.b,.q7{font-size:0}.c{margin:0}", "<!-- .q7{height:0;overflow:hidden} -->", "@charset 'utf-8'; .q7{text-indent:-999em}",
]  # fmt: skip


@pytest.mark.parametrize(("lang", "tag"), itertools.product(("en", "zh"), ("div", "p", "section")))
def test_hidden_text_is_left_out(lang: str, tag: str) -> None:
    for way in WAYS:
        found = extract_html(article(lang, f"<{tag} {way}>{SPAM[lang]}</{tag}>")).text
        assert SPAM[lang][:10] not in found, way
        assert all(text in found for text in TEXTS[lang]), way


@pytest.mark.parametrize(("lang", "tag"), itertools.product(("en", "zh"), ("span", "font", "a", "b")))
def test_hidden_text_inside_a_paragraph_is_left_out(lang: str, tag: str) -> None:
    for way in WAYS:
        if way in ('aria-hidden="true"', 'style="opacity:0"'):
            continue  # shown to readers, as a price beside its spoken form; or faded in
        inner = f"<p>{TEXTS[lang][0]}<{tag} {way}>{SPAM[lang]}<{tag}>a</{tag}></{tag}> 1999</p>"
        found = extract_html(article(lang, inner).replace(f"<p>{TEXTS[lang][0]}</p>", "")).text
        assert SPAM[lang][:10] not in found and f"{TEXTS[lang][0]} 1999" in found, way
        assert all(text in found for text in TEXTS[lang]), way


@pytest.mark.parametrize(("lang", "tag", "sheet"), [(a, b, c) for a in ("en", "zh") for b in ("div", "p", "span") for c in SHEETS])
def test_the_pages_own_style_sheet_hides(lang: str, tag: str, sheet: str) -> None:
    inner = f'<{tag} id="i7" class="note q7">{SPAM[lang]}</{tag}>'
    found = extract_html(article(lang, inner, f"<style>{sheet}</style>")).text
    assert SPAM[lang][:10] not in found and all(text in found for text in TEXTS[lang])


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_body_that_a_script_shows_is_the_text(lang: str) -> None:
    paragraphs = "".join(f"<section><span>{text}</span></section>" for text in TEXTS[lang])
    bodies = [
        f'<div class="rich_media_content" id="js_content" style="visibility: hidden; opacity: 0;">{paragraphs}</div>',
        f'<div style="display:none">{paragraphs}</div>', f'<main class="invisible">{paragraphs}</main>',
        f'<div class="loader">…</div><div hidden id="S:0">{paragraphs}</div>', f'<div aria-hidden="true">{paragraphs}</div>',
        f'<div style="opacity:0">{paragraphs}</div>',
    ]  # fmt: skip
    for body in bodies:
        found = extract_html(page(lang, body)).text
        assert all(text in found for text in TEXTS[lang]), body[:60]
    page_of_bodies = page(lang, f"<div>{paragraphs}</div>").replace("<body>", '<body style="visibility:hidden">')
    assert all(text in extract_html(page_of_bodies).text for text in TEXTS[lang])


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_accordions_and_tabs_are_the_text(lang: str) -> None:
    texts, heads = TEXTS[lang], [f"Part {n}" if lang == "en" else f"第{n}部分" for n in range(5)]
    pairs = list(zip(heads, texts, strict=True))
    layouts = {
        "accordion": "".join(f'<div class="accordion-item"><h3>{h}</h3><div style="display:none"><p>{t}</p></div></div>' for h, t in pairs),
        "tabs": "".join(f'<div class="tab-pane" role="tabpanel" hidden><p>{t}</p></div>' for _, t in pairs),
        "no names": "".join(f"<h3>{h}</h3><div style='display:none'><p>{t}</p></div>" for h, t in pairs),
        "list": "<dl>" + "".join(f"<dt>{h}</dt><dd hidden>{t}</dd>" for h, t in pairs) + "</dl>",
        "buttons": "".join(f'<div class="i"><button>{h}</button><div class="x-7 hidden"><p>{t}</p></div></div>' for h, t in pairs),
        "details": "".join(f"<details><summary>{h}</summary><p>{t}</p></details>" for h, t in pairs),
        "first open": "".join(
            f"<div class=tabcon{n} style='display:{'none' if n else 'block'}' id=tab{n}><p>{t}</p></div>" for n, (_, t) in enumerate(pairs)
        ),
        "more": f"<p>{texts[0]}</p><p>{texts[1]}</p><p>{texts[2]}</p><div class='more-text' style='display:none'><p>{texts[3]}</p><p>{texts[4]}</p></div>",
        "responsive": "".join(f'<div class="hidden md:block"><p>{t}</p></div>' for t in texts),
        "bootstrap": "".join(f'<div class="d-none d-md-block"><p>{t}</p></div>' for t in texts),
    }  # fmt: skip
    for name, layout in layouts.items():
        found = extract_html(page(lang, f"<main><h1>{heads[0]} 1</h1>{layout}</main>")).text
        assert all(text in found for text in texts), name


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_style_sheet_that_shows_again_hides_nothing(lang: str) -> None:
    for sheet in (
        ".q7{display:none}@media (min-width:600px){.q7{display:block}}", ".q7{display:none}.q7.active{display:block}",
        "@media print{.q7{display:none}}", ".js .q7{display:none}",
    ):  # fmt: skip
        paragraphs = "".join(f'<p class="q7">{text}</p>' for text in TEXTS[lang][:2])
        found = extract_html(
            page(lang, f"<article>{paragraphs}<p>{TEXTS[lang][2]}</p><p>{TEXTS[lang][3]}</p></article>", f"<style>{sheet}</style>")
        ).text
        assert all(text in found for text in TEXTS[lang][:4]), sheet


def test_letters_of_a_size_of_their_own_are_seen() -> None:
    inner = f'<section style="font-size:0"><section style="font-size:15px">{TEXTS["zh"][3]}七</section></section>'
    assert f"{TEXTS['zh'][3]}七" in extract_html(article("zh", inner)).text
