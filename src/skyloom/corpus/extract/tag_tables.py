"""The constants of structural extraction as arrays: tags, character references, and the words that tell what an element is.

Nothing enters; `tables()` gives one `Tables` for each process, a megabyte, built in about 30 ms. Class names and ids are
searched for words of thirty-odd groups, in English and in the pinyin that Chinese sites use; short blocks for phrases that
belong to a site and not to its text, in both languages. Both searches are Aho-Corasick automata, so that they cost one
look-up for each byte however many words there are (report 3.1: navigation bars, contacts and disjoint titles go).
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping, Sequence
from html.entities import html5
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import FNV_PRIME, FNV_START, Bytes, Hashes, Ints, Ints32

TAGS = (
    "?", "a", "address", "article", "aside", "audio", "base", "blockquote", "body", "br", "button", "canvas", "caption", "center",
    "code", "datalist", "dd", "details", "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html", "iframe", "img", "input", "label", "legend",
    "li", "link", "main", "map", "math", "menu", "meta", "nav", "noembed", "noframes", "noscript", "object", "ol", "option", "p",
    "plaintext", "pre", "script", "section", "select", "span", "style", "summary", "svg", "table", "tbody", "td", "template",
    "textarea", "tfoot", "th", "thead", "time", "title", "tr", "ul", "video", "xmp", "listing", "search", "sup", "sub",
    "embed", "area", "basefont", "bgsound", "col", "frame", "keygen", "param", "source", "track", "wbr",
)  # fmt: skip
"""Every tag that matters, by its number; 0 stands for all others, which are inline and say nothing."""

TAG = {name: number for number, name in enumerate(TAGS)}
VOID = TAG["embed"]
"""From this number on: elements without content, which say nothing and have no end tag."""

BLOCK, SKIPPED, HEADING, TEXT = 1, 2, 4, 8
"""What a tag is: it breaks the text; its content is none of the page's text; a heading; it says what its text is."""

_BLOCKS = (
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol p pre section search summary table tbody td tfoot "
    "th thead tr ul"
)
_SKIPPED = (
    "audio button canvas datalist iframe map math noembed noframes noscript object script select style svg template textarea title "
    "video xmp"
)
_TEXTS = "p li pre td th dt dd blockquote figcaption caption summary legend h1 h2 h3 h4 h5 h6"

TAG_BITS = (
    "article", "main", "nav", "aside", "header", "footer", "form", "td", "li", "dl", "blockquote", "figure", "section", "address",
    "table", "hidden",
)  # fmt: skip
"""What the tag of an element says by itself (th counts as td, dt and dd as dl, menu as nav); `hidden` is an attribute."""

NAMES: Mapping[str, str] = {
    "nav": "nav menu daohang |navi",
    "crumb": "crumb mianbao weizhi |path| |pos|",
    "foot": "foot dibu bottom contentinfo",
    "head": "header masthead |top| topbar |hd| |head| |banner",
    "side": "side rail |right| |left| complementary |col-r |fr|",
    "share": "share sharing social fenxiang weixin wechat weibo qrcode facebook twitter |sns erweima",
    "relate": "relat recommend tuijian xiangguan also |more| readmore |hot popular trend latest |rec| suggest |next| |prev",
    "ad": "|ad| |ads| |ad- advert sponsor promo guanggao adsense |gg| |dfp outbrain taboola",
    "popup": "cookie popup modal overlay gdpr consent |notice| alert toast dialog",
    "login": "login signin sign-up signup regist",
    "subscribe": "subscri newsletter paywall |follow donate",
    "legal": "copyright banquan disclaim shengming statement |license",
    "pages": "pager paging pagination |page-nav fenye |pages|",
    "tool": "tool widget plugin |btn button print |font action",
    "toc": "|toc tableofcontents catalog mulu |outline|",
    "author": "author byline editor zuozhe |bio| avatar profile |user contrib",
    "date": "date |time shijian publish posted",
    "meta": "meta |info| laiyuan |source| |from",
    "rate": "rating rank |vote |score star |like",
    "tag": "|tag| |tags| keyword |label categor",
    "search": "search sousuo",
    "comment": "comment repl respon pinglun disqus liuyan huifu discuss feedback review",
    "list": "list |item |card grid tile feed",
    "link": "link",
    "title": "title headline biaoti heading",
    "picture": "caption figure photo image gallery |img |pic slide carousel",
    "video": "video player audio",
    "article": "article story wenzhang",
    "content": "content neirong zhengwen trs_editor rich_media",
    "body": "body |text prose |entry markdown |read |para",
    "main": "main primary",
    "post": "post message thread topic |floor tiezi",
    "detail": "detail product desc |spec summary abstract |intro",
    "doc": "|doc manual |help wiki |faq |code highlight question answer",
    "hide": "hidden |hide| |none| sr-only screen-reader collapse invisible noprint no-print",
}
"""Groups of words in class names, ids, roles and itemprops; `|` is the name's end or one of `-_ `."""

