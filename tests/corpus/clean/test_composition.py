"""The table of the mixture."""

from __future__ import annotations

import pyarrow as pa
import pytest

from skyloom.corpus.clean.composition import count_mixture, merge_mixtures, mixture, mixture_json

ROWS = [
    ("the old bridge", "en", "web", "web_en", "train"),
    ("another page of words", "en", "web", "web_en", "valid"),
    ("老桥", "zh-Hans", "web", "web_zh", "train"),
    ("舊橋邊", "zh-Hant", "web", "web_zh", "train"),
    ("print(1)", "code", "code", "code", "train"),
    ("二加三等于五", "zh-Hans", "stem", "stem_zh", "valid"),
]


def test_counts_by_language_and_category_of_the_training_part() -> None:
    table = pa.Table.from_pylist([dict(zip(("text", "lang", "category", "domain", "split"), row, strict=True)) for row in ROWS])
    found = mixture(table)
    assert [(r["language"], r["category"], r["documents"], r["bytes"], r["units"]) for r in found["rows"]] == [
        ("code", "code", 1, 8, 2),
        ("en", "web", 1, 14, 3),
        ("zh", "web", 2, 15, 5),
    ]
    assert sum(r["share"] for r in found["rows"]) == pytest.approx(1)
    assert found["rows"][2]["share"] == 0.5
    assert found["valid"] == {"stem_zh": {"documents": 1, "bytes": 18}, "web_en": {"documents": 1, "bytes": 21}}


def test_shards_may_be_counted_apart_and_merged_in_any_order() -> None:
    table = pa.Table.from_pylist([dict(zip(("text", "lang", "category", "domain", "split"), row, strict=True)) for row in ROWS])
    parts = [count_mixture(table.slice(k, 1)) for k in range(len(table))]
    assert merge_mixtures(reversed(parts)).equals(count_mixture(table))
    assert mixture_json(merge_mixtures([merge_mixtures(parts[:2]), *parts[2:]])) == mixture(table)
    assert mixture(table.slice(0, 0)) == {"rows": [], "valid": {}}
