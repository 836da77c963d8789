"""All figures of a run page with their data: what `figure_data` holds for each anchor of the page.

Input: what the steps measured, where it stands, and what the run says of itself. Output: a `FigureBook`. Rows are those that
the charts are drawn from, before any rounding of a picture.
"""

from __future__ import annotations

from skyloom.core.json_files import Cell, RunFacts
from skyloom.release.evidence import Evidence
from skyloom.release.tables import in_order
from skyloom.report.figures.corpus_views import flow_lines, source_lines
from skyloom.report.figures.evaluation_forest import bits_lines, paired_lines_of, pairs
from skyloom.report.figures.figure_data import FigureBook
from skyloom.report.figures.leakage_forest import gap_lines
from skyloom.report.figures.provenance import Provenance
from skyloom.report.figures.shares import share_lines
from skyloom.report.training import bits_interval, smoothed, training_bits, window


def figure_book(found: Evidence, source: Provenance, run: RunFacts) -> FigureBook:
    """The figures that there is anything for."""
    book = FigureBook()
    _corpus(book, found, source, run)
    _training(book, found, source, run)
    _results(book, found, source)
    return book


def _corpus(book: FigureBook, found: Evidence, source: Provenance, run: RunFacts) -> None:
    ledgers = source.files("extract/ledger.json", "corpus/ledger.json")
    book.add("flow", "stage kind of lang documents bytes", flow_lines(found), ledgers, source.command("ledger"))
    book.add(
        "sources",
        "source kind origin package version licence entered kept",
        source_lines(found, run),
        source.files("pages/sources.json", "pages/copyright/packages.json"),
        source.command("ledger"),
    )
    mixture = found.mixture["rows"] if found.mixture else []
    book.add(
        "mixture",
        "language category documents bytes units share",
        [[r["language"], r["category"], r["documents"], r["bytes"], r["units"], r["share"]] for r in mixture],
        source.files("corpus/mixture.json"),
        source.command("mixture"),
    )


def _training(book: FigureBook, found: Evidence, source: Provenance, run: RunFacts) -> None:
    measure = found.measure["rows"] if found.measure else []
    book.add(
        "tokenizer",
        "domain bytes tokens bytes_per_token units_per_token fallback_share",
        [[r["domain"], r["bytes"], r["tokens"], r["bytes_per_token"], r["units_per_token"], r["fallback_share"]] for r in measure],
        source.files("tokenizer/measure.json"),
        source.command("tokenizer"),
    )
    train = source.command("train")
    for name in in_order(row["set"] for row in found.heldout or []):
        lines: list[list[Cell]] = [
            [r["stage"], r["step"], r["tokens"], r["bits_per_byte"], *bits_interval(r)]
            for r in found.heldout or []
            if r["set"] == name
        ]
        files = source.files(*(f"{stage}/heldout.jsonl" for stage in found.stages))
        book.add(f"heldout-{name}", "stage step tokens bits_per_byte low high", lines, files, train)
    metrics = source.files(*(f"{stage}/metrics.jsonl" for stage in found.stages))
    points, width = training_bits(found), window(found)
    book.add(
        "training-loss",
        "stage tokens bits_per_byte updates",
        [[stage, p.x, p.y, width] for stage in found.stages for p in smoothed(points.get(stage, ()), width)],
        metrics,
        train,
    )
    rates = [row for k, row in enumerate(found.metrics or []) if k % width == 0]
    book.add(
        "rate", "stage step tokens learning_rate", [[r["stage"], r["step"], r["tokens"], r["lr"]] for r in rates], metrics, train
    )
    planned = share_lines(found, run.get("planned") or {})
    book.add("shares", "kind stage tokens domain share", planned, metrics, source.command("shares"))
    speed = [
        [r["stage"], r["step"], r.get("tokens_per_s"), r.get("data_wait_share"), r.get("mfu"), r.get("memory_bytes")]
        for r in found.speed or []
    ]
    files = source.files(*(f"{stage}/telemetry/speed.jsonl" for stage in found.stages))
    book.add("speed", "stage step tokens_per_s data_wait_share mfu memory_bytes", speed, files, train)


def evaluation_figures(book: FigureBook, found: Evidence, source: Provenance) -> None:
    """The figures of the section on evaluation."""
    judge, files = source.command("eval"), source.files("evaluate/perplexity.json")
    columns = "model set bits_per_byte low high perplexity reference_perplexity documents bytes"
    book.add("bits", columns, bits_lines(found.loss_rows), files, judge)
    book.add("paired", "model other set bits_per_byte low high", paired_lines_of(pairs(found)), files, judge)
    choice = found.choice["rows"] if found.choice else []
    book.add(
        "choice",
        "model lang items correct accuracy low high chance",
        [[r["model"], r["lang"], r["items"], r["correct"], r["accuracy"], r["low"], r["high"], r["chance"]] for r in choice],
        source.files("evaluate/choice.json"),
        judge,
    )
    book.add(
        "scores",
        "stage step benchmark lang items accuracy low high chance",
        [
            [r["stage"], r["step"], r["benchmark"], r["lang"], r["items"], r["accuracy"], r["low"], r["high"], r["chance"]]
            for r in found.scores or []
        ],
        source.files(*(f"{stage}/scores.jsonl" for stage in found.stages)),
        source.command("train"),
    )


def _results(book: FigureBook, found: Evidence, source: Provenance) -> None:
    evaluation_figures(book, found, source)
    audit, leak = source.files("leakage/leakage.json"), source.command("leak")
    book.add("gaps", "model gap nats_per_token low high", gap_lines(found), audit, leak)
    overlap = ((found.leakage.get("corpus") if found.leakage else None) or {}).get("rows", [])
    book.add(
        "overlap",
        "split items whole share_of_13_grams",
        [[r["split"], r["items"], r["whole"], r["share"]] for r in overlap],
        audit,
        leak,
    )
