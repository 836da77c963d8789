"""The layout of a release: where its parts lie, and the records of the run as the cards read them.

Input: a release folder. Output: its recipe, its models, and the run's own records (ledgers, journals, manifests) by the step that
wrote them. The build writes the cards from these files, not from the run, so whoever has the folder can write the same cards again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypedDict

from skyloom.core.config import TomlTable, build
from skyloom.core.errors import DataError
from skyloom.core.json_files import RunFacts
from skyloom.core.store import TELEMETRY, FileRecord, Store
from skyloom.release.config import ReleaseConfig
from skyloom.release.evidence import PUBLISHED
from skyloom.train.stage_list import stage_tables

RECIPE, RUN, MODELS, EVALUATION, EXERCISES = "recipe.toml", "run/run.json", "run/models.json", "evaluation", "exercises"
PAGE = "report.html"
EVALUATION_FILES = {"evaluate": ("perplexity.json", "choice.json", "samples.json"), "leakage": ("leakage.json",)}
_JOURNALS = (
    "plan.json", "metrics.jsonl", "heldout.jsonl", "scores.jsonl", "alarms.jsonl", "skips.jsonl", "rollbacks.json",
    f"{TELEMETRY}speed.jsonl", f"{TELEMETRY}energy.json",
)  # fmt: skip
RECORDS: dict[str, tuple[str, ...]] = {
    "pages": ("sources.json",),
    "extract": ("ledger.json",),
    "parallel": ("parallel.json",),
    "corpus": ("ledger.json", "mixture.json", "redaction.json"),
    "tokenizer": ("measure.json",),
    "tokens": ("tokens.json",),
}
"""Files of the steps before training that lie in `run/<step>/` of a release, under their own names."""


class ModelEntry(TypedDict):
    """A model in `run/models.json`: its folder ("" for the release itself) and where training stood."""

    folder: str
    stage: str
    step: int
    tokens: int


def records(recipe: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The same of all steps of a resolved recipe, the training stages included."""
    return {**RECORDS, **dict.fromkeys((str(stage["name"]) for stage in stage_tables(recipe)), _JOURNALS)}


@dataclass(frozen=True)
class Opened:
    """What a release says of itself. `recipe`: the tables of recipe.toml; `run`: empty where it was not recorded."""

    recipe: TomlTable
    config: ReleaseConfig
    models: list[ModelEntry]
    run: RunFacts


def open_release(release: Store) -> Opened:
    """Recipe, models and run of a release. DataError, ConfigError or StorageError if a file is not what it should be."""
    recipe = _recipe(release)
    config = build(ReleaseConfig, recipe.get("release", {}), origin=release.url(RECIPE), key="release")
    run: RunFacts = release.read_json(RUN)
    models: list[ModelEntry] = release.read_json(MODELS)
    return Opened(recipe, config, models, run)


def _recipe(release: Store) -> TomlTable:
    try:
        return tomllib.loads(release.read_text(RECIPE))
    except tomllib.TOMLDecodeError as problem:
        raise DataError(f"{release.url(RECIPE)} is not TOML: {problem}") from problem


def records_of(release: Store) -> dict[str, Store]:
    """The folders of a release by the step whose files they hold, as `evidence.read` takes them. DataError or StorageError if
    its recipe cannot be read."""
    present = {name.split("/")[1] for name in release.names("run/") if name.count("/") > 1}
    found = {step: release.child(f"run/{step}") for step in records(_recipe(release)) if step in present}
    own = {PUBLISHED: release.child("corpus")}
    return {**found, **dict.fromkeys(EVALUATION_FILES, release.child(EVALUATION)), **own}


def write_records(inputs: Mapping[str, Store], out: Store, run: RunFacts, recipe: Mapping[str, Any]) -> list[FileRecord]:
    """Copy what the run recorded of itself: ledgers, mixture, journals, results, exercise splits, versions and machine."""
    written = [out.write_json(RUN, {key: value for key, value in run.items() if key != "recipe"})]
    for step, names in records(recipe).items():
        for name in [n for n in names if step in inputs and inputs[step].exists(n)]:
            place = f"run/{step}/{name}"
            if name == "plan.json":
                written.append(out.write_json(place, _without_folder(inputs[step].read_json(name))))
            else:
                written.append(out.write_bytes(place, inputs[step].read_bytes(name)))
    for step, names in EVALUATION_FILES.items():
        for name in [n for n in names if step in inputs and inputs[step].exists(n)]:
            written.append(out.write_bytes(f"{EVALUATION}/{name}", inputs[step].read_bytes(name)))
    exercises = inputs["exercises"]
    for name in exercises.names("exercises-"):
        written.append(out.write_bytes(f"{EXERCISES}/{name}", exercises.read_bytes(name)))
    return written


def _without_folder(plan: TomlTable) -> TomlTable:
    """A stage's plan without the folder in which a continued model lay on this machine."""
    train = plan.get("train")
    if isinstance(train, dict) and train.get("init_from"):
        return {**plan, "train": {**train, "init_from": PurePath(train["init_from"]).name}}
    return plan
