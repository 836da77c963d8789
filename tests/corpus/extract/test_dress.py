"""Formulas, readings, listings, boxes, damaged characters and dates of pages, in the forms that the web has them in."""

from __future__ import annotations

import ftfy.bad_codecs  # noqa: F401 (registers sloppy-windows-1252)
import numpy as np
import pyarrow as pa
import pytest

from skyloom.corpus.extract import extract_html
from skyloom.corpus.extract.rewrite.mathml import tex, with_tex
from skyloom.corpus.extract.rewrite.mend import mended, mended_text
from skyloom.corpus.extract.rewrite.prepare import prepared, prepared_page
from skyloom.corpus.extract.written_dates import iso

EN = "<p>The ferry to the northern islands leaves at six in the morning, and most of the passengers are asleep again on the benches below deck.</p>"
ZH = "<p>清晨六点，开往北部岛屿的渡轮准时离港。太阳刚刚越过防波堤，大多数乘客又在船舱的木椅上睡着了，只有几个钓鱼的老人还站在甲板上。</p>"


def page(inside: str, text: str = EN) -> str:
    return f"<html><head><meta charset=utf-8></head><body><article><h1>X</h1>{text}{inside}{text}{text}</article></body></html>"


FORMULAS = [
    ("<mfrac><mn>1</mn><mi>y</mi></mfrac>", r"\frac{1}{y}"),
    ("<msub><mi>x</mi><mn>12</mn></msub>", "x_{12}"),
    ("<mrow><mn>2</mn><mo>\u2062</mo><msup><mi>x</mi><mn>3</mn></msup></mrow>", "2x^3"),
    ("<msqrt><msup><mi>b</mi><mn>2</mn></msup><mo>−</mo><mn>4</mn><mi>a</mi></msqrt>", r"\sqrt{b^2 - 4a}"),
    ("<mroot><mi>x</mi><mn>3</mn></mroot>", r"\sqrt[3]{x}"),
    ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><msubsup><mi>α</mi><mi>i</mi><mn>2</mn></msubsup>",
     r"\sum_{i = 1}^n\alpha_i^2"),
    ("<mi>sin</mi><mi>x</mi>", r"\sin x"),
    ("<mover><mi>x</mi><mo>¯</mo></mover>", r"\bar{x}"),
    ("<msup><mi>f</mi><mo>′</mo></msup><mo>(</mo><mi>x</mi><mo>)</mo>", "f'(x)"),
    ("<mfenced><mi>a</mi><mi>b</mi></mfenced>", "(a,b)"),
    ("<msup><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>10</mn></msup>", "{a + b}^{10}"),
    ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr></mtable>", r"\begin{matrix} 1 & 0 \end{matrix}"),
    ("<mi>v</mi><mo>=</mo><mtext>速度</mtext>", r"v = \text{速度}"),
    ("<m:msup xmlns:m='x'><m:mi>x</m:mi><m:mn>2</m:mn></m:msup>", "x^2"),
]  # fmt: skip


@pytest.mark.parametrize(("mathml", "expected"), FORMULAS)
def test_formulas(mathml: str, expected: str) -> None:
    assert tex(mathml) == expected
    written = with_tex(f"<p>所以 <math>{mathml}</math>。</p>".encode()).decode()
    assert "alttext=" in written
    assert tex(written) is None


@pytest.mark.parametrize(
    "mathml",
    [
        "<foo/>",
        "<msup><mi>x</mi></msup>",
        "<mrow>loose<mn>2</mn></mrow>",
        "<mi>x",
        "</mi>",
        "<mi>" * 100,
        "<mmultiscripts><mi>x</mi></mmultiscripts>",
    ],
)
def test_what_cannot_be_converted_goes_as_a_whole(mathml: str) -> None:
    assert tex(mathml) is None
    assert with_tex(f"<p>a <math>{mathml}</math> b</p>".encode()) == b"<p>a  b</p>"


