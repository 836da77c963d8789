"""The training sample of the tokenizer: a bounded, weighted sample of the documents of split "train" (report 3.3).

Rule. Every domain may give the same number of bytes; what a small domain leaves over goes to the others, until the
sample is full. Inside a domain a document is taken if a hash of its id and the seed falls below the domain's rate, so the
sample does not depend on shards, order or workers. Equal parts and not the corpus's own shares, because the smaller domains
(code, parallel text) would otherwise have no say in the vocabulary.

Weights. What is sampled may still be very uneven: a domain that has only a few documents gives them all. A text of domain
d weighs w(d) · size(d)^(balance − 1), where size is what d gives in bytes: with a balance of 1 every byte counts the same,
with 0 every domain, in between as in the sampling of languages by temperature. `w` is the recipe's own weight of the
domain, 1 unless said.
No domain weighs more than a million times another.

Nothing but one shard is in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import ConfigError
from skyloom.core.kernels import GOLDEN
from skyloom.core.store import Store
from skyloom.corpus.text import string_hashes

_UNIT = 1 << 10  # the smallest weight
_LARGEST = 1 << 30  # a million times that; with four thousand million occurrences a sum stays below 2^62


@dataclass(frozen=True)
class Sample:
    """Which documents are looked at, and what they weigh. `rates`, `weights`: of each domain; sizes are bytes of UTF-8."""

    documents: Store
    seed: int
    rates: Mapping[str, float]
    weights: Mapping[str, int]
    taken_bytes: int
    corpus_bytes: int

    def tables(self) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """The sampled texts of one domain in one shard at a time: (domain, large_string or string column)."""
        for table in document_shards(self.documents, "train"):
            for domain in sorted(set(table["domain"].to_pylist())):
                rows = table.filter(pc.equal(table["domain"], domain))
                if self.rates[domain] < 1:
                    mixed = string_hashes(rows["id"]) ^ np.uint64((self.seed * int(GOLDEN)) & (2**64 - 1))
                    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                    mixed ^= mixed >> np.uint64(27)
                    rows = rows.filter(pa.array(mixed < np.uint64(int(self.rates[domain] * 2.0**64))))
                yield domain, rows["text"]


def document_shards(documents: Store, split: str) -> Iterator[pa.Table]:
    """The documents of one split, shard by shard: tables with columns `id`, `text` and `domain`."""
    for name in documents.names("documents-"):
        table = documents.read_table(name, ["id", "text", "domain", "split"])
        yield table.filter(pc.equal(table["split"], split)).drop_columns(["split"])


def draw(documents: Store, limit_bytes: int, seed: int, balance: float = 1.0, wanted: Mapping[str, float] | None = None) -> Sample:
    """A sample of about `limit_bytes` bytes of UTF-8 by the module's rule; the whole split if it is smaller.

    ConfigError if `wanted` gives a weight to a domain that is not there.
    """
    sizes: Counter[str] = Counter()
    for table in document_shards(documents, "train"):
        sizes.update(_bytes_by_domain(table))
    unknown = sorted(set(wanted or {}) - sizes.keys())
    if unknown and sizes:
        raise ConfigError(
            f"tokenizer.weights names '{unknown[0]}', which is no domain of the corpus; those are: {', '.join(sorted(sizes))}"
        )
    shares = fair_shares(sizes, limit_bytes)
    rates = {d: min(1.0, share / max(sizes[d], 1)) for d, share in shares.items()}
    raw = {d: (wanted or {}).get(d, 1.0) * max(share, 1.0) ** (balance - 1) for d, share in shares.items()}
    least = min((w for w in raw.values() if w > 0), default=1.0)
    weights = {d: min(round(_UNIT * w / least), _LARGEST) for d, w in raw.items()}
    return Sample(documents, seed, rates, weights, round(sum(shares.values())), sum(sizes.values()))


def fair_shares(sizes: Counter[str], limit: int) -> dict[str, float]:
    """What each domain gives of `limit`: equal parts, and what a small domain cannot give is shared by the others."""
    shares: dict[str, float] = {}
    left = float(limit)
    for done, (domain, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        shares[domain] = min(float(size), left / (len(sizes) - done))
        left -= shares[domain]
    return shares


def _bytes_by_domain(table: pa.Table) -> dict[str, int]:
    lengths = pa.table({"domain": table["domain"], "bytes": pc.binary_length(table["text"])})
    totals = lengths.group_by("domain").aggregate([("bytes", "sum")])
    return dict(zip(totals["domain"].to_pylist(), totals["bytes_sum"].to_pylist(), strict=True))
