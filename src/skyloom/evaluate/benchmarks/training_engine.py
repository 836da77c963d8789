"""A model in training as the benchmarks see it: its tokenizer and limits, and an engine that answers for the weights of the moment.

Input: the model that a released checkpoint is made of; output: answers to requests. The engine takes a model for one scoring and
lets it go, because training needs the memory of what the engine holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch

from skyloom.evaluate.benchmarks.harness_model import BenchmarkEngine
from skyloom.evaluate.benchmarks.item_records import Floats
from skyloom.evaluate.opened import OwnWords
from skyloom.model.cached import CachedDecoder
from skyloom.model.decoder import Decoder
from skyloom.score.config import SamplingConfig
from skyloom.score.likelihood import InferenceEngine
from skyloom.score.nll import Model, Scorer
from skyloom.score.requests import Asked, Costs, Likelihood
from skyloom.score.whole_texts import SpreadModel, WholeTexts
from skyloom.tokenizer import Tokenizer

BATCH_TOKENS = 4096


@runtime_checkable
class ModelInTraining(Protocol):
    """What tells a learner (`train.step.Learner`) from other models."""

    def whole(self) -> Decoder | None:
        """The model with its fp32 masters, or None where no process has all of it."""
        ...


class WordsInTraining:
    """A model in training as `HarnessModel` sees it: its tokenizer and its limits."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        self.name, self.context, self.vocabulary = "the model in training", context, tokenizer.vocab_size
        self.words, self.begin = OwnWords(tokenizer, self.name), tokenizer.bos_id

    def encode(self, texts: Sequence[str], ids: Sequence[str] | None = None) -> list[list[int]]:
        return self.words.encode(texts)

    def describe(self) -> Mapping[str, object]:
        return {}


class EngineInTraining:
    """The engine of whatever model it was given last."""

    def __init__(self, context: int, hidden: int, greedy: bool) -> None:
        self._context, self.greedy = context, greedy
        self.costs = Costs.of(torch.device("cpu"), hidden)
        self._engine: BenchmarkEngine | None = None

    def take(self, model: Model | Scorer) -> None:
        whole = model if isinstance(model, Decoder) else model.whole() if isinstance(model, ModelInTraining) else None
        if whole is not None:
            self._engine = InferenceEngine(CachedDecoder(whole), batch_tokens=BATCH_TOKENS, context=self._context)
        elif isinstance(model, SpreadModel):
            self._engine = WholeTexts(model, context=self._context, batch_tokens=BATCH_TOKENS, costs=self.costs, greedy=self.greedy)
        else:
            raise TypeError(f"{type(model).__name__} cannot be asked for likelihoods")

    def release(self) -> None:
        """Let the model go: training needs its memory."""
        self._engine = None

    @property
    def engine(self) -> BenchmarkEngine:
        assert self._engine is not None
        return self._engine

    def likelihoods(self, asked: Sequence[Asked], done: Callable[[int, Likelihood], None] | None = None) -> list[Likelihood]:
        return self.engine.likelihoods(asked, done)

    def rolling(
        self,
        documents: Sequence[Sequence[int]],
        *,
        context: int,
        first: int,
        done: Callable[[int, Floats], None] | None = None,
    ) -> object:
        return self.engine.rolling(documents, context=context, first=first, done=done)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        most: int | Sequence[int],
        stop: Callable[[int, list[int]], bool],
        choice: SamplingConfig | None = None,
        done: Callable[[int, list[int]], None] | None = None,
    ) -> object:
        return self.engine.generate(prompts, most=most, stop=stop, choice=choice, done=done)
