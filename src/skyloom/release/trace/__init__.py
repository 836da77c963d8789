"""Tracing of a text to the training documents that have its longest n-grams: the index over a corpus, and its search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.release.trace.trace_index import TraceIndex, build_index, index_folder, index_of
    from skyloom.release.trace.traced_corpus import TracedCorpus, open_corpus
    from skyloom.release.trace.tracing import LEAST, Traced, TracedDocument, TracedSpan, composed_text, trace
else:
    __getattr__ = lazy(__name__, {
        "traced_corpus": ("TracedCorpus", "open_corpus",),
        "trace_index": ("TraceIndex", "build_index", "index_folder", "index_of",),
        "tracing": ("LEAST", "Traced", "TracedDocument", "TracedSpan", "composed_text", "trace",),
    })  # fmt: skip

__all__ = [
    "LEAST", "TraceIndex", "Traced", "TracedCorpus", "TracedDocument", "TracedSpan", "build_index", "composed_text",
    "index_folder", "index_of", "open_corpus", "trace",
]  # fmt: skip
