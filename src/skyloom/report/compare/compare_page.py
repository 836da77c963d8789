"""The page that compares finished runs: differences of the recipes, curves over each other, paired intervals. One HTML file.

Input: runs as `runs_read` gives them. Output: the page in English and Chinese, made like the run page. The first run is what
all others are compared with. A difference is paired where both runs scored the same texts (the SHA-256 of a set's texts
agrees): then the same resamples of the texts are taken for both. Where they did not, no difference is given, and the page says
so: two figures on different texts do not compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from skyloom.core.json_files import Cell, TextFigures
from skyloom.core.store import FileRecord, Store
from skyloom.evaluate.paired import differences, set_figures
from skyloom.release.formats import count, decimal, known, short
from skyloom.release.tables import in_order
from skyloom.report import training
from skyloom.report.charts import NARROW, Point, Series, line_chart
from skyloom.report.compare.recipe_differences import differences_of
from skyloom.report.compare.runs_read import ComparedRun
from skyloom.report.figures.evaluation_forest import ForestView, as_number, average_bits, bits_ends, value_gap
from skyloom.report.figures.figure_data import FigureBook
from skyloom.report.labels import ENGLISH, Say
from skyloom.report.leak_charts import forest
from skyloom.report.page import body_of, two_languages
from skyloom.score.nll import TextLosses
from skyloom.train.stage_list import FINAL

RESAMPLES, SEED = 1000, 1
"""Of the paired differences, as in the evaluation's settings unless they say otherwise."""
SECTIONS = {"runs": "Runs", "recipes": "Recipes", "curves": "Curves", "differences": "Differences"}


def write_comparison(runs: Sequence[ComparedRun], out: Path) -> FileRecord:
    """Write the page to the file `out`, whole or not at all. StorageError if it cannot be written."""
    return Store(out.absolute().parent).write_text(out.name, render_comparison(runs))


def render_comparison(runs: Sequence[ComparedRun]) -> str:
    """The page as text."""
    book = comparison_book(runs)
    bodies = []
    for say in (ENGLISH, Say("zh")):
        context: dict[str, object] = {
            "say": say,
            "p": "zh-" if say.lang == "zh" else "",
            "book": book,
            "sections": [(key, say(name)) for key, name in SECTIONS.items()],
            "runs": _rows(runs, say),
            "settings": differences_of([run.recipe for run in runs]),
            "labels": [run.label for run in runs],
            "legend": [(run.label, tone(number)) for number, run in enumerate(runs)],
            "panels": heldout_overlays(runs, say),
            "loss": loss_overlay(runs, say),
            "forests": bits_by_run(runs, say),
            "paired": paired_by_run(runs, say),
            "unpaired": unpaired(runs),
        }
        bodies.append(body_of("compare.html.jinja", context, say))
    title = " / ".join(run.label for run in runs)
    return two_languages(title, "Skyloom comparison of runs", bodies, book, file_name="compare")


def tone(number: int) -> str:
    """The colour of a run."""
    return f"d{number % training.TONES}"


def heldout_overlays(runs: Sequence[ComparedRun], say: Say) -> list[tuple[str, str, Markup]]:
    """(set, its name, chart with a line for each run) for each held-out set that any run has."""
    sets = in_order(row["set"] for run in runs for row in run.found.heldout or [])
    return [(name, say.domain(name), _overlay(runs, name, say)) for name in sets]


def _overlay(runs: Sequence[ComparedRun], name: str, say: Say) -> Markup:
    series = []
    for number, run in enumerate(runs):
        rows = [row for row in run.found.heldout or [] if row["set"] == name]
        points = [Point(float(r["tokens"]), as_number(r["bits_per_byte"]), *training.bits_interval(r)) for r in rows]
        series.append(Series(run.label, tone(number), tuple(points)))
    title = say("Held-out loss on {name}", name=say.domain(name))
    return line_chart(
        series,
        title=title,
        x_label=say("tokens read"),
        y_label=say("bits per byte"),
        width=NARROW,
        say=say,
        settle=True,
        named=True,
    )


def loss_overlay(runs: Sequence[ComparedRun], say: Say) -> Markup:
    """Training loss of all runs; each point is the mean of as many updates as that run's own page takes."""
    series = [
        Series(run.label, tone(number), training.smoothed(_points(run), training.window(run.found)))
        for number, run in enumerate(runs)
    ]
    return line_chart(
        series, title=say("Training loss"), x_label=say("tokens read"), y_label=say("bits per byte"), dots=False, say=say,
        settle=True, named=True,
    )  # fmt: skip


def bits_by_run(runs: Sequence[ComparedRun], say: Say) -> list[ForestView]:
    """For each held-out set the last model of each run with its own interval."""
    found: list[ForestView] = []
    rows = [[r for r in run.found.loss_rows if r["model"] == FINAL] for run in runs]
    for name in in_order(row["set"] for mine in rows for row in mine):
        gaps = []
        for number, (run, mine) in enumerate(zip(runs, rows, strict=True)):
            for row in mine:
                if row["set"] == name and known(row["bits_per_byte"]):
                    gaps.append(value_gap(run.label, row["bits_per_byte"], bits_ends(row), tone(number), say))
        title = say("Bits per byte on {name}", name=say.domain(name))
        chart = forest(gaps, centre=None, title=title, width=NARROW)
        found.append({"anchor": "bits", "title": say.domain(name), "sub": say("own intervals"), "chart": chart})
    return found


