"""Reference text: which pages an encyclopedia cites, and samples of bounded size to train judges on.

Input: MediaWiki dumps or columns of wikitext, and shards of documents. Output: the hashes of the URLs that are cited, a mask of
the documents that have one of them, and a sample. Both are made shard by shard and merged: sets of hashes by union, samples by
keeping the documents whose ids hash lowest (the sample of a union is the sample of the samples).

Two URLs are the same page if they agree without scheme, "www.", fragment, closing slash and case. Memory: 8 bytes for each
cited URL (Wikipedia's two editions cite some 60 million), the budget for a sample.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import StorageError
from skyloom.corpus.quality.learned.tokens import hash_words
from skyloom.corpus.text import Texts, byte_sizes

Hashes = npt.NDArray[np.uint64]

_CHUNK = 32 << 20  # bytes of a dump that are looked through at once


def cited_urls(wikitext: Texts) -> Hashes:
    """Hashes of the URLs in a column of wikitext (or of a dump's XML), uint64[distinct], ascending."""
    pieces = pc.split_pattern(wikitext.cast(pa.large_string()), "://")
    if isinstance(pieces, pa.ChunkedArray):
        pieces = pieces.combine_chunks()
    sizes = np.asarray(pc.fill_null(pc.list_value_length(pieces), 0).to_numpy(), np.int64)
    flat = pc.list_flatten(pieces)
    after = np.ones(len(flat), np.bool_)
    after[(np.cumsum(sizes) - sizes)[sizes > 0]] = False  # what stands before a text's first "://"
    rest = pc.replace_substring(flat.filter(pa.array(after)), "&amp;", "&")
    return np.unique(
        _hashes(pc.replace_substring_regex(rest, r"(?s)[\s\]\[|{}<>\"\x60'，。；、）》」】].*|&(?:lt|gt|quot|#).*", ""))
    )


def cited_in_dump(path: str | Path) -> Hashes:
    """Hashes of the URLs that a MediaWiki dump (XML; .bz2 or .gz) cites, uint64[distinct], ascending."""
    found = [np.zeros(0, np.uint64)]
    for lines in _chunks(Path(path)):
        found = [np.union1d(found[0], cited_urls(pa.array([lines], pa.large_string())))]
    return found[0]


def merge_cited(parts: Iterable[Hashes]) -> Hashes:
    """The union of several sets of hashes."""
    total = np.zeros(0, np.uint64)
    for part in parts:
        total = np.union1d(total, part)
    return total


def is_cited(urls: Texts, cited: Hashes) -> npt.NDArray[np.bool_]:
    """Which of the URLs are among the cited, bool[rows]."""
    bare = pc.replace_substring_regex(pc.fill_null(urls, ""), r"^[a-zA-Z][a-zA-Z0-9+.-]*://", "")
    hashes = _hashes(bare)
    at = np.minimum(np.searchsorted(cited, hashes), max(len(cited) - 1, 0))
    return np.asarray(cited[at] == hashes) if len(cited) else np.zeros(len(hashes), np.bool_)


def sample(documents: pa.Table, budget: int) -> pa.Table:
    """The documents (columns `id`, `text` and others) whose ids hash lowest, until they hold `budget` bytes of text.

    The last one may reach beyond the budget: were it left out, a merged sample would not know that there was more before
    what comes after it.
    """
    order = np.argsort(hash_words(documents.column("id")), kind="stable")
    sizes = byte_sizes(documents.column("text"))[order]
    return documents.take(order[np.cumsum(sizes) - sizes < budget])


def merge_samples(parts: Iterable[pa.Table], budget: int) -> pa.Table:
    """The sample of all documents from the samples of their shards, in any order."""
    return sample(pa.concat_tables(parts), budget)


def _hashes(urls: Texts) -> Hashes:
    """Hashes of URLs without their scheme, uint64[rows]."""
    return hash_words(pc.replace_substring_regex(pc.utf8_lower(urls), r"^www\.|#.*$|[/.,;:)]+$", ""))


def _chunks(path: Path) -> Iterator[str]:
    """A dump's text in pieces that end with a line."""
    opener: Any = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)
    try:
        with opener(path, "rb") as file:
            while lines := file.readlines(_CHUNK):
                yield b"".join(lines).decode("utf-8", "replace")
    except (OSError, EOFError) as problem:
        raise StorageError(f"cannot read the dump {path}: {problem}") from problem
