"""Parses what `skyloom plan` is asked about: a model preset or TOML file, and numbers of tokens such as 3.2T.

Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from skyloom.core.config import build, plain
from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.model.presets import PRESETS, preset
from skyloom.planner.muon_cost import OPTIMIZERS
from skyloom.run.packaged import find_recipe, packaged
from skyloom.run.recipe import Recipe
from skyloom.run.recipe_base import read_tables
from skyloom.train.config import TrainConfig


@dataclass(frozen=True)
class StageJob:
    """What is planned of a stage of a recipe: sequences of a step, tokens of a sequence and of the stage, the optimizer."""

    name: str
    batch: int
    context: int
    tokens: float
    optimizer: str


@dataclass(frozen=True)
class Subject:
    """What --model names: a shape, and what a recipe says of its training; None where it says nothing."""

    name: str
    model: ModelConfig
    batch: int | None = None
    context: int | None = None
    tokens: float | None = None
    stages: tuple[StageJob, ...] = ()
    optimizer: str | None = None

    @property
    def differ(self) -> bool:
        """Whether the stages of the recipe are not planned alike: their steps have other forms."""
        return len({(stage.batch, stage.context, stage.optimizer) for stage in self.stages}) > 1

    def only(self, name: str) -> Subject:
        """The same with one stage alone. ConfigError if there is none of that name."""
        for stage in self.stages:
            if stage.name == name:
                return replace(
                    self,
                    name=f"{self.name}, {name}",
                    batch=stage.batch,
                    context=stage.context,
                    tokens=stage.tokens,
                    stages=(stage,),
                    optimizer=stage.optimizer,
                )
        known = ", ".join(stage.name for stage in self.stages) or "none"
        raise ConfigError(f"{self.name} has no stage '{name}'; its stages are: {known}")


def read_subject(name: str) -> Subject:
    """A preset by its name, a TOML file with a [model] table, such as a recipe, or a recipe that comes with the program, by its
    name. ConfigError if it is none of them."""
    if name in PRESETS:
        return Subject(name, preset(name))
    if Path(name).suffix != ".toml" and not Path(name).is_file() and not packaged(name):
        raise ConfigError(f"no model preset '{name}' (one of: {', '.join(PRESETS)}, or a TOML file with a [model] table)")
    file = read_tables(find_recipe(name), Recipe)
    table = file.get("model")
    if not isinstance(table, dict):
        raise ConfigError(f'{name} has no [model] table; write one with preset = "skywork-13b", or with hidden, layers, heads, ffn')
    named = table.pop("preset", None)
    if named is not None:
        try:
            table = {**plain(preset(str(named))), **table}
        except ConfigError as problem:
            raise ConfigError(f"{name}: model.preset: {problem}") from problem
    size = _in(file, "tokenizer", "vocabulary")  # in a recipe the vocabulary is the tokenizer's
    model = build(ModelConfig, table if size is None else {**table, "vocabulary": size}, origin=name, key="model")
    if "train" not in file:
        return Subject(Path(name).stem, model)
    usual = TrainConfig()
    batch, context = (_in(file, "train", key) or getattr(usual, key) for key in ("batch", "context"))
    listed = file.get("stages")
    optimizer = _optimizer(file["train"], usual.optimizer, f"{name}: train")
    stages = tuple(
        StageJob(
            str(stage["name"]),
            _in(stage, "batch") or batch,
            _in(stage, "context") or context,
            float(tokens),
            _optimizer(stage, optimizer, f"{name}: stages.{stage['name']}"),
        )
        for stage in (listed if isinstance(listed, list) else ())
        if isinstance(stage, Mapping) and "name" in stage and (tokens := _in(stage, "data", "tokens"))
    )
    return Subject(Path(name).stem, model, batch, context, sum(s.tokens for s in stages) if stages else None, stages, optimizer)


def _optimizer(table: object, usual: str, place: str) -> str:
    """The optimizer that a table names, or the usual one. ConfigError for one that there is not."""
    named = table.get("optimizer", usual) if isinstance(table, Mapping) else usual
    if named not in OPTIMIZERS:
        raise ConfigError(f"{place}.optimizer is one of {', '.join(OPTIMIZERS)}, not {named!r}")
    return str(named)


def _in(file: Mapping[str, object], *path: str) -> int | None:
    """A whole number at that place of a file, None if there is none."""
    value: object = file
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


def parse_count(text: str) -> float:
    """3.2T, 130B, 2_000_000 or 3.2e12 tokens. ConfigError for anything else, and for less than 1."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\+?\d{1,2})?)([kmbgt]?)", text.strip().lower().replace("_", "").replace(",", ""))
    value = float(match[1]) * _SCALES[match[2]] if match else 0.0
    if not 1 <= value <= 1e18:
        raise ConfigError(f"'{text}' is no number of tokens; write 3.2T, 130B or 3.2e12")
    return value
