"""Documents compared with each other and with benchmarks, for Python: near-duplicates, and items of test sets.

Input: a list, an Arrow column or table, or the Path of files as the command line takes them. Output: Arrow tables. In memory the
work is that of the corpus step (`corpus.dedup`, `corpus.decontaminate`), for files that of `skyloom corpus dedup` and
`skyloom leak corpus`, whose memory is bounded; the results are the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from skyloom.core.config import build
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.store import Store
from skyloom.corpus.decontaminate import (
    MATCHES,
    CorpusSearch,
    DecontaminationConfig,
    build_index,
    count_documents,
    count_leaks,
    given_items,
    items_table,
    matches_of,
    merge_counts,
    read_benchmarks,
    search_corpus,
)
from skyloom.corpus.dedup import CLUSTERS, Columns, DedupConfig, dedup_files, memory_size
from skyloom.corpus.dedup import near_duplicates as clusters_of
from skyloom.corpus.text import slices
from skyloom.library.given_texts import BATCH, Rows, given_texts
from skyloom.library.logged_progress import LoggedProgress

Benchmarks: TypeAlias = str | Path | Sequence[str | Path] | Mapping[str, "Path | Rows"]
"""Files of items (a `str` may be NAME=FILE, as on the command line), or for each name a file or the texts of its items."""

LEAK_COUNTS = pa.schema(
    [
        ("benchmark", pa.string()),
        ("items", pa.int64()),
        ("searched", pa.int64()),
        ("found", pa.int64()),
        ("share", pa.float64()),
        ("exact", pa.int64()),
        ("near", pa.int64()),
        ("documents", pa.int64()),
    ]
)


def near_duplicates(
    texts: Path | Rows,
    *,
    threshold: float = 0.7,
    best: Sequence[float | None] | pa.Array | pa.ChunkedArray | None = None,
    columns: tuple[str, str] = ("id", "text"),
    memory: str = "4GB",
    workers: int = 0,
) -> pa.Table:
    """Clusters of near-duplicates: MinHash (18 bands of 6 rows) finds candidates, exact Jaccard similarity decides (report 3.1).

    `texts`: a list, an Arrow column or table, or a Path. `threshold`: Jaccard similarity of sets of 5-grams of words and Chinese
    characters, 0.3 to 1. `best`: a number for each row, of which the highest of a cluster stays; else the document that most others
    are like stays. `columns`: names of the columns of ids and texts. `memory`, `workers`: for files, which are sorted on the disk
    where the memory does not do; rows in memory need about 200 bytes each beside their text.

    Returns a table with a row for each row: `id` string (its own, or the row's number from 0), `cluster` string (the id of the
    document that stays for it), `keep` bool, `jaccard` float32 (similarity to that document, 1 where it stays). A row that is None
    has null in all but its id.

    ConfigError for a threshold out of its range, or one text alone; DataError for rows that are no text, a `best` of another
    length, and files that are not there, are damaged or hold no text.

    >>> import skyloom
    >>> tea = "Boil the water, wait for a minute, and pour it slowly over the leaves in the pot."
    >>> skyloom.near_duplicates([tea, tea.upper(), "茶要慢慢喝，水要烧开，再等一分钟。"])["keep"].to_pylist().count(True)
    2
    """
    config = build(DedupConfig, {"threshold": threshold}, origin="near_duplicates")
    if isinstance(texts, str):
        raise ConfigError("near_duplicates compares texts with each other: give a list or an Arrow column, or a Path for files")
    if isinstance(texts, Path):
        if best is not None:
            raise ConfigError("best goes with rows in memory; for files `skyloom corpus dedup --quality COLUMN` names a column")
        return _clusters_of_files(texts, config, Columns(*columns), memory, workers)
    given = given_texts(texts, columns)
    ranks = None if best is None else best if isinstance(best, pa.Array | pa.ChunkedArray) else pa.array(list(best), pa.float64())
    if ranks is not None and len(ranks) != len(given):
        raise DataError(f"best has {len(ranks):,} numbers for {len(given):,} texts")
    rows = pa.array(np.flatnonzero(given.present))
    ids = given.ids.take(rows)
    found = clusters_of(
        given.texts.take(rows), ids, config, threads=max(workers, 1), quality=None if ranks is None else ranks.take(rows)
    )
    whole = pa.table([ids, ids.take(pa.array(found.labels)), pa.array(found.keep), found.jaccard], CLUSTERS.names).cast(CLUSTERS)
    place = np.full(len(given), -1, np.int64)
    place[rows.to_numpy()] = np.arange(len(rows))
    return whole.take(pa.array(place, mask=place < 0)).set_column(0, CLUSTERS.field(0), given.ids)


def _clusters_of_files(path: Path, config: DedupConfig, columns: Columns, memory: str, workers: int) -> pa.Table:
    with tempfile.TemporaryDirectory(prefix="skyloom-") as folder:
        engine, progress = Engine(workers), LoggedProgress()
        out = Path(folder, "clusters.parquet")
        try:
            report = dedup_files(path, out, config, memory=memory_size(memory), engine=engine, progress=progress, columns=columns)
        finally:
            engine.close()
        for reason, count in report.rejected.items():
            progress.log(f"warning: {path}: {count:,} rows left out: {reason}")
        return Store(folder).read_table(out.name)


@dataclass(frozen=True)
class DecontaminatedTexts:
    """What benchmark items texts hold.

    `keep`: bool[rows], False where a row holds an item, None for files (their rows are named in `matches`). `matches`: a row for
    each place: `benchmark`, `item`, `document` (its id), `file` ("" in memory), `row` (of files from 1, in memory from 0), `start`
    and `stop` (characters of the text in NFC), `share` (of the item's words and Chinese characters that the document holds, 0 to
    1), `match` ("exact" or "near"). `benchmarks`: a row for each, with `items`, `searched`, `found`, `share`, `exact`, `near`,
    `documents`.
    """

    keep: pa.Array | None
    matches: pa.Table
    benchmarks: pa.Table


def decontaminate(
    texts: Path | Rows,
    benchmarks: Benchmarks,
    *,
    fields: Sequence[str] = (),
    columns: tuple[str, str] = ("id", "text"),
    workers: int = 0,
) -> DecontaminatedTexts:
    """Which texts hold items of benchmarks, by 13-grams of words and Chinese characters and what is left of edited items.

    `texts`: a list, an Arrow column or table, or a Path. `benchmarks`: files of items (JSON lines, plain or .gz, or Parquet), or a
    mapping of names to files or to the texts of items. `fields`: the fields of a file that make up an item, the usual ones if
    empty. `columns`: names of the columns of ids and texts. `workers`: processes, for files.

    Returns `DecontaminatedTexts`. A row that is None holds nothing.

    ConfigError for one text alone, for files that are not there, and names that stand twice; DataError for texts or items that
    cannot be read, and for a benchmark without items.

    >>> import skyloom
    >>> item = "小明家有十七个苹果，妈妈又从市场买回来二十五个，请问现在一共有多少个苹果？"
    >>> found = skyloom.decontaminate(["答案在书后。" + item, "The kettle is on the stove."], {"sums": [item]})
    >>> found.keep.to_pylist(), found.matches["match"].to_pylist()
    ([False, True], ['exact'])
    """
    if isinstance(texts, str):
        raise ConfigError("decontaminate searches texts: give a list or an Arrow column, or a Path for files")
    config = DecontaminationConfig()
    if isinstance(texts, Path):
        return _searched_files(texts, benchmarks, config, fields, columns, workers)
    given = given_texts(texts, columns)
    index = build_index(_items(benchmarks, fields), config)
    table = given.table().append_column("row", pa.array(np.arange(len(given)))).filter(pa.array(given.present))
    parts = [table.slice(start, stop - start) for start, stop in slices(table.column("text"), BATCH)]
    zero = np.zeros(len(index.grams), np.int64)
    counts = merge_counts([zero, *(count_documents(part.column("text"), index) for part in parts)])
    matches = pa.concat_tables([MATCHES.empty_table(), *(matches_of(part, index, config, counts, "") for part in parts)])
    keep = ~np.isin(np.arange(len(given)), matches.column("row").to_numpy())
    return DecontaminatedTexts(pa.array(keep), matches, pa.Table.from_pylist(list(count_leaks([matches], index)), LEAK_COUNTS))


def _searched_files(
    path: Path,
    benchmarks: Benchmarks,
    config: DecontaminationConfig,
    fields: Sequence[str],
    columns: tuple[str, str],
    workers: int,
) -> DecontaminatedTexts:
    """As `skyloom leak corpus`."""
    engine, progress, tables = Engine(workers), LoggedProgress(), [MATCHES.empty_table()]
    asked = CorpusSearch((str(path),), (), columns[1], columns[0])
    try:
        items = _items(benchmarks, fields)
        found = search_corpus(asked, None, config, engine=engine, progress=progress, sink=tables.append, items=items)
    finally:
        engine.close()
    for reason, count in found.rejected.items():
        progress.log(f"warning: {path}: {count:,} rows left out: {reason}")
    counts = pa.Table.from_pylist(list(found.benchmarks), LEAK_COUNTS)
    return DecontaminatedTexts(None, pa.concat_tables(tables), counts)


def _items(benchmarks: Benchmarks, fields: Sequence[str]) -> pa.Table:
    """The items that are searched for, as `read_benchmarks` gives them."""
    if isinstance(benchmarks, str | Path):
        benchmarks = [benchmarks]
    if not benchmarks:
        raise ConfigError("decontaminate needs a benchmark to search for")
    if not isinstance(benchmarks, Mapping):
        return read_benchmarks([str(file) for file in benchmarks], fields)
    found = []
    for name, value in benchmarks.items():
        if isinstance(value, str | Path):
            found.append(read_benchmarks([f"{name}={value}"], fields))
        else:
            found.append(items_table(given_items(name, given_texts(value).texts.to_pylist())))
    return pa.concat_tables(found)
