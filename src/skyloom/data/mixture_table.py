"""The data mixture of a training stage as a table in the rows of the report's Table 1: planned and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skyloom.data.mixture import StagePlan

TABLE_1 = {
    "English": ("web", "books", "papers", "encyclopedia", "miscellany"),
    "Chinese": ("web", "social", "encyclopedia", "miscellany"),
    "Other languages": ("encyclopedia",),
    "Code": ("code",),
}
"""The rows of the report's Table 1, in its order; the table has them even where a corpus has nothing for them."""


_LANGUAGES = {"en": "English", "zh": "Chinese", "other": "Other languages"}


@dataclass(frozen=True)
class MixtureRow:
    """A row of the table. Tokens are of this stage; `passes` go over what there is and include earlier stages; shares are 0..1.

    `available`: tokens there are. `realised_share`: None before anything was read. A total of a language has the category "".
    """

    language: str
    category: str
    available: int
    planned: float
    planned_share: float
    realised_share: float | None
    passes: float


def mixture_table(plan: StagePlan, realised: Mapping[str, float] | None = None) -> tuple[MixtureRow, ...]:
    """The plan by language and category, as the report's Table 1, with a total of each language before its categories.

    `realised`: the share of each domain in what a loader gave out (`Loader.realised`). Categories that Table 1 does not have (STEM,
    parallel text, canaries) stand after those that it has.
    """
    wants, sizes = plan.wants(), dict(zip(plan.domains, plan.available, strict=True))
    used = dict(zip(plan.domains, plan.used, strict=True))
    groups: dict[str, dict[str, list[str]]] = {lang: {c: [] for c in categories} for lang, categories in TABLE_1.items()}
    for domain in plan.domains:
        language, category = _row_of(domain)
        groups.setdefault(language, {}).setdefault(category, []).append(domain)

    def row(language: str, category: str, domains: list[str]) -> MixtureRow:
        planned, available = sum(wants[d] for d in domains), sum(sizes[d] for d in domains)
        passes = (planned + sum(used[d] for d in domains)) / available if available else 0.0
        share = None if realised is None else sum(realised.get(d, 0.0) for d in domains)
        return MixtureRow(language, category, available, planned, planned / plan.tokens, share, passes)

    rows = []
    for language, categories in groups.items():
        rows.append(row(language, "", [d for domains in categories.values() for d in domains]))
        rows += [row(language, category, domains) for category, domains in categories.items()]
    return tuple(rows)


def show_mixture(rows: tuple[MixtureRow, ...]) -> str:
    """The table as aligned text, one line each; shares in percent."""
    lines = [("", "planned %", "realised %", "passes", "tokens there are")]
    for r in rows:
        realised = "–" if r.realised_share is None else f"{100 * r.realised_share:.2f}"
        name = f"  {r.category}" if r.category else r.language
        lines.append((name, f"{100 * r.planned_share:.2f}", realised, f"{r.passes:.2f}", f"{r.available:,}"))
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]) for line in lines
    )


def _row_of(domain: str) -> tuple[str, str]:
    """Language and category of a domain's tag (`core.records.domain_of`)."""
    category, _, short = domain.rpartition("_")
    if category and short in _LANGUAGES:
        return _LANGUAGES[short], category
    return ("Code", "code") if domain == "code" else ("Both languages", domain)
