"""Examples of what the corpus kept and dropped, grouped for the page."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from skyloom.release.evidence import Evidence


def examples(evidence: Evidence, most: int) -> dict[str, list[dict[str, Any]]]:
    """At most `most` examples for each domain (kept) and for each stage and reason (dropped), in the step's order."""
    found = evidence.examples or {}

    def grouped(rows: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
        ordered = sorted(rows, key=lambda r: tuple(str(r.get(k) or "") for k in keys))
        return [
            {"label": " · ".join(key), "rows": list(group)[:most]}
            for key, group in groupby(ordered, key=lambda r: tuple(str(r.get(k) or "") for k in keys))
        ]

    return {"kept": grouped(found.get("kept", []), "domain"), "dropped": grouped(found.get("dropped", []), "stage", "reason")}