def test_formulas_with_tex_stay_and_others_are_written_in_the_page() -> None:
    known = b'<math alttext="x^2"><mn>3</mn></math><math><mn>1</mn><annotation encoding="application/x-tex">x</annotation></math>'
    assert with_tex(known) == known
    inside = "<p>The roots are <math><msub><mi>x</mi><mn>12</mn></msub></math> and <math><bad>10</bad></math> no more than that, they say.</p>"
    for text in (EN, ZH):
        found = extract_html(page(inside, text))
        assert "The roots are $x_{12}$ and no more" in found.text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("<ruby>贔<rt>bì</rt>屭<rt>xì</rt></ruby>", "贔(bì)屭(xì)"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>", "漢(かん)"),
        ("<ruby><rb>漢字</rb><rt>hànzì</ruby>", "漢字(hànzì)"),
        ("<ruby class=x>water<rt></rt></ruby>", "water"),
    ],
)
def test_readings_stand_apart(given: str, expected: str) -> None:
    found = extract_html(page(f"<p>桥头立着一块{given}驮的石碑，谁也不知道它是哪一年立的。</p>", ZH))
    assert f"桥头立着一块{expected}驮的石碑" in found.text


@pytest.mark.parametrize(
    "listing",
    [
        '<span class="hl-gutter">1</span> def f(x):  # 注\n<span class="hl-gutter">2</span>     return x',
        '<span class="lineno">1 </span>def f(x):  # 注\n<span class="lineno">2 </span>    return x',
        '<a id="ln-1" class="line-number">1</a> def f(x):  # 注\n<a class="line-number">2</a>     return x',
        '<span class="line">def f(x):  # 注</span><span class="line">    return x</span>',
        "<code>def f(x):  # 注</code><code>    return x</code>",
        '<span class="line"><span class="ln">1</span>def f(x):  # 注</span><span class="line"><span class="ln">2</span>    return x</span>',
    ],
)
def test_listings(listing: str) -> None:
    found = extract_html(page(f"<p>The function is this:</p><pre>{listing}</pre>"))
    assert "def f(x):  # 注\n    return x" in found.text


@pytest.mark.parametrize(
    "box",
    ['<div class="author-box"><div><p>{}</p></div></div>', '<section id="about-the-author"><p>{}</p></section>', '<amp-ad type=x><div>{}</div></amp-ad>',
     '<div class="post related-posts"><p>{}</p></div>', '<div class="signature">{}</div>'],
)  # fmt: skip
def test_boxes_are_cut(box: str) -> None:
    for said, text in (
        ("She has written two books that nobody has read, and lives on an island.", EN),
        ("她写过两本没有人读过的书，住在一座岛上。", ZH),
    ):
        found = extract_html(page(box.format(said), text))
        assert said not in found.text
        assert text[3:20] in found.text


def test_a_box_that_is_the_page_stays() -> None:
    whole = b'<body><div class="signature"><p>' + b"text " * 100 + b"</p></div></body>"
    assert prepared_page(whole) is whole
    assert prepared_page(b'<div class="author-box">' * 3000) == b'<div class="author-box">' * 3000


@pytest.mark.parametrize(
    "mark", [b"<math>", b"<ruby>", b"<pre>", b"<pre><span class=", b"<amp-ad>", b'<div class="signature">', b"<rt>", b"<math><!--"]
)
def test_hostile_pages_take_linear_work(mark: bytes) -> None:
    prepared_page(b"<ruby><pre><math>" + mark * 30_000)


def test_columns() -> None:
    plain = pa.array([b"<p>x</p>", None, b"<p>y</p>"], pa.binary())
    assert prepared(plain) is plain
    mixed = pa.chunked_array(
        [pa.array([b"<p>x</p>"], pa.binary()), pa.array([b"<ruby>a<rt>b</rt></ruby>", b"<pre>1</pre>"], pa.binary())]
    )
    assert prepared(mixed).to_pylist() == [b"<p>x</p>", b"<ruby>a(b)</ruby>", b"<pre>1</pre>"]


