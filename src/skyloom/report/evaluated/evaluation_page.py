"""The page of one evaluation: perplexity of any models, benchmarks, or the models of a run. One HTML file, made like the run page.

Input: what `eval perplexity`, `eval tasks` or `eval run` found, with the folder of its results. Output: a page in English and
Chinese with the models, forest plots by set or task, baselines (xz, chance), paired differences, which texts or items each figure
is of, and under each figure its values, files with hashes and the command. The section of a run is that of the run page itself
(`evaluation.html.jinja`); the charts of the other two are drawn by the same functions (`figures.evaluation_forest`).

Nothing is measured here. Equal inputs give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from skyloom.core.json_files import PairedEntry, PerplexityEntry
from skyloom.core.records import DOMAINS
from skyloom.core.store import FileRecord, Store
from skyloom.evaluate.benchmarks import ITEMS, RIGHT, TASKS, ComparisonRow, TaskReport
from skyloom.evaluate.texts import DISJOINT, DOCUMENTS, TABLE, PerplexityJson, TextRow
from skyloom.release import evidence
from skyloom.release.formats import count, decimal, short
from skyloom.report import results, training
from skyloom.report.evaluated.task_forests import (
    BITS_COLUMNS,
    COLUMNS,
    COMPARED_COLUMNS,
    bits_lines_of_tasks,
    compared_lines,
    difference_views,
    right_views,
    task_lines,
    task_views,
)
from skyloom.report.figures.evaluation_forest import (
    Naming,
    bits_forests,
    bits_lines,
    bits_views,
    choice_forest,
    paired_forests,
    paired_lines_of,
    paired_views,
)
from skyloom.report.figures.figure_data import FigureBook
from skyloom.report.figures.provenance import Provenance, QuotedFile
from skyloom.report.figures.run_figures import evaluation_figures
from skyloom.report.labels import ENGLISH, Say
from skyloom.report.page import body_of, printable, two_languages

T = TypeVar("T")

KIND = "Skyloom evaluation"
_BITS = "model set bits_per_byte low high perplexity reference_perplexity documents bytes"
_PAIRED = "model other set bits_per_byte low high"
_FILE_NAME = re.compile(r"[^\w.-]+")
_GREY = training.TONES - 1
"""The colour of baselines; models have those before it."""


def write_perplexity_page(table: PerplexityJson, results_folder: Store, out: Path) -> FileRecord:
    """Write the page of `eval perplexity` to the file `out`, whole or not at all. `results_folder`: where its table lies.

    StorageError if `out` cannot be written.
    """
    table = _clean(table)
    files = _quoted(results_folder, TABLE, DOCUMENTS)
    rows = [cast(PerplexityEntry, row) for row in (*table["rows"], *_baselines(table))]
    pairs = cast(Sequence[PairedEntry], _average_first(table))
    book = FigureBook()
    book.add("bits", _BITS, bits_lines(rows), files, table["command"])
    book.add("paired", _PAIRED, paired_lines_of(pairs), files, table["command"])

    def context(say: Say) -> dict[str, object]:
        naming = _naming([one["model"] for one in table["models"]], say)
        views = bits_views(rows, naming)
        for view in views:
            view["sub"] += _shortened([row for row in table["rows"] if f"bits-{row['set']}" == view["anchor"]], table["cut"], say)
        return {
            "models": _models(table["models"], naming),
            "forests": views,
            "paired": paired_views(pairs, naming),
            "average": [
                {
                    "model": row["model"],
                    "tone": naming.tone(row["model"]),
                    "perplexity": decimal(row["perplexity"]),
                    "reference_perplexity": decimal(row["reference_perplexity"]),
                    "bits": decimal(row["bits_per_byte"]),
                    "document_bits": decimal(row["document_bits_per_byte"]),
                }
                for row in table["average"]
            ],
            "windows": _windows(table, say),
            "reference": table["reference"],
            "command": table["command"],
        }

    sections = {"models": "Models", "perplexity": "Perplexity", "command": "Command"}
    return _write([one["model"] for one in table["models"]], sections, context, book, out)


def write_tasks_page(report: TaskReport, results_folder: Store, out: Path) -> FileRecord:
    """As `write_perplexity_page`, for `eval tasks`. A report without models holds a comparison of two folders of results."""
    report = _clean(report)
    files = _quoted(results_folder, TASKS, ITEMS)
    book = FigureBook()
    book.add("tasks", COLUMNS, task_lines(report["rows"]), files, report["command"])
    book.add("right", BITS_COLUMNS, bits_lines_of_tasks(report["rows"]), files, report["command"])
    compared = report["comparison"]
    book.add("compared", COMPARED_COLUMNS, compared_lines(compared), files if report["models"] else (), report["command"])
    names = [str(one["model"]) for one in report["models"]] or list(
        dict.fromkeys(n for r in compared for n in (r["model"], r["other"]))
    )

    def context(say: Say) -> dict[str, object]:
        naming = _naming(names, say)
        return {
            "models": _models(report["models"], naming),
            "tasks": task_views(report["rows"], naming),
            "right": right_views(report["rows"], naming),
            "noise": [
                say("Near ties of {model}: choices less than {nats} nats apart.", model=row["model"], nats=f"{row['nats']:.3g}")
                for row in report["noise"]
            ],
            "origins": sorted(report["data"].items()),
            "limit": report["limit"],
            "differences": difference_views(compared, say),
            "compared": [_compared(row, say) for row in compared],
            "command": report["command"],
            "versions": dict(report["versions"]),
        }

    sections = {
        **({"models": "Models", "tasks": "Benchmarks"} if report["models"] else {}),
        **({"compared": "Comparison"} if compared else {}),
        "command": "Command",
    }
    return _write(names, sections, context, book, out)


def write_run_page(name: str, asked: str, inputs: Mapping[str, Store], out: Path) -> FileRecord:
    """As `write_perplexity_page`, for the models of a run. `inputs`: its finished steps by name, `evaluate` and the training stages
    at least; `asked`: what commands call the recipe. DataError if a file is not what docs/design.md says."""
    found, source = evidence.read(inputs), Provenance(inputs, asked)
    book = FigureBook()
    evaluation_figures(book, found, source)

    def context(say: Say) -> dict[str, object]:
        return {
            "found": found,
            "forests": bits_forests(found, say),
            "paired": paired_forests(found, say),
            "choice": choice_forest(found, say),
            "sizes": results.sizes(found, say),
            "scores": training.scores(found, say),
            "failed": [say.sanity(row) for row in found.checks if not row["ok"]],
            "command": source.command("eval"),
        }

    return _write([name], {"evaluation": "Evaluation", "command": "Command"}, context, book, out)


def _write(
    names: Sequence[str], sections: Mapping[str, str], context: Callable[[Say], dict[str, object]], book: FigureBook, out: Path
) -> FileRecord:
    title = printable(" / ".join(names))
    bodies = []
    for say in (ENGLISH, Say("zh")):
        told = [(key, say(name)) for key, name in sections.items()]
        whole = {"say": say, "p": "zh-" if say.lang == "zh" else "", "book": book, "sections": told, **context(say)}
        bodies.append(body_of("evaluated.html.jinja", whole, say))
    page = two_languages(title, KIND, bodies, book, file_name=_FILE_NAME.sub("-", title)[:60] or "evaluation")
    return Store(out.absolute().parent).write_text(out.name, page)


def _clean(value: T) -> T:
    """JSON whose texts HTML can hold: names of models and sets come from a command line and from file names."""
    if isinstance(value, dict):
        return cast(T, {_clean(key): _clean(one) for key, one in value.items()})
    if isinstance(value, list):
        return cast(T, [_clean(one) for one in value])
    return cast(T, printable(value))


def _naming(models: Sequence[str], say: Say) -> Naming:
    """Names of models as the user gave them, a colour for each; only sets of a run have names of ours."""

    def tone(model: str) -> str:
        return f"d{models.index(model) % _GREY}" if model in models else f"d{_GREY}"

    return Naming(say, str, lambda name: say.domain(name) if name in DOMAINS else name, tone)


def _quoted(folder: Store, *names: str) -> tuple[QuotedFile, ...]:
    return tuple(QuotedFile(name, folder.describe(name).sha256) for name in names if folder.exists(name))


def _baselines(table: PerplexityJson) -> list[dict[str, object]]:
    """xz as rows of the table; only its bits per byte are a figure."""
    none = dict.fromkeys(("loss", "perplexity", "low", "high", "reference_loss", "reference_perplexity", "tokens"))
    return [{**none, **row} for row in table["baselines"]]


def _average_first(table: PerplexityJson) -> list[Mapping[str, object]]:
    """The paired differences with the average in front, as on the run page."""
    return sorted(table["paired"], key=lambda row: row["set"] is not None)


def _shortened(rows: Sequence[TextRow], characters: int, say: Say) -> str:
    """What of the documents was not scored as it came."""
    cut, changed = max((row["cut"] for row in rows), default=0), {row["model"]: row["changed"] for row in rows if row["changed"]}
    told = say("{count} cut to {characters} characters", count=count(cut), characters=count(characters)) if cut else ""
    more = [say("{count} not given back by the tokenizer of {model}", count=count(n), model=model) for model, n in changed.items()]
    return "".join(f"{say.comma}{one}" for one in (told, *more) if one)


def _windows(table: PerplexityJson, say: Say) -> str:
    if table["windows"] == DISJOINT:
        return say("Windows are disjoint: the first token of each window is predicted from nothing before it.")
    if table["stride"]:
        return say("Windows overlap: each has {count} new tokens.", count=count(table["stride"]))
    return say("Windows are rolling, as in lm-evaluation-harness: each token is predicted once.")


def _models(described: Sequence[Mapping[str, object]], naming: Naming) -> list[dict[str, str]]:
    """What each model is, as it describes itself."""
    return [
        {
            "name": str(one["model"]),
            "tone": naming.tone(str(one["model"])),
            "kind": str(one["kind"]),
            "parameters": short(cast(float, one["parameters"])),
            "vocabulary": count(cast(float, one["vocabulary"])),
            "context": count(cast(float, one["context"])),
            "computed": f"{one['dtype']}, {one['device']}, {one['engine']}",
            "sha256": str(one["sha256"]),
        }
        for one in described
    ]


def _compared(row: ComparisonRow, say: Say) -> dict[str, str]:
    ends = row["low"], row["high"]
    return {
        "task": row["task"],
        "metric": say("bits per byte, right answer") if row["metric"] == RIGHT else row["metric"].removesuffix(",none"),
        "model": decimal(row["value"]),
        "other": decimal(row["other_value"]),
        "difference": decimal(row["difference"]),
        "interval": say("{low} to {high}", low=decimal(ends[0]), high=decimal(ends[1])) if None not in ends else "–",
        "items": count(row["n"]),
        "only_model": count(row["only_model"]),
        "only_other": count(row["only_other"]),
        "p": "–" if row["p"] is None else "< 0.001" if row["p"] < 0.001 else decimal(row["p"]),
    }
