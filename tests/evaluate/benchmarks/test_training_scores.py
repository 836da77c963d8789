"""Tasks that are scored in training: the figures of `eval tasks`, whole or spread models alike, and no more items than fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.evaluate.benchmarks.task_command import Asking, evaluate_tasks
from skyloom.evaluate.benchmarks.training_scores import ScoringWork, TaskScores, built_tasks, scores_in_training
from skyloom.model.decoder import Decoder
from skyloom.planner.layout import Layout
from skyloom.score.nll import token_losses
from skyloom.tokenizer import Tokenizer
from skyloom.train.config import ScoreTaskConfig, TrainConfig
from skyloom.train.step import SingleLearner
from skyloom.train.watch import Scores
from tests.evaluate.benchmarks import stand_in as small

CONTEXT, PLENTY = 1024, 1e9


class ByteTokenizer(small.Bytes):
    """As much of `tokenizer.Tokenizer` as is asked for."""

    bos_id, eos_id, vocab_size, model = small.BOS, small.EOS, small.VOCABULARY, b"bytes"

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        return [np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int32) for text in texts]


class Heard(Progress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def log(self, message: str) -> None:
        self.said.append(message)


class Spread:
    """A model that no process has all of."""

    def __init__(self, model: Decoder) -> None:
        self.model = model

    def whole(self) -> None:
        return

    @torch.no_grad()
    def token_losses(self, tokens: Tensor) -> Tensor:
        return token_losses(self.model(tokens[:, :-1]), tokens[:, 1:])

    @torch.no_grad()
    def likeliest(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).argmax(-1)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """An English and a Chinese task of choices, one that generates."""
    root = tmp_path_factory.mktemp("data")
    tasks = []
    for name, items, shots in (("arc_easy", small.arc, 0), ("cmmlu_agronomy", small.cmmlu, 1), ("gsm8k", small.gsm8k, 1)):
        small.lines(root / name / "test.jsonl", items(2 if name == "gsm8k" else 8))
        small.lines(root / name / ("dev.jsonl" if shots == 1 and name != "gsm8k" else "train.jsonl"), items(3, 99))
        tasks.append(ScoreTaskConfig(name, str(root / name), items=6, shots=shots))
    return TrainConfig(context=CONTEXT, score_tasks=tuple(tasks))


def scores(config: TrainConfig, between: float = PLENTY, progress: Progress | None = None) -> Scores | None:
    return scores_in_training(config, tokenizer(), 16, between, "cpu", progress or Progress.silent())


def tokenizer() -> Tokenizer:
    return ByteTokenizer()  # type: ignore[return-value]


def test_figures_are_those_of_eval_tasks(config: TrainConfig) -> None:
    choices = replace(config, score_tasks=config.score_tasks[:2])
    model, asked = small.decoder(1, CONTEXT), scores(choices)
    assert asked is not None
    found = asked(model)
    rows = []
    for task in choices.score_tasks:
        report = evaluate_tasks(
            [("small", "small")],
            Asking([task.task], shots=task.shots, limit=6, data=[f"{task.task}={task.data}"], offline=True),
            open_one=lambda name, place: small.Small(name, CONTEXT, 1),
            engine=small.engine,  # type: ignore[arg-type]
            out=None,
            progress=Progress.silent(),
        )
        rows += report["rows"]
    assert len(found) == len(rows) == 4
    for line, row in zip(found, rows, strict=True):
        assert (line["benchmark"], line["metric"], line["items"], line["of"]) == (row["task"], row["metric"], 6, 8)
        assert (line["accuracy"], line["low"], line["chance"]) == (row["value"], row["low"], row["chance"])
        assert line["bits_per_byte"] == pytest.approx(row["right_bits_per_byte"], abs=1e-6) and line["lang"] == ""
        assert (line["prompts"], line["shots"]) == (row["prompts"], row["shots"])
    assert asked(model) == found, "the same items at each checkpoint"


def test_a_learner_is_asked_for_its_masters_and_goes_on_unchanged(config: TrainConfig) -> None:
    choices = replace(config, score_tasks=config.score_tasks[:1], precision="bf16")
    model, asked = small.decoder(2, CONTEXT), scores(choices)
    learner = SingleLearner(choices, model.config, compiled=False, bos_id=small.BOS)
    learner.begin(dict(model.named_parameters()).__getitem__)
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    assert asked is not None and asked(learner) == asked(model), "fp32 masters, not the bf16 matrices"
    assert learner.model.training and all(torch.equal(before[name], tensor) for name, tensor in learner.state().items())
    assert all(parameter.requires_grad for parameter in learner.model.parameters())
    tokens = torch.arange(12).view(2, 6)
    assert torch.equal(learner.likeliest(tokens), model(tokens).argmax(-1))


def test_a_spread_model_gives_the_same(config: TrainConfig) -> None:
    model = small.decoder(1, CONTEXT)
    whole, spread = scores(config), scores(replace(config, layout=Layout(data=2)))
    assert whole is not None and spread is not None
    mine, theirs = whole(model), spread(Spread(model))
    assert [line["benchmark"] for line in mine] == ["arc_easy"] * 2 + ["cmmlu_agronomy"] * 2 + ["gsm8k"] * 2
    for line, other in zip(mine, theirs, strict=True):
        assert line["accuracy"] == other["accuracy"] and line["prompts"] == other["prompts"]
        assert line["bits_per_byte"] == pytest.approx(other["bits_per_byte"], abs=1e-5)
    assert mine[-1]["metric"] == "exact_match" and mine[-1]["bits_per_byte"] is None


@pytest.mark.parametrize("share", [1, 0.8, 0.6])
def test_no_more_items_than_fit(config: TrainConfig, share: float) -> None:
    choices = replace(config, score_tasks=config.score_tasks[:2])
    all_of_it = TaskScores(choices, tokenizer(), 16, ScoringWork(PLENTY, 1.0))
    assert all_of_it.limits == {"arc_easy": 6, "cmmlu_agronomy": 6}
    heard = Heard()
    work = all_of_it.reckoned * share / 0.02 * ScoringWork.of(choices, 1, "cpu").forward
    fewer = scores_in_training(choices, tokenizer(), 16, work * (1 + 1e-9), "cpu", heard)
    assert isinstance(fewer, TaskScores) and fewer.reckoned <= all_of_it.reckoned * share * (1 + 1e-6)
    assert fewer.limits["arc_easy"] == fewer.limits["cmmlu_agronomy"] and (fewer.limits["arc_easy"] == 6) == (share == 1)
    assert any("instead of 6" in said for said in heard.said) == (share < 1)
    found = fewer(small.decoder(1, CONTEXT))
    assert all(line["items"] == fewer.limits["arc_easy"] for line in found)


def test_nothing_is_scored_where_nothing_fits(config: TrainConfig) -> None:
    heard = Heard()
    assert scores(config, 10, heard) is None and "not one item" in heard.said[0]
    assert scores(TrainConfig()) is None


def test_mistakes_are_told_before_training(config: TrainConfig, tmp_path: Path) -> None:
    arc = config.score_tasks[0]
    for tasks, told in (
        ([replace(arc, task="arc_eazy")], r"train\.score_tasks: .*arc_easy"),
        ([arc, arc], r"train\.score_tasks names arc_easy twice"),
        ([replace(arc, data=str(tmp_path / "无"))], r"train\.score_tasks: .*does not exist"),
    ):
        with pytest.raises(ConfigError, match=told):
            built_tasks(tasks)
    with pytest.raises(ConfigError, match=r"item q0 has [\d,]+ tokens.*train\.context.*fewer shots"):
        scores(replace(config, context=20))
    with pytest.raises(ConfigError, match="new ones"):
        scores(replace(config, context=200, score_tasks=config.score_tasks[2:]))
