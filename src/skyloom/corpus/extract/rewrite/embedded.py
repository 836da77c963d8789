"""Embedded text: what a page holds for its scripts where it shows little, in JSON, <noscript>, <template>, comments and attributes.

Input: a page as UTF-8 whose visible part is thin. Output: other pages, made from what it holds: one with the hidden mark-up shown,
one with the texts of its JSON (JSON-LD, `__NEXT_DATA__`, `window.__STATE__ = ...`, `data-preloaded="..."`), for the extractor to
judge like any page. Few pages come here, and only those with something to look at are parsed, so this is Python.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

THIN = 300
"""Bytes of text below which a page is thin."""
PASSAGE = 60
"""Bytes of the shortest block that counts when a page is compared with what it holds besides: lists of words are no text."""
LARGEST = 4_000_000
"""Bytes of the largest page and JSON value that is looked into."""
_LEAST = 200  # bytes of the shortest hidden part that is worth a look

_PROMISING = re.compile(
    rb"<(?:noscript|template)\b|ld\+json|application/json|<!--[^>\[]{0,200}<(?:div|p|article|section|ul|table)\b|"
    rb"""__\w{0,40}?(?:DATA|STATE|PROPS|NUXT)\w{0,40}__|(?<![\w-])data-[\w-]++=["'](?:\{|\[|&quot;|&lt;|<|&#123;|%7B)""",
    re.IGNORECASE,
)
_WRAP = re.compile(rb"<(/?)(?:noscript|template)\b[^<>]*+>", re.IGNORECASE)
_INTERFACE = re.compile(
    r"(?i)i18n|l10n|intl|locales?|locale_?data|translations?|dictionary|cookies?|cookie_?(?:consent|banner|notice)|consent|gdpr"
)
"""Keys of texts of the site, not of the page: what buttons say in each language, notices about cookies."""
_SKIPPED = re.compile(rb"<(script|style)\b", re.IGNORECASE)
_SCRIPT = re.compile(rb"<(script)\b", re.IGNORECASE)
_END = {name: re.compile(rb"</" + name + rb"\s*+>", re.IGNORECASE) for name in (b"script", b"style")}
_MARKUP = re.compile(rb"<(?:div|p|article|section|ul|table|li|h[1-6])\b", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?:window|self|globalThis|var|let|const)[\s.\[\"']++[\w$]++[\"'\]]*+\s*+=\s*+(?=[{\[])")
_PARSED = re.compile(r"JSON\.parse\(\s*+(\"(?:[^\"\\]++|\\.)*+\")")
_ATTRIBUTE = re.compile(r"""(?<![\w-])data-[\w-]++\s*+=\s*+(?:"([^"]{200,}+)"|'([^']{200,}+)')""")
_UNDEFINED = re.compile(r"(?<=[:,\[])\s*undefined\b")
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*+>")
_LINE_END = re.compile(r"(?<!\s)[^\S\n]*+\n\s*+")
_HAN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf]")
_WORDS = re.compile(r"[^\W\d_]{2,}")
_NO_PROSE = re.compile(r"^\s*(?:https?:|/|[\w.+-]+@|#|\.|function\b|@)|[{}]\s*[\w.#-]+\s*[:{]|=>|;\s*(?:var|let|const)\b")
_BLOCK = re.compile(
    r"^(?:p|para(?:graph)?|h(?:eading)?-?[1-6]?|li|list-?_?item|block(?:-?quote)?|quote|code|step|text-?block|howtostep)$", re.I
)
_INLINE = frozenset(("text", "value", "insert", "#text", "content", "t"))
_LIKELY = frozenset((
    "articlebody", "body", "content", "contenthtml", "contentrendered", "cooked", "html", "bodyhtml", "fulltext", "text",
    "rendered", "article", "paragraphs", "markdown", "posttext", "message", "正文", "neirong", "detail", "story", "transcript",
))  # fmt: skip
_UNLIKELY = frozenset((
    "description", "summary", "excerpt", "intro", "desc", "abstract", "caption", "alt", "seo", "metadescription", "copyright",
    "label", "tooltip", "placeholder", "message_text", "error", "title", "name", "url", "disclaimer", "footer", "legal",
))  # fmt: skip


