"""Sizes of a Parquet file's columns before they are decoded, from its summary and the headers of its pages.

Input: a file. Output: its row groups, and for one column of one group the bytes before and after unpacking and the most that one
value can take. The library allocates what page headers and encodings say; the summary's own figures (`total_uncompressed_size`)
count encoded bytes and may be wrong. A dictionary makes a large value of each small number, DELTA_BYTE_ARRAY repeats the value
before, and a few bytes can say that two thousand million lengths follow. So the headers (Thrift, compact protocol) are read
first, the dictionary's lengths, and the counts of delta-encoded lengths. The summary is read here too, since pyarrow's view of a
damaged column (`RowGroupMetaData.column`) aborts the process. Memory: one page, unpacked.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

PAGE_LIMIT = 512 << 20  # bytes of one unpacked page, which the library holds whole
_HEAD = 512  # read for a page header at first; statistics may make it longer
_HEAD_LIMIT = 16 << 20
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3  # types of pages
_DELTA_LENGTH, _DELTA_BYTES = 6, 7  # encodings whose lengths stand apart from the bytes
_SMALL = 1 << 12  # a dictionary of fewer bytes need not be looked at: its largest value is small


class BadPageError(ValueError):
    """A page header, dictionary or list of lengths is damaged or says what cannot be; the text says which."""


class LargePageError(ValueError):
    """A page is beyond PAGE_LIMIT."""


@dataclass(frozen=True)
class ChunkSizes:
    """A column of a row group: bytes as it lies in the file, bytes of its unpacked pages, and the most that one value takes
    in memory (0 where a value takes no more than its own bytes in the page)."""

    packed: int
    unpacked: int
    widest: int


@dataclass(frozen=True)
class Chunk:
    """Where a column of a row group begins in the file, its number of values, and its codec by name."""

    start: int
    values: int
    codec: str


@dataclass(frozen=True)
class RowGroup:
    """A row group: its rows, the bytes that the summary says it has unpacked, where its first page is said to begin, and its
    columns in the order of the schema."""

    rows: int
    bytes: int
    start: int
    columns: tuple[Chunk, ...]


_META = {4: None, 5: None, 9: None, 11: None}
_SUMMARY: _Wanted = {4: {1: {3: _META}, 2: None, 3: None}}
"""Of the summary: row groups (4), their columns (1), bytes (2) and rows (3); of a column's metadata (3) the codec, the number of
values and the offsets of data and dictionary."""
_CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")


def groups(data: bytes) -> list[RowGroup]:
    """The row groups of a file's summary. BadPageError if it is damaged."""
    try:
        fields, _ = _Compact(data).struct(_SUMMARY, 0)
        return [_group(found) for found in _list(fields.get(4))]
    except IndexError:
        raise BadPageError("a summary that ends early") from None


def _group(found: object) -> RowGroup:
    fields = _struct(found)
    chunks = [_struct(_struct(c).get(3)) for c in _list(fields.get(1))]
    if not chunks:
        raise BadPageError("a group without columns")
    columns = tuple(Chunk(_start(c), _int(c, 5), _codec(_int(c, 4))) for c in chunks)
    first = chunks[0].get(11) or chunks[0].get(9)
    return RowGroup(_int(fields, 3), _int(fields, 2), first if isinstance(first, int) else 0, columns)


def _start(fields: Mapping[int, object]) -> int:
    data, dictionary = _int(fields, 9), fields.get(11)
    return dictionary if isinstance(dictionary, int) and 0 < dictionary < data else data


def _codec(number: int) -> str:
    if number >= len(_CODECS):
        raise BadPageError("an unknown codec")
    return _CODECS[number]


def _struct(value: object) -> Mapping[int, object]:
    if not isinstance(value, dict):
        raise BadPageError("a summary of another form")
    return value


