"""Is a page safe to parse? A scan of its bytes that costs a fraction of parsing and bounds what parsing may cost.

What enters is a page's bytes (any ASCII-compatible charset), what leaves is None or the reason to quarantine it. A real
HTML parser does work in proportion to the depth of open elements for each tag, and compares each attribute with those
before it: 100,000 nested `<div>` take lexbor 11 s, 50,000 attributes of one tag 4 s, a million of either would hang a
worker for hours. No timer can interrupt compiled code, so the work is bounded beforehand: by depth, by the sum of the
depths at all tags, by attributes of one tag and by size. The scan errs towards counting too much on input that no
program ever wrote by accident.
"""

from __future__ import annotations

import numba
import numpy as np

MAX_DEPTH = 3000
MAX_WORK = 60_000_000  # sum of the depths at all tags; a page of a megabyte has about one million
MAX_ATTRIBUTES = 4000
MAX_TAGS = 600_000
FEW_TAGS = 2000
SMALL = 8192

_NEVER_DEEP = (
    "area base br col embed hr img input link meta source track wbr param "  # void elements
    "p li dt dd option optgroup tr td th tbody thead tfoot colgroup rp rt"  # closed by the next of their kind
).split()


def _pack(name: str) -> int:
    return int.from_bytes(name.encode()[:8], "little")


_FREE = np.array(sorted(_pack(n) for n in _NEVER_DEEP), np.uint64)
_SCRIPT, _STYLE = np.uint64(_pack("script")), np.uint64(_pack("style"))


def refusal(data: bytes) -> str | None:
    """Why these bytes must not be parsed ("too deep", "too many tags", "too many attributes"), or None if they may be."""
    if len(data) < SMALL and data.count(b"<") < FEW_TAGS:
        return None  # nothing quadratic fits into so little
    depth, work, attributes, tags = _scan(np.frombuffer(data, np.uint8), _FREE, _SCRIPT, _STYLE)
    if depth > MAX_DEPTH or work > MAX_WORK:
        return "too deep"
    if attributes > MAX_ATTRIBUTES:
        return "too many attributes"
    if tags > MAX_TAGS:
        return "too many tags"
    return None


@numba.njit(cache=True, nogil=True)
def _scan(data, free, script, style):  # type: ignore[no-untyped-def]
    """Greatest depth, sum of depths, most attributes of one tag, number of tags."""
    size, i = len(data), 0
    open_by_name = np.zeros(4096, np.int64)
    depth = deepest = work = most_attributes = tags = 0
    while i < size:
        if data[i] != 60:  # <
            i += 1
            continue
        i += 1
        closing = i < size and data[i] == 47  # /
        if closing:
            i += 1
        if i >= size or not 97 <= (data[i] | 32) <= 122:
            if i + 2 < size and data[i] == 33 and data[i + 1] == 45 and data[i + 2] == 45:  # <!-- ... -->
                i += 2
                while i < size and not (data[i] == 62 and data[i - 1] == 45 and data[i - 2] == 45):
                    i += 1
            continue
        name, length = np.uint64(0), 0
        while i < size and data[i] > 32 and data[i] != 62 and data[i] != 47:
            if length < 8:
                name |= np.uint64(data[i] | 32) << np.uint64(8 * length)
            length += 1
            i += 1
        attributes, quote, after_equals, in_value = 0, np.uint8(0), False, False
        while i < size and (quote != 0 or data[i] != 62):
            byte = data[i]
            if quote != 0:
                if byte == quote:
                    quote = np.uint8(0)
                    in_value = False
            elif after_equals and (byte == 34 or byte == 39):
                quote = byte
                after_equals = False
            elif byte <= 32 or byte == 47:
                in_value = False
            else:
                if not in_value and not after_equals and byte != 61:
                    attributes += 1
                    in_value = True
                after_equals = byte == 61 or (after_equals and byte <= 32)
            i += 1
        tags += 1
        most_attributes = max(most_attributes, attributes)
        place = np.searchsorted(free, name)
        if place < len(free) and free[place] == name:
            work += depth
            continue
        slot = np.int64((name * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(52))
        if closing:
            if open_by_name[slot] > 0:
                open_by_name[slot] -= 1
                depth -= 1
        else:
            open_by_name[slot] += 1
            depth += 1
            if name in (script, style):
                while i < size and not (data[i] == 60 and i + 2 < size and data[i + 1] == 47 and (data[i + 2] | 32) == 115):
                    i += 1
        deepest = max(deepest, depth)
        work += depth
    return deepest, work, most_attributes, tags
