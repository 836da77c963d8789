"""HTTP bodies: transfer and content encodings are decoded within limits.

Input: the body of a stored response with its headers' word on how it was encoded. Output: the body as a browser would have read
it, or a reason. Crawlers differ: some store bodies decoded and leave the headers as they were, some the other way round, so a
body that is not encoded as its headers say is taken as it is. No body may unpack beyond the page limit, nor beyond the ratio
limit once it is larger than a megabyte. Memory: twice the page limit.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]

from skyloom.corpus.sources.readers.byte_streams import GZIP, ZSTD, BombError, ZstdStream

_FREE = 1 << 20
_PIECE = 1 << 16
_ENCODINGS = 8
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]{0,200}\r\n")


class TooLargeError(ValueError):
    """A body unpacks to more than the page limit."""


def decoded(body: bytes, content: str, transfer: str, limit: int, ratio: float) -> bytes:
    """The body without its `Content-Encoding` and `Transfer-Encoding`. Raises TooLargeError, BombError or, for a body that
    is damaged, zlib.error or ValueError. Of a body that is cut, what stands before the cut is returned."""
    if "chunked" in transfer.lower():
        body = _joined(body)
    names = [n.strip() for n in content.lower().split(",") if n.strip()]
    if len(names) > _ENCODINGS:  # each could cost the page limit
        raise ValueError("too many content encodings")
    for name in reversed(names):
        body = _unpacked(name, body, limit, ratio)
    return _inflated(body, 31, limit, ratio) if body.startswith(GZIP + b"\x08") else body


def _joined(body: bytes) -> bytes:
    """The content of a chunked body; the body itself if it does not begin with a chunk."""
    parts: list[bytes] = []
    place = 0
    while match := _CHUNK.match(body, place):
        size = int(match[1], 16)
        start = match.end()
        if size == 0:
            return b"".join(parts)
        if body[start + size : start + size + 2] not in (b"\r\n", b""):
            break
        parts.append(body[start : start + size])
        place = start + size + 2
    return body if place == 0 else b"".join(parts)


def _unpacked(name: str, body: bytes, limit: int, ratio: float) -> bytes:
    if name in ("gzip", "x-gzip"):
        return _inflated(body, 31, limit, ratio) if body.startswith(GZIP) else body
    if name == "deflate":
        return _deflated(body, limit, ratio)
    if name == "br":
        return _unbrotli(body, limit, ratio)
    if name == "zstd" and body.startswith(ZSTD):
        reader, given = ZstdStream(io.BytesIO(body)), False

        def piece() -> bytes:
            nonlocal given
            try:
                found = reader.read1(_PIECE)
            except EOFError:
                if given:
                    return b""
                raise
            given = given or bool(found)
            return found

        return _collect(piece, lambda: len(body), limit, ratio)
    return body  # "identity", and what no browser knows


def _deflated(body: bytes, limit: int, ratio: float) -> bytes:
    """zlib by the standard, raw deflate by habit; a body that is neither is not packed."""
    if len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0:
        return _inflated(body, 15, limit, ratio)
    try:
        return _inflated(body, -15, limit, ratio)
    except zlib.error:
        return body


def _inflated(body: bytes, window: int, limit: int, ratio: float) -> bytes:
    inflate = zlib.decompressobj(window)
    place, waiting = 0, b""

    def piece() -> bytes:
        nonlocal place, waiting
        while not inflate.eof:
            if not waiting:  # in pieces: what waits is copied each time
                waiting = body[place : place + _PIECE]
                place += len(waiting)
            got = inflate.decompress(waiting, _PIECE)
            waiting = inflate.unconsumed_tail
            if got or (not waiting and place == len(body)):
                return got
        return b""

    found = _collect(piece, lambda: place - len(waiting), limit, ratio)
    if not inflate.eof and window > 0 and not found:  # what stands before a cut is read, as of a body that is not packed
        raise zlib.error("the packed body ends early")
    return found


def _unbrotli(body: bytes, limit: int, ratio: float) -> bytes:
    state = brotli.Decompressor()
    first = True

    def piece() -> bytes:
        nonlocal first
        data, first = (body if first else b""), False
        return bytes(state.process(data, output_buffer_limit=_PIECE))

    try:
        found = _collect(piece, lambda: len(body), limit, ratio)
    except brotli.error as problem:
        if _is_plain(body):
            return body
        raise ValueError("brotli body is damaged") from problem
    if not state.is_finished() and (not found or _is_plain(body)):
        if _is_plain(body):
            return body
        raise ValueError("the packed body ends early")
    return found


def _is_plain(body: bytes) -> bool:
    return body[:200].lstrip().startswith(b"<") or body[:200].isascii()


def _collect(piece: Callable[[], bytes], taken: Callable[[], int], limit: int, ratio: float) -> bytes:
    """All pieces until an empty one. TooLargeError or BombError as soon as a limit is passed."""
    parts, size = [], 0
    while got := piece():
        parts.append(got)
        size += len(got)
        if size > _FREE and size > ratio * taken():
            raise BombError(ratio)
        if size > limit:
            raise TooLargeError
    return b"".join(parts)
