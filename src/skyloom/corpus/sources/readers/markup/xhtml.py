"""The text of XHTML files, as the chapters of books are: blocks, lines and verbatim text, in one pass over the tags.

Input: the bytes of a file. Output: its text. No tree is built: a tree's rules for wrong HTML (which elements does this end tag
close, which attributes does this tag have twice) take quadratic time on hostile files, and the text needs none of them. What is
needed is which blocks begin and end, and what is skipped with all that is in it. End tags close what stands open above their
partner, as browsers do; an end tag without partner is passed over. Each character is looked at a fixed number of times.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable

from skyloom.corpus.sources.readers.markup.raised import lowered, raised
from skyloom.corpus.sources.readers.markup.work import Work
from skyloom.corpus.text import charset

_SKIPPED = frozenset(("head", "nav", "svg", "rt", "rp", "noscript", "template", "audio", "video"))
_RAW = frozenset(("script", "style", "title", "iframe", "noembed", "noframes"))  # what is in them is no markup, and no text
_BLOCKS = frozenset(
    "address article aside blockquote body center dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header li main ol p "
    "pre section table tbody td tfoot th thead tr ul".split()
)
_INLINE = frozenset(("ruby", "sup", "sub"))  # <ruby> closes what is open in it; raised and lowered text is written so
_CLOSES = {  # start tags that end these elements where they stand open just before
    "li": ("p", "li"), "dd": ("p", "dd", "dt"), "dt": ("p", "dd", "dt"), "td": ("p", "td", "th"), "th": ("p", "td", "th"),
    "tr": ("p", "td", "th", "tr"), "rt": ("rt", "rp"), "rp": ("rt", "rp"), "p": ("p",), "div": ("p",), "ul": ("p",), "ol": ("p",),
}  # fmt: skip

_ATTRIBUTE = r"""(?:=[^\s/>=]*+|[^\s/>=]++)(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s>"'][^\s>]*+|(?=>)))?+"""
_TOKEN = re.compile(
    r"<!--(?:-?>|(?:[^-]++|-(?!-!?>))*+(?:--!?>)?)"  # a comment, to the file's end if it has none
    r"|<[!?][^>]*+>?|</(?![A-Za-z])[^>]*+>?"  # a declaration, a CDATA section, an instruction, a tag that names nothing
    rf"|<(?P<end>/?)(?P<name>[A-Za-z][^\s/>]*+)(?:[\s/]++|{_ATTRIBUTE})*+(?P<whole>>?)"
)
_RAISED = 100  # characters of a power or an index; what is longer is a passage in small type
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])[^>]*+>?", re.IGNORECASE) for name in _RAW}
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{7,});?")


def chapter_text(data: bytes, work: Work | None = None) -> str:
    """The text of an XHTML file: its blocks separated by empty lines, list items with a dash, <pre> verbatim.

    TookTooLongError if that takes more steps than `work` allows (None: as many as the size of the file allows).
    """
    source = charset.decode(data).text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    found = _Chapter(source, work or Work(len(data))).text()
    found = "\n".join(line.strip(" \t") for line in found.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", found).strip()


class _Chapter:
    """Reads tag by tag. `open` holds the blocks that are open, outermost first, and `count` how many of each name."""

    def __init__(self, source: str, work: Work) -> None:
        self._source, self._work = source, work
        self._out: list[str] = []
        self._open: list[str] = []
        self._count: Counter[str] = Counter()
        self._hidden = self._verbatim = 0  # open elements that are skipped, that are <pre>
        self._place = 0
        self._raised: list[int] = []  # of each open <sup> and <sub>, the pieces of text before it

    def text(self) -> str:
        while (match := self._next()) is not None:
            self._write(match.start())
            self._place = match.end()
            self._work.look(match.end() - match.start())
            if (name := match["name"]) is not None and match["whole"]:
                self._tag(name.lower(), bool(match["end"]), match[0].endswith("/>"))
        self._write(len(self._source))
        while self._open:
            self._close()
        return "".join(self._out)

    def _next(self) -> re.Match[str] | None:
        """The next tag or comment; a "<" that begins neither is text."""
        start = self._source.find("<", self._place)
        while start >= 0:
            if match := _TOKEN.match(self._source, start):
                return match
            start = self._source.find("<", start + 1)
        return None

    def _write(self, end: int) -> None:
        """The text from where we are to `end`."""
        text = self._source[self._place : end]
        self._work.look(len(text))
        if text and not self._hidden:
            text = html.unescape(_LONG_NUMBER.sub("\ufffd", text))
            self._out.append(text if self._verbatim else re.sub(r"\s+", " ", text))

    def _tag(self, name: str, ends: bool, whole: bool) -> None:
        if name in _RAW:
            if not ends and not whole:
                self._skip_raw(name)
        elif ends:
            self._end(name)
        elif name == "body":
            while self._open:  # above all a <head> that has no end
                self._close()
            self._begin(name)
        elif name in ("br", "hr"):
            if not self._hidden and not self._verbatim:
                self._out.append("\n" if name == "br" else "\n\n\n\n")
        elif name in _BLOCKS or name in _SKIPPED or name in _INLINE:
            while self._open and self._open[-1] in _CLOSES.get(name, ()):
                self._close()
            self._begin(name)
            if whole:
                self._close()

    def _skip_raw(self, name: str) -> None:
        end = _RAW_END[name].search(self._source, self._place)
        after = end.end() if end is not None else len(self._source)
        self._work.look(after - self._place)
        self._place = after

    def _begin(self, name: str) -> None:
        self._open.append(name)
        self._count[name] += 1
        if name in ("sup", "sub"):
            self._raised.append(len(self._out))
        if name in _SKIPPED:
            self._hidden += 1
        elif not self._hidden and not self._verbatim and name in _BLOCKS:
            self._out.append("\n- " if name == "li" else "" if name in ("td", "th") else _gap(name))
        self._verbatim += name == "pre"

    def _end(self, name: str) -> None:
        while self._count[name]:
            if self._close() == name:
                break

    def _close(self) -> str:
        """Close the innermost open element, and say which it was."""
        name = self._open.pop()
        self._count[name] -= 1
        self._work.spend(1)
        self._hidden -= name in _SKIPPED
        self._verbatim -= name == "pre"
        if name in ("sup", "sub"):
            self._raise(self._raised.pop(), raised if name == "sup" else lowered)
        elif not self._hidden and not self._verbatim and name in _BLOCKS:
            self._out.append(_gap(name))
        return name

    def _raise(self, start: int, written: Callable[[str], str]) -> None:
        """Write what was raised or lowered as a power, an index or nothing; passages stay as they are."""
        pieces = len(self._out) - start
        if self._hidden or self._verbatim or not 0 < pieces <= _RAISED or sum(map(len, self._out[start:])) > _RAISED:
            return
        text = "".join(self._out[start:])
        if "\n" not in text:
            self._out[start:] = [written(text)]


def _gap(name: str) -> str:
    """What stands after a block, and before most."""
    return "\n" if name in ("li", "tr", "dt", "dd") else " | " if name in ("td", "th") else "\n\n"
