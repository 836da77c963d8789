"""The text of articles in wikitext, with the addresses that they cite.

Input: an article's wikitext. Output: its text, and its external links. mwparserfromhell parses it: templates, links, tags and
tables nest, and which end belongs to which beginning shows only there. The parser tries each mark and, where no end follows,
begins again behind it; on hostile pages that takes quadratic time and more. So its tokenizer written in Python is used, whose
steps can be counted (all of it is then a quarter slower than with the one in C). It tries no mark of which no end is left.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter

from mwparserfromhell.definitions import is_single
from mwparserfromhell.nodes import Heading, Node, Tag, Template, Wikilink
from mwparserfromhell.parser import contexts
from mwparserfromhell.parser.builder import Builder
from mwparserfromhell.parser.tokenizer import BadRoute, Tokenizer
from mwparserfromhell.parser.tokens import Token
from mwparserfromhell.wikicode import Wikicode

from skyloom.corpus.sources.readers.markup.holes import HOLE, without_holes
from skyloom.corpus.sources.readers.markup.raised import lowered, raised
from skyloom.corpus.sources.readers.markup.templates import template_text
from skyloom.corpus.sources.readers.markup.work import Work

_VARIANTS = re.compile(r"-\{(?:[^{}|]*\|)?([^{}]*)\}-")
_HIDDEN = re.compile(r"^\s*+(?::\s*+)?(file|image|category|文件|檔案|档案|图像|圖像|分类|分類|media)\s*:", re.IGNORECASE)
_CLOSING = frozenset(
    "references|external links|see also|further reading|notes|bibliography|sources|citations|参考文献|參考文獻|参考资料|參考資料"
    "|外部链接|外部連結|外部連接|参见|參見|参看|注释|註釋|注釋|脚注|腳註|延伸阅读|延伸閱讀|相关条目|相關條目".split("|")
)
_GAPS = re.compile(r"[ \t]*\n[ \t]*\n\s*")
_SPACES = re.compile(r"[ \t\u00a0]+")
_HAN, _LOOK = re.compile(r"[\u3400-\u9fff]"), 4000  # where the article's language is looked for
_QUOTES = re.compile("'{2,}")  # bold and italic


def plain_text(wikitext: str, work: Work | None = None, lost: Counter[str] | None = None) -> tuple[str, list[str]]:
    """An article's text, paragraphs separated by empty lines, and the external addresses that it cites, in order.

    Sections that only list references and links are left out, as are files, categories and templates that are furniture. Templates
    that bear text are written out (`templates.py`); a sentence with another one in it is left out, and counted in `lost` as
    "sentences with a hole". TookTooLongError if that takes more steps than `work` allows (None: as many as the text's size allows).
    """
    work = work or Work(len(wikitext))
    wikitext = _VARIANTS.sub(_simplified, wikitext.replace(HOLE, ""))
    tokens = _CountingTokenizer(work).tokenize(wikitext, skip_style_tags=True)
    work.spend(len(tokens))
    code = Builder().build(tokens)
    cites = list(dict.fromkeys(u for link in code.filter_external_links() if (u := str(link.url)).startswith("http")))
    parts: list[str] = []
    show = Shown(len(_HAN.findall(wikitext, 0, _LOOK)) > min(len(wikitext), _LOOK) / 20)
    closing = 0  # the level of the heading whose section is left out
    for node in code.nodes:
        if isinstance(node, Heading):
            title = node.title.strip_code().strip()
            if closing and node.level > closing:
                continue
            closing = node.level if title.lower() in _CLOSING else 0
            parts.append("" if closing else f"\n\n{title}\n\n")
        elif not closing:
            parts.append(show.node(node))
    text = _SPACES.sub(" ", _QUOTES.sub("", "".join(parts)))
    text, holes = without_holes(text)
    if holes and lost is not None:
        lost["sentences with a hole"] += holes
    return _GAPS.sub("\n\n", text).replace(" \n", "\n").replace("\n ", "\n").strip(), cites


def _simplified(match: re.Match[str]) -> str:
    """The word of a conversion mark in simplified script; the whole if it names no script."""
    words = dict(w.strip().split(":", 1) for w in match[1].split(";") if ":" in w)
    found = next((words[k] for k in ("zh-hans", "zh-cn", "zh", "zh-sg", "zh-my") if k in words), None)
    return found.strip() if found is not None else match[1] if not words else next(iter(words.values())).strip()


class Shown:
    """What a reader sees of the nodes of an article. `chinese`: templates write dates and units in Chinese."""

    def __init__(self, chinese: bool) -> None:
        self._chinese = chinese

    def node(self, node: Node) -> str:
        """What a reader sees of a node."""
        if isinstance(node, Wikilink):
            return "" if _HIDDEN.match(str(node.title)) else self._inner(node.text or node.title)
        if isinstance(node, Template):
            return self._template(node)
        if isinstance(node, Tag):
            return self._tag(node)
        return str(node.__strip__(normalize=True, collapse=True, keep_template_params=False) or "")

    def _template(self, node: Template) -> str:
        name = str(node.name)
        params = [(str(p.name), self._inner(p.value)) for p in node.params]
        found = template_text(name, params, chinese=self._chinese)
        return "" if found == HOLE and "\n" in name + "".join(str(p) for p in node.params) else found

    def _tag(self, node: Tag) -> str:
        name = str(node.tag).strip().lower()
        if name in ("math", "chem", "ce"):
            return f"${str(node.contents).strip()}$"
        if name in ("ref", "references", "gallery", "style", "timeline", "imagemap", "templatestyles", "rp", "indicator"):
            return ""
        if name in ("br", "hr"):
            return "\n"
        if name == "table":
            return "\n\n" + "\n".join(self._rows(node.contents)) + "\n\n"
        if name in ("li", "dt", "dd") and node.wiki_markup:
            return "- " if name == "li" else ""
        if name in ("pre", "syntaxhighlight", "source", "nowiki", "code"):
            return str(node.contents)
        inner = self._inner(node.contents)
        if name in ("sup", "sub"):
            return raised(inner) if name == "sup" else lowered(inner)
        if name == "rt":
            return f"({inner})" if inner.strip() else ""
        return f"\n\n{inner}\n\n" if name in ("blockquote", "div", "p", "poem") else inner

    def _inner(self, code: Wikicode | None) -> str:
        return "".join([self.node(n) for n in code.nodes]) if code is not None else ""

    def _rows(self, table: Wikicode) -> list[str]:
        """The rows of a table as `a | b | c`, with cells that are not empty."""
        rows = [table, *(t.contents for t in table.nodes if isinstance(t, Tag) and str(t.tag) == "tr")]
        found = []
        for row in rows:  # the first row's cells may stand in the table itself
            tags = [t for t in row.nodes if isinstance(t, Tag) and str(t.tag) in ("td", "th")]
            cells = [text for t in tags if (text := " ".join(self._inner(t.contents).split()))]
            if cells:
                found.append(" | ".join(cells))
        return found


_ENTITY = 40  # characters of the longest name of an entity
_NAME = re.compile(r"\w*")
_NEEDED = (  # what a mark fails without, by the context that it is read in
    (contexts.TEMPLATE_NAME | contexts.ARGUMENT_NAME, "}}"),
    (contexts.WIKILINK_TITLE, "]]"),
)


class _CountingTokenizer(Tokenizer):
    """Gives the tokens of the original, counts how far each try to read a mark went, and makes no try whose end does not follow."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work
        self._last: dict[str, int] | None = None
        self._inner: list[int] = []  # of each open try, what tries within it read

    def _follows(self, end: str) -> bool:
        """Whether an end ("]", a pair of characters, or `</name` of a tag) follows."""
        if self._last is None:
            self._last = self._last_places()
        return self._last.get(end, -1) >= self._head

    def _last_places(self) -> dict[str, int]:
        text, last = self._text, {}
        self._work.spend(len(text))
        for i, (one, two) in enumerate(itertools.pairwise([*text, ""])):
            if one in ("}", "]", "|", "-", ">"):
                last[one] = last[one + two[:1]] = i
            elif one == "<" and two == "/":
                last["</" + _key("".join(text[i + 2 : i + 3]))] = i
        return last

    def _push(self, context: int = 0) -> None:
        super()._push(context)
        self._inner.append(0)

    def _pop(self, keep_context: bool = False) -> list[Token]:
        """The end of a try. Counted is what it read itself: from its beginning to here, without the tries within."""
        read = max(self._head - self._stack_ident[0], 0)
        self._work.spend(1 + max(read - self._inner.pop(), 0))
        if self._inner:
            self._inner[-1] += read
        found: list[Token] = super()._pop(keep_context)
        return found

    def _parse(self, context: int = 0, push: bool = True) -> list[Token]:
        if push:
            needed = next((end for kinds, end in _NEEDED if context & kinds), "|}" if context == contexts.TABLE_OPEN else "")
            if needed and not self._follows(needed):
                raise BadRoute(context)
        elif self._context == contexts.TAG_BODY:
            name = self._stack[1].text
            if not is_single(name) and not self._follows("</" + _key(name)):
                self._fail_route()
        found: list[Token] = super()._parse(context, push)
        return found

    def _handle_blacklisted_tag(self) -> list[Token]:
        if not self._follows("</" + _key(self._stack[1].text)):
            self._fail_route()
        found: list[Token] = super()._handle_blacklisted_tag()
        return found

    def _really_parse_external_link(self, brackets: bool) -> tuple[list[Token], str | None]:
        if brackets and not self._follows("]"):
            raise BadRoute
        found: tuple[list[Token], str | None] = super()._really_parse_external_link(brackets)
        return found

    def _parse_tag(self) -> None:
        if self._follows(">"):
            super()._parse_tag()
        else:
            self._emit_text("<")

    def _parse_comment(self) -> None:
        if self._follows("->"):
            super()._parse_comment()
        else:
            self._emit_text("<!--")
            self._head += 3

    def _parse_entity(self) -> None:
        """Numbers of thousands of digits are an error in Python."""
        number = self._read(1) == "#"
        if len(str(self._read(2 if number else 1))) <= _ENTITY:
            super()._parse_entity()
        else:
            self._emit_text("&")


def _key(name: str) -> str:
    """The beginning of a tag's name, by which its end is looked for."""
    found = _NAME.match(name)
    return found[0].lower() if found else ""
