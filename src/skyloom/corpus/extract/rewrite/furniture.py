"""Furniture in lines of its own: buttons, votes, floors, points and signatures of forums and answers, and marks in headings.

Input: the blocks of a column of pages with their tags and the page of each. Output: which blocks stay, and headings without the
marks that edit them or link to them. Only short blocks are looked at, with one pattern over the whole column; the few that it
finds are judged page by page. Memory: a byte for each block, and the short blocks.

A line that can be nothing else (「本帖最后由 … 编辑」, "3 people found this helpful") goes. Words that a text may hold too
("Reply", 「收藏」) go where several of them make up a line, or where the same line stands on the page more than once, as below
each post. Headings, listings and single items of lists stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

LONGEST = 400
"""Bytes of the longest block that is looked at."""
_BUTTONS = (
    "reply|quote|report(?: post| abuse)?|share(?: this)?|like|unlike|upvote|downvote|permalink|permanent link|flag|save|"
    "follow|edit|comments?|add(?: a)? comment|multi-?quote|thanks?|top|back to top|give award|helpful|not helpful|"
    "回复|回覆|引用|举报|檢舉|检举|分享|点赞|點讚|赞|讚|踩|顶|支持|反对|反對|收藏|评论|評論|添加评论|写评论|编辑|赞同|反对票|喜欢|喜歡|"
    "感谢|感謝|收起|展开|追问|追答|只看该作者|只看楼主|倒序浏览|倒序看帖|电梯直达|使用道具|返回顶部|查看更多|发消息|加好友|关注|打赏|推荐|"
    "显示全部楼层|阅读模式|踩一下|有用|没用|楼主|沙发|板凳|地板"
)
_POINTS = (
    "posts?|points?|reputation|karma|joined|messages|threads|likes? received|reaction score|"
    "主题|主題|帖子|积分|積分|精华|精華|金币|威望|贡献|注册时间|最后登录|在线时间|粉丝|经验|阅读权限|好友|记录|相册|日志|贴子|UID"
)
_COUNT = r"[(\[（]?[0-9][0-9,.]*[kKmM万萬]?[+]?[)\]）]?"
_BETWEEN = r"[\s|·•,，、/:：]"
_WORDS = (
    rf"(?i)^(?:{_BETWEEN}*(?:{_COUNT}{_BETWEEN}*)?(?:{_BUTTONS}|{_POINTS})(?:{_BETWEEN}*{_COUNT})?(?:{_BETWEEN}|$))+{_BETWEEN}*$"
)
_SURE = (
    r"(?i)^\s*(?:"
    r"[0-9,]+ (?:people|users|readers|of [0-9,]+ people|persons?) (?:found|like|liked) this(?: [a-z]+)?(?: helpful| useful)?\.?"
    r"|(?:was|is) this (?:answer|article|page|post|review|information) (?:helpful|useful)(?: to you)?\?[\sa-z0-9()/|]{0,40}"
    r"|(?:this post was |this message was )?last edited (?:by|on|at)\b.{1,100}"
    r"|[0-9,]+ points?(?: by \S{1,30})?(?: \S{1,12}){0,3} ago.{0,60}"
    r"|本帖最后由.{1,60}编辑|本帖最後由.{1,60}編輯|该帖被.{1,60}(?:编辑|修改)过?|此帖于.{1,60}编辑过?"
    r"|(?:本|该|此)回答(?:由提问者推荐|被提问者(?:和网友)?采纳|被网友采纳|由.{1,20}(?:推荐|采纳))(?:[\s0-9赞同踩评论分享举报收起|·]{0,60})"
    r"|(?:已赞过|已踩过|已赞|已踩)[\s<>＜＞已赞踩过]{0,20}(?:你对这个回答的评价是[？?])?[\s评论收起分享举报0-9]{0,30}"
    r"|你对这个回答的评价是[？?][\s评论收起分享举报0-9]{0,30}"
    r"|[0-9,]+ ?人(?:赞同了?|觉得|认为)(?:该|此|这个|这条)?(?:回答|评论|答案|文章)?(?:有用|有帮助|很赞)?"
    r"|(?:这|該|该|此)(?:个|篇|條|条)?(?:回答|答案|文章|评论|評論)(?:对|對)?(?:您|你)?(?:有没有|是否)?(?:有)?(?:帮助|幫助|用)(?:吗|嗎)?[？?][\s是否有没用0-9()]{0,20}"
    r")\s*$"
)
_SIGNATURE = r"^(?:--|——|_{10,})[ \t]*\n"
_POST = (  # what stands above each post
    r"(?i)^\s*(?:第?\s*[0-9]{1,6}\s*(?:楼|樓)|[0-9]{1,6}\s*#|post #?[0-9]{1,6} by \S{1,40}|"
    r"\S{1,30} [0-9,]+ points? [0-9]+ \S{1,12} ago|"
    r"(?:(?:沙发|板凳|地板|楼主|第?[0-9]+(?:楼|#))\s*)*发表于\s*:?\s*20[0-9][0-9][-/.年0-9月日:时分 \t]{4,30}"
    r"(?:\s*(?:\|\s*)?(?:只看该作者|来自 ?\S{1,20}))*)\s*$"
)
_DOUBTFUL = f"(?:{_WORDS})|(?:{_SIGNATURE})|(?:{_POST})"
_LIKELY = re.sub(r"\{[0-9]+,[0-9]+\}", "*", f"(?:{_SURE})|{_DOUBTFUL}")
"""What the two find, and a little more. Arrow compiles a pattern at each call, and repetitions with limits take it milliseconds."""
_SIGNS, _POSTS = re.compile(_SIGNATURE), re.compile(_POST)
_POINT = re.compile(rf"(?i)(?:{_POINTS})[\s:：]*")
_WORD = re.compile(rf"(?i){_BUTTONS}|{_POINTS}")
_DIGITS = re.compile(r"[0-9][0-9,.]*")
_NUMBER = re.compile(r"[0-9][0-9,.]*[kKmM万萬]?")
_LISTED = re.compile(r"- |[0-9]+\. ")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_SPARED = (*_HEADINGS, "pre")
_ITEMS = ("li", "tr", "td", "th", "dt", "dd")
_SIGNED, _POSTED = "signature", "post"
_EDIT = "(?:编辑|編輯|edit|edit this section|(?:编辑|編輯|edit )?(?:源代码|源代碼|源码|原始碼|原始码|source))"
_EDITED = rf"(?is)^(.*\S)[ \x{{a0}}]*[\[［【][ ]*{_EDIT}(?:[ ]*[|｜/·][ ]*{_EDIT})*[ ]*[\]］】](?:[ ]*[¶#§])?$"
_LINKED = re.compile(r"[ ]*(?:播报)?(?:编辑|編輯)(?:播报)?$|[ ]*[#§¶🔗]$")


def without_furniture(blocks: pa.Array, tags: pa.Array, owners: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each block (string[n], with its tag, string[n], and the number of its page, int64[n], rising) stays, bool[n]."""
    stays = np.ones(len(blocks), bool)
    short = (pc.binary_length(blocks).to_numpy(zero_copy_only=False) <= LONGEST) & ~pc.is_in(
        tags, value_set=pa.array(_SPARED)
    ).to_numpy(zero_copy_only=False)
    places = np.flatnonzero(short)
    if not len(places):
        return stays
    texts = pc.replace_substring_regex(blocks.take(pa.array(places)), r"^(?:- |[0-9]+\. )", "")
    likely = pc.match_substring_regex(texts, _LIKELY)
    places, texts = places[likely.to_numpy(zero_copy_only=False)], texts.filter(likely)
    if not len(places):
        return stays
    sure = pc.match_substring_regex(texts, _SURE).to_numpy(zero_copy_only=False)
    stays[places[sure]] = False
    doubtful = pc.match_substring_regex(texts, _DOUBTFUL).to_numpy(zero_copy_only=False) & ~sure
    found = places[doubtful]
    given = dict(zip(found.tolist(), texts.filter(pa.array(doubtful)).to_pylist(), strict=True))
    for rows in np.split(found, np.flatnonzero(np.diff(owners[found])) + 1):
        _judge_page(rows.tolist(), given, blocks, tags, owners, stays)
    return stays


