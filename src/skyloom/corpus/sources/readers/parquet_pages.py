"""Sizes of a Parquet column before it is decoded, from the headers of its pages.

Input: a file and where one column of a row group lies in it. Output: bytes before and after unpacking, and the most that one
value can take. The library allocates what page headers and encodings say; the file's own summary (`total_uncompressed_size`)
counts encoded bytes and may be wrong. A dictionary makes a large value of each small number, DELTA_BYTE_ARRAY repeats the value
before, and a few bytes can say that two thousand million lengths follow. So the headers (Thrift, compact protocol) are read
first, the dictionary's lengths, and the counts of delta-encoded lengths. Memory: one page, unpacked.
"""

from __future__ import annotations

import struct
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
class _Page:
    kind: int
    unpacked: int
    packed: int
    values: int
    encoding: int
    levels: int  # bytes of levels before the values; -1: not known from the header
    is_packed: bool


def chunk_sizes(raw: BinaryIO, column: pq.ColumnChunkMetaData, schema: pq.ColumnSchema, end: int) -> ChunkSizes:
    """The sizes of one column chunk of a file that is `end` bytes long. BadPageError, LargePageError; OSError from the file.

    Columns within lists are not meant: each row has one value.
    """
    place, left, values = _start(column), column.num_values, 0
    packed = unpacked = 0
    widest = schema.length if schema.physical_type == "FIXED_LEN_BYTE_ARRAY" else 0
    while values < left and place < end:
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


def _start(column: pq.ColumnChunkMetaData) -> int:
    first = column.dictionary_page_offset
    return int(first if first and 0 < first < column.data_page_offset else column.data_page_offset)


def _page(raw: BinaryIO, place: int) -> tuple[_Page, int]:
    """The header at a place and its length."""
    if place < 0:
        raise BadPageError("an offset below nothing")
    size = _HEAD
    while True:
        raw.seek(place)
        data = raw.read(size)
        try:
            fields, length = _Compact(data).struct(0)
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


def _int(fields: _Fields, number: int) -> int:
    value = fields.get(number)
    if not isinstance(value, int) or value < 0:
        raise BadPageError("a page header without its sizes")
    return value


def _widest(raw: BinaryIO, place: int, page: _Page, column: pq.ColumnChunkMetaData, schema: pq.ColumnSchema) -> int:
    """The most bytes that a value of a page of strings takes beyond what is its own."""
    if page.kind == _DICTIONARY:
        if 4 * page.values > page.unpacked:
            raise BadPageError("a dictionary with more values than bytes")
        if page.unpacked <= _SMALL:
            return page.unpacked
        content = _content(raw, place, page, column.compression)
        return page.unpacked if content is None else _longest(content, page.values)
    if page.encoding not in (_DELTA_LENGTH, _DELTA_BYTES):
        return 0
    content = _content(raw, place, page, column.compression)
    if content is None:
        raise BadPageError(f"delta-encoded strings packed by {column.compression}")
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


_Fields = dict[int, object]


class _Compact:
    """Thrift's compact protocol, as far as page headers need it: numbers and structs; all else is passed over. IndexError at
    the end of the data."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self._data, self.place = data, place

    def take(self, size: int) -> bytes:
        found = self._data[self.place : self.place + size]
        if len(found) < size:
            raise IndexError
        self.place += size
        return found

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

    def struct(self, depth: int) -> tuple[_Fields, int]:
        """The fields by number, and the place after them."""
        fields: _Fields = {}
        number = 0
        while head := self.take(1)[0]:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields, self.place

    def _zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def _value(self, kind: int, depth: int) -> object:
        if kind in (1, 2):
            return int(kind == 1)
        if kind == 3:
            return self.take(1)[0]
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self.take(8)
        if kind == 8:
            self.take(self.varint())
            return None
        if kind == 12 and depth < 4:
            return self.struct(depth + 1)[0]
        raise BadPageError("a page header of another form")  # headers of pages hold no lists and no maps
