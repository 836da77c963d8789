"""Checks of a whole recipe: what only shows when settings of several packages are seen together.

Input: a recipe whose parts have been checked by themselves. Output: nothing, or a ConfigError that names the key. `check` needs the
recipe alone and is called when it is read; `check_files` looks for the files and programs that later steps need, and is called
before the first of them. Both are there so that hours of work do not end in a mistake that could be seen at their beginning.
What depends on the corpus (which domains have text, and how much) is checked before a stage's first update (`data.mixture`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from skyloom.core.errors import ConfigError
from skyloom.core.records import CATEGORIES, all_domains
from skyloom.corpus.clean import CleanConfig
from skyloom.corpus.sources import SourceConfig
from skyloom.corpus.stem import StemConfig
from skyloom.data.config import CANARY, SPECIAL, PackConfig, Phase
from skyloom.evaluate.config import UNITS, EvaluateConfig
from skyloom.model.config import ModelConfig
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.train.config import STAGES, StageConfig, TrainConfig
from skyloom.train.rate_schedule import Calendar

PARTS = (CANARY, *CATEGORIES, *(domain for domain in all_domains() if domain not in CATEGORIES))
"""Every name that a mixture can have: the canaries, the categories, and the domains that documents are tagged with."""


class CheckedCorpus(Protocol):
    """What is looked at of `[corpus]`."""

    @property
    def sources(self) -> tuple[SourceConfig, ...]: ...
    @property
    def clean(self) -> CleanConfig: ...


class CheckedStage(Protocol):
    """What is looked at of a stage."""

    @property
    def data(self) -> Phase: ...
    @property
    def rate(self) -> StageConfig: ...


class CheckedRecipe(Protocol):
    """What is looked at of a recipe (`run.recipe.Recipe`, which imports this module)."""

    @property
    def corpus(self) -> CheckedCorpus: ...
    @property
    def tokenizer(self) -> TokenizerConfig | None: ...
    @property
    def model(self) -> ModelConfig | None: ...
    @property
    def stage1(self) -> CheckedStage | None: ...
    @property
    def stage1b(self) -> CheckedStage | None: ...
    @property
    def stage2(self) -> CheckedStage | None: ...
    @property
    def samples_tokens(self) -> tuple[int, int]: ...
    @property
    def exercises(self) -> StemConfig: ...
    @property
    def tokens(self) -> PackConfig: ...
    @property
    def train(self) -> TrainConfig: ...
    @property
    def evaluate(self) -> EvaluateConfig: ...


def check(recipe: CheckedRecipe, origin: str) -> None:
    """ConfigError, beginning with `origin`, if settings of the recipe cannot go together or name what cannot be. What is
    None is not looked at."""
    for stage, data, rate in _stages(recipe):
        _check_parts(recipe, f"{stage}.data", data, origin)
        _check_length(recipe, f"{stage}.data.tokens", data.tokens, rate, origin)
    if all(recipe.samples_tokens):
        for tokens, learnt in zip(recipe.samples_tokens, (recipe.stage1, recipe.stage2), strict=True):
            if learnt is not None:
                _check_length(recipe, "samples_tokens", tokens, learnt.rate, origin)
    for domain in recipe.tokenizer.weights if recipe.tokenizer is not None else ():
        if domain not in all_domains():
            raise ConfigError(f"{origin}: tokenizer.weights names '{domain}', which is no domain{_like(domain, all_domains())}")
    if recipe.model is None:
        return
    try:
        recipe.train.layout.check(recipe.model, recipe.train.batch, recipe.train.context)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: train.layout: {problem}") from problem


def check_files(recipe: CheckedRecipe, *, corpus: bool, evaluation: bool) -> None:
    """ConfigError if a file or a program that a later step needs is not there. `corpus`: the corpus is still to be built;
    `evaluation`: the run goes on to training and what follows it."""
    if corpus and recipe.corpus.clean.decontaminate.sets:
        from skyloom.corpus.decontaminate import files_of

        for items in recipe.corpus.clean.decontaminate.sets:
            files_of(items)
    if not evaluation:
        return
    reference = recipe.evaluate.reference
    if reference != UNITS and not Path(reference).is_file():
        raise ConfigError(f"evaluate.reference: {reference} is not there; give the path of a SentencePiece model, or '{UNITS}'")
    if recipe.train.trackers:
        from skyloom.train.watch import check_trackers

        check_trackers(recipe.train.trackers)
    if recipe.train.score_tasks:
        from skyloom.evaluate.benchmarks import require_harness

        require_harness()
        from skyloom.evaluate.benchmarks import built_tasks

        built_tasks(recipe.train.score_tasks)


def _stages(recipe: CheckedRecipe) -> Iterator[tuple[str, Phase, StageConfig]]:
    for name in STAGES:
        if (stage := getattr(recipe, name)) is not None:
            yield name, stage.data, stage.rate


def _check_parts(recipe: CheckedRecipe, key: str, data: Phase, origin: str) -> None:
    """ConfigError for a name that no part can have: misspelt, of a category without a source, or canaries that are not planted."""
    given = {s.category for s in recipe.corpus.sources}
    possible = set(CATEGORIES) if "auto" in given or not given else {*given, "stem", "parallel"}
    for kind in ("shares", *SPECIAL):
        for name, value in getattr(data, kind).items():
            if name not in PARTS:
                raise ConfigError(f"{origin}: {key}.{kind} names '{name}', which no part can have{_like(name, PARTS)}")
            category = name if name in (CANARY, *CATEGORIES) else name.rpartition("_")[0]
            if not value or category == CANARY:
                continue
            if kind in SPECIAL and category not in possible:
                raise ConfigError(
                    f"{origin}: {key}.{kind} names '{name}', and no source of the recipe has the category {category} "
                    f"(they have: {', '.join(sorted(given))})"
                )
    planted = {"exercises.canaries": recipe.exercises.canaries, "tokens.canary_copies": recipe.tokens.canary_copies}
    wanted = [kind for kind in ("shares", *SPECIAL) if getattr(data, kind).get(CANARY)]
    missing = [name for name, count in planted.items() if not count]
    if wanted and missing:
        raise ConfigError(
            f"{origin}: {key}.{wanted[0]} names '{CANARY}', but {missing[0]} is 0, so there are none; set one of the two"
        )


def _check_length(recipe: CheckedRecipe, key: str, tokens: int, rate: StageConfig, origin: str) -> None:
    """ConfigError if a stage is shorter than one step or than its warm-up."""
    step = recipe.train.batch * recipe.train.context
    if tokens < step:
        raise ConfigError(
            f"{origin}: {key}: {rate.name} has {tokens:,}, and one step takes {step:,} ({recipe.train.batch} sequences of "
            f"{recipe.train.context}): give the stage more tokens or make train.batch smaller"
        )
    try:
        Calendar(rate, tokens // step, 0, 0, step)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: {key}: {problem}") from problem


def _like(name: str, valid: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; there can be: {', '.join(valid)}"
