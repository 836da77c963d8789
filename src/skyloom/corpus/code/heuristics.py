"""Code heuristics, as RedPajama's for GitHub, with a proportionate part of the data formats kept (report 3.1).

Input: the text, URL and id columns of code files. Output: a reason for each file to be dropped, or null, and for those who want
to look, the measures behind it (`measure_code`). Generated and minified files, tables of numbers and encoded data show by their
lines, their characters, their notices and their names; see `scan.py` for the compiled pass. RedPajama drops JSON, XML,
YAML and HTML whole; the report keeps a proportionate part of them, and so do we: of each format as many bytes as `data_share`
of the programs' bytes, chosen by the hash of the id.

That share needs the whole corpus. `count_code` counts a shard, counts add up (`+`), and `judge_code` takes the sum: the same files
stay whatever the shards. Bytes are counted in BUCKETS parts by the hash of the id, so a format keeps at most its quota, and less
by at most one bucket, a 4,096th of its bytes or one file. Memory: 164 KB of counts, and about 100 bytes a file of the shard.

Near-duplicates among code files are those of dedup/: the shingles of prose, 5-grams of units, serve code too, since a unit of code
is an identifier, a number or a keyword and layout is no unit; licence headers make short files alike, so compare files of at least
some hundred units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.records import record_id
from skyloom.corpus.code.config import CodeConfig
from skyloom.corpus.code.scan import scan
from skyloom.corpus.text import Texts, byte_sizes

FORMATS = {
    "json": "JSON", "jsonl": "JSON", "ipynb": "JSON", "geojson": "JSON", "xml": "XML", "xsd": "XML", "svg": "XML",
    "yaml": "YAML", "yml": "YAML", "html": "HTML", "htm": "HTML", "xhtml": "HTML",
}  # fmt: skip
"""File endings of data formats."""

KINDS = ("", *sorted(set(FORMATS.values())))
"""Programs (""), then the data formats: the rows of the counts."""

BUCKETS = 4096
MINIFIED_SPACES = 0.12  # white space in minified code is below this share of the characters, in written code above

_GENERATED_NAMES = (
    r"(?i)(?:[._-]min\.(?:js|css|mjs)|_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h)|\.g\.(?:cs|dart|ts)|\.generated\.\w+|"
    r"\.designer\.(?:cs|vb)|\.(?:js|css)\.map|(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|"
    r"cargo\.lock|poetry\.lock|composer\.lock|gemfile\.lock|go\.sum))$"
)


@dataclass(frozen=True)
class CodeCounts:
    """Bytes of the files that pass the heuristics, by kind (rows: KINDS) and bucket of their id's hash: int64[5, BUCKETS]."""

    sizes: npt.NDArray[np.int64]

    @staticmethod
    def merge(parts: Iterable[CodeCounts]) -> CodeCounts:
        """The counts of all shards, in any order and grouping."""
        total = np.zeros((len(KINDS), BUCKETS), np.int64)
        for part in parts:
            total += part.sizes
        return CodeCounts(total)

    def cutoffs(self, share: float) -> npt.NDArray[np.int64]:
        """For each kind the first bucket that finds no room in its quota, int64[5]; programs have room for all."""
        quota = share * float(self.sizes[0].sum())
        limits = [np.searchsorted(np.cumsum(row), quota, side="right") for row in self.sizes]
        return np.array([BUCKETS, *limits[1:]], np.int64)


def measure_code(texts: Texts, urls: Texts) -> pa.Table:
    """What is known of each file, one row each: `format` ("" for a program), `mean_line` and `longest_line` in characters,
    `alphanumeric`, `letters`, `encoded` and `spaces` (shares, 0 to 1), `generated`, `minified` (bool), `license` (SPDX or null;
    "GPL" without a version where the notice names none)."""
    seen = scan(texts)
    mean_line = seen.line_characters / np.maximum(seen.lines, 1)
    spaces = seen.spaces / np.maximum(seen.characters, 1)
    named = np.asarray(pc.fill_null(pc.match_substring_regex(_paths(urls), _GENERATED_NAMES), False).to_numpy(False), bool)
    limit = CodeConfig()
    long_lines = (mean_line > limit.mean_line) | (seen.longest_line > limit.longest_line)
    return pa.table(
        {
            "format": pa.array(_formats(urls), pa.string()),
            "mean_line": mean_line,
            "longest_line": seen.longest_line,
            "alphanumeric": seen.alphanumeric / np.maximum(seen.characters - seen.spaces, 1),
            "letters": 1 - seen.numbers / np.maximum(seen.alphanumeric, 1),
            "encoded": seen.encoded / np.maximum(byte_sizes(texts), 1),
            "spaces": spaces,
            "generated": seen.generated | named,
            "minified": long_lines & (spaces < MINIFIED_SPACES),
            "license": seen.license,
        }
    )


