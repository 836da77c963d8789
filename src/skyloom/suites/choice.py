"""Multiple-choice items from the exercises, and worked examples (few-shot) to put before them.

Input: the folder of the step `exercises`. Output: `Item`s. The test split is never trained on, and
its problems are disjoint from the train split by their mathematics, so an item asks for the method and not for memory.
Which items and examples are taken depends only on their ids and the seed, never on file order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from skyloom.core.errors import DataError
from skyloom.core.records import record_id
from skyloom.core.store import Store
from skyloom.suites.prompts import Item


def multiple_choice(exercises: Store, split: str = "test", *, lang: str | None = None, limit: int = 0) -> tuple[Item, ...]:
    """The items of a split, sorted by id; of one language if `lang` is given.

    `limit` > 0 keeps that many items of each language, chosen by id hash. DataError if there are none.
    """
    name = f"exercises-{split}.parquet"
    if not exercises.exists(name):
        raise DataError(f"{exercises.url(name)} does not exist; write the exercises first (step 'exercises')")
    table = exercises.read_table(name, ["id", "meta"])
    items = []
    for key, meta in zip(table["id"].to_pylist(), map(json.loads, table["meta"].to_pylist()), strict=True):
        if lang in (None, meta["lang"]):
            item = Item(key, meta["lang"], meta["family"], meta["question"], tuple(meta["choices"]), meta["answer_index"])
            items.append(item)
    if not items:
        raise DataError(f"{exercises.url(name)} holds no items" + (f" in {lang}" if lang else ""))
    if limit:
        items = [item for one in sorted({i.lang for i in items}) for item in _chosen(items, one, "items")[:limit]]
    return tuple(sorted(items, key=lambda item: item.id))


def few_shot(pool: Sequence[Item], lang: str, k: int, *, seed: int = 0) -> tuple[Item, ...]:
    """`k` worked examples of a language for all items alike, one from each family as long as there are enough families.

    All items share them, so that a scorer reads the common beginning of the prompts only once.
    """
    ordered = _chosen(pool, lang, f"shots/{seed}")
    first = {item.family: item for item in reversed(ordered)}
    distinct = [item for item in ordered if first[item.family] is item]
    rest = [item for item in ordered if first[item.family] is not item]
    if len(ordered) < k:
        raise DataError(f"{k} examples in {lang} are asked for, but there are only {len(ordered)}; ask for fewer shots")
    return tuple([*distinct, *rest][:k])


def _chosen(items: Sequence[Item], lang: str, purpose: str) -> list[Item]:
    """Items of a language in an order given by their ids and the purpose."""
    return sorted((i for i in items if i.lang == lang), key=lambda item: record_id(purpose, item.id))
