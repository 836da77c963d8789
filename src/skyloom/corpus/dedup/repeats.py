"""The filter for repeated lines and repeated runs of units inside different documents.

Input: the judged shards of the clean stage. Output: the same documents without what an earlier document (or an earlier place of
the same one) has, and the documents of which too little is left, with that as their reason. It is off unless the recipe asks
for it (`corpus.clean.repeats`): near-duplicates are removed whole before, and recurring blocks by distribution filtering, so
that what is left to be cut here are quotations, and lines that tables and listings share by chance. Lee et al. 2021 found that
models memorise less without such runs; spans.py says how they are found.

Pages only: exercises vary one text by intent, parallel text quotes pages, and code repeats itself.

Memory: a shard twice in each worker, and what spans_shards.py states.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.core.units import count_units
from skyloom.corpus.dedup.config import RepeatsConfig
from skyloom.corpus.dedup.sketch import Columns
from skyloom.corpus.dedup.spans import Spans, without_spans
from skyloom.corpus.dedup.spans_shards import repeated_spans
from skyloom.corpus.text import Texts, byte_sizes


def find_repeats(
    store: Store,
    names: list[str],
    columns: Columns,
    out: Store,
    config: RepeatsConfig,
    *,
    memory: int,
    engine: Engine,
    progress: Progress,
) -> None:
    """Write the spans of what repeats in the shards `names` to folders of `out`, one for each kind."""
    for kind in config.kinds:
        place = out.child(_folder(kind))
        repeated_spans(kind, store, names, columns, place, config, memory=memory, engine=engine, progress=progress)


def _folder(kind: str) -> str:
    return f"repeated-{kind}"


def read_repeats(out: Store, shard: int, config: RepeatsConfig) -> Spans:
    """The spans of a shard, by row and start. Those of lines and of runs may overlap: what either says is an earlier place's."""
    table = pa.concat_tables([out.read_table(f"{_folder(kind)}/spans-{shard:05d}.parquet") for kind in config.kinds])
    table = table.sort_by([("row", "ascending"), ("start", "ascending")])
    return Spans(*(table.column(name).to_numpy() for name in ("row", "start", "stop", "copies")))


def without_repeats(texts: Texts, spans: Spans) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """The texts without the spans, gaps closed, and which of them changed: large_string, bool[rows]."""
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    column = column.cast(pa.large_string())
    left = without_spans(column, spans)
    changed = np.asarray(byte_sizes(left) != byte_sizes(column), bool)
    closed = pc.utf8_trim_whitespace(pc.replace_substring_regex(left.filter(pa.array(changed)), r"\n{3,}", "\n\n"))
    return pc.replace_with_mask(column, pa.array(changed), closed), changed


def too_short(texts: Texts, changed: npt.NDArray[np.bool_], minimum: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """bool[rows]: texts that were changed and now have fewer units than `minimum` (int64[rows])."""
    short = changed.copy()
    short[changed] = count_units(texts.filter(pa.array(changed))) < minimum[changed]
    return short