FOLDS = (
    "accordion collaps |tab| |tabs| tabcon tabbox tabpanel tabitem |tab1| |tab2| |tab3| |tab4| |tab5| toggle expand |fold| folded "
    "|faq spoiler |panel| disclosure slide swiper slick carousel readmore read-more |more| moretext show-more fulltext full-text "
    "|full| zhankai quanwen |wow| animat |aos |fade reveal lazy elementor-invisible js_content rich_media_content"
)
"""Words in names of what is hidden only until a click or a script shows it: accordions, tabs, slides, the rest of a text."""

NOTES = "footnote |fn| fnref |note| noteref endnote |cite cite|ref |reference sdfootnote |zhu| zhushi |ref| |jiaozhu"
"""Words in names of raised marks that lead to a note."""

HIDING = (
    "hidden hide d-none sr-only visually-hidden visuallyhidden visually_hidden screen-reader-text screen-reader-only invisible "
    "is-hidden ishidden u-hidden js-hidden offscreen off-screen off_screen display-none displaynone nodisplay no-display none "
    "hidden-text hide-text text-hide hidetext hiddentext a11y-hidden assistive-text element-invisible element-hidden sr_only "
    "u-visually-hidden u-sr-only accessibility-hidden disnone dis-none noshow yincang is-invisible visually-hide hidden-content "
    "uk-hidden"
)
"""Classes that say, as a whole, that an element is not shown."""

PHRASES: Mapping[str, Sequence[str]] = {
    "legal": (
        "copyright",
        "©",
        "all rights reserved",
        "privacy policy",
        "terms of",
        "版权所有",
        "版權所有",
        "公网安备",
        "icp备",
        "icp证",
        "免责声明",
        "转载请注明",
        "未经授权",
        "powered by",
        "cookie",
        "许可证",
        "著作权",
        "举报电话",
    ),
    "contact": (
        "contact us",
        "联系我们",
        "聯絡我們",
        "电话：",
        "地址：",
        "邮编",
        "客服",
        "投稿",
        "e-mail",
        "邮箱",
        "about us",
        "关于我们",
    ),
    "share": (
        "share this",
        "follow us",
        "facebook",
        "twitter",
        "扫一扫",
        "二维码",
        "关注微信",
        "分享到",
        "分享",
        "微博",
        "朋友圈",
        "点赞",
    ),
    "relate": (
        "related",
        "read more",
        "see also",
        "相关阅读",
        "相关新闻",
        "相关推荐",
        "推荐阅读",
        "上一篇",
        "下一篇",
        "返回顶部",
        "更多",
        "热门",
        "recommended",
        "most popular",
        "you may also",
        "点击查看",
        "阅读全文",
        "延伸阅读",
        "next:",
        "previous:",
        "latest news",
    ),
    "login": (
        "sign up",
        "sign in",
        "log in",
        "subscribe",
        "newsletter",
        "登录",
        "注册",
        "订阅",
        "register",
        "click here",
        "客户端",
        "下载app",
    ),
    "comment": ("comment", "reply", "评论", "回复", "留言", "replies", "跟帖", "楼主", "发表于"),
    "byline": (
        "posted by",
        "written by",
        "责任编辑",
        "责编",
        "编辑：",
        "来源：",
        "来源:",
        "作者：",
        "作者:",
        "记者",
        "发布时间",
        "published",
        "updated",
        "min read",
        "字号",
        "浏览",
        "阅读量",
        "点击数",
        "photo:",
        "image:",
        "图片来源",
        "图源",
        "credit",
    ),
    "advert": ("advertis", "广告", "sponsored", "推广", "coupon", "discount", "add to cart", "加入购物车", "立即购买"),
    "place": ("当前位置", "您的位置", "you are here", "home", "首页", "back to"),
}
"""What short blocks say that speak of their site and not of its subject."""


class Tables(NamedTuple):
    """All constants that the compiled code reads. Names: uint64 hashes in open addressing, 0 is free."""

    tag_keys: Hashes  # uint64[512]
    tag_ids: Bytes  # uint8[512]
    tag_flags: Bytes  # uint8[256]
    tag_bits: Ints  # int64[256]: the element bits that a tag sets by itself
    attribute_keys: Hashes  # uint64[64]
    attribute_ids: Bytes  # uint8[64]
    entity_keys: Hashes  # uint64[8192]
    entity_points: Ints32  # int32[8192, 2]
    name_class: Bytes  # uint8[256]
    name_next: npt.NDArray[np.int16]  # int16[states, classes]
    name_bits: Ints  # int64[states]
    hiding: Hashes  # uint64[256]: the classes of HIDING, each after a full stop
    phrase_class: Bytes
    phrase_next: npt.NDArray[np.int16]
    phrase_bits: Ints


ATTRIBUTES = (
    "?", "class", "id", "role", "itemprop", "style", "hidden", "aria-hidden", "href", "alt", "content", "property", "name",
    "datetime", "type", "alttext", "encoding", "start", "display", "charset", "http-equiv", "pubdate", "value", "colspan",
    "rowspan", "open",
)  # fmt: skip
ATTRIBUTE = {name: number for number, name in enumerate(ATTRIBUTES)}

