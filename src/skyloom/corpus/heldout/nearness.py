"""Held-out documents are chosen before anything is trained, and what resembles them leaves the training part.

Report 2.2 watches the loss on many held-out sets of deliberate distributions; that loss means something only if no copy of a
held-out document is trained on. Input: the documents' ids, domains and texts. Output: two marks for each row: held out, and
near a held-out document.

Choice: of each domain the documents with the smallest hashes of their ids, a share of them between a minimum and a
maximum, never more than a fifth of the domain. It does not depend on the other documents' order or number of workers.

Nearness, one rule for all domains: a training document is near if it holds at least `contained` of the 13-grams of one
held-out document, if at least `contained` of its own 13-grams stand in held-out documents, or if it shares a
near-duplicate cluster with one. The first catches the web page that a held-out parallel paragraph was taken from, the
second an excerpt; `contained` is low enough that the English half of a parallel document alone is found.
Generated exercises are variations of templates by intent: among themselves only the same question counts as near.

Memory: 8 bytes for each unit of a 32 MB slice and 12 bytes for each 13-gram of the held-out documents.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import Floats, Hashes, Ints, Ints32, kernel
from skyloom.core.overlap import N, Reference
from skyloom.core.records import record_id
from skyloom.core.units import hash_units, ngrams
from skyloom.corpus.dedup import sequence_hashes
from skyloom.corpus.heldout.config import LARGEST_PART, HeldoutChoiceConfig
from skyloom.corpus.text import Texts, distinct, slices


def choose_heldout(
    ids: Texts, domains: Texts, eligible: npt.NDArray[np.bool_], config: HeldoutChoiceConfig
) -> npt.NDArray[np.bool_]:
    """bool[rows]: which documents are held out. `eligible`: bool[rows]; the others are never chosen, and do not count."""
    chosen = np.zeros(len(ids), bool)
    members: dict[str, list[tuple[str, int]]] = {}
    for row, (name, domain) in enumerate(zip(ids.to_pylist(), domains.to_pylist(), strict=True)):
        if eligible[row]:
            members.setdefault(domain, []).append((record_id(f"held out {config.seed}", name), row))
    for ranked in members.values():
        wanted = min(max(round(config.share * len(ranked)), config.minimum), config.maximum, len(ranked) // LARGEST_PART)
        chosen[[row for _, row in sorted(ranked)[:wanted]]] = True
    return chosen


def near_heldout(
    texts: Texts,
    heldout: npt.NDArray[np.bool_],
    exercises: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64],
    config: HeldoutChoiceConfig,
) -> npt.NDArray[np.bool_]:
    """bool[rows]: training documents near a held-out one (never true for a held-out row); see the module's docstring.

    `exercises`: bool[rows], which rows are generated exercises. `clusters`: int64[rows], the near-duplicate cluster of
    each row; rows of one cluster have equal numbers.
    """
    near = np.isin(clusters, clusters[heldout]) & ~heldout
    items, train = np.flatnonzero(exercises), ~heldout
    keys = sequence_hashes(hash_units(texts.take(pa.array(items))))[:, 0]
    near[items] |= train[items] & np.isin(keys, keys[heldout[items]])
    for judged, against in ((~exercises & train, heldout), (exercises & train, heldout & ~exercises)):
        rows, references = np.flatnonzero(judged), np.flatnonzero(against)
        if len(rows) and len(references):
            index = HeldoutIndex(texts.take(pa.array(references)))
            near[rows] |= index.near(texts.take(pa.array(rows)), config.contained)
    return near


def contained_share(texts: Texts, references: Texts, n: int = N) -> npt.NDArray[np.float64]:
    """For each text the largest share of one reference's distinct n-grams that it has, float64[rows] in 0..1.

    A reference shorter than `n` units has no n-grams and is in no text.
    """
    return HeldoutIndex(references, n).contained_share(texts)


class HeldoutIndex:
    """The n-grams of held-out documents, built once; then any shard of training documents can be judged by itself."""

    def __init__(self, references: Texts, n: int = N) -> None:
        self.n, self.reference = n, Reference(references, n)
        sets = distinct(ngrams(hash_units(references), n))
        owner = np.repeat(np.arange(len(references)), sets.counts).astype(np.int32)
        order = np.argsort(sets.hashes, kind="stable")
        self.grams, self.owner, self.sizes = sets.hashes[order], owner[order], sets.counts

    def near(self, texts: Texts, contained: float) -> npt.NDArray[np.bool_]:
        """bool[rows]: texts that hold `contained` of a held-out one, or of whose own n-grams as many stand in held-out ones.

        The cheap question first: a text that shares no n-gram with any held-out one cannot hold a part of one.
        """
        own = np.concatenate(
            [np.zeros(0), *(self.reference.share(texts.slice(start, stop - start)) for start, stop in slices(texts))]
        )
        rows = np.flatnonzero((own > 0) & (own < contained))
        result = np.asarray(own >= contained)
        result[rows] = self.contained_share(texts.take(pa.array(rows))) >= contained
        return result

    def contained_share(self, texts: Texts) -> npt.NDArray[np.float64]:
        """For each text the largest share of one held-out text's distinct n-grams that it has, float64[rows]."""
        parts = [np.zeros(0, np.float64)]
        for start, stop in slices(texts):
            own = distinct(ngrams(hash_units(texts.slice(start, stop - start)), self.n))
            first = np.searchsorted(self.grams, own.hashes)
            parts.append(_largest_share(own.hashes, own.offsets, first, self.grams, self.owner, self.sizes))
        return np.concatenate(parts)


@kernel
def _largest_share(hashes: Hashes, offsets: Ints, first: Ints, grams: Hashes, owner: Ints32, sizes: Ints) -> Floats:
    out = np.zeros(len(offsets) - 1, np.float64)
    hits = np.zeros(len(sizes), np.int64)
    for row in range(len(offsets) - 1):
        hits[:] = 0
        for k in range(offsets[row], offsets[row + 1]):
            place = first[k]
            while place < len(grams) and grams[place] == hashes[k]:
                hits[owner[place]] += 1
                place += 1
        for reference in range(len(sizes)):
            if hits[reference]:
                out[row] = max(out[row], hits[reference] / sizes[reference])
    return out
