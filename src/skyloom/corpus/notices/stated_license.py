"""The licence of a page's text, as its markup states it.

Input: a page in lower case, and its address. Output: an identifier in the form of SPDX ("CC-BY-SA-4.0"; ports of Creative Commons
licences with their country: "CC-BY-NC-SA-2.5-CN"), or "". What counts, in this order:

1. the head: `<link rel="license">`, `<meta>` of licences and rights, JSON-LD `license` of the page or article;
2. links with `rel="license"` and elements with `itemprop="license"`;
3. the address of a deed, as a link or plainly, in a sentence that speaks of this work, or in a footer or a notice of rights.

A page that merely writes about licences has none: of each group only a single licence counts; captions, quotations, code and
readers' comments do not, and neither does a sentence about pictures, fonts, maps or another work. A licence that is missed costs
a document where licences are asked for; one that is wrong would publish what nobody allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from skyloom.corpus.notices.loose_markup import ancestors, attributes, block_text, split, tags

_DEED = re.compile(
    r"creativecommons\.(?:org|net)/(?:licenses/(?P<parts>[a-z]{2}(?:-[a-z]{2}){0,3})/(?P<version>[1-4]\.[0-9])(?:/(?P<port>[a-z]{2,8})(?![a-z.-]))?"
    r"|publicdomain/(?P<tool>zero|mark)/1\.0)"
)
_PARTS = {"by", "nc", "nd", "sa"}
_NO_PORT = ("deed", "legalcode", "rdf")
_OTHERS = (
    (re.compile(r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?fdl-1\.([123])"), r"GFDL-1.\1-or-later"),
    (re.compile(r"nationalarchives\.gov\.uk/doc/open-government-licence/version/([123])"), r"OGL-UK-\1.0"),
)
_META = re.compile(r"(?:dc|dcterms|dc\.terms)[.:](?:rights|license|rights\.license)|license|rights|copyright")
_WORKS = frozenset(
    "aboutpage advertisercontentarticle analysisnewsarticle article blogposting collectionpage discussionforumposting faqpage "
    "howto itempage liveblogposting newsarticle opinionnewsarticle qapage reportagenewsarticle socialmediaposting techarticle "
    "webpage website".split()
)
_APART = frozenset({"figure", "figcaption", "blockquote", "code", "pre", "q", "samp", "kbd", "caption"})
_APART_NAMES = re.compile(
    r"comment|repl(?:y|ies)|caption|credit|gallery|thumb|attribution|quot|\bcite|signature|message|image|\bimg|photo|picture|media|"
    r"\bcard|example|sample|评论|回复|留言|引用|图"
)
_WHOLE = frozenset({"html", "body", "main"})
"""Elements whose names speak of the whole page."""
_BODY = re.compile(r"</head|<(?:body|p|div|article|main|figure|h1|section)(?=[\s/>])")
_RESERVED = re.compile(
    r"all rights reserved|版权所有|版權所有|保留(?:所有|一切|全部)(?:权利|權利)|未经.{0,8}(?:许可|授权|允许|同意)"
    r"|未經.{0,8}(?:許可|授權|同意)"
    r"|(?:禁止|不得|谢绝|謝絕)(?:任何)?(?:转载|轉載|复制|複製)"
)
_NOTICE_NAMES = re.compile(r"licen[cs]e|copyright|footer|colophon|legal|\brights\b|banquan|版权|许可")
_OURS = re.compile(
    r"\b(?:this|these|our) (?:\w+ ){0,2}?(?:work|page|site|website|web site|wiki|blog|post|article|text|content|contents|"
    r"document|documentation|tutorial|material|materials)\b"
    r"|\b(?:all|the|site|text|page|website|wiki|blog) (?:\w+ ){0,2}?(?:content|contents|text|texts|articles|posts|pages|materials?)"
    r" (?:\w+ ){0,6}?(?:is|are) (?:\w+ ){0,2}?(?:licensed|available|released|published|shared|distributed|provided)\b"
    r"|\b(?:content|text) (?:on this \w+ |of this \w+ )?(?:is )?(?:licensed|available|released|published) under\b"
    r"|\b(?:except|unless) (?:where |when )?otherwise (?:noted|stated|specified|indicated|expressly)"
    r"|本(?:作品|文章?|站|页面?|网站|网页|博客|博文|文档|内容|教程|维基|专栏|網站|網頁|部落格)"
    r"|除非?(?:特别|另|特別)(?:有)?(?:注明|说明|声明|註明|說明|聲明)|除(?:非)?另(?:有|行)|所有(?:文章|内容|文字|內容)|全部(?:文章|内容)|转载请(?:注明|遵|保)|轉載請"
    r"|版权声明|版權聲明|许可协议[:：]|授权协议[:：]|著作权声明"
)
_STATES = re.compile(
    r"licen[cs]ed?|available|released|published|shared|distributed|provided|reuse|cc[ -]by|creative commons|知识共享"
    r"|许可|授权|协议|发布|遵循|采用|分享|版权|許可|授權|協議|條款|釋出|採用|版權"
)
_OTHER_WORKS = re.compile(
    r"\b(?:icons?|images?|photos?|photographs?|pictures?|illustrations?|figures?|fonts?|typefaces?|themes?|templates?|logos?|maps?|"
    r"map data|openstreetmap|videos?|music|sounds?|songs?|audio|artwork|emojis?|avatars?|datasets?|data|code|software|"
    r"header|graphics?|vectors?|svg|drawings?|screenshots?|backgrounds?|banners?|definitions?)\b"
    r"|图标|图片|照片|插图|配图|字体|主题|模板|地图|素材|视频|音乐|封面|头像|代码|数据|數據|背景|图像|图形|标志|圖示|圖片|照片|插圖|字型|佈景|範本|地圖|素材|影片|音樂"
)
_TEXT_TOO = re.compile(r"\b(?:text|texts|content|contents|articles?|posts?)\b|文字|文章|内容|正文|內容")
_NEGATED = re.compile(
    r"\bnot (?:licensed|available|released|covered|under)|n't\b|\bunlike\b|不(?:采用|适用|遵循|受|採用|適用)|并非|並非|而非"
)
_ABOUT = re.compile(
    r"\b(?:for example|e\.g\.|such as|an example|example:|means that|allows? (?:you|others|anyone)|"
    r"if you (?:want|choose|publish|license)|"
    r"you (?:can|could|may|should) (?:write|add|use|choose|put)|called|compare|difference between|"
    r"the licen[cs]e (?:is|was|allows|requires|lets))\b"
    r"|例如|比如|譬如|举例|所谓|如果你|可以写|应当写|写上|区别|是指"
)
_QUOTED = re.compile(r"^[\"'“”‘’«「『《]|[\"“「『«]\s*(?:this|本|except|all|除)")
TAGS = re.compile(r"<(?:a|area|link|meta|span|div)\b[^<>]{0,8192}>")
_MOST = 64
"""Addresses of deeds that are looked at; a page with more writes about them."""


def deed(text: str) -> str:
    """The licence that an address or a text in lower case names, or ""."""
    found = _DEED.search(text)
    if found is None:
        return next((match.expand(name) for pattern, name in _OTHERS if (match := pattern.search(text))), "")
    if found["tool"]:
        return "CC0-1.0" if found["tool"] == "zero" else "CC-PDM-1.0"
    parts = set(found["parts"].split("-"))
    if not parts <= _PARTS or {"nd", "sa"} <= parts or ("by" not in parts and found["version"] != "1.0"):
        return ""
    name = "-".join(part.upper() for part in ("by", "nc", "nd", "sa") if part in parts)
    port = f"-{found['port'].upper()}" if found["port"] and found["port"] not in _NO_PORT else ""
    return f"CC-{name}-{found['version']}{port}"


def page_license(page: str, url: str = "") -> str:
    """The licence of a page, or "". `page`: its markup in lower case, decoded; `url`: its address."""
    if _DEED.search(url.lower()):  # the deed itself
        return ""
    seen, data = split(page)
    for group in (_head(seen, data), _marked(seen), _plain(seen)):
        found = ""
        for name in group:
            if found and name != found:
                return ""  # several licences
            found = name
        if found:
            return found
    return ""


def _head(seen: str, data: list[str]) -> Iterator[str]:
    end = _BODY.search(seen)
    for tag in tags(seen[: end.start()] if end else seen, "link", "meta"):
        told = attributes(tag)
        if tag.startswith("<link"):
            if {"license", "copyright"} & set(told.get("rel", "").split()) and (name := deed(told.get("href", ""))):
                yield name
            continue
        said = told.get("content", "")
        if _RESERVED.search(said) or _OTHER_WORKS.search(said):
            continue
        if _META.fullmatch(told.get("name") or told.get("property") or "") and (name := deed(said)):
            yield name
    for block in data:
        try:
            value = json.loads(block)
        except (ValueError, RecursionError):
            continue
        yield from _of_data(value)


def _of_data(value: object, depth: int = 0) -> Iterator[str]:
    """The licences of works that are the page or on it; not of pictures, programs or data sets, nor of what lies inside a work."""
    if isinstance(value, list):
        for one in value[:1000]:
            yield from _of_data(one, depth)
    elif isinstance(value, dict) and depth < 2:
        kinds = value.get("@type")
        names = {str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds])}
        if names & _WORKS:
            for one in value["license"] if isinstance(value.get("license"), list) else [value.get("license")]:
                told = one.get("@id") or one.get("url") if isinstance(one, dict) else one
                if isinstance(told, str) and (name := deed(told)):
                    yield name
        yield from _of_data(value.get("@graph"), depth + 1)


def _marked(seen: str) -> Iterator[str]:
    looked = 0
    for found in TAGS.finditer(seen):
        told = attributes(found[0]) if "license" in found[0] else {}
        if "license" not in told.get("rel", "").split() and told.get("itemprop") != "license":
            continue
        name = deed(told.get("href") or told.get("content") or "")
        looked += bool(name)
        if looked > _MOST:
            return
        if name and not _is_apart(seen, found.start()) and not _is_refused(*block_text(seen, found.start() + 1)):
            yield name


def _plain(seen: str) -> Iterator[str]:
    places = list(_DEED.finditer(seen))
    if len({deed(found[0] + "/") for found in places}) > 1 or len(places) > _MOST:
        return  # a page that names several licences writes about them
    for found in places:
        name = deed(seen[found.start() : found.end() + 12])
        if name and _is_stated(seen, found.start()):
            yield name


def _is_stated(seen: str, place: int) -> bool:
    """Whether the address at a place says what holds for this page's text."""
    if _is_apart(seen, place):
        return False
    text, sentence = block_text(seen, place)
    if _is_refused(text, sentence):
        return False
    if _OURS.search(text):
        return bool(_STATES.search(text))
    return any(name == "footer" or _NOTICE_NAMES.search(" ".join(_names(rest))) for name, rest in ancestors(seen, place)[:6])


def _names(rest: str) -> list[str]:
    told = attributes(rest)
    return [told.get("class", ""), told.get("id", ""), told.get("itemprop", "")]


def _is_apart(seen: str, place: int) -> bool:
    return any(
        name in _APART or (name not in _WHOLE and _APART_NAMES.search(" ".join((name, *_names(rest)))))
        for name, rest in ancestors(seen, place)
    )


def _is_refused(text: str, sentence: str) -> bool:
    """Whether a block (its text, and the sentence around the address) says that the licence is not that of the page's text."""
    others = _OTHER_WORKS.search(text) and not _TEXT_TOO.search(text)
    other = _OTHER_WORKS.search(sentence) and not _TEXT_TOO.search(sentence)
    return bool(others or other or _RESERVED.search(text) or _NEGATED.search(text) or _ABOUT.search(text) or _QUOTED.search(text))
