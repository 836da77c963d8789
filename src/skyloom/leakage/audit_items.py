"""The exercises that the leakage audit scores: texts with the family and language of each.

Input: a split's Parquet file as `corpus.stem` wrote it; output: its items in the order of their ids, and
at most as many as asked for: one of each family and language after the other, so that none goes short. Ids are hashes, so
this is a fixed random sample that every model gets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from skyloom.core.errors import DataError
from skyloom.core.store import Store

SPLITS = ("train", "test", "ref", "canary", "heldback")


@dataclass(frozen=True)
class Items:
    """One split, item by item. `texts`: question and solution as trained on; `kinds`: family and language."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    canonical: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


def read_split(exercises: Store, split: str, most: int = 0) -> Items:
    """The items of `exercises-<split>.parquet`, at most `most` of them (0: all), in the order of their ids.

    An empty split has no items: a run may plant no canaries. DataError if an exercise was not written by our generator.
    """
    table = exercises.read_table(f"exercises-{split}.parquet", ["id", "text", "meta"]).sort_by("id")
    metas = [json.loads(m) for m in table["meta"].to_pylist()]
    try:
        kinds = [(m["family"], m["lang"]) for m in metas]
        rows = _even(kinds, most) if most else list(range(len(kinds)))
        ids, texts = table["id"].to_pylist(), table["text"].to_pylist()
        return Items(
            ids=tuple(ids[r] for r in rows),
            texts=tuple(texts[r] for r in rows),
            kinds=tuple(kinds[r] for r in rows),
            canonical=tuple(str(metas[r]["canonical"]) for r in rows),
        )
    except KeyError as problem:
        raise DataError(f"an exercise in {exercises.url(f'exercises-{split}.parquet')} has no {problem} in its meta") from problem


def _even(kinds: Sequence[tuple[str, str]], most: int) -> list[int]:
    """Row numbers, ascending: the first of each kind, then the second of each, until there are `most`."""
    seen: Counter[tuple[str, str]] = Counter()
    turns = []
    for row, kind in enumerate(kinds):
        turns.append((seen[kind], row))
        seen[kind] += 1
    return sorted(row for _, row in sorted(turns)[:most])


def pairs(planted: Items, heldback: Items) -> list[tuple[int, int]]:
    """Row numbers (planted, held back), each item once, both of one family and language; in the order of ids, which is a lot.

    Where one of the two has more items of a family, the last ones are in no pair.
    """
    waiting: dict[tuple[str, str], list[int]] = {}
    for row, kind in enumerate(heldback.kinds):
        waiting.setdefault(kind, []).append(row)
    found = []
    for row, kind in enumerate(planted.kinds):
        if waiting.get(kind):
            found.append((row, waiting[kind].pop(0)))
    return found