NAME_BITS = {name: 1 << k for k, name in enumerate(NAMES)}
ELEMENT_BITS = {name: 1 << (len(NAMES) + k) for k, name in enumerate(TAG_BITS)}
PHRASE_BITS = {name: 1 << k for k, name in enumerate(PHRASES)}
FOLD_BIT, NOTE_BIT = 1 << 60, 1 << 61
"""What `FOLDS` and `NOTES` set beside the bits of NAMES; they are no features."""


def bits(names: str) -> int:
    """The bits of some groups of names, for example bits("article content")."""
    return sum(NAME_BITS[n] for n in names.split())


def fnv(name: str) -> int:
    """FNV-1a over the bytes of a name, as the compiled code computes it; never 0."""
    state = int(FNV_START)
    for byte in name.encode():
        state = ((state ^ byte) * int(FNV_PRIME)) & (2**64 - 1)
    return state or 1


@functools.cache
def tables() -> Tables:
    """The constants, built once in a process."""
    tag_keys, tag_ids = _hashed(TAG, 512)
    attribute_keys, attribute_ids = _hashed(ATTRIBUTE, 64)
    flags = np.zeros(256, np.uint8)
    for group, flag in ((_BLOCKS, BLOCK), (_SKIPPED, SKIPPED), ("h1 h2 h3 h4 h5 h6", HEADING), (_TEXTS, TEXT)):
        for name in group.split():
            flags[TAG[name]] |= flag
    tag_bits = np.zeros(256, np.int64)
    for name, bit in ELEMENT_BITS.items():
        if name in TAG:
            tag_bits[TAG[name]] |= bit
    for name, as_if in (("th", "td"), ("dt", "dl"), ("dd", "dl"), ("menu", "nav"), ("figcaption", "figure")):
        tag_bits[TAG[name]] |= ELEMENT_BITS[as_if]
    entity_keys, entity_points = _entities()
    names = {w: NAME_BITS[g] for g, words in NAMES.items() for w in words.split()}
    for words, bit in ((FOLDS, FOLD_BIT), (NOTES, NOTE_BIT)):
        for word in words.split():
            names[word] = names.get(word, 0) | bit
    hiding, _ = _hashed({f".{name}": 0 for name in HIDING.split()}, 256)
    phrases = {w: PHRASE_BITS[g] for g, words in PHRASES.items() for w in words}
    return Tables(
        tag_keys, tag_ids.astype(np.uint8), flags, tag_bits, attribute_keys, attribute_ids.astype(np.uint8),
        entity_keys, entity_points,
        *_automaton(names, "-_ \t\n|"), hiding, *_automaton(phrases, ""),
    )  # fmt: skip


def _hashed(ids: Mapping[str, int], size: int) -> tuple[Hashes, Ints]:
    """Open addressing by `fnv`: keys uint64[size] and the number of each."""
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for name, number in ids.items():
        slot = fnv(name) % size
        while keys[slot]:
            slot = (slot + 1) % size
        keys[slot], values[slot] = fnv(name), number
    return keys, values


def _entities() -> tuple[Hashes, Ints32]:
    """Named character references, by their names without `&` and with `;` where it is needed: their one or two code points."""
    names = list(html5)
    keys, order = _hashed({name: n for n, name in enumerate(names)}, 8192)
    points = np.zeros((8192, 2), np.int32)
    for slot in np.flatnonzero(keys):
        text = html5[names[order[slot]]]
        points[slot, : len(text)] = [ord(c) for c in text]
    return keys, points


def _automaton(words: Mapping[str, int], separators: str) -> tuple[Bytes, npt.NDArray[np.int16], Ints]:
    """Aho-Corasick over bytes without case: the class of each byte, the next state of each state and class, its bits."""
    spelt = {word.replace("_", "|").replace("-", "|").encode() if separators else word.encode(): bit for word, bit in words.items()}
    classes = np.zeros(256, np.uint8)
    for number, byte in enumerate(sorted({b for word in spelt for b in word}), 1):
        classes[byte] = number
        if 97 <= byte <= 122:
            classes[byte - 32] = number
    for separator in separators.encode():
        classes[separator] = classes[ord("|")]
    following: list[dict[int, int]] = [{}]
    found = [0]
    for word, bit in spelt.items():
        state = 0
        for byte in word:
            if classes[byte] not in following[state]:
                following[state][int(classes[byte])] = len(following)
                following.append({})
                found.append(0)
            state = following[state][int(classes[byte])]
        found[state] |= bit
    return classes, *_filled(following, found, int(classes.max()) + 1)


def _filled(following: list[dict[int, int]], found: list[int], classes: int) -> tuple[npt.NDArray[np.int16], Ints]:
    """The complete transition table int16[states, classes] of a trie, and the bits of each state with those of its suffixes."""
    table = np.zeros((len(following), classes), np.int16)
    suffix, waiting = [0] * len(following), deque([0])
    while waiting:
        state = waiting.popleft()
        found[state] |= found[suffix[state]]
        table[state] = table[suffix[state]] if state else 0
        for symbol, child in following[state].items():
            suffix[child] = int(table[state, symbol]) if state else 0
            table[state, symbol] = child
            waiting.append(child)
    return table, np.array(found, np.int64)