def judge_code(texts: Texts, urls: Texts, ids: Texts, config: CodeConfig, counts: CodeCounts | None = None) -> pa.Array:
    """For each file the reason to drop it, or null (string[rows]). Data formats obey the same heuristics before their quota.

    `counts`: those of the whole corpus; without them the files given are the whole corpus.
    """
    table = measure_code(texts, urls)
    reasons = _heuristics(table, config)
    kinds, buckets, sizes = _data_files(table, texts, ids, reasons)
    if counts is None:
        counts = _counted(kinds, buckets, sizes)
    beyond = (kinds > 0) & (buckets >= counts.cutoffs(config.data_share)[kinds])
    reasons[beyond] = "code: more of a data format than its share"
    return pa.array(reasons, pa.string())


def count_code(texts: Texts, urls: Texts, ids: Texts, config: CodeConfig) -> CodeCounts:
    """The counts of one shard, for the share of the data formats."""
    table = measure_code(texts, urls)
    return _counted(*_data_files(table, texts, ids, _heuristics(table, config)))


def _heuristics(table: pa.Table, config: CodeConfig) -> npt.NDArray[np.object_]:
    """The reason of each file, or None; the last that holds is named, the most telling one stands last."""
    seen = {name: table.column(name).to_numpy() for name in table.column_names if name not in ("format", "license")}
    reasons = np.full(len(table), None, object)
    for bad, reason in (
        (seen["letters"] < config.letters, "code: more numbers than words"),
        (seen["alphanumeric"] < config.alphanumeric, "code: too few letters and digits"),
        (seen["mean_line"] > config.mean_line, "code: lines too long on average"),
        (seen["longest_line"] > config.longest_line, "code: a line too long"),
        (seen["encoded"] > config.encoded, "code: encoded data"),
    ):
        reasons[bad] = reason
    long_lines = np.isin(reasons.astype(str), ("code: lines too long on average", "code: a line too long"))
    reasons[long_lines & seen["minified"]] = "code: minified"
    if not config.generated:
        reasons[seen["generated"]] = "code: generated"
    return reasons


def _data_files(
    table: pa.Table, texts: Texts, ids: Texts, reasons: npt.NDArray[np.object_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each file its kind (row of KINDS; -1 if it has a reason already), the bucket of its id and its bytes."""
    order = {kind: row for row, kind in enumerate(KINDS)}
    kinds = np.array([order[f] for f in table.column("format").to_pylist()], np.int64)
    kinds[np.array([reason is not None for reason in reasons], bool)] = -1
    buckets = np.zeros(len(kinds), np.int64)
    rows = np.flatnonzero(kinds > 0)
    for row, name in zip(rows.tolist(), pc.cast(ids, pa.string()).take(pa.array(rows)).to_pylist(), strict=True):
        buckets[row] = int(record_id("data format", name)[:8], 16) % BUCKETS
    return kinds, buckets, byte_sizes(texts)


def _counted(kinds: npt.NDArray[np.int64], buckets: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> CodeCounts:
    counts = np.zeros((len(KINDS), BUCKETS), np.int64)
    good = kinds >= 0
    np.add.at(counts, (kinds[good], buckets[good]), sizes[good])
    return CodeCounts(counts)


def _paths(urls: Texts) -> pa.Array | pa.ChunkedArray:
    """URLs without query and fragment."""
    return pc.replace_substring_regex(pc.fill_null(pc.cast(urls, pa.string()), ""), r"[?#].*$", "")


def _formats(urls: Texts) -> list[str]:
    """The data format of each file by the ending of its URL's path, or ""."""
    endings = pc.utf8_lower(pc.replace_substring_regex(_paths(urls), r"^.*\.", ""))
    return [FORMATS.get(ending, "") for ending in endings.to_pylist()]
