"""What a page carries twice comes once, and what goes on in a second element is not lost."""

from __future__ import annotations

import itertools

import pytest
from tests.corpus.extract.kinds import TEXTS, article, page

from skyloom.corpus.extract.stage import extract_html

COUNTED = {
    "en": ("Turn the {} valve by one quarter and wait until the needle of the {} has come to rest.",
           "Close the {} lid and note the time in the book beside the door.",
           ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"), ("red", "green", "blue", "white"), "gauge"),
    "zh": ("把{}阀门转四分之一圈，等到{}的指针停稳以后再做下一步。", "盖上{}盖子，并且把时间记在门边的本子上。",
           ("第一个", "第二个", "第三个", "第四个", "第五个", "第六个", "第七个", "第八个"), ("红色", "绿色", "蓝色", "白色"), "压力表"),
}  # fmt: skip
SHAPES = [
    ("<div>{}</div>", "<div>{}</div>", "{}. "), ('<div class="part">{}</div>', "<p>{}</p>", "{}. "), ("<section>{}</section>", "<div>{}</div>", "({}) "),
    ("<div>{}</div>", "<p>{}</p>", "{}、"), ('<div class="step-list">{}</div>', '<div class="step">{}</div>', ""),
]  # fmt: skip


@pytest.mark.parametrize(("lang", "first", "second"), itertools.product(("en", "zh"), (5, 7, 8), (1, 2, 4)))
def test_the_last_steps_in_a_second_element_stay(lang: str, first: int, second: int) -> None:
    turn, close, ordinals, colours, gauge = COUNTED[lang]
    for outer, inner, number in SHAPES:
        steps = [turn.format(o, f'<a href="/g">{gauge}</a>') for o in ordinals[:first]] + [
            close.format(c) for c in colours[:second]
        ]
        lines = [inner.format(number.format(n) + step) for n, step in enumerate(steps, 1)]
        halves = outer.format("".join(lines[:first])) + outer.format("".join(lines[first:]))
        heading = "Steps for the pump" if lang == "en" else "水泵的操作步骤"
        found = extract_html(page(lang, f'<div class="steps"><h2>{heading}</h2>{halves}</div>')).text
        assert all(close.format(c) in found for c in colours[:second]), (outer, inner, number)


COPIES = {
    "mobile": '<div class="desktop-only">{0}</div><div class="mobile-only" style="display:none">{0}</div>',
    "mobile, shown": '<div class="pc">{0}</div><div class="wap">{0}</div>', "print": '<div>{0}</div><div class="print-only">{0}</div>',
    "dialog": "<div>{0}</div><dialog>{0}</dialog>", "dialog, open": "<div>{0}</div><dialog open>{0}</dialog>",
    "modal": '<div>{0}</div><div class="modal fade" role="dialog">{0}</div>', "three": "<div>{0}</div><div>{0}</div><section>{0}</section>",
    "print first": '<div class="print" hidden>{0}</div><div>{0}</div>', "template": "<div>{0}</div><template>{0}</template><noscript>{0}</noscript>",
}  # fmt: skip


@pytest.mark.parametrize(("lang", "name"), itertools.product(("en", "zh"), COPIES))
def test_copies_come_once(lang: str, name: str) -> None:
    texts = TEXTS[lang]
    inner = f"<h1>{'Engines' if lang == 'en' else '发动机'}</h1>" + "".join(f"<p>{text}</p>" for text in texts)
    found = extract_html(page(lang, f"<main>{COPIES[name].format(inner)}</main>")).text
    assert [found.count(text) for text in texts] == [1] * len(texts)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_slides_and_shortened_texts_come_once(lang: str) -> None:
    texts, cut = TEXTS[lang], 60 if lang == "en" else 20
    short = texts[3][:cut]
    slides = "".join(f'<div class="swiper-slide"><p>{text}</p></div>' for text in texts[:3])
    carousel = f'<div class="swiper">{slides}{slides.replace("swiper-slide", "swiper-slide swiper-slide-duplicate")}</div>'
    cases = {
        "carousel": carousel,
        "more": f'<p class="short">{short}…<a href="#">{"more" if lang == "en" else "展开"}</a></p><p class="full">{texts[3]}</p>',
        "more, hidden": f'<p class="short">{short}...</p><p class="full-text" style="display:none">{texts[3]}</p>',
        "more, inline": f'<p><span class="short">{short}…</span><span class="more-text" style="display:none">{texts[3]}</span></p>',
    }
    for name, inner in cases.items():
        given = texts[3:] if name == "carousel" else [t for t in texts if t != texts[3]]
        found = extract_html(
            page(
                lang,
                f"<article>{''.join(f'<p>{t}</p>' for t in given[:2])}{inner}{''.join(f'<p>{t}</p>' for t in given[2:])}</article>",
            )
        ).text
        assert [found.count(text) for text in texts] == [1] * len(texts), name
        assert found.count(short) == 1, name


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_may_come_twice_does(lang: str) -> None:
    refrain = (
        "Row, row, row your boat,<br>gently down the stream,<br>merrily, merrily."
        if lang == "en"
        else "河水慢慢地流，<br>灯笼慢慢地走，<br>孩子的影子贴在桥头。"
    )
    line = refrain.split("<br>")[1]
    found = extract_html(article(lang, f"<p>{refrain}</p><p>{TEXTS[lang][0]} 7</p><p>{refrain}</p>")).text
    assert found.count(line) == 2
    rows = "".join(f"<tr><td>{n}<td>{'yes' if lang == 'en' else '是'}<td>{'open' if lang == 'en' else '开'}" for n in range(1, 5))
    found = extract_html(article(lang, f"<table>{rows}</table>")).text
    assert found.count("yes | open" if lang == "en" else "是 | 开") == 4


SAID = {
    "en": ("Part", "Article", "Fees", "Penalties", "The party that fails to do so shall pay a fine of one tenth of the price within thirty days after it was asked to.",
           "The other party may end the contract at once, and keeps what was paid until then, unless both have agreed otherwise in writing.", "When does it apply?"),
    "zh": ("第{}编", "第{}条", "费用", "罚则", "未按前款规定办理的一方，应当在收到通知之日起三十日内向对方支付合同价款百分之十的违约金。",
           "对方可以立即解除合同，并且保留在此之前已经收取的全部款项，但是双方另有书面约定的除外。", "什么时候适用？"),
}  # fmt: skip
LAWS = {
    "headings": "<h2>{n}</h2><p>{own}</p><p>{said}</p>", "headings, two": "<h2>{n}</h2><p>{own}</p><p>{said}</p><p>{more}</p>",
    "alone": "<h3>{n}</h3><p>{said}</p>", "labels": "<p>{n}</p><p>{said}</p>", "bold": "<p><b>{n}</b></p><p>{said}</p><p>{more}</p>",
    "sections": "<section><h3>{n}</h3><div><p>{said}</p></div></section>", "subheadings": "<h2>{n}</h2><p>{own}</p><h3>{fees}</h3><p>{said}</p>",
    "labels twice": "<p>{n}</p><p>{fees}</p><p>{said}</p>", "definitions": "<dl><dt>{n}</dt><dd>{said}</dd></dl>",
    "questions": "<p>{n} {ask}</p><p>{said}</p>", "numbers": "<ol start={k}><li>{said}</li></ol><p>{own}</p>",
}  # fmt: skip


def _law(lang: str, layout: str, articles: int = 4) -> str:
    _, name, fees, _, said, more, ask = SAID[lang]
    parts = []
    for k in range(1, articles + 1):
        n = name.format("一二三四五六"[k - 1]) if lang == "zh" else f"{name} {k}"
        own = TEXTS[lang][k % 5]
        parts.append(layout.format(n=n, k=k, own=own, said=said, more=more, fees=fees, ask=ask))
    return "".join(parts)


@pytest.mark.parametrize(("lang", "name"), itertools.product(("en", "zh"), LAWS))
def test_equal_paragraphs_below_different_headings_stay(lang: str, name: str) -> None:
    title = "Contract of sale" if lang == "en" else "买卖合同"
    found = extract_html(page(lang, f"<main><h1>{title}</h1>{_law(lang, LAWS[name])}</main>")).text
    said, more = SAID[lang][4:6]
    assert found.count(said) == 4
    assert found.count(more) == (4 if "{more}" in LAWS[name] else 0)


@pytest.mark.parametrize(("lang", "name"), itertools.product(("en", "zh"), ("headings", "labels", "subheadings", "questions")))
def test_a_copy_of_a_whole_law_comes_once(lang: str, name: str) -> None:
    title = "Contract of sale" if lang == "en" else "买卖合同"
    law = f"<h1>{title}</h1>{_law(lang, LAWS[name])}"
    layouts = (
        "<div>{0}</div><div>{0}</div>",
        '<div>{0}</div><div class="modal">{0}</div>',
        "<div>{0}</div><p>{1}</p><div>{0}</div>",
    )
    for layout in layouts:
        found = extract_html(page(lang, f"<main>{layout.format(law, 'Print version' if lang == 'en' else '打印版')}</main>")).text
        assert found.count(SAID[lang][4]) == 4, layout
        if "{own}" in LAWS[name]:
            assert found.count(TEXTS[lang][1]) == 1, layout


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_paragraph_twice_below_one_heading_comes_once(lang: str) -> None:
    text = TEXTS[lang][3]
    for layout in (
        "<h1>{n}</h1><div class='summary'><p>{x}</p></div><p>{a}</p><p>{x}</p><p>{b}</p>", "<h2>{n}</h2><p>{x}</p><p>{a}</p><blockquote>{x}</blockquote><p>{b}</p>",
        "<p>{a}</p><p>{x}</p><p>{x}</p><p>{b}</p>",
    ):  # fmt: skip
        inner = layout.format(n="The pump" if lang == "en" else "水泵", x=text, a=TEXTS[lang][0], b=TEXTS[lang][1])
        assert extract_html(page(lang, f"<article>{inner}</article>")).text.count(text) == 1, layout


POSTS = {
    "<div class=post><h3>{n}</h3><blockquote><cite>{who}</cite><div>{quoted}</div></blockquote><div>{own}</div></div>",
    "<div class=post id=p{k}><h2>#{k}</h2><h3>Re: {topic}</h3><div class=postmsg><div class=quotebox><blockquote><div>{quoted}</div></blockquote></div>{own}</div></div>",
    "<div class=plhin><div class=quote><blockquote><font>{who}</font><br>{quoted}</blockquote></div><table><tr><td class=t_f>{own}</td></tr></table></div>",
}  # fmt: skip


@pytest.mark.parametrize(("lang", "layout"), itertools.product(("en", "zh"), sorted(POSTS)))
def test_a_post_that_others_quote_comes_once(lang: str, layout: str) -> None:
    topic, who = ("The old pump", "{} wrote:") if lang == "en" else ("旧水泵", "{} 发表于 昨天")
    texts = TEXTS[lang][:5]
    posts = [f"<div class=post><h2>#1</h2><div class=postmsg><p>{texts[0]}</p></div></div>"]
    for k in range(1, 5):
        said = layout.format(
            n=f"{k}", k=k + 1, topic=topic, who=who.format("Mill"), quoted=f"<p>{texts[k - 1]}</p>", own=f"<p>{texts[k]}</p>"
        )
        posts.append(said)
    found = extract_html(page(lang, f"<main><h1>{topic}</h1>{''.join(posts)}</main>")).text
    assert [found.count(text) for text in texts] == [1] * 5


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_quotations_that_are_no_copy_stay(lang: str) -> None:
    text, other = TEXTS[lang][0], TEXTS[lang][1]
    found = extract_html(article(lang, f"<p>{other}</p><blockquote><p>{text}</p></blockquote><p>{TEXTS[lang][2]}</p>")).text
    assert found.count(text) == 1
    law = _law(lang, LAWS["headings"])
    found = extract_html(article(lang, f"<p>{other} 7</p><blockquote>{law}</blockquote><p>{other} 9</p>")).text
    assert found.count(SAID[lang][4]) == 4
