"""A source of one's own: a Python function that reads a file, or whatever it likes, and gives records.

    def read(path: str, settings: dict) -> Iterable[dict]

Input: the path or URL of one file below the source's `path` ("" where it has none), and the settings of the recipe. Output:
records with `html` or `text`, and if it likes `url`, `date`, `license`, `title`, `id`. A record that has neither, is none, or
is too large becomes a row with its reason; where the function fails, what it gave before stays and the rest of the file is one
row. Memory: a record.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

from skyloom.core.records import PageRow
from skyloom.corpus.own_function import ready_function
from skyloom.corpus.sources.config import OWN_GROUP, SourceConfig
from skyloom.corpus.sources.readers.byte_streams import File
from skyloom.corpus.sources.readers.jsonl import record_row
from skyloom.corpus.sources.readers.rows import About, broken_row


def pages(file: File, about: About, config: SourceConfig, version: str) -> Iterator[PageRow]:
    """PAGE rows of one file, in the function's order. `version`: that with which the run was started. ConfigError if the function
    is not here, OwnFunctionError if it is of another version here."""
    read = ready_function(config.use, config.version, version, "source", OWN_GROUP)
    path = file.path.removeprefix("file://")
    try:
        for number, record in enumerate(read(path, copy.deepcopy(config.settings))):
            if isinstance(record, Mapping):
                yield record_row(record, number, file.name, about)
            else:
                yield broken_row(about, file.name, number, f"broken: {config.use} gave no record")
    except SystemExit:  # whoever reads a file tells its end, not that of the run; other failures are the caller's
        yield broken_row(about, file.name, "reader", "broken: cannot be read (SystemExit)")
