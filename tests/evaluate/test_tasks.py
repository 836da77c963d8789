"""Multiple choice: a model that knows the answer gets all, length is no advantage, and examples come from the train split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import generate
from skyloom.evaluate.models import LoadedModel
from skyloom.evaluate.tasks import BOTH, answers, prompts, rows, scorer
from skyloom.score.nll import token_losses
from skyloom.suites import Item, Prompt
from skyloom.train.config import TrainConfig
from tests.evaluate.world import World


class Bytes:
    """A tokenizer of bytes, with 256 as BOS."""

    bos_id = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


class Favours(torch.nn.Module):
    """Gives the bytes of one text a high logit, and all others the same low one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.logits = torch.zeros(257)
        self.logits[list(text.encode())] = 4.0

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(*tokens.shape, -1)


def take(model: Favours, asked: list[Prompt]) -> list[int]:
    return answers(LoadedModel(model, 64), Bytes(), asked, 256)  # type: ignore[arg-type]


def test_the_likeliest_choice_is_taken_in_both_languages() -> None:
    asked = [Prompt("问：天空是什么颜色？答：", ("红", "蓝", "绿"), 1), Prompt("Sky? Answer:", (" red", " xyz", " glue"), 1)]
    assert take(Favours("蓝xyz "), asked) == [1, 1]


def test_a_choice_is_not_preferred_for_being_short() -> None:
    """All bytes equally likely: nats grow with length, nats per byte do not, and the first of equals is taken."""
    asked = [Prompt("q", (" a very long choice", " b"), 0), Prompt("问", ("甲", "乙丙丁戊己"), 0)]
    assert take(Favours(""), asked) == [0, 0]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_rows_count_what_was_answered(right: list[int], data: st.DataObject) -> None:
    given_answers = [data.draw(st.integers(0, 3)) for _ in right]
    choices = ("a", "b", "c", "丁")
    languages = [data.draw(st.sampled_from(["en", "zh-Hans"])) for _ in right]
    items = [
        (Item(str(number), lang, "f", "q", choices, answer), Prompt("q", choices, answer))
        for number, (lang, answer) in enumerate(zip(languages, right, strict=True))
    ]
    found = {r["lang"]: r for r in rows("m", items, given_answers)}
    assert found[BOTH]["items"] == len(right)
    assert found[BOTH]["correct"] == sum(a == b for a, b in zip(right, given_answers, strict=True))
    assert found[BOTH]["correct"] == sum(r["correct"] for lang, r in found.items() if lang != BOTH)
    assert all(r["chance"] == 0.25 for r in found.values())


def test_chance_follows_the_number_of_choices() -> None:
    two, five = Prompt("q", ("a", "b"), 0), Prompt("q", tuple("abcde"), 0)
    items = [(Item(str(i), "en", "f", "q", p.continuations, 0), p) for i, p in enumerate((two, five))]
    assert rows("m", items, [0, 0])[0]["chance"] == pytest.approx((1 / 2 + 1 / 5) / 2)


def test_worked_examples_are_of_the_train_split_and_the_items_language(world: World) -> None:
    train = world.exercises.read_table("exercises-train.parquet", ["meta"])["meta"].to_pylist()
    test = world.exercises.read_table("exercises-test.parquet", ["id"])["id"].to_pylist()
    for item, asked in prompts(world.exercises, items=5, shots=2, scoring="text"):
        assert item.id in test
        *worked, own = asked.context.split("\n\n")
        assert len(worked) == 2 and item.question in own
        for example in worked:
            question = example.split("\n")[0].split("：" if item.lang == "zh-Hans" else ": ", 1)[1]
            assert any(question in meta for meta in train)
    assert all("\n\n" not in p.context for _, p in prompts(world.exercises, items=3, shots=0, scoring="letter"))


class Guesses(torch.nn.Module):
    """Each byte depends on the one before it, by a fixed random table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(257, 257, generator=torch.Generator().manual_seed(3)))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.table[tokens]


class LossesOnly:
    def __init__(self, model: Guesses) -> None:
        self._model = model

    def token_losses(self, tokens: torch.Tensor) -> torch.Tensor:
        return token_losses(self._model(tokens[:, :-1]), tokens[:, 1:])


def test_scores_in_training_are_those_of_the_tables(tmp_path: Path) -> None:
    exercises, tokenizer, model = Store(str(tmp_path)), Bytes(), Guesses()
    generate(StemConfig(train=52, valid=26, test=104, ref=26, canaries=26), exercises, progress=Progress.silent())
    config = TrainConfig(score_items=8, score_shots=1, context=900)
    scores = scorer(exercises, tokenizer, config)  # type: ignore[arg-type]
    assert scores is not None
    found = scores(model)
    asked = prompts(exercises, items=8, shots=1, scoring="text")
    table = rows("x", asked, answers(LoadedModel(model, 900), tokenizer, [p for _, p in asked], 4096))  # type: ignore[arg-type]
    assert [f["lang"] for f in found] == ["en", "zh-Hans", BOTH] and [f["items"] for f in found] == [8, 8, 16]
    for ours, theirs in zip(found, table, strict=True):
        assert ours["benchmark"] == "exercises"
        assert all(ours[key] == theirs[key] for key in ("accuracy", "low", "high", "chance"))
        assert ours["low"] <= ours["accuracy"] <= ours["high"]
    assert scores(LossesOnly(model)) == found
    assert scorer(exercises, tokenizer, replace(config, score_items=0)) is None  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"exercises.*train\.context is 2\b.*train\.score_items"):
        scorer(exercises, tokenizer, replace(config, context=2))  # type: ignore[arg-type]
