"""Exercises found in the corpus: the report's SkyPile-STEM (3.1), exam questions and problems joined to their solutions.

Input: text columns of one shard. Output: verdicts for each text, and from those the documents of category `stem`. Texts are cut
into items, a question and the solution that belongs to it, by the marks of pages (`scan.py`); a text without such marks is one
item. Each item is judged by a linear model (`model.py`), and so is a short text as a whole. A text is split off the
main corpus if the exercises make up enough of it; a long article with a few exercises at its end stays what it is.

No exercise is made here (that is `corpus/stem/stage.py`), and nothing is rewritten: question and solution are cut from the text as
they stand, formulas and all, and put together with one mark between them. Memory: 60 bytes an item beside the column. No state over
shards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.records import DOCUMENT, domain_of, record_id
from skyloom.core.units import utf8_buffers
from skyloom.corpus.exercises.config import ExerciseConfig
from skyloom.corpus.exercises.model import ANSWER, scores, weights
from skyloom.corpus.exercises.scan import Q_START, Q_STOP, ROW, S_START, S_STOP, items, unmarked
from skyloom.corpus.text import Texts

NEAR = 64  # bytes between a question and a solution that are read as one
LONGEST = 16_384  # bytes of a text without marks that may still be one exercise
SHORTEST = 12  # bytes of a question

ITEM = pa.struct(
    [
        pa.field("question_start", pa.int64()),
        pa.field("question_stop", pa.int64()),
        pa.field("solution_start", pa.int64()),
        pa.field("solution_stop", pa.int64()),
        pa.field("score", pa.float32()),
    ]
)
"""An exercise in a text: bytes of its UTF-8, the solution's -1 if there is none, and the probability to be an exercise."""