@pytest.mark.parametrize("text", ["The ferry’s captain said “no boat” — café, naïve.", "“渡轮”——清晨六点准时离港，没有人上船。"])
def test_damaged_characters(text: str) -> None:
    damaged = text.encode("utf-8").decode("sloppy-windows-1252" if text[0] == "“" else "latin-1")
    assert mended_text(damaged) == text
    column = pa.array([text, damaged, damaged, "plain"])
    assert mended(column, np.array([False, False, True, False])).to_pylist() == [text, text, damaged, "plain"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("AT&amp;T and caf&eacute;&nbsp;au lait", "AT&T and café au lait"),
        ("他说：&ldquo;好&rdquo;&hellip;", "他说：“好”…"),
        ("&amp;#8220;so&amp;#8221;", "“so”"),
        ("Write &amp;lt; for the sign <", "Write &amp;lt; for the sign <"),
        ("In HTML &amp;nbsp; is a space", "In HTML &amp;nbsp; is a space"),
        ("Ærø, Ångström, São Paulo, naïve â — “x”", "Ærø, Ångström, São Paulo, naïve â — “x”"),
        ("R&D; x", "R&D; x"),
    ],
)
def test_entities_that_were_escaped_twice_and_text_that_is_whole(given: str, expected: str) -> None:
    assert mended(pa.array([given]), np.zeros(1, bool)).to_pylist() == [expected]


@pytest.mark.parametrize(
    "line",
    [
        '<span class="date">Mar 5, 2021</span>', '<p class="byline">Published: 5 March 2021</p>', "<p>Posted on Friday, 05-Mar-2021 by ann</p>",
        "<em>发表于 2021-3-5 21:01:17</em>", "<p>时间：2021年03月05日 来源：新华网</p>", "<p>by Ann on <time>March 5th, 2021</time></p>",
        '<p>from <abbr title="2021-03-05T12:00">3 days ago</abbr></p>', "<p>作者 <time>2021年3月5日</time></p>",
        "<div>[Submitted on 5 Mar 2021 (v1), last revised 7 Apr 2022 (this version, v2)]</div>", "<p>Published the 5th of March, 2021</p>",
    ],
)  # fmt: skip
def test_dates_of_pages(line: str) -> None:
    for text in (EN, ZH):
        assert extract_html(page(line, text)).date == "2021-03-05"


def test_dates_in_sentences_are_no_date_of_the_page() -> None:
    for line in (
        "<p>He died on 5 March 2021 in the old house by the river.</p>",
        "<p>这座桥于2021年3月5日倒塌，没有人受伤，也没有人知道原因。</p>",
        "<p>may 5 of 20 be</p>",
    ):
        assert extract_html(page(line)).date == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Thu, 25 Feb 2010 13:55:47 +0000", "2010-02-25"), ("2021/3/5", "2021-03-05"), ("20210305", "2021-03-05"), ("1614902400", "2021-03-05"),
        ("1614902400000", "2021-03-05"), ("March 5, 2021", "2021-03-05"), ("5th of March 2021", "2021-03-05"), ("发表于 2021年3月5日", "2021-03-05"),
        ("25/03/2021", "2021-03-25"), ("Fri Mar  5 21:01:17 2021", "2021-03-05"), ("2021-03-05T01:02:03Z", "2021-03-05T01:02:03Z"), ("2021", "2021"),
        ("2021-03", "2021-03"), ("03/05/2021", ""), ("2021-13-45", ""), ("spring", ""), ("", ""), ("9" * 400, ""),
        ("1 Jan 99999999999999999999 00:00:00", ""), ("发布 1 Jan 99999999999999999999 00:00:00", ""), ("１ ſep ２０２１", "2021-09-01"),
        ("161490240012", ""), ("161490240", ""), ("1614902400000.5", "2021-03-05"), ("２０２１年３月５日", "2021-03-05"), ("２０２１", "2021"),
        ("٢٠٢١", ""), ("٢٠٢١-٠٣-٠٥", ""),
    ],
)  # fmt: skip
def test_dates_of_sources(given: str, expected: str) -> None:
    assert iso(given) == expected