def alternatives(page: bytes) -> Iterator[bytes]:
    """Other pages with what a thin page holds, at most two; none where it holds nothing."""
    if len(page) > LARGEST or not _PROMISING.search(page):
        return
    shown = _shown(page)
    if shown is not None:
        yield shown
    told = _told(page)
    if told:
        yield f"<html><body><article>{told}</article></body></html>".encode("utf-8", "replace")


def _shown(page: bytes) -> bytes | None:
    """The page without scripts, its <noscript>, <template> and commented mark-up shown; None if there is none of it."""
    page, found = _uncommented(_without(page, _SKIPPED))
    shown, count = _WRAP.subn(rb"<\1div>", page)
    return shown if found or count else None


def _uncommented(page: bytes) -> tuple[bytes, bool]:
    """The page without comments but those that hold much mark-up, which is shown, and whether there are such. Linear."""
    parts, start, place, found = list[bytes](), 0, 0, False
    while (begin := page.find(b"<!--", place)) >= 0:
        place = begin + 4
        if page.startswith(b"[if", place):
            continue
        end = page.find(b"-->", place)
        if end < 0:
            break
        inner = page[place:end]
        parts.append(page[start:begin])
        if len(inner) >= _LEAST and _MARKUP.search(inner):
            found = True
            parts.append(b"<div>" + inner + b"</div>")
        start = place = end + 3
    return b"".join([*parts, page[start:]]), found