def _judge_page(
    rows: Sequence[int],
    given: dict[int, str],
    blocks: pa.Array,
    tags: pa.Array,
    owners: npt.NDArray[np.int64],
    stays: npt.NDArray[np.bool_],
) -> None:
    """Judge the doubtful blocks of one page."""
    shapes = {row: _shape(given[row]) for row in rows}
    often = Counter(shapes.values())
    for row in rows:
        text, item = given[row], tags[row].as_py() in _ITEMS or _LISTED.match(blocks[row].as_py()) is not None
        words = {word.lower() for word in _WORD.findall(text)}
        if often[shapes[row]] < 2 and (item or len(words) < 2 or shapes[row] in (_SIGNED, _POSTED)):
            continue
        stays[row] = False
        after = row + 1  # the number that a label is of
        if (
            _POINT.fullmatch(text)
            and after < len(blocks)
            and owners[after] == owners[row]
            and _NUMBER.fullmatch(_LISTED.sub("", blocks[after].as_py()))
        ):
            stays[after] = False


def _shape(text: str) -> str:
    """What a line is, whatever its numbers are."""
    if _SIGNS.match(text):
        return _SIGNED
    if _POSTS.match(text):
        return _POSTED
    return _DIGITS.sub("0", " ".join(text.split())).lower()


