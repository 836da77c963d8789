"""Topic diversity: how evenly blocks spread over clusters, in bits, before and after filtering.

Input: block vectors (`directions` of their meaning, or their wording). Output: cluster centres, the cluster
of each block, and the entropy of their distribution (report 3.1 filters so that no topic crowds out the rest). Clusters are found
once, by spherical k-means (Dhillon and Modha 2001), and the same centres are used for both figures. They should come from
other text of the same kind: fitted on the blocks before filtering they follow the copies' numbers, and a cluster of nothing but
copies counts as a topic that filtering empties.

Entropy rises if what is removed crowded a few topics; it falls if the templates were many and on subjects that the rest of the
corpus lacks. It measures a corpus, and is no proof that a filter is right.

Deterministic: all sums are exact integers, and the seeds are chosen by a fixed generator. Memory: 1 KB for each block in hand
(8,192 at once), 1 KB for each cluster.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import DataError
from skyloom.corpus.distribution.space import SCALE, WORDING

_ROWS = 8192


def fit_topics(wording: npt.NDArray[np.int8], clusters: int = 128, *, rounds: int = 12, seed: int = 0) -> npt.NDArray[np.int8]:
    """Centres int8[clusters, WORDING] of one length, from `wording`, int8[blocks, WORDING]. DataError for too few blocks."""
    if len(wording) < clusters:
        raise DataError(f"{len(wording)} blocks are too few for {clusters} topics: ask for fewer")
    chosen = np.sort(np.random.default_rng(seed).choice(len(wording), clusters, replace=False))
    centres = _unit(wording[chosen].astype(np.int64))
    for _ in range(rounds):
        labels = topics_of(wording, centres)
        order = np.argsort(labels, kind="stable")
        starts = np.searchsorted(labels[order], np.arange(clusters))
        filled = np.flatnonzero(np.diff(np.append(starts, len(order))))
        sums = centres.astype(np.int64)  # an empty cluster stays where it is
        sums[filled] = np.add.reduceat(wording[order].astype(np.int64), starts[filled], axis=0)
        moved = _unit(sums)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _unit(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    lengths = np.sqrt((sums * sums).sum(axis=1).astype(np.float64))
    scaled = np.rint(sums * SCALE / np.maximum(lengths, 1.0)[:, None])
    return np.asarray(np.clip(scaled, -127, 127), np.int8)


def directions(signs: npt.NDArray[np.uint64]) -> npt.NDArray[np.int8]:
    """The meaning of blocks as ±1, int8[blocks, WORDING], from `BlockVectors.signs`: their angles follow those of the meaning."""
    bits = (signs[:, :, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    return (2 * bits.reshape(len(signs), WORDING).astype(np.int8) - 1).astype(np.int8)


def topics_of(wording: npt.NDArray[np.int8], centres: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """The nearest centre of each block, int64[blocks]; of several equally near the first."""
    turned = centres.T.astype(np.float32)  # sums of products stay below 2^24: exact in any order
    parts = [np.zeros(0, np.int64)]
    parts += [(wording[k : k + _ROWS].astype(np.float32) @ turned).argmax(axis=1) for k in range(0, len(wording), _ROWS)]
    return np.concatenate(parts)


def topic_entropy(labels: npt.NDArray[np.int64]) -> float:
    """Entropy of the clusters' shares in bits, from 0 (one topic) to log2 of their number; 0 for no blocks."""
    if not len(labels):
        return 0.0
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum()) + 0.0
