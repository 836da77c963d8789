"""Near-copies of held-out documents, by shared 13-grams of units.

Report 2.2 watches the loss on many held-out sets of deliberate distributions; that loss means something only if no copy of a
held-out document is trained on. Input: the held-out texts, and the texts of any shard. Output: a mark for each text.

One rule for all domains: a text is near if it holds at least `contained` of the 13-grams of one held-out document, or if at least
`contained` of its own 13-grams stand in held-out documents. The first catches the web page that a held-out parallel paragraph was
taken from, the second an excerpt; `contained` is low enough that the English half of a parallel document alone is found.

Memory: 8 bytes for each unit of a 32 MB slice and 12 bytes for each 13-gram of the held-out documents.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import Floats, Hashes, Ints, Ints32, kernel
from skyloom.core.overlap import N, Reference
from skyloom.core.units import hash_units, ngrams
from skyloom.corpus.text import Texts, distinct, slices


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
