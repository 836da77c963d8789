"""Exercises in the corpus: precision and recall on sources that the model was not trained on, joining on planted pages, speed.

Input: exercise collections, prose and code (`text/` in SKYLOOM_BENCH_DATA). Output: three tables. The sources that
trained the model are named in the model's file and left out whole. Prose is judged twice, as whole documents and cut into passages
of 150 to 3,000 bytes (so that length gives no help); precision is that of the pooled held-out sources of a language, code and what
is neither language counting as English. The bar is the lower of the two. BoolQ's and other collections' recall is by source.
Joining is measured on planted pages (tests/planted/exercises.py) of the exercises that this program generates for its test split,
between paragraphs of held-out prose: an exercise is right if question and solution are exactly those planted.

    python -m bench.corpus.stem                              the tables
    python -m bench.corpus.stem --json en|zh|speed           one bar
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tests.planted.exercises import pages

from bench.answers import NotMeasuredError, answer, offer
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.exercises import model as exercises_model
from skyloom.corpus.exercises.config import ExerciseConfig
from skyloom.corpus.exercises.documents import judge_exercises
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import generate

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
SEED, BOOTSTRAPS, ROUNDS = 2023, 1000, 5
SHORTEST, LONGEST = 150, 3000
PLANTED = 600

Sources = dict[tuple[str, str, bool], list[str]]  # (source, language, whether exercises): texts


def data() -> Path:
    """The folder of the data. NotMeasuredError if it is not there."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or not (Path(folder) / "text" / "stem").is_dir():
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds text/stem, text/en, text/zh and text/code")
    return Path(folder)


