"""What the detectors were seen to see: the measured power that verdicts quote.

Input: a detector, the benchmark's language and the number of items. Output: of small models that had read planted items, the share
in which the detector was flagged. The table is written by `python -m studies.leakage_power --write-table` from the raw results of
small models, and a test compares it with the one in docs/7-leakage.md. It shows how the detectors compare. A larger model, a
longer training after the leak or other items change the figures, so wherever they are quoted the size of the models is said.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyloom.leakage.suspect.suspect_json import MeasuredPower, Said

MEASURED_ON = "0.9M"
"""Parameters of the models of the table."""
KNOWN_POWER: tuple[tuple[str, str, int, int, int, int], ...] = (
    # begin of the table: detector, language, copies, items, seeds, seeds in which it was flagged
    # end of the table
)


def measured_power(detector: str, langs: Mapping[str, int], items: int) -> list[MeasuredPower]:
    """The rows that hold for so many items: measured with as many or fewer. `langs`: items by language; the rows are those of the
    language that nine in ten items have, and there are none for a mixture."""
    lang = next((lang for lang, count in langs.items() if count >= 0.9 * sum(langs.values())), "")
    return [
        {"copies": copies, "items": n, "lang": of, "seeds": seeds, "share": hits / seeds}
        for name, of, copies, n, seeds, hits in KNOWN_POWER
        if (name, of) == (detector, lang) and n <= items
    ]


def quoted(rows: list[MeasuredPower]) -> Said:
    """The rows in a sentence; they are not empty."""
    parts = [(f"{row['copies']}", f"{row['share']:.0%}", f"{row['items']}") for row in rows]
    seeds = min(row["seeds"] for row in rows)
    en = ", ".join(f"{share} of them if all {n} items were read {_times(copies)}" for copies, share, n in parts)
    zh = "，".join(f"{n} 题全部读过 {copies} 次时为 {share}" for copies, share, n in parts)
    return {
        "en": f"measured on {seeds} small models of 0.9 M parameters, one-sided 5 %: flagged in {en}",
        "zh": f"在 {seeds} 个 0.9 M 参数的小模型上实测（单侧 5 %），被标出的比例：{zh}",
    }


def _times(copies: str) -> str:
    return "once" if copies == "1" else f"{copies} times"
