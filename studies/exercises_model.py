"""The weights of exercise detection: how src/skyloom/corpus/exercises/model.json was trained, and what it is worth.

    SKYLOOM_BENCH_DATA=DATA python -m studies.exercises_model [--write]        (in the project's root)

Input: exercises and prose of permissive licences alone (the lists TRAIN_*: MIT, Apache-2.0, CC-BY, BSD, PSF, PostgreSQL,
public domain) and exercises that this program generates. Output: a table by source, and with --write the model's file.
Every other source in the data is held out whole and only measured. Exercise collections copy from each other, so near-duplicates of
held-out exercises (two thirds of their 5-grams of units) are taken out of training first, and GAOKAO-Bench and the sets of
AGIEval that draw on the same papers stand on one side.

Method: logistic regression by AdaGrad, one example after the other in a compiled loop; a span's weights are averaged over its
tokens (src/skyloom/corpus/exercises/model.py). So that no model learns a source's habits: an exercise is shown whole, without its
solution, and without marks ("Answer:", "####", <<...>>); prose is cut into passages of 150 to 3,000 bytes at line ends; a source
weighs as the square root of its size; the two sides weigh the same. Sign and size of the flags' weights show what carries over:
options most.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import random
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import kernel
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.core.units import hash_units, ngrams
from skyloom.corpus.exercises.model import BUCKETS, FLAGS, SHORT, features
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import generate

TRAIN_EXERCISES = ("GSM8K train", "OlympiadBench en", "GAOKAO-Bench", "gaokao_math_qa", "gaokao_math_cloze", "generated")
TRAIN_PROSE = (
    "nltk inaugural", "nltk state_union", "Jargon File", "postgresql-doc", "python-doc", "LawRefBook/Laws",
    "scrapinghub pages", "wcxb pages", "magic_article pages", "magic_forum pages",
    "trafilatura", "lodash", "Go stdlib", "rust crates serde/tokio/regex/hyper/clap", "fmt", "Symfony", "cpython stdlib",
)  # fmt: skip
MOST = 4000  # examples of one source
SHORTEST, LONGEST = 150, 3000  # bytes of a passage of prose
EPOCHS, RATE, RIDGE, SEED = 4, 0.5, 1e-6, 2023
_MARKS = re.compile(
    r"#### ?|<<[^<>]*>>|\b(?:Answer|Solution|Rationale|A)\s*:|【?(?:答案|解析|解答|分析|详解)】?[：:]?|解：|The answer is"
)

Example = tuple[str, str, bool]  # source, text, whether it is an exercise


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def passages(text: str, rng: random.Random) -> Iterator[str]:
    """A text as pieces of SHORTEST to LONGEST bytes, at line ends or, in long lines, at sentence ends."""
    pieces = re.split(r"(?<=\n)|(?<=[。！？])|(?<=[.!?] )", text)
    part, size, wanted = [], 0, rng.randint(SHORTEST, LONGEST)
    for piece in pieces:
        part.append(piece)
        size += len(piece.encode())
        if size >= wanted:
            yield "".join(part)
            part, size, wanted = [], 0, rng.randint(SHORTEST, LONGEST)
    if size >= SHORTEST:
        yield "".join(part)


def read(data: Path) -> dict[tuple[str, str, bool], list[str]]:
    """Texts by (source, language, whether they are exercises): whole exercises, passages of prose and code."""
    found: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for row in rows(data / "text" / "stem"):
        found[row["source"], row["lang"], True].append(row["text"])
    with tempfile.TemporaryDirectory() as folder:
        generate(StemConfig(), Store(folder), progress=Progress.silent())
        for row in Store(folder).read_table("exercises-train.parquet").to_pylist():
            found["generated", row["lang"][:2], True].append(row["text"])
    rng = random.Random(SEED)
    for name, lang in (("en", "en"), ("zh", "zh"), ("code", "code")):
        for row in rows(data / "text" / name):
            found[row["source"], lang, False] += passages(row["text"], rng)
    for row in rows(data / "html_gold"):
        if f"{row['bench']} pages" in TRAIN_PROSE and row["lang"] in ("en", "zh"):
            found[f"{row['bench']} pages", row["lang"], False] += passages(row["gold_text"], rng)
    return found


def trained_on(source: str, exercise: bool) -> bool:
    return source in (TRAIN_EXERCISES if exercise else TRAIN_PROSE)


def without_copies(texts: list[str], held: list[str]) -> list[str]:
    """The texts of which less than two thirds of the distinct 5-grams of units stand in the held-out texts."""
    known = np.unique(ngrams(hash_units(pa.array(held, pa.string())), 5).hashes)
    grams = ngrams(hash_units(pa.array(texts, pa.string())), 5)
    inside = np.isin(grams.hashes, known)
    shares = [inside[a:b].mean() if b > a else 0.0 for a, b in zip(grams.offsets[:-1], grams.offsets[1:], strict=True)]
    return [text for text, share in zip(texts, shares, strict=True) if share < 2 / 3]


def shown(text: str, rng: random.Random) -> Iterator[str]:
    """The ways in which training shows an exercise: whole, the question alone, without marks."""
    yield text
    cut = re.search(r"答案|【|\n(?:A|Answer|Solution|Rationale|the correct answer)", text)
    question = text[: cut.start()] if cut and cut.start() > 30 else text[: max(text.find("?") + 1, text.find("？") + 1)]
    if len(question) > 30 and rng.random() < 0.5:
        yield question
    yield _MARKS.sub("", text)


def examples(found: dict[tuple[str, str, bool], list[str]], left_out: frozenset[str], held: list[str]) -> list[Example]:
    """What a model is trained on, in random order."""
    rng = random.Random(SEED)
    result: list[Example] = []
    for (source, _, exercise), texts in sorted(found.items()):
        if not trained_on(source, exercise) or source in left_out:
            continue
        texts = without_copies(texts, held) if exercise else texts
        for text in rng.sample(texts, min(MOST, len(texts))):
            result += [(source, way, True) for way in shown(text, rng)] if exercise else [(source, text, False)]
    rng.shuffle(result)
    return result


def train(chosen: list[Example]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Weights of the buckets, and of the flags with the bias last."""
    sizes: dict[tuple[str, bool], int] = defaultdict(int)
    for source, _, exercise in chosen:
        sizes[source, exercise] += 1
    sides = [sum(n**0.5 for (_, e), n in sizes.items() if e is side) for side in (False, True)]
    weight = np.array([sizes[s, e] ** -0.5 / sides[e] for s, _, e in chosen])
    weight *= len(chosen) / weight.sum()
    found = [features(np.frombuffer(text.encode(), np.uint8), 0, len(text.encode())) for _, text, _ in chosen]
    bounds = np.zeros(len(found) + 1, np.int64)
    np.cumsum([len(b) for b, _ in found], out=bounds[1:])
    buckets, flags = np.concatenate([b for b, _ in found]), np.array([f for _, f in found])
    labels = np.array([e for _, _, e in chosen], np.float64)
    table, extra = _fit(buckets, bounds, flags, labels, weight)
    return table, extra


