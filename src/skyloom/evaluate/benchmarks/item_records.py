"""What is known of each item after a benchmark evaluation, and how an item's answer could change by rounding.

Input: log-probabilities of the choices, their sizes, the right ones; output: records for `items.jsonl.gz` and near ties. Two
choices are a near tie for a metric if its best one could change when each log-probability moves by half of the noise: the
difference that another batch, order or device makes to a difference of two. Equal requests always have equal answers and are
none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class ItemRecord(TypedDict):
    """A line of `items.jsonl.gz`. `choices`: log-probabilities in nats of the choices, or of what else was asked; None where a text
    was generated. `answer`: the number of the likeliest choice, or the generated text; `right`: the numbers or texts that are
    right. `margin`: by how many nats the likeliest choice surpasses the next (None: there is none). `right_nats` and
    `right_bytes`: of the likeliest right choice, as scored. `metrics`: the item's values, by "metric,filter", where they are
    single numbers. `near`: the metrics for which it is a near tie. `prompt`: SHA-256 of what was asked, 16 hex digits."""

    model: str
    task: str
    id: str
    choices: list[float] | None
    answer: int | str | None
    right: list[int] | list[str]
    margin: float | None
    right_nats: float | None
    right_bytes: int | None
    metrics: dict[str, float]
    near: list[str]
    prompt: str


@dataclass(frozen=True)
class Near:
    """A near tie: whether the item could come out right, and whether wrong, within the noise."""

    right: bool
    wrong: bool


@dataclass(frozen=True)
class ChoiceSet:
    """Choices of an item: log-probabilities [n], those without the prompt or None (mutual information), lengths in characters and
    bytes of the choices' texts, which ones are right, and which requests are equal (a number each)."""

    logs: Floats
    alone: Floats | None
    characters: Floats
    bytes: Floats
    right: frozenset[int]
    same: tuple[int, ...]

    def scores(self, metric: str) -> tuple[Floats, Floats] | None:
        """What `metric` takes the largest of, and how much of a nat's move each feels. None if it takes no largest."""
        one = np.ones_like(self.logs)
        with np.errstate(divide="ignore", invalid="ignore"):
            if metric == "acc":
                return self.logs, one
            if metric == "acc_norm":
                return self.logs / self.characters, one / self.characters
            if metric == "acc_bytes":
                return self.logs / self.bytes, one / self.bytes
            if metric == "acc_mutual_info" and self.alone is not None:
                return self.logs - self.alone, 2 * one
        return None

    def near(self, metric: str, noise: float) -> Near | None:
        """The near tie that the item is for `metric`, or None. `noise`: nats, of a difference of two log-probabilities."""
        found = self.scores(metric)
        if found is None or len(self.logs) < 2 or not np.isfinite(found[0]).all():
            return None
        scores, weights = found
        best = int(np.argmax(scores))
        reach = weights * noise / 2
        tied = [
            n for n in range(len(scores)) if scores[n] + reach[n] > scores[best] - reach[best] and self.same[n] != self.same[best]
        ]
        if not tied:
            return None
        possible = {best, *tied}
        return Near(bool(possible & self.right), bool(possible - self.right))


def near_greedy(margin: float, noise: float) -> Near | None:
    """The near tie of a text that is right if greedy decoding writes it."""
    return Near(True, True) if abs(margin) < noise else None


def margin_of(logs: Sequence[float]) -> float | None:
    """By how much the largest surpasses the next."""
    if len(logs) < 2:
        return None
    ordered = sorted(logs, reverse=True)
    return ordered[0] - ordered[1]


def right_numbers(target: object, choices: Sequence[str]) -> frozenset[int]:
    """The numbers of the right choices: lm-eval's target is a number, a text, or a list of them."""
    found = set()
    for one in target if isinstance(target, (list, tuple)) else [target]:
        if isinstance(one, (int, np.integer)):
            if 0 <= one < len(choices):
                found.add(int(one))
        elif isinstance(one, str) and one in choices:
            found.add(choices.index(one))
    return frozenset(found)


def single_numbers(metrics: Mapping[str, object], name: str) -> dict[str, float]:
    """The values of an item that are numbers, by "metric,filter"."""
    found = {}
    for metric, value in metrics.items():
        if isinstance(value, (bool, int, float, np.integer, np.floating)):
            found[f"{metric},{name}"] = float(value)
    return found
