"""The table of known power: as it is printed, as verdicts quote it, and its bars.

Input: the rows of `leakage_power_figures`. Output: a table in Markdown; the rows of `leakage/suspect/known_power.py` and the
section of docs/7-leakage.md, each between two marks; and the value of each bar. Power is that of models of 0.9 M parameters, and
of the worse of the languages; false positives are those of all sizes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.answers import NotMeasuredError
from studies.leakage_power_figures import MANY, STYLE_SHARES, VERDICT, N, PowerShare
from studies.leakage_power_runs import STREAMED

from skyloom.leakage.suspect import MEASURED_ON

ROOT = Path(__file__).parents[1]
PRODUCT, DOCS = ROOT / "src/skyloom/leakage/suspect/known_power.py", ROOT / "docs/7-leakage.md"
JUDGED = ("delta1", "delta2", "min_k", "min_k_plus", "zlib", "clean_twin")
"""Detectors whose false positives are pooled."""
NAMES = {
    "delta1": "Δ1", "delta2": "Δ2", "min_k": "Min-K%", "min_k_plus": "Min-K%++", "zlib": "zlib ratio",
    "clean_twin": "clean twin model", "twins": "twins of the same wording", "item_order": "item order",
    VERDICT: "final verdict, declared",
}  # fmt: skip
LANGS = {"en": "GSM8K", "zh": "CMATH"}
Rows = Sequence[PowerShare]


def chosen(rows: Rows, row: str, detector: str = "", **wanted: str | int) -> list[PowerShare]:
    """The rows of a name, a detector (any: "") and some values."""
    asked: dict[str, str | int] = {"row": row, **({"detector": detector} if detector else {}), **wanted}
    return [one for one in rows if asked.items() <= one.items()]


def falses(rows: Rows, size: str | None = MEASURED_ON) -> dict[str, float]:
    """False positives of each detector on clean models: the mean over looks, of both languages and of one size or all."""
    found = {}
    for detector in JUDGED:
        row = "another clean model" if detector == "clean_twin" else "false"
        some = [one for one in chosen(rows, row, detector, copies=0) if size in (None, one["size"])]
        if some:
            found[detector] = sum(one["share"] * one["looks"] for one in some) / sum(one["looks"] for one in some)
    return found


def _most(rows: list[PowerShare]) -> float:
    return max(one["share"] for one in _some(rows))


def _least(rows: list[PowerShare]) -> float:
    return min(one["share"] for one in _some(rows))


def _some(rows: list[PowerShare]) -> list[PowerShare]:
    if not rows:
        raise NotMeasuredError("no finished seed has it")
    return rows


def _main(rows: Rows, row: str, detector: str, **wanted: str | int) -> list[PowerShare]:
    return chosen(rows, row, detector, size=MEASURED_ON, **wanted)


def _told(rows: Rows, detector: str) -> list[PowerShare]:
    return [one for share in STYLE_SHARES for one in chosen(rows, f"told {share:.0%}", detector)]


BARS: dict[str, Callable[[Rows], float]] = {
    "false-pooled": lambda rows: sum(falses(rows, None).values()) / len(falses(rows, None)),
    "false-each": lambda rows: max(falses(rows, None).values()),
    "style-told": lambda rows: _most(_told(rows, "undeclared")),
    "published": lambda rows: _most([*chosen(rows, "published", "undeclared"), *chosen(rows, "published", "declared")]),
    "twin-model-1": lambda rows: _least(_main(rows, "power", "clean_twin", copies=1)),
    "min-k-plus-1": lambda rows: _least(_main(rows, "power", "min_k_plus", copies=1)),
    "delta1-3": lambda rows: _least(_main(rows, "power", "delta1", copies=3)),
    "tenth": lambda rows: _least(_main(rows, "tenth", "clean_twin")),
    "order-false": lambda rows: _most(_main(rows, "order", "item_order", copies=0)),
}
"""Each bar's value. `published`: neither may an undeclared verdict say anything, nor a falsely declared one accuse."""


def bar_value(name: str, rows: Rows) -> float:
    return BARS[name](rows)


def percent(one: PowerShare, *, boot: bool = False) -> str:
    again = f"; resampled {one['boot']:.2f}" if boot and one["boot"] is not None else ""
    return f"{one['share']:.2f} [{one['low']:.2f}, {one['high']:.2f}]{again}"


def table(rows: Rows) -> str:
    """All figures, in parts."""
    return "\n\n".join("\n".join(part(rows)) for part in (_clean, _power, _style, _order))


def _sizes(rows: Rows) -> dict[str, int]:
    """Seeds of each size, the measured one first."""
    return {one["size"]: one["seeds"] for one in sorted(rows, key=lambda one: one["size"] != MEASURED_ON) if one["row"] == "false"}


def _clean(rows: Rows) -> Iterator[str]:
    sizes = _sizes(rows)
    yield "**False positives on clean models** (n = 300; shares of random splits, with the interval over seeds)"
    yield ""
    yield "| | " + " | ".join(f"{size}, {_seeds(seeds)}, {lang}" for size, seeds in sizes.items() for lang in LANGS.values()) + " |"
    yield "|---|" + "---|" * (2 * len(sizes))
    for detector in (*JUDGED, VERDICT):
        row = "another clean model" if detector == "clean_twin" else "false"
        cells = [chosen(rows, row, detector, size=size, lang=lang, copies=0) for size in sizes for lang in LANGS]
        yield f"| {NAMES[detector]} | " + " | ".join(percent(cell[0]) if cell else "–" for cell in cells) + " |"
    each = falses(rows, None)
    yield ""
    yield f"Pooled over detectors, languages and sizes: {sum(each.values()) / len(each):.3f}; the greatest of a detector: " + (
        f"{max(each.values()):.3f}."
    )


