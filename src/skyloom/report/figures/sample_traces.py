"""Where the samples of a run come from: for each the training documents that hold its longest n-grams, or the command that finds
them.

Input: the samples, and the trace index of the run's corpus where one was made (`release trace`). Output: a `SampleTrace` for each
sample, of what the model wrote and not of its prompt. At most `SPANS` n-grams of it are shown, each with `DOCUMENTS` documents.

A step of a run never reads an index: its page follows from the recipe and the inputs alone. The page that is written anew beside
the run (`report page --out`) does.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skyloom.core.errors import DataError
from skyloom.core.json_files import Cell, SampleEntry
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release.trace import LEAST, Traced, TraceIndex, composed_text, index_folder, open_corpus, trace

SPANS, DOCUMENTS = 3, 2
COLUMNS = "model lang prompt ngram units occurrences document source licence url"


@dataclass(frozen=True)
class SampleTrace:
    """What is known of a sample: `found` (None: there is no index), or `command`, which finds it (empty: the text is too short)."""

    found: Traced | None
    command: str


def index_beside(inputs: Mapping[str, Store], progress: Progress) -> TraceIndex | None:
    """The trace index beside the release or the corpus step among `inputs`; None where there is none of this corpus.

    IntegrityError for an index that is damaged.
    """
    for name in ("release", "corpus"):
        store = inputs.get(name)
        if store is None or not store.local:
            continue
        corpus = open_corpus(store.root)
        folder = index_folder(corpus)
        if not Store(folder).exists("index.json"):
            continue
        index = TraceIndex.open(folder)
        if index.corpus == corpus.files:
            return index
        progress.log(f"the index in {folder} is not of this corpus; skyloom release trace makes it again")
    return None


def sample_traces(samples: Sequence[SampleEntry], index: TraceIndex | None, run: str) -> list[SampleTrace]:
    """A trace for each sample. `run`: the folder of the run, as commands name it. IntegrityError if the index is damaged."""
    traces = []
    for sample in samples:
        try:
            text = composed_text(sample["text"], LEAST)
        except DataError:  # too short, or no text: the command would say the same
            traces.append(SampleTrace(None, ""))
            continue
        found = trace(index, text, spans=SPANS, documents=DOCUMENTS) if index is not None else None
        dashes = "-- " if text.startswith("-") else ""
        traces.append(SampleTrace(found, f"skyloom release trace {shlex.quote(run)} {dashes}{shlex.quote(text)}"))
    return traces


def trace_lines(samples: Sequence[SampleEntry], traces: Sequence[SampleTrace]) -> list[list[Cell]]:
    """COLUMNS, a line for each document of each n-gram."""
    return [
        [
            sample["model"], sample["lang"], sample["prompt"], span.text, span.units, span.occurrences, document.id,
            document.source, document.license, document.url,
        ]
        for sample, one in zip(samples, traces, strict=True)
        for span in (one.found.spans if one.found else ())
        for document in span.documents
    ]  # fmt: skip
