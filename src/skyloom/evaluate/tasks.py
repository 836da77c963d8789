"""Multiple-choice accuracy with its uncertainty, in both languages (report 4, Tables 5 and 11).

Input: models and items; output: rows of accuracy. The model does not generate: the choice whose text
costs the fewest nats after the prompt is its answer. A longer choice costs more only because it is longer, so nats are
divided by the choice's UTF-8 bytes (as lm-eval's `acc_norm`); of equal choices the first is taken. Accuracies come with
Wilson's 95 % interval and beside the accuracy of guessing, without which a figure from a small model means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from skyloom.core.errors import ConfigError
from skyloom.core.store import Store
from skyloom.evaluate.models import LoadedModel
from skyloom.score.intervals import figure, wilson
from skyloom.score.nll import Model, Scorer, score_continuations
from skyloom.suites import Item, Prompt, few_shot, multiple_choice, prompt
from skyloom.tokenizer import Tokenizer
from skyloom.train.config import TrainConfig
from skyloom.train.watch import BATCH_TOKENS, Score, Scores

BOTH = "both"
"""The row over all languages."""
EXERCISES = "exercises"
"""The benchmark of our own test exercises."""


class AccuracyRow(TypedDict):
    """A row of `tasks.json`: how often a model takes the right choice, with the interval, and as often as guessing would."""

    model: str
    lang: str
    items: int
    correct: int
    accuracy: float | None
    low: float | None
    high: float | None
    chance: float | None


def prompts(exercises: Store, *, items: int, shots: int, scoring: str) -> list[tuple[Item, Prompt]]:
    """Test items of all languages (at most `items` of each, 0: all) behind `shots` worked examples of the train split."""
    chosen = multiple_choice(exercises, "test", limit=items)
    pool = multiple_choice(exercises, "train") if shots else ()
    worked = {lang: few_shot(pool, lang, shots) for lang in sorted({item.lang for item in chosen})}
    return [(item, prompt(item, worked[item.lang], scoring)) for item in chosen]


def answers(model: LoadedModel, tokenizer: Tokenizer, asked: Sequence[Prompt], batch_tokens: int) -> list[int]:
    """The index of the choice that the model takes, for each prompt."""
    return choose(model.decoder, tokenizer, asked, context=model.context, batch_tokens=batch_tokens)


def choose(model: Model | Scorer, tokenizer: Tokenizer, asked: Sequence[Prompt], *, context: int, batch_tokens: int) -> list[int]:
    """As `answers`, for a model in training: a callable, and the longest sequence in tokens that it is shown."""
    scored = score_continuations(model, _pairs(tokenizer, asked), context=context, batch_tokens=batch_tokens)
    sizes = np.array([len(text.encode("utf-8")) for item in asked for text in item.continuations])
    costs = np.split(scored.nats / sizes, np.cumsum([len(item.continuations) for item in asked])[:-1])
    return [int(np.argmin(cost)) for cost in costs]


def _pairs(tokenizer: Tokenizer, asked: Sequence[Prompt]) -> list[tuple[list[int], list[int]]]:
    """Ids of the prompt, BOS in front, and of each of its choices."""
    pairs = []
    for item in asked:
        begun = [tokenizer.bos_id, *tokenizer.encode(item.context)]
        pairs += [(begun, tokenizer.encode(text)) for text in item.continuations]
    return pairs


def rows(name: str, items: Sequence[tuple[Item, Prompt]], given: Sequence[int]) -> list[AccuracyRow]:
    """A row for each language and one over both. `chance` is the expected accuracy of guessing."""
    languages = sorted({item.lang for item, _ in items})
    found: list[AccuracyRow] = []
    for lang in [*languages, BOTH]:
        mine = [(asked, answer) for (item, asked), answer in zip(items, given, strict=True) if lang in (item.lang, BOTH)]
        correct = sum(asked.answer == answer for asked, answer in mine)
        share = wilson(correct, len(mine))
        chance = sum(1 / len(asked.continuations) for asked, _ in mine) / len(mine)
        found.append(
            {
                "model": name,
                "lang": lang,
                "items": len(mine),
                "correct": correct,
                "accuracy": figure(share.value),
                "low": figure(share.low),
                "high": figure(share.high),
                "chance": figure(chance),
            }
        )
    return found


def scorer(exercises: Store, tokenizer: Tokenizer, config: TrainConfig) -> Scores | None:
    """What training asks at its released checkpoints: the accuracy on a few test exercises of each language, with intervals.

    None if `config` wants none or there are no exercises. ConfigError, before the first step, if a choice exceeds a sequence.
    """
    asked = prompts(exercises, items=config.score_items, shots=config.score_shots, scoring="text") if config.score_items else []
    if not asked:
        return None
    longest = max(len(choice) for _, choice in _pairs(tokenizer, [p for _, p in asked]))
    if longest > config.context:
        raise ConfigError(
            f"a choice of the exercises has {longest} tokens, train.context is {config.context}: give longer sequences, or set "
            "train.score_items to 0"
        )

    def scores(model: Model | Scorer) -> list[Score]:
        given = choose(model, tokenizer, [p for _, p in asked], context=config.context, batch_tokens=BATCH_TOKENS)
        return [
            {
                "benchmark": EXERCISES, "lang": row["lang"], "items": row["items"], "accuracy": row["accuracy"], "low": row["low"],
                "high": row["high"], "chance": row["chance"],
            }
            for row in rows("", asked, given)
        ]  # fmt: skip

    return scores
