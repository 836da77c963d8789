"""Tables of a run: the funnel with its reasons, the sources, the mixture (the report's Table 1), training, perplexity.

Input: the files of the steps as `Evidence`. Output: rows for the templates of the cards and of the run page. Nothing is
measured here: every figure is one that a step wrote, or a sum of such figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, TypedDict

from skyloom.core.json_files import Compression, Figure, LossEntry, MixtureEntry, PerplexityTable
from skyloom.core.ledger import KEPT, Ledger
from skyloom.core.records import DOMAINS
from skyloom.leakage.control_words import sentence
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, decimal, known, short, size

LANGUAGES = {"en": "English", "zh": "Chinese", "zh-Hans": "Chinese", "zh-Hant": "Chinese (traditional)", "code": "Code"}
_FIGURES: tuple[tuple[Literal["bits_per_byte", "reference_perplexity"], str, int], ...] = (
    ("bits_per_byte", "Bits per byte", 3),
    ("reference_perplexity", "Perplexity per reference unit", 1),
)
MODELS = {"stage1": "Stage 1", "stage1b": "Stage 1 b", "stage2": "Stage 2", "final": "Final", "unigram": "Unigram", "xz": "xz"}
DOMAIN_NAMES = {"web": "Web", "stem": "Exercises", "code": "Code", "parallel": "Parallel text", "canary": "Canaries"}


class Loss(TypedDict):
    """Documents that a stage dropped for a reason, or bytes that it cut from documents that stayed."""

    reason: str
    documents: int
    bytes: int


class FunnelStage(TypedDict):
    """A stage of the funnel; see `funnel`."""

    stage: str
    documents: int
    bytes: int
    kept: int
    kept_bytes: int
    unread: int
    joined: int
    merged: int
    reasons: list[Loss]
    cuts: list[Loss]


class SourceSummary(TypedDict):
    """A source, with its documents at the first stage and after the last."""

    name: str
    kind: str
    origin: str
    note: str
    entered: int | None
    kept: int | None


class MixtureGroup(TypedDict):
    """A language of Table 1 with its rows and their sums."""

    language: str
    rows: list[MixtureEntry]
    documents: int
    bytes: int
    units: int
    share: float


class StageRow(TypedDict):
    """A training stage; see `stages`."""

    stage: str
    name: str
    steps: int
    tokens: int
    loss: float
    first_rate: Figure
    last_rate: Figure


class BestOf(TypedDict):
    """A figure as text, and whether it is the best of its row beyond chance."""

    text: str
    best: bool


class SetRow(TypedDict):
    """A held-out set with a figure of each model."""

    name: str
    cells: list[BestOf]


class SetTable(TypedDict):
    """A table with sets down and models across."""

    title: str
    models: list[str]
    rows: list[SetRow]


def domain_name(domain: str) -> str:
    """`web_en` → "Web, English"; unknown tags are made readable the same way."""
    category, _, language = domain.rpartition("_")
    if language in LANGUAGES and category:
        return f"{DOMAIN_NAMES.get(category, category.capitalize())}, {LANGUAGES[language]}"
    return DOMAIN_NAMES.get(domain, domain.replace("_", " ").capitalize())


def in_order(domains: Iterable[str]) -> list[str]:
    """Domains in the order of `core.records.DOMAINS`, then all others by name; each once."""
    return sorted(set(domains), key=lambda d: (DOMAINS.index(d) if d in DOMAINS else len(DOMAINS), d))


def language_name(lang: str) -> str:
    """`zh-Hans` → "Chinese"; what is not known stays as it is."""
    return LANGUAGES.get(lang, lang or "not judged")


def model_name(model: str) -> str:
    """`stage1` → "Stage 1"; what is not known stays as it is."""
    return MODELS.get(model, model)


def funnel(evidence: Evidence) -> list[FunnelStage]:
    """One row per stage of both ledgers, in order: what came in, what was kept, and what was dropped for which reason.

    `joined` counts documents that enter at this stage and not from the one before (parallel text, exercises);
    `merged` counts those that left between two stages without being dropped (pages joined into parallel documents);
    `cuts` are bytes taken out of documents that stayed (recurring blocks, personal data). `bytes` is what came in: at the
    extraction bytes of pages, of which `unread` are not in their text (markup, scripts).
    """
    rows: list[FunnelStage] = []
    for ledger in (evidence.extraction, evidence.cleaning):
        for stage in ledger.stages() if ledger else ():
            totals = ledger.totals(stage) if ledger else {}
            kept = totals.pop(KEPT, (0, 0))
            lost: list[Loss] = [
                {"reason": reason, "documents": documents, "bytes": size}
                for reason, (documents, size) in sorted(totals.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))
            ]
            documents, size = kept[0] + sum(row["documents"] for row in lost), kept[1] + sum(row["bytes"] for row in lost)
            change = documents - rows[-1]["kept"] if rows else 0
            reads = ledger is evidence.extraction and bool(rows) and not change
            unread = max(rows[-1]["kept_bytes"] - size, 0) if reads else 0
            rows.append(
                {
                    "stage": stage,
                    "documents": documents,
                    "bytes": size + unread,
                    "kept": kept[0],
                    "kept_bytes": kept[1],
                    "unread": unread,
                    "joined": max(change, 0),
                    "merged": max(-change, 0),
                    "reasons": [row for row in lost if row["documents"]],
                    "cuts": [row for row in lost if row["bytes"] and not row["documents"]],
                }
            )
    return rows


def losses(row: FunnelStage) -> list[str]:
    """What happened at a stage of the funnel, each in a phrase with its documents and bytes."""
    told = [f"{count(row['joined'])} joined here"] if row["joined"] else []
    told += [f"{count(row['merged'])} left before this stage without being dropped"] if row["merged"] else []
    told += [f"{size(row['unread'])} of the pages is not in their text (markup, scripts, navigation)"] if row["unread"] else []
    told += [f"{lost['reason']}: {count(lost['documents'])} ({size(lost['bytes'])})" for lost in row["reasons"]]
    return told + [f"{cut['reason']}: {size(cut['bytes'])} cut from documents that stayed" for cut in row["cuts"]]


def sources(evidence: Evidence) -> list[SourceSummary]:
    """One row per source: where it came from, its documents at the first stage and those that stayed after the last."""
    known = {row["name"]: row for row in evidence.sources or []}
    first = _by_source(evidence.extraction, 0) or {name: row["pages"] for name, row in known.items()}
    last = _by_source(evidence.cleaning, -1)
    names = sorted({*known, *first, *last}, key=lambda name: (-first.get(name, 0), name))
    return [
        {
            "name": n,
            "kind": known[n].get("kind", "") if n in known else "",
            "origin": known[n].get("origin", "") if n in known else "",
            "note": known[n].get("note", "") if n in known else "",
            "entered": first.get(n),
            "kept": last.get(n, 0) if last else None,
        }
        for n in names
    ]


def _by_source(ledger: Ledger | None, place: int) -> dict[str, int]:
    """Documents by source: what the first stage (`place` 0) received, or what the last (-1) kept."""
    counts: dict[str, int] = defaultdict(int)
    stages = ledger.stages() if ledger else []
    for entry in ledger.entries() if ledger and stages else ():
        if entry.stage == stages[place] and (place == 0 or entry.reason == KEPT):
            counts[entry.source] += entry.documents
    return dict(counts)


def mixture(evidence: Evidence) -> list[MixtureGroup]:
    """The rows of Table 1, grouped by language with a total each, largest first."""
    if evidence.mixture is None:
        return []
    groups: dict[str, list[MixtureEntry]] = defaultdict(list)
    for row in evidence.mixture["rows"]:
        groups[row["language"]].append(row)
    result: list[MixtureGroup] = [
        {
            "language": language,
            "rows": sorted(rows, key=lambda r: (-r["share"], r["category"])),
            "documents": sum(r["documents"] for r in rows),
            "bytes": sum(r["bytes"] for r in rows),
            "units": sum(r["units"] for r in rows),
            "share": sum(r["share"] for r in rows),
        }
        for language, rows in groups.items()
    ]
    return sorted(result, key=lambda g: (-g["share"], g["language"]))


def stages(evidence: Evidence) -> list[StageRow]:
    """What each stage read and how it ended: steps, tokens of this stage, last training loss, first and last rate."""
    result: list[StageRow] = []
    before = 0
    for stage in evidence.stages:
        mine = [row for row in evidence.metrics or [] if row["stage"] == stage]
        if not mine:
            continue
        last = mine[-1]
        result.append(
            {"stage": stage, "name": model_name(stage), "steps": len(mine), "tokens": last["tokens"] - before, "loss": last["loss"],
             "first_rate": mine[0].get("lr"), "last_rate": last.get("lr")}
        )  # fmt: skip
        before = last["tokens"]
    return result


def perplexity(evidence: Evidence) -> list[SetTable]:
    """Two tables, sets down and models across: bits per byte, and perplexity per reference token.

    A figure is marked as the best of its row only where its paired differences to all others of the row exclude zero.
    """
    if evidence.perplexity is None:
        return []
    rows = evidence.perplexity["rows"]
    sets = in_order(row["set"] for row in rows)
    lines: list[tuple[str | None, LossEntry]] = [(row["set"], row) for row in rows]
    lines += [(None, row) for row in evidence.perplexity.get("average") or []]
    tables: list[SetTable] = []
    for key, title, digits in _FIGURES:
        better = _better(evidence.perplexity, key)
        cells = {(name, row["model"]): value for name, row in lines if known(value := row.get(key))}
        models = [m for m in dict.fromkeys(row["model"] for row in rows) if any(model == m for _, model in cells)]
        names = [*sets, *([None] if any(name is None for name, _ in cells) else [])]
        body: list[SetRow] = []
        for name in names:
            present = [m for m in models if (name, m) in cells]
            best = [m for m in present if len(present) > 1 and all((name, m, other) in better for other in present if other != m)]
            line = [(m, cells.get((name, m))) for m in models]
            marked: list[BestOf] = [
                {"text": decimal(v, digits) if v is None or v < 1000 else short(v), "best": m in best} for m, v in line
            ]
            body.append({"name": domain_name(name) if name else "Average", "cells": marked})
        tables.append({"title": title, "models": [model_name(m) for m in models], "rows": body})
    return tables


def _better(table: PerplexityTable, key: Literal["bits_per_byte", "reference_perplexity"]) -> set[tuple[str | None, str, str]]:
    """(set, better model, worse model) wherever the interval of their paired difference excludes zero."""
    found = set()
    for row in table.get("paired", []):
        bits = key == "bits_per_byte"
        low = row["bits_per_byte_low"] if bits else row["reference_loss_low"]
        high = row["bits_per_byte_high"] if bits else row["reference_loss_high"]
        if known(high) and high < 0:
            found.add((row["set"], row["model"], row["other"]))
        elif known(low) and low > 0:
            found.add((row["set"], row["other"], row["model"]))
    return found


def failed_checks(evidence: Evidence) -> list[str]:
    """The checks of the evaluation that fail, each in a phrase with its figures."""
    rows = evidence.perplexity.get("sanity", []) if evidence.perplexity else []
    return [
        f"{row['check']} on {domain_name(row['set'])}: {decimal(row['value'])}, bound {decimal(row['bound'])}"
        for row in rows
        if not row["ok"]
    ]


def measure(evidence: Evidence) -> list[Compression]:
    """The tokenizer's rows by domain, in the order that all tables have."""
    rows = {row["domain"]: row for row in (evidence.measure["rows"] if evidence.measure else [])}
    return [rows[domain] for domain in in_order(rows)]


def control(evidence: Evidence) -> str:
    """What the positive and the negative control of the leakage audit showed, in a sentence; empty if there were none."""
    return sentence(evidence.leakage.get("control")) if evidence.leakage else ""
