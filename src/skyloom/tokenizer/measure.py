"""Compression of a tokenizer: bytes and units per token by domain, on documents it was not trained on (`measure.json`).

Units are those of `core.units` (a Han character, or a word of another script), so English and Chinese can be compared.
`fallback_share` is the share of tokens that are byte pieces: text that the vocabulary does not have.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from skyloom.core.json_files import Compression, Measure
from skyloom.core.progress import ProgressTask
from skyloom.core.store import Store
from skyloom.core.units import count_units
from skyloom.tokenizer.sample import Sample, document_shards
from skyloom.tokenizer.tokenizer import Tokenizer

LEAST_USED = 50
"""How many of the least used pieces `measure.json` lists."""


def measure(tokenizer: Tokenizer, documents: Store, sample: Sample, bar: ProgressTask) -> Measure:
    """The content of `measure.json`: compression on split "valid", and the pieces that the training sample uses least."""
    totals: dict[str, npt.NDArray[np.int64]] = defaultdict(lambda: np.zeros(4, np.int64))
    for table in document_shards(documents, "valid"):
        for domain in sorted(set(table["domain"].to_pylist())):
            texts = table.filter(pc.equal(table["domain"], domain))["text"]
            ids, _ = tokenizer.encode_column(texts)
            fallback = int(np.count_nonzero(tokenizer.is_byte[ids]))
            size = pc.sum(pc.binary_length(texts)).as_py()
            totals[domain] += np.array([size, len(ids), int(count_units(texts).sum()), fallback])
    rows: list[Compression] = []
    for domain in sorted(totals):
        size, tokens, units, fallback = totals[domain].tolist()
        rows.append(
            {
                "domain": domain,
                "bytes": size,
                "tokens": tokens,
                "bytes_per_token": size / max(tokens, 1),
                "units_per_token": units / max(tokens, 1),
                "fallback_share": fallback / max(tokens, 1),
            }
        )
    found: Measure = {
        "rows": rows,
        "parts": dict(tokenizer.parts.sizes),
        "least_used": _least_used(tokenizer, sample, bar),
    }
    if tokenizer.spelled is not None:
        found["kind"] = "byte-level"
    return found


def show(tokenizer: Store, text: str) -> list[tuple[str, int, str]]:
    """For people: (piece, id, part of the vocabulary) of each token of a text, by the tokenizer in a folder."""
    return Tokenizer.load(tokenizer).show(text)


def _least_used(tokenizer: Tokenizer, sample: Sample, bar: ProgressTask) -> list[tuple[int, str, int]]:
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    for _, texts in sample.tables():
        counts += np.bincount(tokenizer.encode_column(texts)[0], minlength=tokenizer.vocab_size)
        bar.advance(int(pc.sum(pc.binary_length(texts)).as_py() or 0))
    text = np.flatnonzero(tokenizer.is_text)
    order = text[np.argsort(counts[text], kind="stable")[:LEAST_USED]]
    pieces = tokenizer.pieces
    return [(int(i), pieces[i], int(counts[i])) for i in order]
