"""Scores of items under the suspect, kept in a journal, and how many items fit into a budget of time.

Input: an open model and items as token ids. Output: `ItemScores`. Each text's figures are appended to the journal as they come, so
that an audit that was stopped goes on where it was; also how many items a budget allowed stands there, because a resumed audit must
look at the same ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.evaluate.benchmarks import AnswerJournal, answer_key
from skyloom.evaluate.opened import OpenModel, cached_network
from skyloom.leakage.benchmark_sets import FEWEST, BenchmarkItem, BenchmarkSet
from skyloom.leakage.suspect.suspect_json import BudgetRow, LeftOut
from skyloom.leakage.suspect.token_scores import ItemScores, item_scores, token_scores

TRIAL = 8
"""Items of each set whose scoring measures the speed."""


@dataclass(frozen=True)
class ReadySuspectSet:
    """A set whose items fit the context, in a fixed random order that twins share with their originals. `rows`: token ids."""

    whole: BenchmarkSet
    items: tuple[BenchmarkItem, ...]
    rows: tuple[tuple[int, ...], ...]
    left_out: tuple[LeftOut, ...]

    def first(self, count: int) -> ReadySuspectSet:
        return ReadySuspectSet(self.whole, self.items[:count], self.rows[:count], self.left_out)

    def kept(self, places: Sequence[int]) -> ReadySuspectSet:
        return ReadySuspectSet(self.whole, tuple(self.items[n] for n in places), tuple(self.rows[n] for n in places), self.left_out)


def ready(one: BenchmarkSet, model: OpenModel, seen: Mapping[str, str]) -> ReadySuspectSet:
    """The items of a set that can be scored. `seen`: texts of the sets before it, which would be compared with themselves."""
    left_out: list[LeftOut] = []
    found: list[tuple[str, BenchmarkItem, tuple[int, ...]]] = []
    for item, row in zip(one.items, model.encode(one.texts, one.ids), strict=True):
        if len(row) > model.context:
            left_out.append({"id": item.id, "reason": f"{len(row):,} tokens, the context has {model.context:,}"})
        elif not row:
            left_out.append({"id": item.id, "reason": "the tokenizer makes no token of its text"})
        elif item.text in seen:
            left_out.append({"id": item.id, "reason": f"its text is also that of an item of the {seen[item.text]}"})
        else:
            found.append(
                (hashlib.blake2b(item.pair.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(), item, tuple(row))
            )
    found.sort(key=lambda entry: (entry[0], entry[1].id))
    return ReadySuspectSet(one, tuple(i for _, i, _ in found), tuple(r for _, _, r in found), tuple(left_out))


class SuspectScorer:
    """Scores texts of one model through a journal."""

    def __init__(self, model: OpenModel, journal: AnswerJournal, batch_tokens: int) -> None:
        self.model, self._journal, self._batch_tokens = model, journal, batch_tokens
        self._network = cached_network(model.network, context=model.context)
        dtype, device = str(model.dtype).removeprefix("torch."), model.device.type
        self.identity = f"leak 1|{model.place.digest}|{model.words.digest}|{dtype}|{device}|{model.context}|{model.begin}"

    def score(
        self, rows: Sequence[Sequence[int]], texts: Sequence[str], ids: Sequence[str], progress: Progress, label: str
    ) -> list[ItemScores]:
        """The figures of each text. DataError for a loss that is no number; StorageError if the journal cannot be written."""
        keys = [answer_key(self.identity, "item", row, extra=(text,)) for row, text in zip(rows, texts, strict=True)]
        missing = [n for n, key in enumerate(keys) if self._journal.get(key) is None]
        with progress.task(label, sum(map(len, rows)), "tokens") as bar:
            bar.resume(sum(len(rows[n]) for n in range(len(rows))) - sum(len(rows[n]) for n in missing))
            for number in self._keep([rows[n] for n in missing], [texts[n] for n in missing], [ids[n] for n in missing]):
                bar.advance(len(rows[missing[number]]))
        return [_scores(self._journal.get(key)) for key in keys]

    def fit(
        self, sets: Sequence[ReadySuspectSet], seconds: float, others: float, what: Sequence[object], progress: Progress
    ) -> BudgetRow:
        """How many items of each set can be scored in `seconds`, by the speed of the first ones. `others`: tokens that each item
        costs beside those of the sets; `what`: all that the number may depend on. ConfigError for fewer than FEWEST."""
        key = answer_key(self.identity, "budget", extra=(seconds, *what))
        known = self._journal.get(key)
        if known is None:
            trial = [part.first(TRIAL) for part in sets]
            rows = [row for part in trial for row in part.rows]
            texts = [item.text for part in trial for item in part.items]
            ids = [item.id for part in trial for item in part.items]
            place = min(range(len(rows)), key=lambda n: len(rows[n]))
            list(self._keep([rows[place]], [texts[place]], [ids[place]]))  # the first is slow
            started = time.monotonic()
            list(self._keep(rows, texts, ids))
            speed = sum(map(len, rows)) / max(time.monotonic() - started, 1e-9)
            each = sum(sum(map(len, part.rows)) / len(part.rows) for part in sets) + others
            items = min(int(seconds * speed / each), *(len(part.items) for part in sets))
            known = {"seconds": seconds, "tokens_per_s": round(speed, 1), "items": items}
            if items < FEWEST:
                raise ConfigError(
                    f"in {seconds:g} s {items} items of each set fit ({speed:,.0f} tokens/s), and {FEWEST} are the least: give "
                    f"--budget at least {math.ceil(FEWEST * each / speed)}s"
                )
            self._journal.put(key, known)
            self._journal.flush(sync=True)
        return {
            "seconds": cast(float, known["seconds"]),
            "tokens_per_s": cast(float, known["tokens_per_s"]),
            "items": cast(int, known["items"]),
        }

    def _keep(self, rows: Sequence[Sequence[int]], texts: Sequence[str], ids: Sequence[str]) -> Iterator[int]:
        """Score texts and write their figures down; the number of each, as it is done."""
        for number, found in token_scores(self._network, rows, begin=self.model.begin, batch_tokens=self._batch_tokens, ids=ids):
            key = answer_key(self.identity, "item", rows[number], extra=(texts[number],))
            self._journal.put(key, dataclasses.asdict(item_scores(found, texts[number])))
            yield number


def _scores(answer: Mapping[str, object] | None) -> ItemScores:
    assert answer is not None
    return ItemScores(**{name: cast(int, answer[name]) for name in ItemScores.__dataclass_fields__})
