"""Block vectors: embeddings of text blocks in two spaces learned from the corpus, as small integers.

Input: a sample of blocks (`fit`) and then the blocks of each shard (`embed`). Output: a `BlockSpace`, plain arrays that are
saved as npz (arrays.py), and for each block of at least `minimum_units` units two vectors:

* `keys`, from the **meaning** half (128 numbers): latent semantic analysis (Deerwester et al. 1990), a truncated SVD of the
  sample's blocks by weighted features with the common direction taken out (Arora et al. 2017). Words that stand in the same
  company lie together, so the spun versions of a sentence fall into one bucket of the locality-sensitive hash (SimHash,
  Charikar 2002, by randomized Hadamard rotations) far more often than their words alone would.
* `wording`, the lexical half (256 numbers): a random ±1 projection of the same features, which keeps the cosine of the
  feature vectors within about 0.06. It tells a template from a topic: blocks on one topic are near in meaning, but only
  the versions of one template draw their words from one small pool.

Features are units (`core.units`), and in Chinese pairs of units as well, weighted by inverse document frequency within the
language; digits are alike, and a block's first 256 units speak for it, so that long passages do not drift to their topic's mean.
No model is downloaded: the sample is the corpus' own. `encoder` replaces both halves by an embedding model's vectors.

From the fitted arrays on, all arithmetic is on integers, square roots and divisions of IEEE doubles in a fixed order: the
same space gives the same vectors on every machine. `fit` itself goes through LAPACK, whose last bits differ between builds;
it runs once, and its arrays are what the workers share.

Memory: 67 MB for a space, 12 bytes for each unit of the 32 MB slice in hand, and 290 bytes for each block embedded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from skyloom.core.errors import DataError
from skyloom.core.kernels import GOLDEN, Bytes, Floats, Hashes, Int, Ints, Ints32, kernel, mix
from skyloom.core.units import hash_units
from skyloom.corpus.text import Texts, slices

MEANING, WORDING = 128, 256
BUCKETS = 1 << 17
"""Hashed features of each language."""
LANGUAGES = ("en", "zh")
SCALE = 512
"""A wording vector of unit length has this length in its int8 numbers, as far as they reach."""
LONGEST = 256
"""Units of a block that are read."""
_ROTATIONS = 2
_OVERSAMPLE, _POWER = 16, 2

Encoder = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class BlockSpace:
    """The fitted arrays. `weights`: int8[2, BUCKETS], a feature's weight in tenths, 0 where the sample hardly had it.
    `meaning`: int8[2, BUCKETS, MEANING], what a feature adds to a block's place. Rows are by language, see LANGUAGES. Saved and
    read by `arrays`."""

    weights: npt.NDArray[np.int8]
    meaning: npt.NDArray[np.int8]


@dataclass(frozen=True)
class BlockVectors:
    """The embedded blocks of a shard. `rows`: int64[n], their numbers among all blocks of the column, ascending. `langs`:
    uint8[n], index into LANGUAGES. `signs`: uint64[n, 4], signs of the rotated meaning. `wording`: int8[n, WORDING]."""

    rows: npt.NDArray[np.int64]
    langs: npt.NDArray[np.uint8]
    signs: npt.NDArray[np.uint64]
    wording: npt.NDArray[np.int8]


def language_codes(langs: Texts) -> npt.NDArray[np.int64]:
    """Index into LANGUAGES of each document, int64[rows]; -1 for what is neither English nor Chinese."""
    values = pa.array(["en", "zh", "zh-Hans", "zh-Hant"])
    found = pc.fill_null(pc.index_in(langs, value_set=values), -1).to_numpy(zero_copy_only=False)
    return np.minimum(np.asarray(found, np.int64), 1)


def fit(blocks: Texts, langs: npt.NDArray[np.int64], *, minimum_units: int = 12, sample: int = 60_000) -> BlockSpace:
    """Learn a space from a string column of blocks and their language codes (int64[blocks], -1: ignored).

    At most `sample` blocks of each language are used, those with the smallest hashes of their text, each text once, so that the
    columns of a merged sample (`sample_blocks`, `merge_samples`) give what the whole corpus would give. DataError
    if no language has 100 such blocks; a language with fewer is left out (its blocks have no vectors).
    """
    weights = np.zeros((len(LANGUAGES), BUCKETS), np.int8)
    meaning = np.zeros((len(LANGUAGES), BUCKETS, MEANING), np.int8)
    largest = 0
    for code in range(len(LANGUAGES)):
        part = blocks.filter(pa.array(langs == code))
        indices, offsets, order, _ = _features(part, np.full(len(part), code, np.int64), minimum_units)
        chosen = np.unique(order, return_index=True)[1][:sample]
        largest = max(largest, len(chosen))
        if len(chosen) >= 100:
            matrix = csr_matrix((np.ones(len(indices), np.float32), indices, offsets), (len(order), BUCKETS))[chosen]
            weights[code], meaning[code] = _fit_language(matrix)
    if largest < 100:
        raise DataError(
            f"only {largest} different blocks to learn block vectors from; 100 are needed: add text, or skip this stage"
        )
    return BlockSpace(weights, meaning)


SAMPLE = pa.schema([("text", pa.large_string()), ("lang", pa.int64()), ("order", pa.uint64())])
"""Blocks to learn from: `lang` indexes LANGUAGES, `order` is a hash of the text; the first of each language by it are used."""


def sample_blocks(blocks: Texts, langs: npt.NDArray[np.int64], *, minimum_units: int = 12, sample: int = 60_000) -> pa.Table:
    """The blocks of a shard that `fit` might use, with the schema SAMPLE: at most `sample` of each language."""
    parts = [SAMPLE.empty_table()]
    for start, stop in slices(blocks):
        part, codes = blocks.slice(start, stop - start), langs[start:stop]
        _, _, order, rows = _features(part, codes, minimum_units)
        texts = part.take(pa.array(rows))
        found = pa.table([texts.cast(pa.large_string()), pa.array(codes[rows]), pa.array(order)], schema=SAMPLE)
        parts = [merge_samples([*parts, found], sample=sample)]
    return parts[0]


def merge_samples(parts: Sequence[pa.Table], *, sample: int = 60_000) -> pa.Table:
    """The sample of several shards together, whatever their order: of each language the `sample` texts with the least hashes, each
    once, ascending."""
    table = pa.concat_tables([SAMPLE.empty_table(), *parts])
    lang, order = table.column("lang").to_numpy(), table.column("order").to_numpy()
    rows = np.lexsort((order, lang))
    new = np.append(True, (np.diff(lang[rows]) != 0) | (np.diff(order[rows]) != 0))[: len(rows)]
    rows = rows[new]
    rank = np.arange(len(rows)) - np.searchsorted(lang[rows], lang[rows])
    return table.take(pa.array(rows[rank < sample])).combine_chunks()


def _fit_language(matrix: csr_matrix) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Weights int8[BUCKETS] and meaning int8[BUCKETS, MEANING] from a 0/1 matrix of blocks by features."""
    size = matrix.shape[0]
    frequency = np.asarray(matrix.sum(axis=0)).ravel()
    idf = np.where(frequency >= 2, np.log(size / np.maximum(frequency, 1.0)), 0.0).astype(np.float32)
    weights = np.minimum(np.rint(idf * 10), 127).astype(np.int8)
    matrix = matrix.multiply(idf[None]).tocsr()
    matrix.eliminate_zeros()
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = csr_matrix((matrix.data / np.repeat(np.maximum(norms, 1e-6), np.diff(matrix.indptr)), matrix.indices, matrix.indptr))
    matrix.resize(size, BUCKETS)
    used = np.flatnonzero(frequency >= 2)
    matrix = matrix[:, used]
    axes = _singular(matrix)
    places = matrix @ axes
    places /= np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-6)
    common = places.mean(axis=0)
    common /= max(float(np.linalg.norm(common)), 1e-6)
    table = (axes - np.outer(axes @ common, common)) * idf[used, None]
    table *= 127 / max(float(np.quantile(np.abs(table), 0.9995)), 1e-9)
    meaning = np.zeros((BUCKETS, MEANING), np.int8)
    meaning[used, : axes.shape[1]] = np.clip(np.rint(table), -127, 127).astype(np.int8)
    return weights, meaning


