"""Settings of benchmark decontamination: the item sets, and how much of an item counts as contamination."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class ItemSet:
    """A file of test items."""

    name: str = setting(doc="name of the benchmark or validation set in verdicts")
    path: str = setting(doc="file of items: .jsonl, .jsonl.gz or .parquet; a pattern such as mmlu/*.jsonl names several")
    id: str = setting("id", doc="field with an item's id; where there is no such field, items are numbered by file")
    text: tuple[str, ...] = setting(("text",), doc="fields that make up an item, joined by line ends: question, choices; lists too")


@dataclass(frozen=True)
class DecontaminationConfig:
    """Which items must not be trained on, and what counts as holding one."""

    sets: tuple[ItemSet, ...] = setting((), doc="benchmarks and validation sets that are searched for")
    n: int = setting(13, doc="length of the n-grams", unit="units", low=5, high=50)
    shortest: int = setting(8, doc="fewest units of an item that is searched for as a whole", unit="units", low=1)
    contained: float = setting(0.5, doc="share of an item's units, common phrases left out, that contaminates", low=0.01, high=1.0)
    passage: int = setting(60, doc="units in a row from an item that contaminate whatever its length", unit="units", low=13)
    common_items: int = setting(10, doc="items that may share an n-gram; beyond, it is a phrase", unit="items", low=1)
    common_documents: int = setting(30, doc="documents that may share an n-gram; beyond, it is a phrase", unit="documents", low=1)
