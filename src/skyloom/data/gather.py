"""Rows of a batch out of token shards, as int64 ids, and which document each id belongs to.

A batch is one compiled loop over all its rows. The shards are handed over as addresses, because unpacking one array a source
costs more than copying a small batch; whoever calls must keep the arrays alive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Int, Ints, Ints32, carray, intrinsic, kernel, types


def gather(
    addresses: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    wide: bool,
    sources: npt.NDArray[np.int16],
    windows: npt.NDArray[np.int64],
    context: int,
) -> npt.NDArray[np.int64]:
    """int64[rows, context + 1]: of each row's source the ids from window * context on, at the end going on at the head.

    `addresses`, `lengths`: int64[sources], where ids lie in memory, and how many; `wide`: they are int32, else uint16.
    """
    rows = np.empty((len(sources), context + 1), np.int64)
    _gather(addresses, lengths, wide, sources, windows, context, rows)
    return rows


def documents_of(tokens: npt.NDArray[np.int64], bos_id: int) -> npt.NDArray[np.int64]:
    """Which document of its row each id belongs to, int64[rows, columns] like `tokens`: 0, and one more at every BOS.

    A BOS belongs to the document that it begins; a row that begins with one begins at 1.
    """
    numbers = np.empty(tokens.shape, np.int64)
    _number(tokens, np.int64(bos_id), numbers)
    return numbers


def _pointer_to(kind: Any) -> Any:
    """A function for compiled code that makes an address a pointer to ids of a kind."""

    def pointer(typing_context, address):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), generate  # type: ignore[no-untyped-call]

    return intrinsic(pointer)


_uint16_at = _pointer_to(types.uint16)
_int32_at = _pointer_to(types.int32)


@kernel
def _gather(
    addresses: Ints, lengths: Ints, wide: bool, sources: npt.NDArray[np.int16], windows: Ints, context: Int, rows: Ints
) -> None:
    for row in range(len(sources)):
        source = sources[row]
        length, start = lengths[source], windows[row] * context
        if wide:
            _copy(carray(_int32_at(addresses[source]), (length,), np.int32), start, rows[row])
        else:
            _copy(carray(_uint16_at(addresses[source]), (length,), np.uint16), start, rows[row])


@kernel
def _copy(ids: Ints32 | npt.NDArray[np.uint16], start: Int, row: Ints) -> None:
    done: Int = 0
    while done < len(row):
        part = min(len(ids) - start, len(row) - done)
        to, of = row[done : done + part], ids[start : start + part]  # slices, so that the compiler makes vectors of the loop
        for i in range(part):
            to[i] = of[i]
        done += part
        start = 0


@kernel
def _number(tokens: Ints, bos_id: Int, numbers: Ints) -> None:
    for row in range(tokens.shape[0]):
        document = 0
        for column in range(tokens.shape[1]):
            if tokens[row, column] == bos_id:
                document += 1
            numbers[row, column] = document
