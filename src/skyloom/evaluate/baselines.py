"""Baselines of the evaluation: a unigram model, and the compressor xz.

A trained model whose loss lies above that of plain token frequencies has learned nothing about order, and a mistake in
evaluation shows the same way. The unigram model counts the training tokens, adds one to each count, and is scored over
the same tokens as the models, so that it goes through the same aggregates. xz knows nothing beforehand but adapts to the
set in hand; its bits per byte are a second mark to get below, and say how repetitive a set is. The report has neither.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from skyloom.data.indexed import Ids
from skyloom.evaluate.perplexity import TableSet
from skyloom.score.intervals import Floats
from skyloom.score.nll import Counts, Encode, TextLosses

SEPARATOR = b"\n\n"


def unigram_nats(counts: Counts) -> Floats:
    """-log p of each token id, float64[vocabulary], from its occurrences in training with one added."""
    smoothed = counts.astype(np.float64) + 1.0
    return np.asarray(np.log(smoothed.sum()) - np.log(smoothed), np.float64)


def unigram_losses(held: TableSet, encode: Encode, costs: Floats) -> TextLosses:
    """A held-out set under the unigram model whose token costs are `costs`, over the tokens that `score_texts` scores."""
    ids, offsets = encode(pa.array(held.texts, pa.string()))
    sums = np.concatenate([[0.0], np.cumsum(costs[ids])])
    return TextLosses.of(held.texts, sums[offsets[1:]] - sums[offsets[:-1]], np.diff(offsets), held.reference)


def xz_bits_per_byte(texts: Sequence[str]) -> float:
    """Bits per byte of the texts under LZMA2 at preset 9e, over all texts as one raw stream; NaN without text.

    A raw stream has no container, so its header and checksum do not weigh on small sets. Texts are joined by an empty
    line, whose cost counts but whose bytes do not. The dictionary is as large as the data: a larger one only takes memory.
    """
    data = SEPARATOR.join(text.encode("utf-8") for text in texts)
    size = sum(len(text.encode("utf-8")) for text in texts)
    if not size:
        return float("nan")
    dictionary = max(1 << 12, 1 << (len(data) - 1).bit_length())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": min(dictionary, 1 << 26)}]
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters)) * 8 / size


def token_counts(arrays: Sequence[Ids], vocabulary: int) -> Counts:
    """Occurrences of each token id in the token shards, int64[vocabulary]."""
    total = np.zeros(vocabulary, np.int64)
    for array in arrays:
        for start in range(0, len(array), 1 << 24):
            total += np.bincount(array[start : start + (1 << 24)], minlength=vocabulary)
    return total
