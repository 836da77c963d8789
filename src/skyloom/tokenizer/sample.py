"""The text a tokenizer is trained on: documents of split "train" in, a bounded and fair sample out (report 3.3).

Rule. Every domain may give the same number of bytes; what a small domain leaves over goes to the others, until the
sample is full. Inside a domain a document is taken if a hash of its id and the seed falls below the domain's rate, so the
sample does not depend on shards, order or workers. Equal parts and not the corpus's own shares, because the smaller domains
(code, parallel text) would otherwise have no say in the vocabulary.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.records import record_id
from skyloom.core.store import Store

CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
"""Ideographs, kana, hangul, CJK and full-width punctuation: what the Latin base leaves to the added pieces."""

_CJK_RUN = re.compile(f"[{CJK}]+")
_HAN_RUN = re.compile("[\u3007\u4e00-\u9fff]{2,}")
_LINE_LIMIT = 2000
"""Longest line given to the BPE trainer, in characters; longer ones are cut."""


@dataclass(frozen=True)
class Sample:
    """Texts with the domain each came from, and how much of the corpus they are, in bytes of UTF-8."""

    texts: list[str]
    domains: list[str]
    taken_bytes: int
    corpus_bytes: int

    def latin_lines(self) -> Iterator[str]:
        """Stretches of text between line breaks and CJK characters, none empty, none longer than 2,000 characters."""
        for text in self.texts:
            for line in text.split("\n"):
                for stretch in _CJK_RUN.split(line):
                    for start in range(0, len(stretch), _LINE_LIMIT):
                        yield stretch[start : start + _LINE_LIMIT]

    def characters(self) -> Counter[str]:
        """How often each character occurs."""
        counts: Counter[str] = Counter()
        for text in self.texts:
            counts.update(text)
        return counts

    def han_runs(self) -> Counter[str]:
        """How often each maximal run of two or more Han characters occurs."""
        counts: Counter[str] = Counter()
        for text in self.texts:
            counts.update(_HAN_RUN.findall(text))
        return counts


def document_shards(documents: Store, split: str) -> Iterator[pa.Table]:
    """The documents of one split, shard by shard: tables with columns `id`, `text` and `domain`."""
    for name in documents.names("documents-"):
        table = documents.read_table(name, ["id", "text", "domain", "split"])
        yield table.filter(pc.equal(table["split"], split)).drop_columns(["split"])


def draw(documents: Store, limit_bytes: int, seed: int) -> Sample:
    """A sample of about `limit_bytes` bytes of UTF-8 by the module's rule; the whole split if it is smaller."""
    sizes: Counter[str] = Counter()
    for table in document_shards(documents, "train"):
        sizes.update(_bytes_by_domain(table))
    rates = {d: min(1.0, b / max(sizes[d], 1)) for d, b in fair_shares(sizes, limit_bytes).items()}
    texts, domains, taken = [], [], 0
    for table in document_shards(documents, "train"):
        for identity, text, domain in zip(*(table[c].to_pylist() for c in ("id", "text", "domain")), strict=True):
            if int(record_id(str(seed), identity)[:16], 16) < rates[domain] * 2.0**64:
                texts.append(text)
                domains.append(domain)
                taken += len(text.encode())
    return Sample(texts, domains, taken, sum(sizes.values()))


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
