"""Held-out sets by domain: text that is never trained on, on which the loss is monitored.

Input: the cleaned documents (split "valid") and the exercises. Output: one `HeldOut` for each domain.
The report (2.2) watches the loss on many validation sets, each of a deliberate distribution, since training loss
misleads once data repeats and benchmark scores of checkpoints are noisy. Sets are capped so that watching stays
cheap; which documents stay is decided by the hash of their ids, so a set is a fair sample and never changes by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import setting
from skyloom.core.errors import DataError
from skyloom.core.records import record_id
from skyloom.core.store import Store


@dataclass(frozen=True)
class HeldoutSetsConfig:
    """How large a held-out set may be."""

    max_documents: int = setting(500, doc="documents in a set at most", unit="documents", low=1)
    max_bytes: int = setting(200_000, doc="text in a set at most; the first document is always taken", unit="bytes", low=1)


@dataclass(frozen=True)
class HeldOut:
    """One set: `texts[i]` belongs to `ids[i]`, sorted by id."""

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of all texts."""
        return sum(len(text.encode()) for text in self.texts)


def heldout_sets(corpus: Store, exercises: Store | None = None, config: HeldoutSetsConfig | None = None) -> dict[str, HeldOut]:
    """Held-out sets by domain, in the order of their names.

    A domain that the corpus holds is taken from there only, since its documents have passed the pipeline; `exercises`
    adds the domains that it lacks. DataError if there is not one held-out document.
    """
    config = config or HeldoutSetsConfig()
    found = _valid_documents(corpus, "documents-")
    if exercises is not None:
        for domain, documents in _valid_documents(exercises, "exercises-valid").items():
            found.setdefault(domain, documents)
    if not found:
        raise DataError(f"{corpus.url('')} holds no document of the split 'valid'; give the corpus a held-out share above 0")
    return {domain: _capped(domain, found[domain], config) for domain in sorted(found)}


def _valid_documents(store: Store, prefix: str) -> dict[str, dict[str, str]]:
    """Texts of the split "valid" by domain and id."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name in store.names(prefix):
        if name.endswith(".parquet"):
            table = store.read_table(name, ["id", "text", "domain", "split"])
            table = table.filter(pc.equal(table["split"], pa.scalar("valid")))
            for row in table.to_pylist():
                found[row["domain"]][row["id"]] = row["text"]
    return dict(found)


def within_budget(texts: Iterable[str], most: int) -> list[str]:
    """The first of `texts` that are together at most `most` UTF-8 bytes (0: no limit); the first one is always taken."""
    kept: list[str] = []
    size = 0
    for text in texts:
        size += len(text.encode("utf-8"))
        if kept and most and size > most:
            break
        kept.append(text)
    return kept


def _capped(name: str, documents: dict[str, str], config: HeldoutSetsConfig) -> HeldOut:
    drawn = sorted(documents, key=lambda key: record_id("heldout", key))[: config.max_documents]
    kept = sorted(drawn[: len(within_budget((documents[key] for key in drawn), config.max_bytes))])
    return HeldOut(name, tuple(kept), tuple(documents[key] for key in kept))
