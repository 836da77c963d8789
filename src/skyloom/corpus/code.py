"""Code heuristics, as RedPajama's for GitHub, with a proportionate part of the data formats kept (report 3.1).

What enters is the text column of code files with their URLs and ids; what leaves is a reason for each file to be
dropped, or null. Generated, minified and encoded files show by their lines (very long ones) and by their characters
(few letters). RedPajama drops JSON, XML, YAML and HTML whole; the report keeps a proportionate part of them, and so do
we: of each format as many bytes as `data_share` of the programs' bytes, chosen by the hash of the id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import setting
from skyloom.core.records import record_id
from skyloom.corpus.columns import Texts, byte_sizes, shape

FORMATS = {
    "json": "JSON", "jsonl": "JSON", "ipynb": "JSON", "geojson": "JSON", "xml": "XML", "xsd": "XML", "svg": "XML",
    "yaml": "YAML", "yml": "YAML", "html": "HTML", "htm": "HTML", "xhtml": "HTML",
}  # fmt: skip
"""File endings of data formats."""


@dataclass(frozen=True)
class CodeConfig:
    """Which files of code stay."""

    longest_line: int = setting(1000, doc="longest line that a file may have", unit="characters", low=1)
    mean_line: float = setting(100.0, doc="highest mean length of the lines that are not blank", unit="characters", low=1.0)
    alphanumeric: float = setting(
        0.25, doc="lowest share of letters and digits among the characters that are not white space", low=0.0, high=1.0
    )
    letters: float = setting(0.4, doc="lowest share of letters among letters and digits", low=0.0, high=1.0)
    data_share: float = setting(
        0.05, doc="bytes kept of each of JSON, XML, YAML and HTML, as a share of the programs' bytes", low=0.0, high=1.0
    )


def judge_code(texts: Texts, urls: Texts, ids: Texts, config: CodeConfig) -> pa.Array:
    """For each file the reason to drop it, or null (string[rows]). Data formats obey the same heuristics before their quota."""
    seen = shape(texts)
    solid = np.maximum(seen.characters - seen.spaces - seen.broken, 1)
    reasons = np.full(len(texts), None, object)
    for bad, reason in (
        (seen.letters < config.letters * (seen.letters + seen.digits), "code: more numbers than words"),
        ((seen.letters + seen.digits) / solid < config.alphanumeric, "code: too few letters and digits"),
        ((seen.characters - seen.lines) / np.maximum(seen.lines, 1) > config.mean_line, "code: lines too long on average"),
        (seen.longest_line > config.longest_line, "code: a line too long"),
    ):
        reasons[bad] = reason
    good = np.array([reason is None for reason in reasons], bool)
    for row in _beyond_quota(byte_sizes(texts), _formats(urls), ids, good, config.data_share):
        reasons[row] = "code: more of a data format than its share"
    return pa.array(reasons, pa.string())


def _formats(urls: Texts) -> npt.NDArray[np.object_]:
    """The data format of each file by the ending of its URL's path, or ""."""
    paths = [str(url).split("?")[0].split("#")[0] for url in urls.to_pylist()]
    return np.array([FORMATS.get(path.rsplit(".", 1)[-1].lower(), "") for path in paths], object)


def _beyond_quota(
    sizes: npt.NDArray[np.int64], formats: npt.NDArray[np.object_], ids: Texts, good: npt.NDArray[np.bool_], share: float
) -> list[int]:
    """Rows of data files that find no room in their format's quota, filled in the order of the ids' hashes."""
    quota = share * int(sizes[good & (formats == "")].sum())
    names = pc.cast(ids, pa.string()).to_pylist()
    beyond = []
    for kind in sorted(set(FORMATS.values())):
        room = quota
        for row in sorted(np.flatnonzero(good & (formats == kind)).tolist(), key=lambda r: (record_id("data format", names[r]), r)):
            if sizes[row] <= room:
                room -= sizes[row]
            else:
                beyond.append(row)
    return beyond
