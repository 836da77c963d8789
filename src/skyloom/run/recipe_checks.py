"""Checks of a whole recipe: what only shows when settings of several packages are seen together.

Input: a recipe whose parts have been checked by themselves. Output: nothing, or a ConfigError that names the key. `check` needs the
recipe alone and is called when it is read; `check_files` looks for the files and programs that later steps need, and is called
before the first of them; `release_doubts` tells what is not a mistake yet. All are there so that hours of work do not end in a
mistake that could be seen at their beginning.
What depends on the corpus (which domains have text, and how much) is checked before a stage's first update (`data.mixture`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
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
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.rate_schedule import Calendar
from skyloom.train.stage_list import Stage, train_of

PARTS = (CANARY, *CATEGORIES, *(domain for domain in all_domains() if domain not in CATEGORIES))
"""Every name that a mixture can have: the canaries, the categories, and the domains that documents are tagged with."""


class CheckedCorpus(Protocol):
    """What is looked at of `[corpus]`."""

    @property
    def sources(self) -> tuple[SourceConfig, ...]: ...
    @property
    def clean(self) -> CleanConfig: ...


class CheckedRecipe(Protocol):
    """What is looked at of a recipe (`run.recipe.Recipe`, which imports this module)."""

    @property
    def corpus(self) -> CheckedCorpus: ...
    @property
    def tokenizer(self) -> TokenizerConfig | None: ...
    @property
    def model(self) -> ModelConfig | None: ...
    @property
    def stages(self) -> Sequence[Stage]: ...
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
    for stage in recipe.stages:
        key = f"stages.{stage.name}"
        train = _settings_of(recipe, stage, key, origin)
        _check_parts(recipe, f"{key}.data", stage.data, origin)
        _check_length(train, f"{key}.data.tokens", stage.data.tokens, stage.rate, origin)
        if stage.samples_tokens:
            _check_length(train, f"{key}.samples_tokens", stage.samples_tokens, stage.rate, origin)
        _check_model(recipe, stage, key, origin)
    worlds = {train_of(recipe.train, stage).layout.world for stage in recipe.stages}
    if len(worlds) > 1:
        raise ConfigError(
            f"{origin}: the layouts of the stages need {' and '.join(map(str, sorted(worlds)))} processes; one run has one number "
            "of them: give all layouts the same product of data, tensor and pipeline, or train the stages one by one with --until"
        )
    for domain in recipe.tokenizer.weights if recipe.tokenizer is not None else ():
        if domain not in all_domains():
            raise ConfigError(f"{origin}: tokenizer.weights names '{domain}', which is no domain{_like(domain, all_domains())}")
    if recipe.model is None:
        return
    if recipe.train.context > recipe.model.context:
        raise ConfigError(f"{origin}: train.context is {recipe.train.context}, model.context only {recipe.model.context}")
    try:
        recipe.train.layout.check(recipe.model, recipe.train.batch, recipe.train.context)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: train.layout: {problem}") from problem


def _settings_of(recipe: CheckedRecipe, stage: Stage, key: str, origin: str) -> TrainConfig:
    try:
        return train_of(recipe.train, stage)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: {key}: {problem}") from problem


def _check_model(recipe: CheckedRecipe, stage: Stage, key: str, origin: str) -> None:
    """ConfigError if the model cannot be trained as the stage says."""
    model, train = recipe.model, train_of(recipe.train, stage)
    if model is None:
        return
    if stage.context is not None and stage.context > model.context:
        raise ConfigError(
            f"{origin}: {key}.context is {stage.context}, model.context only {model.context}: set model.context, the longest "
            "sequence that the model is made for, to that of the longest stage"
        )
    if stage.rope_theta is not None and model.block == "gpt":
        raise ConfigError(f"{origin}: {key}.rope_theta is for the llama block; the gpt block has learnt positions")
    if stage.context is None and stage.batch is None and stage.layout is None:
        return
    try:
        train.layout.check(model, train.batch, train.context)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: {key}: {problem}") from problem


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
    if recipe.train.init_from:
        from skyloom.model.adopt import check_model

        check_model(Path(recipe.train.init_from))
    if recipe.train.trackers:
        from skyloom.train.watch import check_trackers

        check_trackers(recipe.train.trackers)
    if recipe.train.score_tasks:
        from skyloom.evaluate.benchmarks import require_harness

        require_harness()
        from skyloom.evaluate.benchmarks import built_tasks

        built_tasks(recipe.train.score_tasks)


def release_doubts(recipe: CheckedRecipe) -> list[str]:
    """What will be wrong with the released models of a recipe that can be trained, a sentence each."""
    from skyloom.model.hf_config import family_of

    if recipe.model is None:
        return []
    try:
        kind = family_of(recipe.model)
    except ConfigError as problem:
        return [f"the models of this recipe can be trained but not released: {problem}"]
    if kind == "qwen2" and not _is_byte_level(recipe.tokenizer):
        return [
            "model.query_bias makes Qwen2's shape, for which transformers 5 loads a byte-level tokenizer whatever the release "
            "says: it gives other ids than this recipe's SentencePiece vocabulary; set tokenizer.base_model to a byte-level "
            "vocabulary, or leave the biases out"
        ]
    return []


def _is_byte_level(tokenizer: TokenizerConfig | None) -> bool:
    from skyloom.tokenizer.base import given_base

    return tokenizer is not None and bool(tokenizer.base_model) and given_base(Path(tokenizer.base_model)).byte_level is not None


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


def _check_length(train: TrainConfig, key: str, tokens: int, rate: StageConfig, origin: str) -> None:
    """ConfigError if a stage is shorter than one step or than its warm-up."""
    step = train.batch * train.context
    if tokens < step:
        raise ConfigError(
            f"{origin}: {key}: {rate.name} has {tokens:,}, and one step takes {step:,} ({train.batch} sequences of "
            f"{train.context}): give the stage more tokens or make train.batch smaller"
        )
    try:
        Calendar(rate, tokens // step, 0, 0, step)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: {key}: {problem}") from problem


def _like(name: str, valid: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; there can be: {', '.join(valid)}"
