"""Rows of a plan as tensors: a tree of inputs laid out as one row, with a mask of what each token sees and where scores are read.

Input: leaves in the order of their tokens and the rows of a batch. Output: token ids, positions, a mask (none where every row is
a single input, which is causal) and the places that are read with the tokens that are looked up there. Each token of the tree
stands once in its row, behind all that it follows; it sees itself and these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.score.requests import Leaves

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Packed:
    """`tokens`, `positions` int64[B, S]; `mask` bool[B, S, S] or None; `places` int64[N]: which of the B · S hidden states are
    read, each once; of all M scored tokens `reads` int64[M], at which of the N, and `targets` int64[M]; `counts`: of each distinct
    request in turn (its number, how many of the M are its own)."""

    tokens: Ids
    positions: Ids
    mask: npt.NDArray[np.bool_] | None
    places: Ids
    reads: Ids
    targets: Ids
    counts: list[tuple[int, int]]


def pack(leaves: Leaves, rows: Sequence[tuple[int, int, int]], depth: int) -> Packed:
    """The rows (start, stop, tokens) behind a prefix of `depth` tokens, padded to the longest."""
    width = max(size for _, _, size in rows)
    tokens, positions = np.zeros((len(rows), width), np.int64), np.full((len(rows), width), depth, np.int64)
    trees = any(stop - start > 1 for start, stop, _ in rows)
    mask = np.zeros((len(rows), width, width), np.bool_) if trees else None
    if mask is not None:
        mask[:, range(width), range(width)] = True
    flat: list[Ids] = []
    targets: list[Ids] = []
    counts: list[tuple[int, int]] = []
    for row, (start, stop, _) in enumerate(rows):
        path, used = np.zeros(0, np.int64), 0
        for number in range(start, stop):
            leaf = leaves.leaves[number]
            known = max(leaves.common[number], depth) if number > start else depth
            fresh = len(leaf.inputs) - known
            path = np.concatenate((path[: known - depth], np.arange(used, used + fresh)))
            tokens[row, used : used + fresh] = leaf.inputs[known:]
            positions[row, used : used + fresh] = np.arange(known, len(leaf.inputs))
            if mask is not None:
                mask[row, used : used + fresh, path[: known - depth]] = True
                mask[row, used : used + fresh, used : used + fresh] = np.tri(fresh, dtype=np.bool_)
            used += fresh
            for request, wanted in leaf.wanted:
                flat.append(row * width + path[len(path) - len(wanted) :])
                targets.append(wanted)
                counts.append((request, len(wanted)))
    places, reads = np.unique(np.concatenate(flat), return_inverse=True)
    return Packed(tokens, positions, mask, places, reads, np.concatenate(targets), counts)
