"""Streaming XML: elements with their text as they come, never a whole tree.

Input: a stream of XML. Output: the events of the elements that a caller asks for. Text of one element beyond the limit is
counted and not held, so a page of 200 MB costs nothing. Refused are entities and attributes that a document declares itself (they
are how small XML grows large), a tag or comment of more than 1 MB, and elements nested deeper than any document nests them. Memory:
one read of 256 kB, one element's text, and twice the longest tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from skyloom.corpus.sources.readers.byte_streams import Readable, read_some
from skyloom.corpus.sources.readers.markup.work import Work

_PIECE = 1 << 18
_DEEPEST = 10_000
_LONGEST = 1 << 20


class BadXmlError(ValueError):
    """The stream is no XML any more; the text says where."""


class Elements:
    """Pulls the elements named in `wanted` out of a stream: (name, attributes, text, size of the text in characters).

    Names are without their prefix ("title" for `dc:title`). An element's event comes at its end; the text of children that are
    wanted too belongs to the children alone. Text beyond `limit` characters is left out (the size tells).
    """

    def __init__(self, wanted: frozenset[str], limit: int) -> None:
        self._wanted, self._limit = wanted, limit
        self._stack: list[tuple[str, dict[str, str], list[str], list[int]]] = []
        self._found: list[tuple[str, dict[str, str], str, int]] = []
        self._depth = 0
        self._fed = 0
        self._held: list[bytes] = []  # not given to the parser yet
        self._held_size = self._unfinished = 0
        self._work = Work()
        self._parser = self._new()

    def _new(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=None)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        parser.AttlistDeclHandler = self._attributes
        return parser

    def read(self, stream: Readable) -> Iterator[tuple[str, dict[str, str], str, int]]:
        """All wanted elements of a stream. BadXmlError where it is no XML; what the stream raises goes through."""
        while data := read_some(stream, _PIECE):
            yield from self.feed(data)
        yield from self._parsed()
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as problem:
            raise BadXmlError(f"not whole XML ({expat.errors.messages[problem.code]})") from problem

    def feed(self, data: bytes) -> list[tuple[str, dict[str, str], str, int]]:
        """The elements that end in what was fed so far and were not given yet.

        With each new piece the parser looks at an unfinished tag again from its beginning. So it gets as much more as it has of
        that tag, and looks at each byte three times at most.
        """
        self._work.allow(len(data))
        self._held.append(data)
        self._held_size += len(data)
        return self._parsed() if self._held_size >= self._unfinished else []

    def _parsed(self) -> list[tuple[str, dict[str, str], str, int]]:
        data, self._held = b"".join(self._held), []
        self._work.look(self._unfinished + len(data))
        self._fed, self._held_size = self._fed + len(data), 0
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as problem:
            raise BadXmlError(f"not XML ({expat.errors.messages[problem.code]})") from problem
        finally:
            found, self._found = self._found, []
        self._unfinished = self._fed - max(self._parser.CurrentByteIndex, 0)
        if self._unfinished > _LONGEST:
            raise BadXmlError("XML with a tag or comment of more than 1 MB")
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadXmlError("XML nested too deep")
        name = name.rpartition(":")[2]
        if name in self._wanted:
            self._stack.append((name, attributes, [], [0]))

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name.rpartition(":")[2] in self._wanted:
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

    def _attributes(self, *_: object) -> None:
        raise BadXmlError("XML that declares attributes of its own")
