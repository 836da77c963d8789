"""Hostile pages: long repetitions on which an expression that starts again at each place would not come to an end."""

from __future__ import annotations

import pyarrow as pa
import pytest

from skyloom.corpus.extract.rewrite.embedded import alternatives
from skyloom.corpus.extract.rewrite.marks import BOX, LISTING, MATH, RUBY
from skyloom.corpus.extract.rewrite.mathml import tex, with_tex
from skyloom.corpus.extract.rewrite.prepare import prepared, rewritten

MANY = 200_000
SAID = (b"<p>The harbour was quiet that night.</p>" * 8, "<p>那天夜里港口很安静，没有一条船出海。</p>".encode() * 8)


@pytest.mark.parametrize(
    "mark",
    [b"__DATA", b"__" + b"DATA" * 9, b"data-", b" data-a", b"<script>", b"<script", b"<style>", b"</script ", b"<!--", b"<!--[if", b"<noscript ", b"<template"],
)  # fmt: skip
def test_thin_pages(mark: bytes) -> None:
    for said in SAID:
        shown = list(alternatives(b"<noscript>" + said + b"</noscript>" + mark * (MANY // 4)))
        assert said in shown[0]


def test_thin_pages_are_paired_as_before() -> None:
    for said in SAID:
        page = b"<style>a</style><script>b<!-- c</script ><!--[if IE]>d<![endif]--><!--" + said + b"--><style>e<script>f</script>g"
        assert list(alternatives(page)) == [b"<!--[if IE]>d<![endif]--><div>" + said + b"</div><style>eg"]


def test_text_in_json_with_long_blanks_and_tags_without_an_end() -> None:
    for said in SAID:
        prose = said.decode().replace("<p>", "").replace("</p>", " ")
        for hostile in (" " * MANY, "<a" * MANY):
            page = f'<script type="application/json">{{"body": "{prose}{hostile}x"}}</script>'.encode()
            assert prose.strip()[:30] in next(alternatives(page)).decode()


@pytest.mark.parametrize("mark", [b"<math ", b"<math>", b"<ruby ", b"<rt ", b"<pre ", b"<pre><span class=", b"<amp-ad ", b'<table class="files"',
                                  b'<div class="signature" ', b"<i class=num class=num ", b"<pre>" + b"<i class=num " * 9])  # fmt: skip
def test_marked_pages(mark: bytes) -> None:
    page = mark * (MANY // 4)
    assert rewritten(page, MATH | RUBY | LISTING | BOX) == page
    if b"pre" not in mark:
        assert rewritten(b"<pre>" + page + b"</pre>", LISTING) == b"<pre>" + page + b"</pre>"


def test_formulas() -> None:
    assert tex("<" + "a" * MANY) is None
    assert with_tex(b"<math><" + b"a" * MANY + b"</math>x") in (b"x", b"<math><" + b"a" * MANY + b"</math>x")
    assert tex("<mi " + "a" * MANY + ">x</mi>") == "x"
    assert tex("<mi " + "值" * MANY + ">x</mi>") == "x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('x = <span class="num">42</span>;', 'x = <span class="num">42</span>;'),
        ('数 = <span class="num">1</span>;\n值 = <span class="num">2</span>;', '数 = <span class="num">1</span>;\n值 = <span class="num">2</span>;'),
        ('<span class="num">42</span> 只猫', '<span class="num">42</span> 只猫'),
        ('<span class="num">7</span>, a\n<span class="num">5</span>, b', '<span class="num">7</span>, a\n<span class="num">5</span>, b'),
        ('<span class="num">1</span>x = 1 # 注\n<span class="num">2</span>y', "x = 1 # 注\ny"),
        ('<code><a href=#1><span class="lineno">9</span></a>x = <b class="num">42</b></code>', '<code><a href=#1></a>x = <b class="num">42</b></code>'),
        ('<span></span><a id="1"></a><span class="linenos lineno">1</span> a\n<span class="lineno">2</span> b', '<span></span><a id="1"></a>a\nb'),
        ('<i class="num" data-a="1" class="num"></i>a', "a"),
    ],
)  # fmt: skip
def test_only_numbers_of_lines_leave_a_listing(given: str, expected: str) -> None:
    assert rewritten(f"<pre>{given}</pre>".encode(), LISTING).decode() == f"<pre>{expected}</pre>"


def test_larger_pages_are_left_as_they_are() -> None:
    pages = [b"<ruby>a<rt>b</rt></ruby>", "<ruby>漢<rt>かん</rt></ruby>".encode() + b" " * 2000]
    assert prepared(pa.array(pages), 0.001).to_pylist() == [b"<ruby>a(b)</ruby>", pages[1]]
