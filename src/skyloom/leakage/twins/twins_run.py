"""`skyloom leak twins`: a file of twins of a benchmark's items, and why the others have none.

Input: a benchmark file, and its train split where there is one. Output: JSON lines, one for each item with a twin, with the item's
id, so that the two files can be compared item by item; and beside them how many items were skipped for which reason. Twins keep
the wording, so they say little about a leak by themselves: what a model learnt of the wording helps the twin as well.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NotRequired, TypedDict

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.store import Store
from skyloom.leakage.benchmark_sets import BenchmarkItem, BenchmarkSet, read_benchmark
from skyloom.leakage.blind import blind_baseline
from skyloom.leakage.twins.number_draws import NumberPool
from skyloom.leakage.twins.number_twins import solved_twin
from skyloom.leakage.twins.people_names import count_names, other_names, renamed
from skyloom.leakage.twins.question_twins import changed_words, known_answer, question_twin
from skyloom.score.intervals import figure, generator

NO_QUESTION = "a text as a whole, without a question"
QUESTION_ONLY = "question"
WHOLE = "question and answer"
_LAST_SENTENCE = re.compile(r"[?？]")


class TwinRow(TypedDict):
    """A line of the file. `id` and `twin_of`: the item's; `answer` is absent where `only` is QUESTION_ONLY."""

    id: str
    twin_of: str
    lang: str
    only: str
    question: str
    answer: NotRequired[str]
    numbers: dict[str, str]
    names: dict[str, str]


class BlindTwins(TypedDict):
    """The AUC with which a bag of words tells twins from originals, and its 95 % interval; null for too few."""

    auc: float | None
    low: float | None
    high: float | None


class TwinsReport(TypedDict):
    """What stands beside the file. `skipped`: number of items by reason; `by_lang`: items and twins; `blind`: see `BlindTwins`."""

    benchmark: str
    benchmark_sha256: str
    train_sha256: str | None
    seed: int
    items: int
    twins: int
    question_only: int
    by_lang: dict[str, dict[str, int]]
    skipped: dict[str, int]
    blind: BlindTwins


@dataclass(frozen=True)
class TwinsOutcome:
    """Twins in the order of their items, and the report."""

    rows: list[TwinRow]
    report: TwinsReport


def make_twins(benchmark: BenchmarkSet, train: BenchmarkSet | None, seed: int) -> TwinsOutcome:
    """A twin of every item that can be changed safely. The same for the same files and seed; each item's draws are its own, so
    that one item more does not change the twins of others. DataError if there is not one."""
    source = train or benchmark
    pools = {lang: NumberPool(_questions(source.items, lang)) for lang in {i.lang for i in benchmark.items}}
    names = count_names(q for lang in pools for q in _questions(source.items, lang))
    rows: list[TwinRow] = []
    skipped: Counter[str] = Counter()
    for item in benchmark.items:
        made = _twin(item, pools[item.lang], names, seed)
        if isinstance(made, str):
            skipped[made] += 1
        else:
            rows.append(made)
    if not rows:
        reasons = "; ".join(f"{count:,} × {reason}" for reason, count in skipped.most_common())
        raise DataError(f"{benchmark.path}: no item has a twin: {reasons}")
    langs = sorted({i.lang for i in benchmark.items})
    counts = {
        lang: {"items": sum(i.lang == lang for i in benchmark.items), "twins": sum(r["lang"] == lang for r in rows)}
        for lang in langs
    }
    report: TwinsReport = {
        "benchmark": Path(benchmark.path).name, "benchmark_sha256": benchmark.sha256,
        "train_sha256": train.sha256 if train else None, "seed": seed, "items": len(benchmark.items), "twins": len(rows),
        "question_only": sum(r["only"] == QUESTION_ONLY for r in rows), "by_lang": counts,
        "skipped": dict(sorted(skipped.items(), key=lambda pair: (-pair[1], pair[0]))),
        "blind": blind_row(benchmark, rows, seed),
    }  # fmt: skip
    return TwinsOutcome(rows, report)


def _questions(items: Iterable[BenchmarkItem], lang: str) -> list[str]:
    """The questions of a set. Of a text as a whole, what stands before its first calculator note, up to the last question mark."""
    found = []
    for item in items:
        if item.lang == lang:
            head = item.question or item.text.split("<<")[0]
            marks = [m.end() for m in _LAST_SENTENCE.finditer(head)]
            found.append(head if item.question or not marks else head[: marks[-1]])
    return found


def _twin(item: BenchmarkItem, pool: NumberPool, names: Counter[str], seed: int) -> TwinRow | str:
    if not item.question:
        return NO_QUESTION
    rng = generator(seed, "twins", item.id, item.question)
    texts: list[str]
    worked_out = bool(item.answer.strip()) and known_answer(item.answer) is None
    if worked_out:
        solved = solved_twin(item.question, item.answer, pool, rng)
        if isinstance(solved, str):
            return solved
        texts, numbers = [solved.question, solved.answer], solved.changed
    else:
        asked = question_twin(item.question, item.answer, pool, rng)
        if isinstance(asked, str):
            return asked
        texts, numbers = [asked.question], asked.changed
    chosen = other_names(texts, names, rng)
    row: TwinRow = {
        "id": item.id, "twin_of": item.id, "lang": item.lang, "only": WHOLE if worked_out else QUESTION_ONLY,
        "question": renamed(texts[0], chosen), "numbers": changed_words(numbers), "names": chosen,
    }  # fmt: skip
    if worked_out:
        row["answer"] = renamed(texts[1], chosen)
    return row


def read_questions(path: Path) -> BenchmarkSet:
    """The items of a file, of which each needs a question or a text as a whole; answers are taken where there are any."""
    return read_benchmark(path, "{question}", fewest=1)


def blind_row(benchmark: BenchmarkSet, rows: Sequence[TwinRow], seed: int) -> BlindTwins:
    """How well words alone tell twins from their originals, both as far as the twins go (question, and answer where it was worked
    out)."""
    originals = {item.id: item for item in benchmark.items}
    mine: list[BenchmarkItem] = []
    theirs: list[BenchmarkItem] = []
    for row in rows:
        item = originals[row["twin_of"]]
        whole = row["only"] == WHOLE
        mine.append(replace(item, text=f"{item.question}\n{item.answer}" if whole else item.question))
        text = f"{row['question']}\n{row['answer']}" if whole else row["question"]
        theirs.append(replace(item, text=text, twin_of=item.id))
    found = blind_baseline(benchmark.only(mine), benchmark.only(theirs), seed=seed).words
    return {"auc": figure(found.value), "low": figure(found.low), "high": figure(found.high)}


def write_twins(benchmark: Path, train: Path | None, out: Path, seed: int) -> TwinsReport:
    """Read the files, make the twins and write them to `out` (.jsonl or .jsonl.gz), the report to the same name with
    `.report.json` behind. ConfigError where `out` would replace an input; errors of `read_benchmark` and `make_twins`."""
    if out.resolve() in {p.resolve() for p in (benchmark, train) if p is not None}:
        raise ConfigError(f"--out {out} is the benchmark or its train split; give another file")
    outcome = make_twins(read_questions(benchmark), read_questions(train) if train else None, seed)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in outcome.rows).encode()
    store = Store(out.parent)
    store.write_bytes(out.name, gzip.compress(lines, mtime=0) if out.suffix == ".gz" else lines)
    store.write_json(f"{out.name}.report.json", outcome.report)
    return outcome.report