VERDICT = pa.schema(
    [
        pa.field("is_exercise", pa.bool_(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("share", pa.float32(), nullable=False),
        pa.field("items", pa.list_(ITEM), nullable=False),
    ]
)
"""`score`: the mean probability of the text's items, by their bytes; `share`: of the text's bytes that are in `items`, the accepted
ones."""


def judge_exercises(texts: Texts, langs: Texts, config: ExerciseConfig) -> pa.Table:
    """The verdict on each text, one row of VERDICT each. `langs`: codes of core.records; all but "en" are read as Chinese."""
    data, offsets = utf8_buffers(texts)
    found = _whole_texts(data, offsets, items(data, offsets))
    probability = _probabilities(data, found)
    limits = np.where(np.asarray(langs.to_pylist(), object) == "en", config.english, config.chinese)
    judged = _Judged(probability, probability >= limits[found[:, ROW]], limits, config.share)
    _short_wholes(data, offsets, found, judged)
    rows, count = found[:, ROW], len(offsets) - 1
    share = judged.share(found, np.diff(offsets))
    mean = np.bincount(rows, _sizes(found) * judged.probability, count) / np.maximum(np.bincount(rows, _sizes(found), count), 1)
    solved = np.bincount(rows[judged.good & (found[:, S_START] >= 0)], minlength=count) > 0
    verdict = (share >= config.share) & (solved | (not config.solved)) & (share > 0)
    accepted = _lists(found[judged.good], judged.probability[judged.good], offsets)
    return pa.table([pa.array(verdict), mean.astype(np.float32), share.astype(np.float32), accepted], schema=VERDICT)


@dataclass
class _Judged:
    """The items' probabilities and verdicts, the lowest probability of each text (`limits`), and the share of a text `wanted`."""

    probability: npt.NDArray[np.float64]
    good: npt.NDArray[np.bool_]
    limits: npt.NDArray[np.float64]
    wanted: float

    def share(self, found: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The share of each text's bytes that stands in accepted items."""
        inside = np.bincount(found[self.good, ROW], _sizes(found)[self.good], len(sizes))
        return np.minimum(inside / np.maximum(sizes, 1), 1.0)


def _sizes(found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Bytes of question and solution of each item."""
    return np.asarray(
        found[:, Q_STOP] - found[:, Q_START] + np.where(found[:, S_START] >= 0, found[:, S_STOP] - found[:, S_START], 0)
    )


def exercise_documents(documents: pa.Table, verdicts: pa.Table) -> pa.Table:
    """One DOCUMENT for each accepted exercise of the documents with `is_exercise`: question and solution, category `stem`.

    `documents` has at least the columns of DOCUMENT. `meta` keeps the page's and adds `exercise_of` (its id), `score`, and
    `question` and `solution` as they are in the text.
    """
    made = []
    chosen = verdicts.column("is_exercise")
    for row, found in zip(
        documents.filter(chosen).select(DOCUMENT.names).to_pylist(),
        verdicts.filter(chosen).column("items").to_pylist(),
        strict=True,
    ):
        body = row["text"].encode()
        for number, item in enumerate(found):
            question = _text(body, item["question_start"], item["question_stop"])
            solution = _text(body, item["solution_start"], item["solution_stop"])
            meta = json.loads(row["meta"]) | {
                "exercise_of": row["id"], "score": round(item["score"], 3), "question": question, "solution": solution,
            }  # fmt: skip
            made.append({
                **row, "id": record_id("found exercise", row["id"], str(number)), "text": joined(question, solution, row["lang"]),
                "domain": domain_of("stem", row["lang"]), "category": "stem",
                "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True),
            })  # fmt: skip
    return pa.Table.from_pylist(made, schema=DOCUMENT)


def joined(question: str, solution: str, lang: str) -> str:
    """An exercise as text: the question, and its solution behind a mark of the language."""
    mark = "Solution: " if lang == "en" else "解答："
    return f"{question}\n\n{mark}{solution}" if solution else question


def _text(body: bytes, start: int, stop: int) -> str:
    return body[start:stop].decode("utf-8").strip() if start >= 0 else ""


def _whole_texts(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], found: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The items, and for each text without any that is not too long the whole of it."""
    found = found[found[:, Q_STOP] - found[:, Q_START] >= SHORTEST]
    sizes = np.diff(offsets)
    bare = (np.bincount(found[:, ROW], minlength=len(sizes)) == 0) & (sizes >= SHORTEST) & (sizes <= LONGEST)
    rows = np.flatnonzero(bare)
    both = np.concatenate([found, unmarked(data, offsets, rows)])
    return both[np.argsort(both[:, ROW], kind="stable")]


def _probabilities(data: npt.NDArray[np.uint8], found: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Of each item: of question and solution in one piece where they stand together; else of the question, knowing that an
    answer was found elsewhere."""
    together = (found[:, S_START] >= found[:, Q_STOP]) & (found[:, S_START] - found[:, Q_STOP] <= NEAR)
    stops = np.where(together, found[:, S_STOP], found[:, Q_STOP])
    result = scores(data, found[:, Q_START].copy(), stops)
    apart = (found[:, S_START] >= 0) & ~together
    odds = result[apart] / np.maximum(1 - result[apart], 1e-12) * np.exp(weights()[1][ANSWER])
    result[apart] = odds / (1 + odds)
    return result


def _short_wholes(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], found: npt.NDArray[np.int64], judged: _Judged
) -> None:
    """Judges short texts as wholes, too, where their items do not suffice. If the whole is an exercise, its items with solutions
    are exercises; without such (numbered steps of one solution) the whole text becomes its first item. Changes what it is given.
    """
    sizes = np.diff(offsets)
    rows, first = np.unique(found[:, ROW], return_index=True)
    open_ = (judged.share(found, sizes)[rows] < judged.wanted) & (sizes[rows] <= LONGEST)
    rows, first = rows[open_], first[open_]
    whole = scores(data, offsets[rows], offsets[rows + 1])
    taken = whole >= judged.limits[rows]
    solved = found[:, S_START] >= 0
    for row, at, p in zip(rows[taken], first[taken], whole[taken], strict=True):
        mine = np.arange(at, np.searchsorted(found[:, ROW], row, "right"))  # items stand in the order of their rows
        if solved[mine].any():
            judged.good[mine[solved[mine]]] = True
        else:
            judged.good[mine] = False
            found[at] = unmarked(data, offsets, np.array([row]))[0]
            judged.good[at], judged.probability[at] = True, p


def _lists(found: npt.NDArray[np.int64], probability: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64]) -> pa.ListArray:
    """The items as a list column, positions from the beginning of each text."""
    base = offsets[found[:, ROW]]
    columns = [np.where(found[:, k] >= 0, found[:, k] - base, -1) for k in (Q_START, Q_STOP, S_START, S_STOP)]
    values = pa.StructArray.from_arrays([*map(pa.array, columns), pa.array(probability.astype(np.float32))], fields=list(ITEM))
    counts = np.bincount(found[:, ROW], minlength=len(offsets) - 1)
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)), values)
