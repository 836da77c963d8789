"""JSON arrays as lines: a file that is one array of records, read as if each record had a line of its own.

Input: a stream that begins with `[`. Output: a stream of the same length: the brackets around the array are spaces, the commas
between its elements are line ends, and line ends within an element are spaces. So a record's place in it is its place in the
file. What stands outside of arrays, as in JSON lines of which the first is an array, stays. A compiled scan looks at each byte
once. Memory: a piece of the stream.
"""

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bytes, Ints, kernel
from skyloom.corpus.sources.readers.byte_streams import Readable, read_some


class ArrayLines:
    """The elements of an array, one on a line."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._state = np.zeros(4, np.int64)  # depth of brackets; whether in a string, after a backslash, in an array

    def read(self, size: int) -> bytes:
        data = np.frombuffer(read_some(self._stream, size), np.uint8).copy()
        _lines(data, self._state)
        return data.tobytes()


@kernel
def _lines(data: Bytes, state: Ints) -> None:
    depth, quoted, escaped, inside = state[0], state[1], state[2], state[3]
    for i in range(len(data)):
        byte = data[i]
        if byte == 10 and not inside:  # a line of its own, whatever stands before it
            depth, quoted, escaped = 0, 0, 0
            continue
        if quoted:
            if escaped:
                escaped = 0
            elif byte == 92:
                escaped = 1
            elif byte == 34:
                quoted = 0
            continue
        if byte == 34:
            quoted = 1
        elif byte == 91 or byte == 123:
            depth += 1
            if depth == 1 and byte == 91:
                inside = 1
                data[i] = 32
        elif byte == 93 or byte == 125:
            if depth == 1 and byte == 93 and inside:
                data[i] = 32
            if depth > 0:
                depth -= 1
            if depth == 0:
                inside = 0
        elif byte == 44 and depth == 1 and inside:
            data[i] = 10
        elif (byte == 10 or byte == 13) and inside:
            data[i] = 32
    state[0], state[1], state[2], state[3] = depth, quoted, escaped, inside
