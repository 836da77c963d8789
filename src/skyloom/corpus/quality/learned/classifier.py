"""A linear judge of "would be a reference in an encyclopedia": logistic regression on hashed n-grams of units.

Input: texts that people chose to refer to (or other reference text that the recipe names) and pages of the corpus itself.
Output: a probability for each text. LLaMA (Touvron et al. 2023) and report 3.1 judge pages so. The features are the mean over a
text's tokens and pairs of neighbours (fastText's bag), hashed into 2^bits weights, so that the score does not grow with length;
the model is trained by AdaGrad in one thread, in an order that a seed fixes: same texts, same bytes. Each language's positives
weigh as much as its negatives, or the judge would learn to tell languages.

A model is one .npz file of plain numbers with a checksum inside, read without pickle.

Memory: 2^bits × 4 bytes (8 more while training) and the tokens of the texts, 8 bytes each.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import DataError, IntegrityError
from skyloom.core.kernels import Bools, Floats, Floats32, Hashes, Int, Ints, kernel
from skyloom.core.store import Store
from skyloom.corpus.quality.learned.config import ClassifierConfig
from skyloom.corpus.quality.learned.tokens import Tokens, tokens
from skyloom.corpus.text import Texts

_FORMAT = "skyloom linear judge 1"
_SPREAD = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class Classifier:
    """`weights`: float32[2^bits]; `languages`: those that had enough of both kinds of texts, each with its `bias`."""

    weights: npt.NDArray[np.float32]
    bias: dict[str, float]

    def score(self, texts: Texts, langs: npt.NDArray[np.object_]) -> npt.NDArray[np.float32]:
        """Probability that a text is like the reference text, float32[rows]; NaN without tokens or in another language."""
        means = _means(*_parts(tokens(texts)), self.weights, _shift(self.weights))
        bias = np.array([self.bias.get(lang, np.nan) for lang in langs.tolist()])
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(-(means + bias))), np.float32)

    def save(self, store: Store, name: str) -> None:
        """Write one .npz; equal models are equal bytes."""
        header = {"format": _FORMAT, "bias": dict(sorted(self.bias.items())), "sha256": _digest(self.weights)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, header=np.frombuffer(json.dumps(header).encode(), np.uint8), weights=self.weights)
        store.write_bytes(name, buffer.getvalue())

    @classmethod
    def load(cls, store: Store, name: str) -> Classifier:
        """Read what `save` wrote; IntegrityError if it is something else or was changed."""
        try:
            with np.load(io.BytesIO(store.read_bytes(name)), allow_pickle=False) as file:
                header, weights = json.loads(file["header"].tobytes()), file["weights"]
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as problem:
            raise IntegrityError(f"{store.url(name)} is not a linear judge of ours: {problem}") from problem
        if header.get("format") != _FORMAT or header.get("sha256") != _digest(weights):
            raise IntegrityError(f"{store.url(name)} was changed after it was written: train it again or fetch it again")
        return cls(weights, _biases(header.get("bias"), store.url(name)))


_LARGEST_BIAS = 1e9


def _biases(found: object, place: str) -> dict[str, float]:
    """The biases by language; IntegrityError if they are no finite numbers."""
    numbers = {str(k): v for k, v in found.items() if isinstance(v, (int, float))} if isinstance(found, dict) else {}
    if not isinstance(found, dict) or len(numbers) < len(found) or not all(abs(v) <= _LARGEST_BIAS for v in numbers.values()):
        raise IntegrityError(f"{place} has a bias that is no number: train it again or fetch it again")
    return {k: float(v) for k, v in numbers.items()}


def train_classifier(
    texts: Texts, positive: npt.NDArray[np.bool_], langs: npt.NDArray[np.object_], config: ClassifierConfig
) -> Classifier:
    """Fit to `texts`, of which `positive` (bool[rows]) are reference text; `langs`: object[rows], "en", "zh" or other.

    Languages with fewer than `minimum_texts` of either kind are left out. DataError if none is left.
    """
    column = tokens(texts)
    counts = column.counts
    weight, languages = np.zeros(len(texts)), []
    for lang in sorted(set(langs.tolist())):
        rows = [np.flatnonzero((langs == lang) & (positive == kind) & (counts > 0)) for kind in (False, True)]
        if min(map(len, rows)) >= config.minimum_texts:
            languages.append(lang)
            for part in rows:
                weight[part] = 0.5 * (len(rows[0]) + len(rows[1])) / len(part)
    if not languages:
        raise DataError(
            f"too little reference text: a judge needs {config.minimum_texts} texts of a language and as many pages beside them"
        )
    codes = {lang: k for k, lang in enumerate(languages)}
    code = np.array([codes.get(lang, -1) for lang in langs.tolist()])
    weights, bias = np.zeros(1 << config.bits, np.float32), np.zeros(len(languages))
    squares, bias_squares = np.full(1 << config.bits, 1e-8, np.float32), np.full(len(languages), 1e-8)
    random = np.random.Generator(np.random.Philox(config.seed))
    for _ in range(config.epochs):
        order = random.permutation(np.flatnonzero(weight > 0))
        _epoch(*_parts(column), order, positive, weight, code, weights, squares, bias, bias_squares, _shift(weights), config.rate)
    return Classifier(weights, {lang: float(bias[k]) for k, lang in enumerate(languages)})


def _parts(column: Tokens) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    return column.hashes, column.lines[column.rows]


def _shift(weights: npt.NDArray[np.float32]) -> np.uint64:
    return np.uint64(65 - len(weights).bit_length())


def _digest(weights: npt.NDArray[np.float32]) -> str:
    return hashlib.sha256(weights.astype("<f4").tobytes()).hexdigest()


@kernel
def _pair(first: np.uint64, second: np.uint64, shift: np.uint64) -> Int:
    """The bucket of two neighbours."""
    key = (first * _SPREAD) ^ second
    return np.int64(((key ^ (key >> np.uint64(32))) * _SPREAD) >> shift)


@kernel
def _mean(hashes: Hashes, start: Int, stop: Int, weights: Floats32, shift: np.uint64) -> float:
    total = 0.0
    for k in range(start, stop):
        total += weights[np.int64(hashes[k] >> shift)]
    for k in range(start + 1, stop):
        total += weights[_pair(hashes[k - 1], hashes[k], shift)]
    return total / (2 * (stop - start) - 1)


@kernel
def _means(hashes: Hashes, bounds: Ints, weights: Floats32, shift: np.uint64) -> Floats:
    out = np.full(len(bounds) - 1, np.nan)
    for row in range(len(bounds) - 1):
        if bounds[row + 1] > bounds[row]:
            out[row] = _mean(hashes, bounds[row], bounds[row + 1], weights, shift)
    return out


@kernel
def _step(weights: Floats32, squares: Floats32, bucket: Int, slope: float, rate: float) -> None:
    squares[bucket] += slope * slope
    weights[bucket] -= rate * slope / np.sqrt(squares[bucket])


@kernel
def _epoch(
    hashes: Hashes, bounds: Ints, order: Ints, positive: Bools, weight: Floats, code: Ints, weights: Floats32, squares: Floats32,
    bias: Floats, bias_squares: Floats, shift: np.uint64, rate: float,
) -> None:  # fmt: skip
    for row in order:
        start, stop, lang = bounds[row], bounds[row + 1], code[row]
        value = 1.0 / (1.0 + np.exp(-(_mean(hashes, start, stop, weights, shift) + bias[lang])))
        error = (value - positive[row]) * weight[row]
        slope = error / (2 * (stop - start) - 1)
        for k in range(start, stop):
            _step(weights, squares, np.int64(hashes[k] >> shift), slope, rate)
        for k in range(start + 1, stop):
            _step(weights, squares, _pair(hashes[k - 1], hashes[k], shift), slope, rate)
        bias_squares[lang] += error * error
        bias[lang] -= rate * error / np.sqrt(bias_squares[lang])
