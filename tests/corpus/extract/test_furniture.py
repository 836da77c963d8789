"""Furniture of forums, answers and wikis: buttons, votes, floors, points, signatures, marks in headings, names of sites in titles."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.corpus.extract.kinds import TEXTS, article, page

from skyloom.corpus.extract import extract_html
from skyloom.corpus.extract.column import page_part
from skyloom.corpus.extract.rewrite import furniture, prepare
from skyloom.corpus.extract.rewrite.furniture import plain_headings, without_furniture
from skyloom.corpus.extract.rewrite.marks import box_tags

SHELLS = (
    '<div class="post"><div class="postbody">{}</div></div>', '<div class="x1"><div class="x2">{}</div></div>',
    '<table class="plhin"><tr><td class="plc">{}</td></tr></table>', '<li class="comment">{}</li>',
)  # fmt: skip
POSTS = {  # what stands above and below each post ("@": its number), and what must not be left of it
    "floor": ('<div class="floor">@楼</div>', "", "楼"),
    "floor, sign": ("<em>@</em><sup>#</sup>", "", "#"),
    "floor, link": ('<div class="pi"><strong><a href="#p@"><em>@</em><sup>楼</sup></a></strong></div>', "", "楼"),
    "floor, date": ("<span>沙发</span> <span>发表于 2021-3-5 21:01</span>", "", "沙发 发表于"),
    "number of a post": ('<p class="author">Post #@ by <a href="/u">ann</a></p>', "", "Post #"),
    "score": ('<div class="score"><span>12@</span> points</div>', "", "points"),
    "score, age": ('<p class="tagline"><a href="/u">ann</a> 12 points 3 hours ago</p>', "", "points ago"),
    "points": ('<dl class="pil"><dt>积分</dt><dd>12@</dd><dt>帖子</dt><dd>33</dd></dl>', "", "积分 帖子"),
    "points, lines": ('<div class="avatar">主题<br>12<br>帖子<br>34<br>积分<br>88@</div>', "", "积分 帖子"),
    "points, English": ('<div class="user">Posts: 12@<br>Reputation: 40<br>Joined: 2011</div>', "", "Posts Reputation"),
    "links": ("", '<div class="po"><a href="/r">Reply</a> <a href="/q">Quote</a> <a href="/x">Report</a></div>', "Reply Quote Report"),
    "links, Chinese": ("", '<div><a href="/r">回复</a> <a href="/q">引用</a> <a href="/x">举报</a> <a>支持</a> <a>反对</a></div>', "回复 引用 举报"),
    "line": ("", "<p>Reply | Report | Share (3)</p>", "Report Share"),
    "line, Chinese": ("", "<p>回复 | 举报 | 分享</p>", "举报 分享"),
    "list": ("", "<ul><li>Reply</li><li>Report</li><li>Like (3)</li></ul>", "Report Like"),
    "list, Chinese": ("", "<ul><li>点赞(3)</li><li>评论</li><li>收藏</li></ul>", "点赞 收藏"),
    "signature": ("", '<div class="sign">人生就像一杯茶，不会苦一辈子，但总会苦一阵子。</div>', "人生就像"),
    "signature, English": ("", '<div class="signature">My other car is a boat, and my other boat is a pump.</div>', "My other car"),
    "signature, line": ("", "<p>--<br>人生就像一杯茶，不会苦一辈子。</p>", "人生就像"),
    "signature, long line": ("", "<div>__________________<br>My other car is a boat.</div>", "My other car ____"),
    "signature, cell": ("", '<table><tr><td class="sig">My other car is a boat, and my other boat is a pump.</td></tr></table>', "My other car"),
    "accepted": ("", '<div class="qb"><span>本回答被提问者采纳</span><span>赞同 12@</span><span>评论</span></div>', "采纳 赞同"),
    "judged": ("", "<p>已赞过 已踩过&lt; 你对这个回答的评价是？ 评论 收起</p>", "已赞过 评价是"),
    "votes": ("", "<div>赞同 12@</div><div>添加评论</div><div>分享</div><div>收藏</div><div>喜欢</div>", "赞同 收藏"),
    "question": ("", "<p>Was this answer helpful? Yes No</p>", "helpful"),
    "helpful": ("", "<div>3@ people found this helpful</div>", "found this helpful"),
    "edited": ("", '<i class="pstatus">本帖最后由 ann 于 2021-3-5 21:01 编辑</i>', "本帖最后由"),
    "edited, English": ("", '<p class="edited">Last edited by ann; 03-05-2021 at 21:01.</p>', "Last edited"),
}  # fmt: skip


def thread(lang: str, above: str, below: str, shell: str) -> str:
    posts = [
        shell.format(above.replace("@", str(n)) + f"<p>{text}</p>" + below.replace("@", str(n)))
        for n, text in enumerate(TEXTS[lang], 1)
    ]
    title = "How to repair a pump" if lang == "en" else "水泵怎么修"
    return page(lang, f'<div class="thread"><h1>{title}</h1>{"".join(posts)}</div>')


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", POSTS)
def test_furniture_of_posts_goes(lang: str, name: str) -> None:
    above, below, words = POSTS[name]
    for shell in SHELLS:
        found = extract_html(thread(lang, above, below, shell)).text
        assert [w for w in words.split(" ") if w in found] == [], shell
        assert all(text in found for text in TEXTS[lang]), shell


KEPT = {
    "en": (
        "<ul><li>Reply</li><li>Report</li><li>Share</li></ul>", "<p>Reply</p>", "<table><tr><th>Points</th><th>Posts</th></tr><tr><td>3</td><td>12</td></tr></table>",
        "<p>Press Reply, and the form below the post opens.</p>", "<p>She had 12 points.</p>", "<pre>Reply | Report</pre>", "<p>He is on floor 3.</p>",
        "<p>-- The keeper of the tower, as he wrote in his last letter.</p>", "<p>Was this the end? Nobody knows.</p>",
    ),
    "zh": (
        "<ul><li>回复</li><li>举报</li><li>分享</li></ul>", "<p>回复</p>", "<table><tr><th>积分</th><th>帖子</th></tr><tr><td>3</td><td>12</td></tr></table>",
        "<p>按下回复，帖子下面就会打开一个表单。</p>", "<p>他一共得了12分。</p>", "<pre>回复 | 举报</pre>", "<p>他住在三号楼的3楼。</p>",
        "<p>——守塔人在最后一封信里这样写道，谁也没有回信。</p>", "<p>这个答案对吗？谁也不知道。</p>",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lang", "inner"), [(lang, inner) for lang, all_of in KEPT.items() for inner in all_of])
def test_what_a_text_may_say_stays(lang: str, inner: str) -> None:
    words = [w for w in pa.compute.split_pattern_regex(pa.scalar(inner), "<[^>]*>").as_py() if w.strip()]
    plain = extract_html(article(lang, f"<p>{TEXTS[lang][0]} 7</p>{inner}<p>{TEXTS[lang][1]} 8</p>"))
    blocks = pa.array([w.strip() for w in words])
    tags = pa.array(["li" if "<li" in inner else "tr" if "<tr" in inner else "pre" if "<pre" in inner else "p"] * len(words))
    assert without_furniture(blocks, tags, np.zeros(len(words), np.int64)).all()
    assert plain.reason is None and all(text in plain.text for text in TEXTS[lang])


MARKS = (
    '<span class="mw-editsection">[<a href="/e">编辑</a><span> | </span><a href="/s">编辑源代码</a>]</span>', '[<a href="/e">編輯</a> | <a href="/s">編輯原始碼</a>]',
    '[<a href="/e">edit</a> | <a href="/s">edit source</a>]', ' <span>[<a href="/e">edit</a>]</span>', "【编辑】", '<a class="headerlink" href="#x">¶</a>',
    '<a class="anchor" href="#x">#</a>', '<a class="edit-icon" href="/e">编辑</a>', "<a>播报</a><a>编辑</a>",
)  # fmt: skip


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(("lang", "names"), [("en", ["Origins", "The repair", "Use today"]), ("zh", ["历史沿革", "修缮", "现状"])])
def test_marks_in_headings_go(lang: str, names: list[str], mark: str) -> None:
    parts = "".join(f"<h2><span>{name}</span>{mark}</h2><p>{text}</p>" for name, text in zip(names, TEXTS[lang][1:], strict=False))
    found = extract_html(page(lang, f"<main><h1>{TEXTS[lang][4][:12]}</h1><p>{TEXTS[lang][0]}</p>{parts}</main>"))
    assert [b for b, tag in zip(found.blocks, found.tags, strict=True) if tag == "h2"] == names


def test_headings_that_end_so_by_themselves_stay() -> None:
    blocks = pa.array(["Why C#", "text", "Who reads it", "视频编辑", "文", "音频", "[edit]", "Arrays [2]"])
    tags, owners = pa.array(["h2", "p", "h2", "h2", "p", "h2", "h2", "h3"]), np.array([0, 0, 0, 1, 1, 1, 2, 2])
    assert plain_headings(blocks, tags, owners).to_pylist() == blocks.to_pylist()


def test_pages_are_judged_each_by_itself() -> None:
    blocks = pa.array(["Reply", "a", "Reply", "b", "Reply", "回复", "回复"])
    tags, owners = pa.array(["p"] * 7), np.array([0, 0, 1, 1, 1, 2, 3])
    assert without_furniture(blocks, tags, owners).tolist() == [True, True, False, True, False, True, True]
    assert without_furniture(blocks[:0], tags[:0], owners[:0]).tolist() == []


def test_a_cell_of_signs_that_is_the_text_stays() -> None:
    for lang, texts in TEXTS.items():
        inner = "".join(f'<div class="sign"><h3>{text[:6]}</h3><p>{text}</p></div>' for text in texts)
        found = extract_html(page(lang, f"<main>{inner}</main>")).text
        assert all(text in found for text in texts)


@pytest.mark.parametrize(
    ("title", "part"),
    [
        ("The old bridge - Harbour News", "The old bridge"), ("Harbour News - The old bridge", "The old bridge"), ("(1) The old bridge - Forum", "The old bridge"),
        ("The old bridge « Harbour Blog", "The old bridge"), ("The old bridge > Harbour", "The old bridge"), ("A—B test results", "A—B test results"),
        ("The well-known forum", "The well-known forum"), ("Part 1-2", "Part 1-2"), ("旧桥的历史-港口新闻网", "旧桥的历史"), ("旧桥 - 维基百科，自由的百科全书", "旧桥"),
        ("旧桥 – 港口新闻", "旧桥"), ("旧桥的历史--港口频道--人民网", "旧桥的历史"), ("港口新闻网 - 旧桥的历史", "旧桥的历史"), ("旧桥的历史 > 港口新闻", "旧桥的历史"),
        ("如何修水泵？_百度知道", "如何修水泵？"), ("【旧桥】旧桥的历史_港口论坛", "【旧桥】旧桥的历史"), ("桥-梁", "桥-梁"), ("2019-2020年新闻", "2019-2020年新闻"), ("", ""),
    ],
)  # fmt: skip
def test_names_of_sites_in_titles_go(title: str, part: str) -> None:
    assert page_part(title) == part


@pytest.mark.parametrize("mark", ['<div class="sign">', '<td class="sig">', 'class="sign "', "forum <p class=sig>"])
def test_hostile_signatures_end(mark: str) -> None:
    assert extract_html("<html><body>forum bbs" + mark * 20_000).reason in (None, "no passages", "empty", "too many tags")


PIECES = st.sampled_from([
    b"<div", b"<table", b"<p>", b"<amp-ad>", b"</amp-ad>", b"<ul ", b" class=", b" id='", b'"', b"'", b">", b"<", b"</div>", b"</table>", b"</ul>",
    b"related-posts", b"Related_Posts", b"authorbox", b"author-bio ", b"files", b"sig", b" sign ", b"x ", b"- ", b"\n", b"forum", b"<b>",
    "相关".encode(), "作者的话。".encode() * 20, b"text of the page " * 20, b'<div class="related-posts">', b"<div class='sig'>", b"<p class=sign >",
    b'<table class="files">', b"<aside id=about-the-author>", b"</aside>",
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_boxes_are_found_where_a_search_of_the_whole_page_finds_them(page: bytes) -> None:
    """The compiled search for tags that may be boxes only saves time."""
    found = [(box.start(), box.end()) for box in prepare._BOX.finditer(page)]
    tags = box_tags(page).tolist()
    assert all(any(first <= a and b <= last for first, last in tags) for a, b in found)
    assert all(b">" not in page[a : b - 1] for a, b in tags)
    assert [a for a, _ in tags] == sorted({a for a, _ in tags})
    everywhere = np.array([[0, len(page)]])
    with mock.patch.object(prepare, "box_tags", lambda _: everywhere):
        plain = prepare._without_boxes(page)
    assert prepare._without_boxes(page) == plain


PARTS = st.sampled_from([
    "Reply", "回复", " | ", "12", "(3k)", "举报 ", "points ", "last edited by ann", "本帖最后由 甲 于昨天编辑", "3 people found this helpful", "-- \n",
    "——\n", "第12楼", "Post #7 by ann", "发表于 2021-3-5 21:01", " 只看该作者", "A sentence of the text.", "正文的一句话。", " ", "\n", "ago", "12 points",
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=6).map("".join), min_size=1, max_size=12))
def test_lines_are_found_as_by_the_patterns_alone(lines: list[str]) -> None:
    """The search for likely lines only saves time."""
    texts, tags, owners = pa.array(lines, pa.string()), pa.array(["p"] * len(lines)), np.zeros(len(lines), np.int64)
    quick = without_furniture(texts, tags, owners)
    with mock.patch.object(furniture, "_LIKELY", ""):
        assert without_furniture(texts, tags, owners).tolist() == quick.tolist()
