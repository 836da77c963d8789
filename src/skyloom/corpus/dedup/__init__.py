"""Deduplication (report 3.1): exact duplicates, MinHash LSH near-duplicates, and repeated spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.dedup.config import DedupConfig, RepeatsConfig

if TYPE_CHECKING:
    from skyloom.corpus.dedup.clusters import exact_duplicates, near_duplicates, sequence_hashes
    from skyloom.corpus.dedup.command import (
        INPUTS,
        dedup_files,
        input_files,
        memory_size,
        not_inputs,
        row_lines,
        write_rows,
        write_tables,
    )
    from skyloom.corpus.dedup.command_rows import Rejects, first_lines, read_rows
    from skyloom.corpus.dedup.command_work import RejectedRow, keep_rejected, rejected_rows, row_batches, work_folder
    from skyloom.corpus.dedup.exchange import stream, write_buckets
    from skyloom.corpus.dedup.minhash import band_keys, fingerprints, shingle_sets
    from skyloom.corpus.dedup.repeats import find_repeats, read_repeats, too_short, without_repeats
    from skyloom.corpus.dedup.shards import exact_duplicates_of, near_duplicates_of
    from skyloom.corpus.dedup.sketch import CLUSTERS, Columns
else:
    __getattr__ = lazy(__name__, {
        "clusters": ("exact_duplicates", "near_duplicates", "sequence_hashes",),
        "command": ("INPUTS", "dedup_files", "input_files", "memory_size", "not_inputs", "row_lines", "write_rows",
                    "write_tables",),
        "command_rows": ("Rejects", "first_lines", "read_rows",),
        "command_work": ("RejectedRow", "keep_rejected", "rejected_rows", "row_batches", "work_folder",),
        "exchange": ("stream", "write_buckets",),
        "minhash": ("band_keys", "fingerprints", "shingle_sets",),
        "repeats": ("find_repeats", "read_repeats", "too_short", "without_repeats",),
        "shards": ("exact_duplicates_of", "near_duplicates_of",),
        "sketch": ("CLUSTERS", "Columns",),
    })  # fmt: skip

__all__ = [
    "CLUSTERS", "INPUTS", "Columns", "DedupConfig", "RejectedRow", "Rejects", "RepeatsConfig", "band_keys", "dedup_files",
    "exact_duplicates", "exact_duplicates_of", "find_repeats", "fingerprints", "first_lines", "input_files", "keep_rejected",
    "memory_size", "near_duplicates", "near_duplicates_of", "not_inputs", "read_repeats", "read_rows", "rejected_rows",
    "row_batches", "row_lines", "sequence_hashes", "shingle_sets", "stream", "too_short", "without_repeats", "work_folder",
    "write_buckets", "write_rows",
    "write_tables",
]  # fmt: skip
