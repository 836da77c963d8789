"""Parses what `skyloom plan` is asked about: a model preset or TOML file, and numbers of tokens such as 3.2T.

Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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
class Subject:
    """What --model names: a shape, and what a recipe says of its training; None where it says nothing."""

    name: str
    model: ModelConfig
    batch: int | None = None
    context: int | None = None
    tokens: float | None = None
    optimizer: str | None = None


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
    stages = [_in(file, stage, "data", "tokens") for stage in ("stage1", "stage2")]
    tokens = float(sum(t for t in stages if t)) if any(stages) else None
    train = file["train"]
    named = train.get("optimizer", usual.optimizer) if isinstance(train, Mapping) else usual.optimizer
    if named not in OPTIMIZERS:
        raise ConfigError(f"{name}: train.optimizer is one of {', '.join(OPTIMIZERS)}, not {named!r}")
    return Subject(Path(name).stem, model, batch, context, tokens, str(named))


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
