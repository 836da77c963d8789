"""What the detectors were seen to see: the measured power that verdicts quote.

Input: a detector, the benchmark's language and the number of items. Output: of small models that had read planted items, the share
in which the detector was flagged. The table is written by `python -m studies.leakage_power --write-table` from the raw results of
small models, and a test compares it with the one in docs/7-leakage.md. It shows how the detectors compare. A larger model, a
longer training after the leak or other items change the figures, so wherever they are quoted the size of the models is said.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyloom.leakage.suspect.suspect_json import MeasuredPower, Said
from skyloom.score.intervals import wilson

MEASURED_ON = "0.9M"
"""Parameters of the models of the table."""
MEASURED_WITH = {"en": "GSM8K", "zh": "CMATH"}
"""The items that they had read, by language."""
KNOWN_POWER: tuple[tuple[str, str, int, int, int, int], ...] = (
    # begin of the table: detector, language, copies, items, seeds, seeds in which it was flagged
    ("delta1", "en", 1, 300, 20, 12),
    ("min_k", "en", 1, 300, 20, 20),
    ("min_k_plus", "en", 1, 300, 20, 19),
    ("zlib", "en", 1, 300, 20, 5),
    ("twins", "en", 1, 300, 20, 0),
    ("delta1", "en", 3, 300, 20, 20),
    ("min_k", "en", 3, 300, 20, 20),
    ("min_k_plus", "en", 3, 300, 20, 20),
    ("zlib", "en", 3, 300, 20, 18),
    ("twins", "en", 3, 300, 20, 3),
    ("delta1", "en", 10, 100, 10, 10),
    ("min_k", "en", 10, 100, 10, 10),
    ("min_k_plus", "en", 10, 100, 10, 10),
    ("zlib", "en", 10, 100, 10, 10),
    ("twins", "en", 10, 100, 10, 7),
    ("delta1", "zh", 1, 300, 20, 15),
    ("min_k", "zh", 1, 300, 20, 17),
    ("min_k_plus", "zh", 1, 300, 20, 18),
    ("zlib", "zh", 1, 300, 20, 3),
    ("twins", "zh", 1, 300, 20, 0),
    ("delta1", "zh", 3, 300, 20, 20),
    ("min_k", "zh", 3, 300, 20, 20),
    ("min_k_plus", "zh", 3, 300, 20, 20),
    ("zlib", "zh", 3, 300, 20, 10),
    ("twins", "zh", 3, 300, 20, 0),
    ("delta1", "zh", 10, 100, 10, 10),
    ("min_k", "zh", 10, 100, 10, 10),
    ("min_k_plus", "zh", 10, 100, 10, 10),
    ("zlib", "zh", 10, 100, 10, 10),
    ("twins", "zh", 10, 100, 10, 0),
    ("item_order", "en", 10, 100, 10, 10),
    ("item_order", "zh", 10, 100, 10, 9),
    # end of the table
)


def measured_power(detector: str, langs: Mapping[str, int], items: int) -> list[MeasuredPower]:
    """The rows that hold for so many items: measured with as many or fewer. `langs`: items by language; the rows are those of the
    language that nine in ten items have, and there are none for a mixture."""
    lang = next((lang for lang, count in langs.items() if count >= 0.9 * sum(langs.values())), "")
    found: list[MeasuredPower] = []
    for name, of, copies, n, seeds, hits in KNOWN_POWER:
        if (name, of) == (detector, lang) and n <= items:
            share = wilson(hits, seeds)
            low, high = round(share.low, 4), round(share.high, 4)
            found.append({"copies": copies, "items": n, "lang": of, "seeds": seeds, "share": share.value, "low": low, "high": high})
    return found


def quoted(rows: list[MeasuredPower]) -> Said:
    """The rows in a sentence; they are not empty."""
    name = MEASURED_WITH[rows[0]["lang"]]
    parts = [(row, f"{row['share']:.0%} [{row['low']:.0%}, {row['high']:.0%}]") for row in rows]
    en = ", ".join(
        f"{share} of {row['seeds']} if all {row['items']} items were read {_times(row['copies'])}" for row, share in parts
    )
    zh = "，".join(f"{row['items']} 题全部读过 {row['copies']} 次时，{row['seeds']} 个中 {share}" for row, share in parts)
    return {
        "en": f"measured on small models of 0.9 M parameters ({name}), one-sided 5 % for this detector alone: flagged in {en}",
        "zh": f"在 0.9 M 参数的小模型上实测（{name}，单侧 5 %，只此一项检验），被标出的比例：{zh}",
    }


def _times(copies: int) -> str:
    return "once" if copies == 1 else f"{copies} times"