def unmarked(headings: pa.Array) -> pa.Array:
    """Texts (string[n]) without `[edit | edit source]`, 「[编辑 | 编辑源代码]」 at their ends; a text of nothing else stays."""
    if not pc.any(pc.match_substring_regex(headings, r"[\]］】](?:[ ]*[¶#§])?$")).as_py():
        return headings
    return pc.replace_substring_regex(headings, _EDITED, r"\1")


def plain_headings(blocks: pa.Array, tags: pa.Array, owners: npt.NDArray[np.int64]) -> pa.Array:
    """The blocks (string[n]), headings among them without the marks of wikis and manuals: `[edit]`, and on pages with two headings
    and more below the first rank of which each ends so, a loose 「编辑」, `#`, `§`."""
    headings = pc.is_in(tags, value_set=pa.array(_HEADINGS)).to_numpy(zero_copy_only=False)
    places = np.flatnonzero(headings)
    if not len(places):
        return blocks
    old = blocks.take(pa.array(places))
    texts = unmarked(old)
    likely = np.flatnonzero(pc.match_substring_regex(texts, r"(?:编辑|編輯|播报|[#§¶🔗])$").to_numpy(zero_copy_only=False))
    if len(likely):
        found = texts.to_pylist()
        ranks = tags.take(pa.array(places)).to_pylist()
        by_page: dict[int, list[int]] = {}
        for n, page in enumerate(owners[places].tolist()):
            by_page.setdefault(page, []).append(n)
        for page in dict.fromkeys(owners[places[likely]].tolist()):
            below = [n for n in by_page[page] if ranks[n] != "h1"]
            shorter = [_LINKED.sub("", found[n]) for n in below]
            if len(below) >= 2 and all(text and text != found[n] for n, text in zip(below, shorter, strict=True)):
                for n, text in zip(below, shorter, strict=True):
                    found[n] = text
        texts = pa.array(found, blocks.type)
    if texts.equals(old):
        return blocks
    return pc.replace_with_mask(blocks, pa.array(headings), texts)
