"""The evaluation as forest plots: bits per byte of each model with its interval, and paired differences around zero.

Input: `perplexity.json`, `choice.json` and the accuracy at released checkpoints. Output: a chart for each held-out set, one for
the paired differences of the last model, one for multiple choice; each says which texts it is of. No figure is called best:
whether two models differ is read from the interval of their paired difference (documents are resampled, the same ones for
both). The run page and the page of any evaluation draw with the same functions; `Naming` is what differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from markupsafe import Markup

from skyloom.core.json_files import Cell, ChoiceEntry, Figure, PairedEntry, PerplexityEntry, ReferenceEntry
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, decimal, known, percent, size
from skyloom.release.tables import in_order
from skyloom.report.charts import NARROW
from skyloom.report.labels import Say
from skyloom.report.leak_charts import Gap, forest
from skyloom.report.training import tones
from skyloom.train.stage_list import FINAL


class ForestView(TypedDict):
    """A chart, what it is of, and the subset of texts that its figures are of."""

    anchor: str
    title: str
    sub: str
    chart: Markup


@dataclass(frozen=True)
class Naming:
    """How a page calls models and sets, and the colour (the CSS class `tone-…`) of a model."""

    say: Say
    model: Callable[[str], str]
    domain: Callable[[str], str]
    tone: Callable[[str], str]


def run_naming(evidence: Evidence, say: Say) -> Naming:
    """Names and colours of the models and held-out sets of a run."""
    colours = tones(evidence)
    return Naming(say, say.model, say.domain, lambda model: "stage2" if model == FINAL else colours.get(model, "d7"))


def bits_ends(row: PerplexityEntry) -> tuple[float, float]:
    """The ends of the interval in bits per byte; NaN where there is none.

    `perplexity.json` of `eval perplexity` has them. In that of a run `low` and `high` bound the loss, and are converted.
    """
    if "bits_per_byte_low" in row:
        return as_number(row["bits_per_byte_low"]), as_number(row.get("bits_per_byte_high"))
    loss, bits = row.get("loss"), row.get("bits_per_byte")
    if not (known(loss) and known(bits) and loss):
        return math.nan, math.nan
    return as_number(row.get("low")) * bits / loss, as_number(row.get("high")) * bits / loss


def average_bits(evidence: Evidence, model: str) -> tuple[float, float, float] | None:
    """The mean over the sets with its interval: sets are independent, so half-widths add up as squares. None without a row."""
    rows = [row for row in evidence.loss_rows if row["model"] == model]
    rows = [row for row in rows if known(row.get("bits_per_byte"))]
    if not rows:
        return None
    mean = sum(float(row["bits_per_byte"] or 0.0) for row in rows) / len(rows)
    ends = [(row["bits_per_byte"] or 0.0, *bits_ends(row)) for row in rows]
    low = mean - math.sqrt(sum((value - low) ** 2 for value, low, _ in ends)) / len(rows)
    high = mean + math.sqrt(sum((high - value) ** 2 for value, _, high in ends)) / len(rows)
    return mean, low, high


def bits_forests(evidence: Evidence, say: Say) -> list[ForestView]:
    """A chart for each held-out set of a run: the models and baselines, one below the other."""
    return bits_views(evidence.loss_rows, run_naming(evidence, say), evidence.references or [])


def bits_views(rows: Sequence[PerplexityEntry], naming: Naming, others: Sequence[ReferenceEntry] = ()) -> list[ForestView]:
    """A chart for each set of `rows`: its models, then `others` on the same set. Rows without a figure are left out."""
    say = naming.say
    found: list[ForestView] = []
    for name in in_order(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name and known(row.get("bits_per_byte"))]
        gaps = [
            value_gap(naming.model(row["model"]), row.get("bits_per_byte"), bits_ends(row), naming.tone(row["model"]), say)
            for row in mine
        ]
        gaps += [
            value_gap(row["model"], row["bits_per_byte"], (as_number(row["low"]), as_number(row["high"])), "d4", say)
            for row in others
            if row["set"] == name
        ]
        found.append(
            {
                "anchor": f"bits-{name}",
                "title": naming.domain(name),
                "sub": subset(mine, say),
                "chart": forest(gaps, centre=None, width=NARROW, title=say("Bits per byte on {name}", name=naming.domain(name))),
            }
        )
    return found


def subset(rows: Sequence[PerplexityEntry], say: Say) -> str:
    """Which texts the rows are of: documents and bytes of the set that were scored."""
    documents = next((row["documents"] for row in rows if known(row.get("documents"))), None)
    sizes = sorted({row["bytes"] for row in rows if known(row.get("bytes"))})
    if not sizes:
        return ""
    told = size(sizes[0]) if len(sizes) == 1 else say("{low} to {high}", low=size(sizes[0]), high=size(sizes[-1]))
    return say("{documents} documents, {bytes}", documents=count(documents), bytes=told) if documents is not None else told


def pairs(evidence: Evidence) -> list[PairedEntry]:
    """The paired differences of the last model to each other one, average first."""
    found = [_turned(row) for row in evidence.paired if FINAL in (row["model"], row["other"])]
    order = [None, *in_order(row["set"] for row in found if row["set"])]
    return sorted(found, key=lambda row: (row["other"], order.index(row["set"])))


def paired_forests(evidence: Evidence, say: Say) -> list[ForestView]:
    """A chart for each other model of a run: the last model minus it, for each set and on average, around zero."""
    return paired_views(pairs(evidence), run_naming(evidence, say))


def paired_views(rows: Sequence[PairedEntry], naming: Naming) -> list[ForestView]:
    """A chart for each two models of `rows`, `model` minus `other`: sets and average in their order, around zero."""
    say = naming.say
    found: list[ForestView] = []
    for model, other in dict.fromkeys((row["model"], row["other"]) for row in rows):
        gaps = [
            value_gap(
                naming.domain(row["set"]) if row["set"] else say("Average"),
                row["bits_per_byte"],
                (as_number(row["bits_per_byte_low"]), as_number(row["bits_per_byte_high"])),
                "",
                say,
            )
            for row in rows
            if (row["model"], row["other"]) == (model, other) and known(row["bits_per_byte"])
        ]
        title = say("{model} minus {other}", model=naming.model(model), other=naming.model(other))
        if gaps:
            told = say("below zero: {model} needs fewer bits", model=naming.model(model))
            chart = forest(gaps, centre=0.0, title=title, width=NARROW)
            found.append({"anchor": f"paired-{other}", "title": title, "sub": told, "chart": chart})
    return found


def choice_forest(evidence: Evidence, say: Say) -> ForestView | None:
    """Accuracy of each model and language with its interval; the vertical line is chance."""
    rows: list[ChoiceEntry] = evidence.choice["rows"] if evidence.choice else []
    rows = [row for row in rows if known(row["accuracy"])]
    if not rows:
        return None
    naming = run_naming(evidence, say)
    gaps = [
        Gap(
            f"{say.model(row['model'])} · {say.language(row['lang'])}",
            float(row["accuracy"] or 0.0),
            as_number(row["low"]),
            as_number(row["high"]),
            counts=known(row["low"]) and row["low"] > row["chance"],
            flagged=False,
            shown=percent(row["accuracy"]),
            told=say(
                "{accuracy}, 95 % {low} to {high}; chance {chance}",
                accuracy=percent(row["accuracy"]),
                low=percent(row["low"]),
                high=percent(row["high"]),
                chance=percent(row["chance"]),
            ),
            tone=naming.tone(row["model"]),
        )
        for row in rows
    ]
    chances = {row["chance"] for row in rows}
    items = sorted({row["items"] for row in rows})
    told = say("{items} items; filled: the whole interval lies above chance", items=" / ".join(count(n) for n in items))
    title = say("Multiple choice")
    return {
        "anchor": "choice",
        "title": title,
        "sub": told,
        "chart": forest(gaps, centre=chances.pop() if len(chances) == 1 else None, title=title),
    }


def bits_lines(rows: Sequence[PerplexityEntry]) -> list[list[Cell]]:
    """model, set, bits_per_byte, low, high, perplexity, reference_perplexity, documents, bytes."""
    return [
        [
            row["model"],
            row["set"],
            row.get("bits_per_byte"),
            *bits_ends(row),
            row.get("perplexity"),
            row.get("reference_perplexity"),
            row.get("documents"),
            row.get("bytes"),
        ]
        for row in rows
    ]


def paired_lines_of(rows: Sequence[PairedEntry]) -> list[list[Cell]]:
    """model, other, set, bits_per_byte, low, high."""
    return [
        [r["model"], r["other"], r["set"] or "average", r["bits_per_byte"], r["bits_per_byte_low"], r["bits_per_byte_high"]]
        for r in rows
    ]


def _turned(row: PairedEntry) -> PairedEntry:
    """The row with the last model in front."""
    if row["model"] == FINAL:
        return row
    turned: PairedEntry = {**row, "model": FINAL, "other": row["model"]}
    for key in ("bits_per_byte", "reference_loss"):
        value, low, high = row.get(key), row.get(f"{key}_low"), row.get(f"{key}_high")
        turned |= {key: _minus(value), f"{key}_low": _minus(high), f"{key}_high": _minus(low)}  # type: ignore[misc]  # keys of the row
    return turned


def _minus(value: object) -> Figure:
    return -value if known(value) else None


def value_gap(name: str, value: Figure, ends: tuple[float, float], tone: str, say: Say) -> Gap:
    """A row of a forest plot: a figure with the ends of its interval (NaN: it has none); filled where these exclude zero."""
    low, high = ends
    told = f"{name}{say.colon}{decimal(value)}"
    if known(low) and known(high):
        told += f" ({say('{low} to {high}', low=decimal(low), high=decimal(high))})"
    excludes = known(low) and known(high) and (low > 0 or high < 0)
    return Gap(name, as_number(value), low, high, counts=excludes, flagged=False, told=told, tone=tone)


def as_number(value: object) -> float:
    """A figure as a float; NaN where it is none."""
    return float(value) if known(value) else math.nan
