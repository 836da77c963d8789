"""The corpus on the run page: its sources with packages and licences, and what was dropped by stage, reason and language with
samples.

Input: the ledgers, `sources.json`, the packages that pages came from, and the samples of the corpus step. Output: rows for the
template.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from skyloom.core.json_files import Cell, Excerpt, RunFacts
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, percent, size
from skyloom.release.tables import sources
from skyloom.report.figures.flow import Amount, flow
from skyloom.report.labels import Say

PACKAGES = 12
"""Packages of a source that are named; the data under the table has all."""


class ShownSource(TypedDict):
    """A source with what is known of it."""

    name: str
    kind: str
    packages: str
    license: str
    origin: str
    note: str
    entered: int | None
    kept: int | None
    share: str


@dataclass(frozen=True)
class DropRow:
    """Documents or bytes that a stage dropped for a reason, of one language, with samples; `told`: how much."""

    stage: str
    reason: str
    lang: str
    told: str
    rows: tuple[Excerpt, ...]


def source_rows(evidence: Evidence, run: RunFacts) -> list[ShownSource]:
    """One row for each source, the largest first."""
    packages = _packages(evidence)
    stated = _licences(run)
    rows: list[ShownSource] = []
    for row in sources(evidence):
        mine = packages.get(row["name"], [])
        named = ", ".join(f"{package} {version}" for package, version, _ in mine[:PACKAGES])
        more = f" +{len(mine) - PACKAGES}" if len(mine) > PACKAGES else ""
        licences = sorted(
            {licence for _, _, licence in mine if licence} | ({stated[row["name"]]} if stated.get(row["name"]) else set())
        )
        entered, kept = row["entered"], row["kept"]
        share = percent(kept / entered) if entered and kept is not None and kept <= entered else "–"
        rows.append(
            {
                "name": row["name"],
                "kind": row["kind"],
                "packages": named + more or "–",
                "license": ", ".join(licences) or "–",
                "origin": row["origin"],
                "note": row["note"],
                "entered": entered,
                "kept": kept,
                "share": share,
            }
        )
    return rows


def source_lines(evidence: Evidence, run: RunFacts) -> list[list[Cell]]:
    """source, kind, origin, package, version, licence, entered, kept: a line for each package of a source, one where there is
    none."""
    packages, stated = _packages(evidence), _licences(run)
    found: list[list[Cell]] = []
    for row in sources(evidence):
        for package, version, licence in packages.get(row["name"]) or [("", "", stated.get(row["name"], ""))]:
            found.append([row["name"], row["kind"], row["origin"], package, version, licence, row["entered"], row["kept"]])
    return found


def drop_rows(evidence: Evidence, most: int, say: Say) -> list[DropRow]:
    """One row for each stage, reason and language that dropped anything, in the order of the stages, the largest first; each with
    at most `most` samples."""
    samples: dict[tuple[str, str, str], list[Excerpt]] = defaultdict(list)
    for one in (evidence.examples or {}).get("dropped", []):
        samples[str(one.get("stage") or ""), str(one.get("reason") or ""), one["lang"]].append(one)
    found: list[DropRow] = []
    for stage in flow(evidence):
        losses = sorted(stage.lost.items(), key=lambda item: (-item[1].documents, -item[1].bytes, item[0]))
        for (reason, lang), amount in losses:
            rows = samples.pop((stage.name, reason, lang), [])
            found.append(DropRow(stage.name, reason, lang, _told(amount, say), tuple(rows[:most])))
    for (name, reason, lang), rows in sorted(samples.items()):  # samples of a run whose ledger is missing
        found.append(DropRow(name, reason, lang, "", tuple(rows[:most])))
    return found


def drop_choices(rows: list[DropRow], say: Say) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What the browser of drops can be narrowed to: key, name, and values with their words."""
    stages = dict.fromkeys(row.stage for row in rows)
    reasons = dict.fromkeys(sorted(row.reason for row in rows))
    languages = dict.fromkeys(sorted(row.lang for row in rows if row.lang))
    return [
        ("stage", say("stage"), [(name, say.gate(name)) for name in stages]),
        ("reason", say("reason"), [(name, say.reason(name)) for name in reasons]),
        ("lang", say("language"), [(name, say.language(name)) for name in languages]),
    ]


def flow_lines(evidence: Evidence) -> list[list[Cell]]:
    """stage, kind (in, lost, kept, added), of what (source, reason or language), language, documents, bytes."""
    found: list[list[Cell]] = []
    for stage in flow(evidence):
        found += [[stage.name, "in", source, "", a.documents, a.bytes] for source, a in stage.inflows.items()]
        found += [[stage.name, "lost", reason, lang, a.documents, a.bytes] for (reason, lang), a in sorted(stage.lost.items())]
        found += [[stage.name, "kept", "", lang, a.documents, a.bytes] for lang, a in sorted(stage.kept.items())]
        if stage.added.documents or stage.added.bytes:
            found.append([stage.name, "added", "", "", stage.added.documents, stage.added.bytes])
    return found


def _told(amount: Amount, say: Say) -> str:
    if not amount.documents:
        return say("{bytes} cut from documents that stayed", bytes=size(amount.bytes))
    return say("{count} documents, {bytes}", count=count(amount.documents), bytes=size(amount.bytes))


def _packages(evidence: Evidence) -> dict[str, list[tuple[str, str, str]]]:
    """Packages of each source: name, version, licence."""
    found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for row in evidence.packages or []:
        found[row["source"]].append((row["package"], row["version"], row["license"]))
    return found


def _licences(run: RunFacts) -> dict[str, str]:
    """The licence that the recipe states for each source."""
    corpus = (run.get("recipe") or {}).get("corpus")
    listed = corpus.get("sources") if isinstance(corpus, Mapping) else None
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    return {str(row.get("name")): str(row.get("license") or "") for row in rows}
