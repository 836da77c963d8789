"""Streaming XML: elements with their text as they come, never a whole tree.

Input: a stream of XML. Output: the events of the elements that a caller asks for. Text of one element beyond the limit is
counted and not held, so a page of 200 MB costs nothing. Entities that a document declares itself are refused (they are how
small XML grows large). Memory: one read of 256 kB and one element's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from skyloom.corpus.sources.readers.byte_streams import Readable, read_some

_PIECE = 1 << 18


class BadXmlError(ValueError):
    """The stream is no XML any more; the text says where."""


class Elements:
    """Pulls the elements named in `wanted` out of a stream: (name, attributes, text, size of the text in characters).

    An element's event comes at its end; the text of children that are wanted too belongs to the children alone. Text beyond
    `limit` characters is left out (the size tells).
    """

    def __init__(self, wanted: frozenset[str], limit: int) -> None:
        self._wanted, self._limit = wanted, limit
        self._stack: list[tuple[str, dict[str, str], list[str], list[int]]] = []
        self._found: list[tuple[str, dict[str, str], str, int]] = []
        self._parser = self._new()

    def _new(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=None)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        return parser

    def read(self, stream: Readable) -> Iterator[tuple[str, dict[str, str], str, int]]:
        """All wanted elements of a stream. BadXmlError where it is no XML; what the stream raises goes through."""
        while data := read_some(stream, _PIECE):
            yield from self.feed(data)
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as problem:
            raise BadXmlError(f"not whole XML ({expat.errors.messages[problem.code]})") from problem

    def feed(self, data: bytes) -> list[tuple[str, dict[str, str], str, int]]:
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as problem:
            raise BadXmlError(f"not XML ({expat.errors.messages[problem.code]})") from problem
        finally:
            found, self._found = self._found, []
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in self._wanted:
            self._stack.append((name, attributes, [], [0]))

    def _end(self, name: str) -> None:
        if name in self._wanted:
            name, attributes, parts, size = self._stack.pop()
            self._found.append((name, attributes, "".join(parts), size[0]))

    def _text(self, data: str) -> None:
        if self._stack:
            _, _, parts, size = self._stack[-1]
            size[0] += len(data)
            if size[0] <= self._limit:
                parts.append(data)

    def _entity(self, *_: object) -> None:
        raise BadXmlError("XML that declares entities of its own")