def held_out() -> Sources:
    """Texts of the sources that did not train the model."""
    model = json.loads(Path(exercises_model.__file__).with_suffix(".json").read_text(encoding="utf-8"))
    found: Sources = defaultdict(list)
    for name, lang in (("stem", ""), ("en", "en"), ("zh", "zh"), ("code", "en")):
        for path in sorted((data() / "text" / name).glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for row in map(json.loads, lines):
                    if row["source"] not in model["exercises"] + model["prose"]:
                        source = re.sub(r"^(wesnoth|freeciv)-.*", r"\1", row["source"])
                        found[source, lang or row["lang"], name == "stem"].append(row["text"])
    return found


def passages(text: str, rng: random.Random) -> Iterator[str]:
    """A text in pieces, at the ends of lines or sentences."""
    part, size, wanted = [], 0, rng.randint(SHORTEST, LONGEST)
    for piece in re.split(r"(?<=\n)|(?<=[。！？])|(?<=[.!?] )", text):
        part.append(piece)
        size += len(piece.encode())
        if size >= wanted:
            yield "".join(part)
            part, size, wanted = [], 0, rng.randint(SHORTEST, LONGEST)
    if size >= SHORTEST:
        yield "".join(part)


def judged(texts: list[str], lang: str) -> npt.NDArray[np.bool_]:
    """Which texts are called exercises."""
    table = judge_exercises(pa.array(texts, pa.large_string()), pa.array([lang] * len(texts)), ExerciseConfig())
    return np.asarray(table.column("is_exercise").to_numpy(), bool)


def verdicts(found: Sources) -> dict[tuple[str, str, str], npt.NDArray[np.bool_]]:
    """(reading, source, language): verdicts. Readings: "exercises", "documents" and "passages" (of prose)."""
    rng = random.Random(SEED)
    result = {}
    for (source, lang, exercise), texts in sorted(found.items()):
        code = "en" if lang == "en" else "zh-Hans"
        result["exercises" if exercise else "documents", source, lang] = judged(texts, code)
        if not exercise:
            result["passages", source, lang] = judged([p for text in texts for p in passages(text, rng)], code)
    return result


def precision(
    found: dict[tuple[str, str, str], npt.NDArray[np.bool_]], lang: str, reading: str
) -> tuple[float, tuple[float, float]]:
    """Precision of a language against one reading of the prose, and its 95 % bootstrap interval over texts."""
    right = np.concatenate([v for (r, _, of), v in found.items() if r == "exercises" and of == lang])
    wrong = np.concatenate([v for (r, _, of), v in found.items() if r == reading and of == lang])
    rng = np.random.default_rng(SEED)
    draws = [rng.binomial(len(v), v.mean(), BOOTSTRAPS) for v in (right, wrong)]
    low, high = np.quantile(draws[0] / np.maximum(draws[0] + draws[1], 1), (0.025, 0.975))
    return right.sum() / max(right.sum() + wrong.sum(), 1), (low, high)


def planted(found: Sources) -> Iterator[str]:
    """A row for each language and layout: pages, called exercises, exercises planted, given out, right."""
    with tempfile.TemporaryDirectory() as folder:
        generate(StemConfig(), Store(folder), progress=Progress.silent())
        rows = Store(folder).read_table("exercises-test.parquet").to_pylist()
    for lang, code in (("en", "en"), ("zh", "zh-Hans")):
        metas = [json.loads(row["meta"]) for row in rows if row["lang"] == code]
        prose = [line.strip() for (_, of, exercise), texts in sorted(found.items()) if of == lang and not exercise
                 for text in texts[:200] for line in text.split("\n") if 60 < len(line.strip()) < 600]  # fmt: skip
        made = pages(random.Random(SEED), lang, [(m["question"], m["solution"]) for m in metas], prose, PLANTED)
        texts = ["\n\n".join(page.blocks) for page in made]
        table = judge_exercises(pa.array(texts), pa.array([code] * len(texts)), ExerciseConfig()).to_pylist()
        counts: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
        for page, text, verdict in zip(made, texts, table, strict=True):
            given = [_spans(text.encode(), item) for item in verdict["items"]]
            row = (1, verdict["is_exercise"], len(page.items), len(given), sum(pair in page.items for pair in given))
            counts[page.layout] = [a + int(b) for a, b in zip(counts[page.layout], row, strict=True)]
        for layout, row in counts.items():
            yield f"| {lang} | {layout} | {' | '.join(map(str, row))} |"


def _spans(body: bytes, item: dict[str, Any]) -> tuple[str, str]:
    question = body[item["question_start"] : item["question_stop"]].decode().strip()
    return question, body[max(item["solution_start"], 0) : max(item["solution_stop"], 0)].decode().strip()


def speed(found: Sources) -> float:
    """Megabytes per CPU-second over all held-out texts, the median of rounds."""
    rates = []
    columns = [(pa.array(texts, pa.large_string()), pa.array(["en" if lang == "en" else "zh-Hans"] * len(texts)))
               for (_, lang, _), texts in sorted(found.items())]  # fmt: skip
    size = sum(len(text.encode()) for texts in found.values() for text in texts)
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        for texts, langs in columns:
            judge_exercises(texts, langs, ExerciseConfig())
        rates.append(size / 1e6 / (time.process_time() - started))
    return float(np.median(rates[1:]))


def tables() -> None:
    """Measure everything and print."""
    found = held_out()
    result = verdicts(found)
    print("| reading | source | language | texts | called exercises |\n|---|---|---|---|---|")
    for (reading, source, lang), called in sorted(result.items()):
        if reading == "exercises" or called.any():
            print(f"| {reading} | {source} | {lang} | {len(called)} | {called.mean():.4f} |")
    for reading in ("documents", "passages"):
        rest = [len(c) for (r, _, _), c in result.items() if r == reading and not c.any()]
        print(f"| {reading} | {len(rest)} other sources | | {sum(rest)} | 0 |")
    print("\n| language | prose as | precision | recall |\n|---|---|---|---|")
    for lang in ("en", "zh"):
        recall = np.concatenate([v for (r, _, of), v in result.items() if r == "exercises" and of == lang]).mean()
        for reading in ("documents", "passages"):
            value, (low, high) = precision(result, lang, reading)
            print(f"| {lang} | {reading} | {value:.3f} ({low:.3f}–{high:.3f}) | {recall:.3f} |")
    print("\n| language | layout | pages | called exercises | planted | given | right |\n|---|---|---|---|---|---|---|")
    for row in planted(found):
        print(row)
    print(f"\n{speed(found):.0f} MB per CPU-second")


def bar(what: str) -> float:
    """The value of one bar: the lower precision of a language, or the speed."""
    found = held_out()
    if what == "speed":
        return speed(found)
    result = verdicts({key: texts for key, texts in found.items() if key[1] == what})
    return min(precision(result, what, reading)[0] for reading in ("documents", "passages"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the detection of exercises.")
    offer(parser, ("en", "zh", "speed"))
    options = parser.parse_args()
    return answer(options.json, bar, tables)


if __name__ == "__main__":
    sys.exit(main())