def _list(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadPageError("a summary of another form")
    return value


def _int(fields: Mapping[int, object], number: int) -> int:
    value = fields.get(number)
    if not isinstance(value, int) or value < 0:
        raise BadPageError("a header without its sizes")
    return value


@dataclass(frozen=True)
class _Page:
    kind: int
    unpacked: int
    packed: int
    values: int
    encoding: int
    levels: int  # bytes of levels before the values; -1: not known from the header
    is_packed: bool


def chunk_sizes(raw: BinaryIO, column: Chunk, schema: pq.ColumnSchema, end: int) -> ChunkSizes:
    """The sizes of one column chunk of a file that is `end` bytes long. BadPageError, LargePageError; OSError from the file.

    Columns within lists are not meant: each row has one value.
    """
    place, values = column.start, 0
    packed = unpacked = 0
    widest = schema.length if schema.physical_type == "FIXED_LEN_BYTE_ARRAY" else 0
    while values < column.values and place < end:
        page, head = _page(raw, place)
        if page.unpacked > PAGE_LIMIT:
            raise LargePageError
        place += head
        if schema.physical_type == "BYTE_ARRAY":
            widest = max(widest, _widest(raw, place, page, column, schema))
        elif page.kind == _DICTIONARY and page.values > page.unpacked:
            raise BadPageError("a dictionary with more values than bytes")
        place += page.packed
        packed, unpacked = packed + head + page.packed, unpacked + page.unpacked
        values += page.values if page.kind != _DICTIONARY else 0
    return ChunkSizes(packed, unpacked, widest)


def _page(raw: BinaryIO, place: int) -> tuple[_Page, int]:
    """The header at a place and its length."""
    size = _HEAD
    while True:
        raw.seek(place)
        data = raw.read(size)
        try:
            fields, length = _Compact(data).struct(_HEADER, 0)
            break
        except IndexError:
            if len(data) < size or size >= _HEAD_LIMIT:
                raise BadPageError("a page header without an end") from None
            size *= 8
    kind, unpacked, packed = (_int(fields, i) for i in (1, 2, 3))
    inner = fields.get({_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}.get(kind, 0), {})
    if kind not in (_DATA, _DICTIONARY, _DATA_V2):  # an index, which the library passes over
        return _Page(kind, unpacked, packed, 0, -1, -1, False), length
    if not isinstance(inner, dict):
        raise BadPageError("a page header of another form")
    v2 = kind == _DATA_V2
    levels = (_int(inner, 5) + _int(inner, 6)) if v2 else -1
    return _Page(kind, unpacked, packed, _int(inner, 1), _int(inner, 4 if v2 else 2), levels, inner.get(7, 1) != 0), length


def _widest(raw: BinaryIO, place: int, page: _Page, column: Chunk, schema: pq.ColumnSchema) -> int:
    """The most bytes that a value of a page of strings takes beyond what is its own."""
    if page.kind == _DICTIONARY:
        if 4 * page.values > page.unpacked:
            raise BadPageError("a dictionary with more values than bytes")
        if page.unpacked <= _SMALL:
            return page.unpacked
        content = _content(raw, place, page, column.codec)
        return page.unpacked if content is None else _longest(content, page.values)
    if page.encoding not in (_DELTA_LENGTH, _DELTA_BYTES):
        return 0
    content = _content(raw, place, page, column.codec)
    if content is None:
        raise BadPageError(f"delta-encoded strings packed by {column.codec}")
    _check_counts(content, page, schema)
    return page.unpacked if page.encoding == _DELTA_BYTES else 0


def _content(raw: BinaryIO, place: int, page: _Page, codec: str) -> bytes | None:
    """A page unpacked (of a page of the second version the values), or None where its packing has no codec here."""
    raw.seek(place)
    data = raw.read(page.packed)
    if page.kind == _DATA_V2:
        data = data[page.levels :]
    if codec == "UNCOMPRESSED" or (page.kind == _DATA_V2 and not page.is_packed) or not data:
        return data
    size = page.unpacked - (page.levels if page.kind == _DATA_V2 else 0)
    name = {"LZ4": "lz4_raw"}.get(codec, codec.lower())
    if size < 0 or not pa.Codec.is_available(name):
        return None
    try:
        return bytes(pa.Codec(name).decompress(data, decompressed_size=size, asbytes=True))
    except (pa.ArrowException, OSError, ValueError):
        if codec == "LZ4":
            return None  # the older form of Hadoop
        raise BadPageError("a page that cannot be unpacked") from None


def _longest(content: bytes, values: int) -> int:
    """The length of the longest of the values of a dictionary page: each has its length, four bytes, before it."""
    place, longest, end = 0, 0, len(content)
    for _ in range(values):
        if place + 4 > end:
            raise BadPageError("a dictionary that ends early")
        length = int.from_bytes(content[place : place + 4], "little")
        place += 4 + length
        longest = max(longest, length)
    if place > end:
        raise BadPageError("a dictionary that ends early")
    return longest


def _check_counts(content: bytes, page: _Page, schema: pq.ColumnSchema) -> None:
    """BadPageError if a list of lengths says that it is longer than the page has values: so much would be allocated."""
    place = 0
    try:
        if page.kind == _DATA and schema.max_definition_level:
            place = 4 + struct.unpack_from("<I", content, 0)[0]
        for _ in range(2 if page.encoding == _DELTA_BYTES else 1):
            place = _after_numbers(_Compact(content, place), page.values)
    except (IndexError, struct.error):
        raise BadPageError("lengths of strings that end early") from None


def _after_numbers(data: _Compact, most: int) -> int:
    """The place after a list of numbers in DELTA_BINARY_PACKED, of at most `most` numbers."""
    block, parts, count, _first = (data.varint() for _ in range(4))
    if count > most:
        raise BadPageError("more lengths of strings than values")
    if not parts or block % parts:
        raise BadPageError("lengths of strings in blocks that cannot be")
    left, each = count - 1, block // parts
    while left > 0:
        data.varint()
        widths = data.take(parts)
        for width in widths:
            if left > 0:
                data.take(each * width // 8)
                left -= each
    return data.place


_Wanted = Mapping[int, "_Wanted | None"]
"""The fields of a struct that are wanted, by number: None for a number, or what is wanted of a struct or of each of a list."""
_NUMBERS = {1: None, 2: None, 4: None, 5: None, 6: None, 7: None}
_HEADER: _Wanted = {1: None, 2: None, 3: None, 5: _NUMBERS, 7: _NUMBERS, 8: _NUMBERS}
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_DEPTH = 12


class _Compact:
    """Thrift's compact protocol, as far as headers of pages and the summary need it: numbers, structs and lists of structs. What is
    not wanted is passed over and takes no memory. IndexError at the end of the data, BadPageError where it is none."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self._data, self.place = data, place

    def take(self, size: int) -> bytes:
        self._pass(size)
        return self._data[self.place - size : self.place]

    def _pass(self, size: int) -> None:
        if self.place + size > len(self._data):
            raise IndexError
        self.place += size

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self.place]
            self.place += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise BadPageError("a number of more than ten bytes")

    def struct(self, wanted: _Wanted, depth: int) -> tuple[dict[int, object], int]:
        """The wanted fields by number, and the place after the struct."""
        fields: dict[int, object] = {}
        number = 0
        while head := self.take(1)[0]:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            value = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, wanted.get(number) or {}, depth)
            if number in wanted:
                fields[number] = value
        return fields, self.place

    def _zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def _value(self, kind: int, wanted: _Wanted, depth: int) -> object:
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind in (_BINARY, _TRUE, _FALSE, _BYTE, _DOUBLE):  # of a list also truths take a byte
            self._pass(self.varint() if kind == _BINARY else 8 if kind == _DOUBLE else 1)
            return None
        if depth >= _DEPTH:
            raise BadPageError("a header nested too deep")
        if kind == _STRUCT:
            return self.struct(wanted, depth + 1)[0]
        if kind in (_LIST, _SET):
            return self._list(wanted, depth + 1)
        raise BadPageError("a header of another form")  # there are no maps

    def _list(self, wanted: _Wanted, depth: int) -> list[object]:
        head = self.take(1)[0]
        size = self.varint() if head >> 4 == 15 else head >> 4
        if size > len(self._data) - self.place:  # each takes at least a byte
            raise IndexError
        found: list[object] = []
        for _ in range(size):
            value = self._value(head & 15, wanted, depth)
            if wanted:
                found.append(value)
        return found
