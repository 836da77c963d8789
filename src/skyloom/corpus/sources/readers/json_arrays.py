"""JSON arrays as lines: a file that is one array of records, read as if each record had a line of its own.

Input: a stream that begins with `[`. Output: a stream of the same length: the brackets around the array are spaces, the commas
between its elements are line ends, and line ends within an element are spaces. So a record's place in it is its place in the
file. A compiled scan looks at each byte once. Memory: a piece of the stream.
"""

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bytes, Ints, kernel
from skyloom.corpus.sources.readers.byte_streams import Readable, read_some


class ArrayLines:
    """The elements of an array, one on a line."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._state = np.zeros(3, np.int64)  # depth of brackets; whether in a string; whether after a backslash

    def read(self, size: int) -> bytes:
        data = np.frombuffer(read_some(self._stream, size), np.uint8).copy()
        _lines(data, self._state)
        return data.tobytes()


@kernel
def _lines(data: Bytes, state: Ints) -> None:
    depth, quoted, escaped = state[0], state[1], state[2]
    for i in range(len(data)):
        byte = data[i]
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
                data[i] = 32
        elif byte == 93 or byte == 125:
            if depth == 1 and byte == 93:
                data[i] = 32
            depth -= 1
        elif byte == 44 and depth == 1:
            data[i] = 10
        elif (byte == 10 or byte == 13) and depth > 0:
            data[i] = 32
    state[0], state[1], state[2] = depth, quoted, escaped
