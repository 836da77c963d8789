"""Checks that no planted exercise (canary) is in the published corpus.

A canary is trained on deliberately, as the positive control of the leakage audit (report 5.2 has none). Were it in the
corpus that others train on, their models would carry it too and the control would prove nothing. Two looks: by the
canonical question (`meta.canonical`, which recognises the same problem in other words and in the other language) while
the release is written, and by the words of the question in the published files, which needs nothing but the release.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from skyloom.core.errors import DataError
from skyloom.core.store import FileRecord, Store
from skyloom.core.units import hash_units, ngrams, units
from skyloom.release.folder import EXERCISES, RUN

LIST = "evaluation/canaries.jsonl"
_PROBE = 6
"""Units of a question that are looked for first; only documents that have them are compared word by word."""


@dataclass(frozen=True)
class Canary:
    """One planted exercise; `canonical` names the problem without language or wording."""

    id: str
    lang: str
    question: str
    solution: str
    canonical: str


def read_canaries(exercises: Store) -> list[Canary]:
    """The canaries of a run in the order of their file; none if the run planted none."""
    name = "exercises-canary.parquet"
    if not exercises.exists(name):
        return []
    rows = exercises.read_table(name, ["id", "lang", "meta"]).to_pylist()
    metas = [json.loads(row["meta"]) for row in rows]
    return [
        Canary(row["id"], row["lang"], meta["question"], meta["solution"], meta["canonical"])
        for row, meta in zip(rows, metas, strict=True)
    ]


def earlier_control(release: Store) -> str:
    """Why this version cannot do a release's audit again, in a sentence; empty if it can: earlier ones had twins of canaries."""
    if not release.exists(f"{EXERCISES}/exercises-twin.parquet"):
        return ""
    return (
        "the release was made by an earlier version of Skyloom, whose leakage audit compared the canaries with twins of the same "
        f"wording; this version holds back half of a pool instead, so check the release with the version that {RUN} names, or make "
        "it again"
    )


def write_list(canaries: Sequence[Canary], out: Store) -> FileRecord:
    """Name them all in the release, one JSON object a line, so that anybody can look for them."""
    lines = [json.dumps(vars(canary), ensure_ascii=False, sort_keys=True) + "\n" for canary in canaries]
    return out.write_text(LIST, "".join(lines))


def read_list(release: Store) -> list[Canary]:
    """The canaries that a release names. DataError if a line is not one of ours."""
    try:
        return [Canary(**value) for value in release.read_json_lines(LIST)]
    except TypeError as problem:
        raise DataError(f"{release.url(LIST)} is not a list of canaries: {problem}") from problem


def refuse(metas: Sequence[str], canaries: Sequence[Canary], where: str) -> None:
    """DataError if a document's canonical question is that of a canary. `metas`: the JSON of a `meta` column."""
    planted = {canary.canonical: canary for canary in canaries}
    for meta in metas:
        canonical = json.loads(meta).get("canonical")
        if canonical in planted:
            raise DataError(
                f"{where} holds the canary {planted[canonical].id} ({canonical}); canaries must be planted when tokens are packed, "
                "not in the corpus: give the exercises another seed and clean again"
            )


class Lookout:
    """Finds canaries' questions in texts, as contiguous units (so case, punctuation and spacing do not hide them)."""

    def __init__(self, canaries: Sequence[Canary]) -> None:
        self._wanted = [(canary, _joined(canary.question)) for canary in canaries if units(canary.question)]
        self._size = min([_PROBE, *(len(units(canary.question)) for canary, _ in self._wanted)])
        heads = ngrams(hash_units(pa.array([c.question for c, _ in self._wanted], pa.large_string())), self._size)
        self._heads = np.unique(heads.hashes[heads.offsets[:-1]]) if self._wanted else np.zeros(0, np.uint64)

    def found(self, texts: Sequence[str]) -> Iterator[tuple[int, Canary]]:
        """(place of the text, canary) for each canary whose question stands in a text."""
        if not self._wanted:
            return
        column = ngrams(hash_units(pa.array(texts, pa.large_string())), self._size)
        hits = np.flatnonzero(np.isin(column.hashes, self._heads))
        rows = np.unique(np.searchsorted(column.offsets, hits, side="right") - 1)
        for row in rows.tolist():
            text = _joined(texts[row])
            for canary, question in self._wanted:
                if question in text:
                    yield row, canary


def _joined(text: str) -> str:
    """All units of a text with a mark around each, so that a match cannot begin or end inside a word."""
    return "\x1f" + "\x1f".join(units(text)) + "\x1f"