def _power(rows: Rows) -> Iterator[str]:
    for size in _sizes(rows):
        of = [one for one in chosen(rows, "power", size=size) if one["detector"] != "delta2"]
        copies = sorted({(one["lang"], one["copies"], one["n"], one["seeds"]) for one in of})
        yield f"**Power, {size} parameters** (share of seeds; all items of the benchmark leaked)"
        yield ""
        heads = [f"{LANGS[lang]}, {_times(many)}, n = {n}, {_seeds(seeds)}" for lang, many, n, seeds in copies]
        yield f"| | {' | '.join(heads)} |"
        yield "|---|" + "---|" * len(copies)
        for detector in dict.fromkeys(one["detector"] for one in of):
            cells = [chosen(of, "power", detector, copies=many, lang=lang)[0] for lang, many, *_ in copies]
            yield f"| {NAMES[detector]} | {' | '.join(percent(cell, boot=True) for cell in cells)} |"
        for lang in LANGS:
            for one in chosen(rows, "another clean model", "clean_twin", size=size, lang=lang, copies=1):
                yield f"| another clean model, not of the same beginning ({LANGS[lang]}, one copy) | {percent(one)} |" + " |" * (
                    len(copies) - 1
                )
        yield ""
        for one in (one for one in chosen(rows, "tenth", size=size) if one["detector"] != "delta2"):
            yield f"- A tenth of {MANY:,} GSM8K items leaked ten times, {NAMES[one['detector']]}: {percent(one)}"
        yield ""


def _style(rows: Rows) -> Iterator[str]:
    yield f"**A reference of another style** (clean models of {MEASURED_ON} parameters, GSM8K; shares of the published set in it)"
    yield ""
    yield (
        "| reference | n | not declared: another verdict than `cannot tell` | falsely declared: accused | vetoed by words | "
        "Δ1 alone | Min-K%++ alone |"
    )
    yield "|---|---:|---|---|---|---|---|"
    for name, share in [*((f"{share:.0%}", f"told {share:.0%}") for share in STYLE_SHARES), ("the published set", "published")]:
        for n in (N, MANY):
            some = chosen(rows, share, size=MEASURED_ON, n=n)
            alone = chosen(rows, share.replace("told", "style"), size=MEASURED_ON, n=n)
            if some:
                cells = [next(one for one in some if one["detector"] == key) for key in ("undeclared", "declared", "vetoed")]
                cells += [next(one for one in alone if one["detector"] == key) for key in ("delta1", "min_k_plus")]
                yield f"| {name}, {_seeds(some[0]['seeds'])} | {n:,} | {' | '.join(percent(cell) for cell in cells)} |"


def _order(rows: Rows) -> Iterator[str]:
    yield "**The permutation test of the file's order**"
    yield ""
    yield "| | false positives | power at ten copies |"
    yield "|---|---|---|"
    for size in _sizes(rows):
        for lang in LANGS:
            cells = [chosen(rows, "order", "item_order", size=size, lang=lang, copies=many) for many in (0, STREAMED)]
            shown = [f"{percent(cell[0])}, {_seeds(cell[0]['seeds'])}" if cell else "–" for cell in cells]
            yield f"| {size}, {LANGS[lang]}, n = {cells[0][0]['n']} | {' | '.join(shown)} |"


def _times(copies: int) -> str:
    return {1: "once"}.get(copies, f"{copies} times")


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


LEAST = 5
"""Seeds that a row must have for a verdict to quote it."""


def quoted_rows(rows: Rows, least: int = LEAST) -> list[tuple[str, str, int, int, int, int]]:
    """What verdicts quote: detector, language, copies, n, seeds, seeds in which it was flagged."""
    found = [one for one in chosen(rows, "power", size=MEASURED_ON) if one["detector"] not in (VERDICT, "clean_twin", "delta2")]
    found += chosen(rows, "order", size=MEASURED_ON, copies=STREAMED)
    return [
        (one["detector"], one["lang"], one["copies"], one["n"], one["seeds"], round(one["share"] * one["seeds"]))
        for one in found
        if one["seeds"] >= least
    ]


def quoted_table(rows: Sequence[tuple[str, str, int, int, int, int]]) -> str:
    """The rows that verdicts quote, for the docs."""
    head = "| detector | benchmark | copies | items | flagged, of seeds |\n|---|---|---:|---:|---|\n"
    return head + "".join(
        f"| {NAMES[name]} | {LANGS[lang]} | {c} | {n} | {hits} of {of} |\n" for name, lang, c, n, of, hits in rows
    )


def write_tables(rows: Rows) -> None:
    """Write the table into the product and the docs."""
    quoted = f"\n{quoted_table(quoted_rows(rows))}\n"
    _between(DOCS, r"(<!-- quoted power -->\n)", r"(<!-- end of quoted power -->\n)", quoted)
    lines = "".join(f"    {row!r},\n".replace("'", '"') for row in quoted_rows(rows))
    _between(PRODUCT, r"(    # begin of the table[^\n]*\n)", r"(    # end of the table\n)", lines)
    _between(DOCS, r"(<!-- known power -->\n)", r"(<!-- end of known power -->\n)", f"\n{table(rows)}\n\n")


def _between(path: Path, begin: str, end: str, text: str) -> None:
    found, count = re.subn(f"{begin}.*?{end}", lambda m: m[1] + text + m[2], path.read_text(encoding="utf-8"), flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{path} has no place for the table")
    path.write_text(found, encoding="utf-8")
