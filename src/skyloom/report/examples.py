"""Examples of what the corpus kept and dropped, grouped for the run page."""

from __future__ import annotations

from itertools import groupby
from typing import Literal, TypedDict

from skyloom.core.json_files import Excerpt, Excerpts
from skyloom.release.evidence import Evidence


class ExcerptGroup(TypedDict):
    """Examples of one domain, or of one stage and reason."""

    label: str
    rows: list[Excerpt]


def examples(evidence: Evidence, most: int) -> dict[str, list[ExcerptGroup]]:
    """At most `most` examples for each domain (kept) and for each stage and reason (dropped), in the step's order."""
    found: Excerpts = evidence.examples or {}

    def grouped(rows: list[Excerpt], *keys: Literal["domain", "stage", "reason"]) -> list[ExcerptGroup]:
        ordered = sorted(rows, key=lambda r: tuple(str(r.get(k) or "") for k in keys))
        return [
            {"label": " · ".join(key), "rows": list(group)[:most]}
            for key, group in groupby(ordered, key=lambda r: tuple(str(r.get(k) or "") for k in keys))
        ]

    return {"kept": grouped(found.get("kept", []), "domain"), "dropped": grouped(found.get("dropped", []), "stage", "reason")}
