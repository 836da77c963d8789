"""Counts the corpus of a release again and compares it with what the run recorded of it.

Input: a release folder. Output: its documents, bytes, licences and mixture as they are in the files, and the differences from the
ledger, from `mixture.json` and from `tokens.json`. One shard is in memory at a time, besides the ids.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from skyloom.core.errors import IntegrityError
from skyloom.core.ledger import KEPT
from skyloom.core.store import Store
from skyloom.corpus.clean import count_mixture, merge_mixtures, mixture_json
from skyloom.release.corpus_shards import SPLITS, PublishedCorpus, read_documents, table_of
from skyloom.release.evidence import Evidence
from skyloom.release.licenses import Rules
from skyloom.release.likeness import unlike


@dataclass
class Recount:
    """What the corpus files hold. `mixture`: as mixture.json; `domains`: training documents by domain.

    `licenses`: documents whose licence is not their source's; `repeated`: documents whose id was there before; both in words.
    """

    published: PublishedCorpus = field(default_factory=PublishedCorpus)
    mixture: object = None
    domains: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    licenses: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)


def recount(release: Store, rules: Rules) -> Recount:
    """Read all documents. DataError if a shard or a line cannot be read."""
    result = Recount()
    seen: dict[str, str] = {}
    parts: list[pa.Table] = []
    for split in SPLITS:
        for name in release.names(f"corpus/{split}-"):
            found = [document for _, document in read_documents(release, name)]
            for document in found:
                if document["id"] in seen:
                    result.repeated.append(f"{name}: the document {document['id']} stands in {seen[document['id']]} too")
                seen[document["id"]] = name
                result.published.count(split, document)
                result.domains[document["domain"]] += split == "train"
                if problem := rules.broken(document):
                    result.licenses.append(f"{name}: the document {document['id']} {problem}")
            parts.append(count_mixture(table_of(found, split)))
    result.mixture = mixture_json(merge_mixtures(parts))
    return result


def disagreements(counted: Recount, found: Evidence) -> Iterator[str]:
    """Where the corpus is not what the ledger, the mixture and the packed tokens of the run say of it."""
    documents, size = sum(counted.published.documents.values()), sum(counted.published.bytes.values())
    if found.cleaning is not None:
        for ledger in filter(None, (found.extraction, found.cleaning)):
            try:
                ledger.check()
            except IntegrityError as problem:
                yield str(problem)
        last = found.cleaning.totals(found.cleaning.stages()[-1]).get(KEPT, (0, 0))
        if last != (documents, size):
            yield f"the ledger kept {last[0]:,} documents ({last[1]:,} bytes), the corpus has {documents:,} ({size:,} bytes)"
    if found.mixture is not None:
        yield from unlike(found.mixture, counted.mixture, 1e-9, "mixture.json")
    if found.tokens is not None:
        gone = Counter(row["domain"] for row in found.removed if row["split"] == "train")
        packed = {name: row["documents"] for name, row in found.tokens["domains"].items() if name in counted.domains}
        for name, number in sorted(counted.domains.items()):
            if number + gone[name] != packed.get(name, 0):
                less = f", and {gone[name]:,} were removed" if gone[name] else ""
                yield f"tokens.json packed {packed.get(name, 0):,} documents of {name}, the corpus has {number:,}{less}"
