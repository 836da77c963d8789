"""The evaluation as forest plots: bits per byte of each model with its interval, and paired differences around zero.

Input: `perplexity.json`, `choice.json` and the accuracy at released checkpoints. Output: a chart for each held-out set, one for
the paired differences of the last model, one for multiple choice; each says which texts it is of. No figure is called best:
whether two models differ is read from the interval of their paired difference (documents are resampled, the same ones for
both).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypedDict

from markupsafe import Markup

from skyloom.core.json_files import Cell, ChoiceEntry, Figure, PairedEntry, PerplexityEntry
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


def bits_ends(row: PerplexityEntry) -> tuple[float, float]:
    """The ends of the interval in bits per byte: `low` and `high` of the file bound the loss. NaN where there is none."""
    loss, bits = row.get("loss"), row.get("bits_per_byte")
    if not (known(loss) and known(bits) and loss):
        return math.nan, math.nan
    return _number(row.get("low")) * bits / loss, _number(row.get("high")) * bits / loss


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
    """A chart for each held-out set: the models and baselines, one below the other."""
    rows = evidence.loss_rows
    found: list[ForestView] = []
    for name in in_order(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name and known(row.get("bits_per_byte"))]
        gaps = [
            _gap(say.model(row["model"]), row.get("bits_per_byte"), *bits_ends(row), _tone(row["model"], tones(evidence)), say)
            for row in mine
        ]
        others = [row for row in evidence.references or [] if row["set"] == name]
        gaps += [_gap(row["model"], row["bits_per_byte"], _number(row["low"]), _number(row["high"]), "d4", say) for row in others]
        found.append(
            {
                "anchor": f"bits-{name}",
                "title": say.domain(name),
                "sub": subset(mine, say),
                "chart": forest(gaps, centre=None, width=NARROW, title=say("Bits per byte on {name}", name=say.domain(name))),
            }
        )
    return found


def subset(rows: list[PerplexityEntry], say: Say) -> str:
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
    """A chart for each other model: the last model minus it, for each set and on average, around zero."""
    found: list[ForestView] = []
    for other in dict.fromkeys(row["other"] for row in pairs(evidence)):
        rows = [row for row in pairs(evidence) if row["other"] == other and known(row["bits_per_byte"])]
        gaps = [
            _gap(
                say.domain(r["set"]) if r["set"] else say("Average"),
                r["bits_per_byte"],
                _number(r["bits_per_byte_low"]),
                _number(r["bits_per_byte_high"]),
                "",
                say,
            )
            for r in rows
        ]
        title = say("{model} minus {other}", model=say.model(FINAL), other=say.model(other))
        if gaps:
            told = say("below zero: {model} needs fewer bits", model=say.model(FINAL))
            chart = forest(gaps, centre=0.0, title=title, width=NARROW)
            found.append({"anchor": f"paired-{other}", "title": title, "sub": told, "chart": chart})
    return found


def choice_forest(evidence: Evidence, say: Say) -> ForestView | None:
    """Accuracy of each model and language with its interval; the vertical line is chance."""
    rows: list[ChoiceEntry] = evidence.choice["rows"] if evidence.choice else []
    rows = [row for row in rows if known(row["accuracy"])]
    if not rows:
        return None
    gaps = [
        Gap(
            f"{say.model(row['model'])} · {say.language(row['lang'])}",
            float(row["accuracy"] or 0.0),
            _number(row["low"]),
            _number(row["high"]),
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
            tone=_tone(row["model"], tones(evidence)),
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


def bits_lines(evidence: Evidence) -> list[list[Cell]]:
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
        for row in evidence.loss_rows
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


def _gap(name: str, value: Figure, low: float, high: float, tone: str, say: Say) -> Gap:
    told = f"{name}{say.colon}{decimal(value)}"
    if known(low) and known(high):
        told += f" ({say('{low} to {high}', low=decimal(low), high=decimal(high))})"
    excludes = known(low) and known(high) and (low > 0 or high < 0)
    return Gap(name, _number(value), low, high, counts=excludes, flagged=False, told=told, tone=tone)


def _tone(model: str, colours: Mapping[str, str]) -> str:
    return "stage2" if model == FINAL else colours.get(model, "d7")


def _number(value: object) -> float:
    return float(value) if known(value) else math.nan
