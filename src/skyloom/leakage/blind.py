"""The blind baseline: how well a bag of words, or length alone, tells two sets of texts apart, without any model.

Input: the texts of two sets. Output: an AUC with its 95 % interval. If words alone tell a benchmark from its reference, then a
model that has read neither will also find one of them easier, and a gap of losses shows the difference in style. The published
reference set of the report is told from GSM8K with an AUC above .99. The reverse does not hold: two sets that words cannot tell
apart may still differ in ways that a model sees. So the baseline can veto a comparison and can never justify one.

Words are those of English, numbers and signs; of Chinese the characters and pairs of neighbouring ones. The classifier is a
logistic regression, trained on four fifths of the texts and asked about the last fifth, five times. Texts of one pair (an item and
its twin) lie in one fold: otherwise the classifier would know a twin by its original. The AUC counts pairs within folds only,
because scores of different folds are not comparable. Its interval is DeLong's (1988): it holds for the classifiers as they were
trained, and is somewhat narrow for sets of some dozens of texts (of 120 pairs of 60 texts by the same makers, 3 are vetoed).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse, special

from skyloom.leakage.benchmark_sets import BenchmarkSet
from skyloom.score.intervals import Floats, Z, generator

FOLDS = 5
MOST = 2000
"""Texts of each set that are looked at: a fixed sample; more do not change the figure by as much as its interval."""
VETO = 0.55
"""The lower end of the AUC from which on a gap does not count."""
PENALTY = 1.0
"""Of the squared weights, beside the sum of the losses of the training texts."""
RAREST = 2
"""Texts that a word must stand in."""

_TOKEN = re.compile(r"[A-Za-zÀ-ɏͰ-ӿ]+|[0-9]+|[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+|[^\s\w]", re.ASCII)
_HAN_RUN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")

Labels = npt.NDArray[np.bool_]
Folds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Auc:
    """The share of pairs in which the text of the first set has the higher score, with its 95 % interval. `error`: its standard
    error."""

    value: float
    low: float
    high: float
    error: float


@dataclass(frozen=True)
class BlindBaseline:
    """What can be told without a model. `n`: texts of the smaller set that were looked at."""

    words: Auc
    length: Auc
    n: int

    @property
    def vetoes(self) -> bool:
        """Whether a gap between these sets does not count."""
        return max(self.words.low, self.length.low) > VETO


def blind_baseline(first: BenchmarkSet, second: BenchmarkSet, *, seed: int = 1) -> BlindBaseline:
    """The baseline for two sets, the same for the same seed."""
    sets = [_sample(one, seed) for one in (first, second)]
    texts = [text for one in sets for text in one.texts]
    labels = np.repeat([True, False], [len(one.items) for one in sets])
    folds = _folds([item.pair for one in sets for item in one.items], labels, seed)
    sizes = np.log1p([len(text) for text in texts])
    spread = float(sizes.std()) or 1.0
    scaled = (sizes - sizes.mean()) / spread
    lengths = sparse.csr_matrix(np.stack([scaled, scaled**2], axis=1))
    return BlindBaseline(
        words=auc(_out_of_fold(bag_of_words(texts), labels, folds), labels, folds),
        length=auc(_out_of_fold(lengths, labels, folds), labels, folds),
        n=min(len(one.items) for one in sets),
    )


def words_of(text: str) -> list[str]:
    """The tokens of a text: words and numbers, signs, Han characters and pairs of neighbouring ones."""
    found: list[str] = []
    for token in _TOKEN.findall(text.lower()):
        if _HAN_RUN.match(token):
            found += [*token, *(token[k : k + 2] for k in range(len(token) - 1))]
        else:
            found.append(token)
    return found


def bag_of_words(texts: Sequence[str]) -> sparse.csr_matrix:
    """Rows of unit length, float64[texts, words]: 1 + log of each word's count, weighted by how rare the word is."""
    vocabulary: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for number, text in enumerate(texts):
        tokens = words_of(text)
        rows += [number] * len(tokens)
        columns += [vocabulary.setdefault(token, len(vocabulary)) for token in tokens]
    counts = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (len(texts), max(len(vocabulary), 1))).tocsr()
    counts.sum_duplicates()
    held = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(held >= RAREST)
    if not len(kept):
        return sparse.csr_matrix((len(texts), 1))
    bag = counts[:, kept]
    bag.data = 1 + np.log(bag.data)
    bag = bag @ sparse.diags(np.log((1 + len(texts)) / (1 + held[kept])) + 1)
    norms = np.sqrt(np.asarray(bag.multiply(bag).sum(1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.where(norms > 0, norms, 1)) @ bag)


def auc(scores: Floats, labels: Labels, folds: Folds | None = None) -> Auc:
    """How well scores float64[n] tell the texts of label True from the others, pairs within a fold only (None: all pairs).

    Two sets without overlap leave no spread to estimate; the interval then reaches down as far as 3 errors in n would (and up)."""
    inside = np.zeros(len(scores), np.int64) if folds is None else folds
    wins = np.full(len(scores), np.nan)
    weight = np.zeros(len(scores))
    for fold in np.unique(inside):
        rows = np.flatnonzero(inside == fold)
        mine, theirs = rows[labels[rows]], rows[~labels[rows]]
        if len(mine) and len(theirs):
            wins[mine], wins[theirs] = _placed(scores[mine], scores[theirs]), 1 - _placed(scores[theirs], scores[mine])
            weight[mine], weight[theirs] = len(theirs), len(mine)
    value, variance = 0.5, 0.0
    for part in (labels, ~labels):
        own, share = wins[part & (weight > 0)], weight[part & (weight > 0)]
        if len(own) < 2:
            return Auc(float("nan"), float("nan"), float("nan"), float("nan"))
        value = float((own * share).sum() / share.sum())
        share = share / share.sum()
        variance += float((share**2 * (own - value) ** 2).sum()) * len(own) / (len(own) - 1)
    error = variance**0.5
    least = 3 / min(int(labels.sum()), int((~labels).sum()))
    reach_down, reach_up = (max(Z * error, least if end else 0.0) for end in (value >= 1, value <= 0))
    return Auc(value, max(0.0, value - reach_down), min(1.0, value + reach_up), error)


def _placed(mine: Floats, theirs: Floats) -> Floats:
    """Of each score the share of the others that it surpasses; ties count half."""
    ordered = np.sort(theirs)
    below, upto = np.searchsorted(ordered, mine, "left"), np.searchsorted(ordered, mine, "right")
    return np.asarray((below + upto) / 2 / len(theirs), np.float64)


def _sample(one: BenchmarkSet, seed: int) -> BenchmarkSet:
    if len(one.items) <= MOST:
        return one
    rows = np.sort(generator(seed, "blind sample").permutation(len(one.items))[:MOST])
    return one.only([one.items[row] for row in rows])


def _folds(pairs: Sequence[str], labels: Labels, seed: int) -> Folds:
    """The fold of each text. Pairs that both sets have come first, then the rest of each set: so all folds hold alike shares."""
    groups: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        groups.setdefault(pair, []).append(row)
    kinds: dict[tuple[int, int], list[list[int]]] = {}
    for rows in groups.values():
        own = int(labels[rows].sum())
        kinds.setdefault((own, len(rows) - own), []).append(rows)
    rng, folds, turn = generator(seed, "blind folds"), np.zeros(len(pairs), np.int64), 0
    for kind in sorted(kinds, reverse=True):
        found = kinds[kind]
        for place in rng.permutation(len(found)):
            folds[found[place]] = turn % FOLDS
            turn += 1
    return folds


def _out_of_fold(features: sparse.csr_matrix, labels: Labels, folds: Folds) -> Floats:
    """Of each text the score that a classifier gives which has not seen it nor what is paired with it."""
    scores = np.zeros(len(labels))
    for fold in range(FOLDS):
        test = folds == fold
        if test.any() and labels[~test].any() and (~labels[~test]).any():
            weights = _logistic(features[~test], labels[~test])
            scores[test] = features[test] @ weights[:-1] + weights[-1]
    return scores


def _logistic(features: sparse.csr_matrix, labels: Labels) -> Floats:
    """Weights and constant of a penalised logistic regression, float64[features + 1]; both sets weigh the same."""
    signs = np.where(labels, 1.0, -1.0)
    shares = np.where(labels, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))

    def loss(weights: Floats) -> tuple[float, Floats]:
        margins = signs * (features @ weights[:-1] + weights[-1])
        slope = -signs * shares * special.expit(-margins)
        value = float((shares * np.logaddexp(0, -margins)).sum() + PENALTY / 2 * (weights[:-1] @ weights[:-1]))
        return value, np.append(features.T @ slope + PENALTY * weights[:-1], slope.sum())

    found = optimize.minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x, np.float64)