def paired_lines(runs: Sequence[ComparedRun]) -> list[tuple[str, str, str | None, float, float, float]]:
    """(run, first run, set or None for the average, difference, low, high) in bits per byte, of sets that both scored the texts
    of."""
    first = runs[0]
    found: list[tuple[str, str, str | None, float, float, float]] = []
    for run in runs[1:]:
        same = shared_sets(first, run)
        if not same or first.losses is None or run.losses is None:
            continue
        figures = {
            other.label: {
                name: set_figures(name, _losses(other.losses["models"][FINAL][name]), seed=SEED, resamples=RESAMPLES)
                for name in same
            }
            for other in (run, first)
            if other.losses is not None
        }
        for row in differences(figures):
            value, low, high = map(as_number, (row["bits_per_byte"], row["bits_per_byte_low"], row["bits_per_byte_high"]))
            found.append((run.label, first.label, row["set"], value, low, high))
    return found


def paired_by_run(runs: Sequence[ComparedRun], say: Say) -> list[ForestView]:
    """A chart for each run but the first: it minus the first."""
    found: list[ForestView] = []
    lines = paired_lines(runs)
    for label in dict.fromkeys(line[0] for line in lines):
        rows = sorted((line for line in lines if line[0] == label), key=lambda line: line[2] is not None)
        gaps = [
            value_gap(say.domain(name) if name else say("Average"), value, (low, high), "", say)
            for _, _, name, value, low, high in rows
        ]
        title = say("{model} minus {other}", model=label, other=runs[0].label)
        told = say("below zero: {model} needs fewer bits", model=label)
        found.append(
            {"anchor": "paired", "title": title, "sub": told, "chart": forest(gaps, centre=0.0, title=title, width=NARROW)}
        )
    return found


def shared_sets(one: ComparedRun, two: ComparedRun) -> list[str]:
    """Held-out sets of which both runs scored the same texts with their last model."""
    if one.losses is None or two.losses is None:
        return []
    mine, theirs = (run.losses["models"].get(FINAL, {}) for run in (one, two) if run.losses is not None)
    return [
        name
        for name, identity in one.losses["sets"].items()
        if two.losses["sets"].get(name) == identity and name in mine and name in theirs
    ]


def unpaired(runs: Sequence[ComparedRun]) -> list[tuple[str, str]]:
    """(run, sets) that have no paired difference to the first run, because their texts differ or were not kept by text."""
    found = []
    for run in runs[1:]:
        same = set(shared_sets(runs[0], run))
        names = {row["set"] for row in run.found.loss_rows} - same
        if names:
            found.append((run.label, ", ".join(in_order(names))))
    return found


def comparison_book(runs: Sequence[ComparedRun]) -> FigureBook:
    """The data of the page's figures."""
    book, command = FigureBook(), "skyloom report compare RUN RUN"
    settings = differences_of([run.recipe for run in runs])
    columns = " ".join(["setting", *(f"run{number + 1}" for number in range(len(runs)))])
    book.add("recipes", columns, [[key, *values] for key, values in settings], (), command)
    heldout: list[list[Cell]] = [
        [run.label, r["stage"], r["step"], r["tokens"], r["set"], r["bits_per_byte"], *training.bits_interval(r)]
        for run in runs
        for r in run.found.heldout or []
    ]
    book.add("curves", "run stage step tokens set bits_per_byte low high", heldout, (), command)
    loss: list[list[Cell]] = [
        [run.label, p.x, p.y] for run in runs for p in training.smoothed(_points(run), training.window(run.found))
    ]
    book.add("training-loss", "run tokens bits_per_byte", loss, (), command)
    own: list[list[Cell]] = [
        [run.label, row["set"], row["bits_per_byte"], *bits_ends(row)]
        for run in runs
        for row in run.found.loss_rows
        if row["model"] == FINAL
    ]
    book.add("bits", "run set bits_per_byte low high", own, (), command)
    pairs: list[list[Cell]] = [[a, b, name or "average", *figures] for a, b, name, *figures in paired_lines(runs)]
    book.add("paired", "run first set bits_per_byte low high", pairs, (), command)
    return book


def _rows(runs: Sequence[ComparedRun], say: Say) -> list[dict[str, str]]:
    """What each run is: when, parameters, tokens, documents, bits per byte on average, the verdict on its last model."""
    rows = []
    for number, run in enumerate(runs):
        found, average = run.found, average_bits(run.found, FINAL)
        verdict = next((row for row in (found.leakage["rows"] if found.leakage else []) if row["model"] == FINAL), None)
        told = "–"
        if average is not None:
            told = decimal(average[0])
            if known(average[1]):
                told += f" ({say('{low} to {high}', low=decimal(average[1]), high=decimal(average[2]))})"
        rows.append(
            {
                "label": run.label,
                "tone": tone(number),
                "finished": run.finished.replace("T", " ").replace("+00:00", " UTC") or "–",
                "parameters": short(next((plan.get("parameters") for plan in found.plans.values()), None)),
                "tokens": short(found.metrics[-1].get("tokens") if found.metrics else None),
                "documents": count(sum(r["documents"] for r in found.mixture["rows"]) if found.mixture else None),
                "bits": told,
                "verdict": say.verdict(verdict) if verdict else "–",
            }
        )
    return rows


def _points(run: ComparedRun) -> list[Point]:
    return [point for points in training.training_bits(run.found).values() for point in points]


def _losses(figures: TextFigures) -> TextLosses:
    sizes = np.array(figures["bytes"], np.int64)
    return TextLosses(np.array(figures["nats"], np.float64), np.array(figures["tokens"], np.int64), sizes, sizes)