def _singular(matrix: csr_matrix) -> npt.NDArray[np.float32]:
    """The first MEANING right singular vectors, float32[features, ≤ MEANING], by subspace iteration (Halko et al. 2011)."""
    width = min(MEANING + _OVERSAMPLE, *matrix.shape)
    start = np.random.default_rng(3_1).standard_normal((matrix.shape[1], width), np.float32)
    for _ in range(_POWER + 1):
        start = np.linalg.qr(matrix.T @ np.linalg.qr(matrix @ start)[0])[0]
    _, _, axes = np.linalg.svd(matrix @ start, full_matrices=False)
    return np.asarray(start @ axes.T[:, : min(MEANING, width)], np.float32)


def embed(
    blocks: Texts, langs: npt.NDArray[np.int64], space: BlockSpace, *, minimum_units: int = 12, encoder: Encoder | None = None
) -> BlockVectors:
    """The vectors of the blocks (a string column) whose language (int64[blocks]) the space knows and that are long enough."""
    parts = [
        BlockVectors(
            np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros((0, 2 * _ROTATIONS), np.uint64), np.zeros((0, WORDING), np.int8)
        )
    ]
    for start, stop in slices(blocks):
        part, codes = blocks.slice(start, stop - start), langs[start:stop]
        indices, offsets, _, rows = _features(part, codes, minimum_units)
        numbers = codes[rows].astype(np.uint8)
        if encoder is None:
            signs, wording, lengths = _embed(indices, offsets, numbers, space.weights, space.meaning, _projection(), _flips())
        else:
            signs, wording, lengths = _encode(part.take(pa.array(rows)), encoder)
        known = lengths > 0
        parts.append(BlockVectors(rows[known] + start, numbers[known], signs[known], wording[known]))
    return BlockVectors(*(np.concatenate([getattr(p, name) for p in parts]) for name in BlockVectors.__dataclass_fields__))