def _elements(page: bytes, opening: re.Pattern[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """(start, end of the name, start of the end tag, its end) of elements as browsers pair scripts: the first end tag ends them.

    A name whose end tag is missing is looked for once, so the work is linear.
    """
    place, endless = 0, set[bytes]()
    while found := opening.search(page, place):
        name, place = found[1].lower(), found.end()
        closing = None if name in endless else _END[name].search(page, place)
        if closing is None:
            endless.add(name)
        else:
            yield found.start(), place, closing.start(), closing.end()
            place = closing.end()


def _without(page: bytes, opening: re.Pattern[bytes]) -> bytes:
    """The page without these elements."""
    parts, start = list[bytes](), 0
    for begin, _, _, end in _elements(page, opening):
        parts.append(page[start:begin])
        start = end
    return b"".join([*parts, page[start:]])


@dataclass
class _Strings:
    """The strings of JSON values in their order: (place without indices, key, item of a list, block, text)."""

    rows: list[tuple[tuple[str, ...], str, tuple[int, ...], int, str]] = field(default_factory=list)
    block: int = 0

    def add(self, value: object, path: tuple[str, ...] = (), items: tuple[int, ...] = (), depth: int = 0) -> None:
        if depth > 60 or len(self.rows) > 20_000:
            return
        if isinstance(value, dict):
            kind = next((value[k] for k in ("type", "nodeType", "_type", "tag", "@type") if isinstance(value.get(k), str)), "")
            if _BLOCK.match(kind):
                self.block += 1
            for key, inner in value.items():
                if not _INTERFACE.fullmatch(key):
                    self.add(inner, (*path, key), items, depth + 1)
        elif isinstance(value, list):
            for n, inner in enumerate(value):
                self.add(inner, (*path, "*"), (*items, n), depth + 1)
        elif isinstance(value, str):
            text = value.strip()
            if len(text) > 100 and text[0] in "{[" and (nested := _json(text)) is not None:
                self.add(nested, path, items, depth + 1)
            elif text and not _NO_PROSE.search(text[:2000] if "<" not in text else text[:20]):
                key = next((k for k in reversed(path) if k != "*"), "")
                self.rows.append((path, key, items, self.block, value))


def _json(text: str) -> object | None:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


def _values(page: bytes) -> Iterator[object]:
    """The JSON values of a page, from its scripts and attributes; text in an attribute that is mark-up is a value too."""
    decoder = json.JSONDecoder(strict=False)
    for _, named, stop, _ in _elements(page, _SCRIPT):
        head, tag_end, inner = page[named:stop].partition(b">")
        attributes, body = head.lower() if tag_end else b"", inner.decode("utf-8", "replace").strip()
        body = body.removeprefix("<!--").removesuffix("-->").strip()
        if len(body) < _LEAST or len(body) > LARGEST:
            continue
        if "undefined" in body:
            body = _UNDEFINED.sub("null", body)
        for start in [0] if b"json" in attributes else [m.end() for m in _ASSIGNED.finditer(body)][:20]:
            try:
                yield decoder.raw_decode(body, start)[0]
            except (ValueError, RecursionError):
                continue
        for packed in _PARSED.finditer(body):
            text = _json(packed[1])
            if isinstance(text, str) and (value := _json(text)) is not None:
                yield value
    for match in _ATTRIBUTE.finditer(_without(page, _SCRIPT).decode("utf-8", "replace")):
        text = html.unescape(match[1] or match[2]).strip()
        if text[:1] in ("{", "["):
            value = _json(text)
            if value is not None:
                yield value
        elif text[:1] == "<":
            yield {"html": text}


def _told(page: bytes) -> str:
    """Mark-up with the texts of the best place in the page's JSON, "" if no place holds prose."""
    best, most = "", 0.0
    for value in _values(page):
        strings = _Strings()
        strings.add(value)
        weights: Counter[tuple[tuple[str, ...], str]] = Counter()
        for path, key, _, _, text in strings.rows:
            weights[_root(path), key] += _prose(text, key)
        if weights:
            (root, key), weight = max(weights.items(), key=lambda item: item[1])
            if weight > most:
                most, best = weight, _written(strings, root, key)
    return best if most >= _LEAST else ""


def _root(path: tuple[str, ...]) -> tuple[str, ...]:
    """A place up to its first list."""
    return path[: path.index("*") + 1] if "*" in path else path


def _prose(text: str, key: str) -> int:
    """How much of a text is prose, in letters: words count twice where the key says that it is the text."""
    bare = _TAG.sub(" ", text) if "<" in text else text
    han, words = len(_HAN.findall(bare)), len(_WORDS.findall(bare))
    if han < 8 and (words < 4 or " " not in bare):
        return 0
    name = key.lower().replace("_", "").replace("-", "")
    size = 3 * han + 6 * words
    return 2 * size if name in _LIKELY else size // 2 if name in _UNLIKELY else size


_TITLES = ("title", "name", "heading", "question", "headline", "subtitle")


def _written(strings: _Strings, root: tuple[str, ...], key: str) -> str:
    """The texts of one place as paragraphs, with the titles of the things that they stand in."""
    parts: list[str] = []
    last: tuple[object, ...] = ()
    inline = any(_root(p) == root and k == key and len(p) > len(root) + 1 for p, k, _, _, _ in strings.rows) and key in _INLINE
    for path, own, items, block, text in strings.rows:
        if _root(path) != root or (own != key and not (own in _TITLES and len(path) > len(root) and _prose_like(text))):
            continue
        place = (block, items[:1] if not block else ())
        if inline and own == key and parts and place == last:
            parts[-1] += html.escape(text, quote=False)
        elif _TAG.search(text):
            parts.append(f"<div>{text}</div>")
        else:
            parts.append("</p><p>".join(html.escape(t, quote=False) for t in _LINE_END.split(text.strip("\n"))))
        last = place
    return "".join(part if part.startswith("<div>") else f"<p>{part}</p>" for part in parts)


def _prose_like(text: str) -> bool:
    return bool(_HAN.search(text)) or " " in text