@kernel
def _fit(buckets, bounds, flags, labels, weight):  # type: ignore[no-untyped-def]
    table, slopes = np.zeros(BUCKETS, np.float32), np.full(BUCKETS, 1e-8, np.float32)
    extra, extra_slopes = np.zeros(flags.shape[1] + 1), np.full(flags.shape[1] + 1, 1e-8)
    for _ in range(EPOCHS):
        for k in range(len(labels)):
            size = (bounds[k + 1] - bounds[k]) // 2 + SHORT
            value = extra[-1]
            for f in range(flags.shape[1]):
                value += extra[f] * flags[k, f]
            for at in range(bounds[k], bounds[k + 1]):
                value += table[buckets[at]] / size
            slope = (1.0 / (1.0 + np.exp(-value)) - labels[k]) * weight[k]
            for f in range(flags.shape[1] + 1):
                step = slope * (flags[k, f] if f < flags.shape[1] else 1.0) + 1e-5 * extra[f] * (f < flags.shape[1])
                extra_slopes[f] += step * step
                extra[f] -= 0.3 * step / np.sqrt(extra_slopes[f])
            for at in range(bounds[k], bounds[k + 1]):
                step = slope / size + RIDGE * table[buckets[at]]
                slopes[buckets[at]] += step * step
                table[buckets[at]] -= RATE * step / np.sqrt(slopes[buckets[at]])
    return table, extra


def quantised(table: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], float]:
    """Weights as signed bytes and their unit; the few beyond 4 standard deviations are cut there."""
    unit = float(4 * table[table != 0].std() / 127)
    return np.clip(np.rint(table / unit), -127, 127).astype(np.int8), unit


def probabilities(texts: list[str], table: npt.NDArray[np.float32], extra: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from skyloom.corpus.exercises.model import _scores

    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(e) for e in encoded]).astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return np.asarray(_scores(np.frombuffer(b"".join(encoded), np.uint8), starts, ends, table, extra))


def report(found: dict[tuple[str, str, bool], list[str]], table: Any, extra: Any, only: frozenset[str] | None) -> None:
    """By source: spans, and the share called an exercise at .5, .8 and .95. With `only`, of these sources."""
    for (source, lang, exercise), texts in sorted(found.items(), key=lambda item: (not item[0][2], item[0])):
        if (source in only) if only is not None else not trained_on(source, exercise):
            p = probabilities(texts, table, extra)
            cells = " | ".join(f"{(p > limit).mean():.4f}" for limit in (0.5, 0.8, 0.95))
            print(f"| {'exercises' if exercise else 'prose'} | {source} | {lang} | {len(texts)} | {cells} |")


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the model of exercises.")
    parser.add_argument("--write", action="store_true", help="write src/skyloom/corpus/exercises/model.json")
    parser.add_argument("--cross", action="store_true", help="also leave each training source out in turn")
    options = parser.parse_args()
    data = os.environ.get("SKYLOOM_BENCH_DATA")
    if not data:
        print("set SKYLOOM_BENCH_DATA to the folder that holds text/", file=sys.stderr)
        return 1
    found = read(Path(data))
    held = [text for (s, _, e), texts in found.items() if e and not trained_on(s, e) for text in texts]
    print("| side | source | language | spans | > .5 | > .8 | > .95 |\n|---|---|---|---|---|---|---|")
    groups = [frozenset(g) for g in (("GSM8K train",), ("OlympiadBench en",), TRAIN_EXERCISES[2:5], ("generated",))]
    for group in groups if options.cross else []:
        table, extra = train(examples(found, group, held))
        report(found, table, extra, group)
    table, extra = train(examples(found, frozenset(), held))
    whole, unit = quantised(table)
    report(found, (whole * np.float32(unit)).astype(np.float32), extra, None)
    print(dict(zip((*FLAGS, "bias"), np.round(extra, 2).tolist(), strict=True)))
    if options.write:
        model = {
            "about": "Weights of skyloom.corpus.exercises.model, trained by studies/exercises_model.py",
            "exercises": list(TRAIN_EXERCISES), "prose": list(TRAIN_PROSE), "scale": unit, "bias": round(float(extra[-1]), 4),
            "flags": [round(float(w), 4) for w in extra[:-1]], "weights": base64.b64encode(whole.tobytes()).decode(),
        }  # fmt: skip
        Path("src/skyloom/corpus/exercises/model.json").write_text(json.dumps(model, ensure_ascii=False, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