def _features(
    blocks: Texts, langs: npt.NDArray[np.int64], minimum_units: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Of each block that is long enough and of a known language: its distinct features (int32, flat, with int64 offsets), a hash of
    its text (uint64), and its row (int64)."""
    column = hash_units(pc.replace_substring_regex(blocks, r"\p{Nd}+", "0"))
    rows = np.flatnonzero((column.counts >= minimum_units) & (langs >= 0))
    indices, offsets, hashes = _distinct_features(column.hashes, column.offsets, rows, langs, LONGEST)
    return indices, offsets, hashes, rows


def _encode(texts: Texts, encoder: Encoder) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Both halves from a model's vectors, turned into ours by a fixed random projection."""
    found = np.asarray(encoder(texts.to_pylist()), np.float64).reshape(len(texts), -1)
    random = np.random.default_rng(3_1)
    turned = found @ random.standard_normal((found.shape[1], WORDING)) if len(found) else np.zeros((0, WORDING))
    lengths = np.sqrt((turned * turned).sum(axis=1))
    wording = np.clip(np.rint(turned * SCALE / np.maximum(lengths, 1e-9)[:, None]), -127, 127).astype(np.int8)
    bits = (turned.reshape(len(turned), 2 * _ROTATIONS, 64) >= 0).astype(np.uint64)
    return (bits << np.arange(64, dtype=np.uint64)).sum(axis=2, dtype=np.uint64), wording, lengths


def sentence_encoder(model: str) -> Encoder:
    """An encoder from a sentence-embedding model: a local folder or a name on a hub, read by `sentence-transformers`.

    DataError if that package is not installed (extra `embeddings`) or the model cannot be read.
    """
    try:
        import sentence_transformers  # type: ignore[import-not-found,unused-ignore]
    except ImportError as problem:
        raise DataError("sentence embeddings need the extra: pip install 'skyloom[embeddings]'") from problem
    try:
        reader = sentence_transformers.SentenceTransformer(model, device="cpu")
    except (OSError, ValueError) as problem:
        raise DataError(f"cannot read the sentence-embedding model {model}: {problem}") from problem
    return lambda texts: np.asarray(reader.encode(list(texts), show_progress_bar=False), np.float32)


@functools.cache
def _projection() -> npt.NDArray[np.int8]:
    """The ±1 of each feature, int8[BUCKETS, WORDING]."""
    return _signs(BUCKETS, WORDING, np.uint64(1))


@functools.cache
def _flips() -> npt.NDArray[np.int8]:
    """The ±1 of the randomized Hadamard rotations, int8[rotations × 2, MEANING]."""
    return _signs(_ROTATIONS * 2, MEANING, np.uint64(2))


@kernel
def _signs(rows: Int, columns: Int, salt: np.uint64) -> npt.NDArray[np.int8]:
    out = np.empty((rows, columns), np.int8)
    for row in range(rows):
        for column in range(columns):
            state = mix(mix(np.uint64(row) * GOLDEN + salt) + np.uint64(column >> 6))
            out[row, column] = 1 if (state >> np.uint64(column & 63)) & np.uint64(1) else -1
    return out


@kernel
def _distinct_features(hashes: Hashes, offsets: Ints, rows: Ints, langs: Ints, longest: Int) -> tuple[Ints32, Ints, Hashes]:
    size = 0
    for k in range(len(rows)):
        size += 2 * min(offsets[rows[k] + 1] - offsets[rows[k]], longest)
    out, bounds, texts = np.empty(size, np.int32), np.zeros(len(rows) + 1, np.int64), np.empty(len(rows), np.uint64)
    stamp = np.full(BUCKETS, -1, np.int64)
    total = 0
    for k in range(len(rows)):
        row = rows[k]
        stop = min(offsets[row + 1], offsets[row] + longest)
        before, text = np.uint64(0), np.uint64(0)
        for i in range(offsets[row], stop):
            text = mix(text * np.uint64(31) + hashes[i])
            for pair in range(1 + langs[row]):  # in Chinese a word is mostly two units
                if pair and i == offsets[row]:
                    continue
                value = mix(before * GOLDEN + hashes[i]) if pair else mix(hashes[i])
                feature = np.int64(value >> np.uint64(47))
                if stamp[feature] != k:
                    stamp[feature] = k
                    out[total] = feature
                    total += 1
            before = hashes[i]
        bounds[k + 1], texts[k] = total, text
    return out[:total].copy(), bounds, texts


@kernel
def _rotate(values: Ints, flips: npt.NDArray[np.int8]) -> None:
    """In place: random signs, then the Walsh-Hadamard transform, once for each row of `flips`. All integers."""
    for turn in range(len(flips)):
        for j in range(len(values)):
            values[j] *= flips[turn, j]
        step = 1
        while step < len(values):
            for start in range(0, len(values), 2 * step):
                for j in range(start, start + step):
                    one, two = values[j], values[j + step]
                    values[j], values[j + step] = one + two, one - two
            step *= 2


@kernel
def _embed(
    indices: Ints32, offsets: Ints, langs: Bytes, weights: npt.NDArray[np.int8], meaning: npt.NDArray[np.int8],
    projection: npt.NDArray[np.int8], flips: npt.NDArray[np.int8],
) -> tuple[Hashes, npt.NDArray[np.int8], Floats]:  # fmt: skip
    rows = len(offsets) - 1
    signs = np.zeros((rows, 2 * _ROTATIONS), np.uint64)
    wording = np.zeros((rows, WORDING), np.int8)
    lengths = np.zeros(rows, np.float64)
    words, place, turned = np.empty(WORDING, np.int32), np.empty(MEANING, np.int32), np.empty(MEANING, np.int64)
    for row in range(rows):
        words[:], place[:] = 0, 0
        lang = langs[row]
        for k in range(offsets[row], offsets[row + 1]):
            feature = indices[k]
            weight = np.int32(weights[lang, feature])
            if weight:
                for j in range(WORDING):
                    words[j] += weight * projection[feature, j]
                for j in range(MEANING):
                    place[j] += meaning[lang, feature, j]
        square = 0.0
        for j in range(WORDING):
            square += np.float64(words[j]) * words[j]
        lengths[row] = np.sqrt(square)
        if square == 0.0:
            continue
        for j in range(WORDING):
            wording[row, j] = min(127.0, max(-127.0, np.rint(words[j] * SCALE / lengths[row])))
        for turn in range(_ROTATIONS):
            for j in range(MEANING):
                turned[j] = place[j]
            _rotate(turned, flips[2 * turn : 2 * turn + 2])
            for j in range(MEANING):
                if turned[j] >= 0:
                    signs[row, 2 * turn + (j >> 6)] |= np.uint64(1) << np.uint64(j & 63)
    return signs, wording, lengths
