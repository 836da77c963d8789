"""The layout of a release: where its parts lie, and the records of the run as the cards read them.

Input: a release folder. Output: its recipe, its models, and the run's own records (ledgers, journals, manifests) by the step that
wrote them. The build writes the cards from these files, not from the run, so whoever has the folder can write the same cards again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypedDict

from skyloom.core.config import TomlTable, build
from skyloom.core.errors import DataError
from skyloom.core.json_files import RunFacts
from skyloom.core.store import TELEMETRY, FileRecord, Store
from skyloom.release.config import ReleaseConfig
from skyloom.train.config import STAGES

RECIPE, RUN, MODELS, EVALUATION, EXERCISES = "recipe.toml", "run/run.json", "run/models.json", "evaluation", "exercises"
PAGE = "report.html"
EVALUATION_FILES = {"evaluate": ("perplexity.json", "choice.json", "samples.json"), "leakage": ("leakage.json",)}
_JOURNALS = (
    "plan.json", "metrics.jsonl", "heldout.jsonl", "scores.jsonl", "alarms.jsonl", "skips.jsonl", "rollbacks.json",
    f"{TELEMETRY}speed.jsonl",
)  # fmt: skip
RECORDS: dict[str, tuple[str, ...]] = {
    "pages": ("sources.json",),
    "extract": ("ledger.json",),
    "parallel": ("parallel.json",),
    "corpus": ("ledger.json", "mixture.json", "redaction.json"),
    "tokenizer": ("measure.json",),
    "tokens": ("tokens.json",),
    **dict.fromkeys(STAGES, _JOURNALS),
}
"""Files of the steps that lie in `run/<step>/` of a release, under their own names."""


class ModelEntry(TypedDict):
    """A model in `run/models.json`: its folder ("" for the release itself) and where training stood."""

    folder: str
    stage: str
    step: int
    tokens: int


@dataclass(frozen=True)
class Opened:
    """What a release says of itself. `recipe`: the tables of recipe.toml; `run`: empty where it was not recorded."""

    recipe: TomlTable
    config: ReleaseConfig
    models: list[ModelEntry]
    run: RunFacts


def open_release(release: Store) -> Opened:
    """Recipe, models and run of a release. DataError, ConfigError or StorageError if a file is not what it should be."""
    try:
        recipe = tomllib.loads(release.read_text(RECIPE))
    except tomllib.TOMLDecodeError as problem:
        raise DataError(f"{release.url(RECIPE)} is not TOML: {problem}") from problem
    config = build(ReleaseConfig, recipe.get("release", {}), origin=release.url(RECIPE), key="release")
    run: RunFacts = release.read_json(RUN)
    models: list[ModelEntry] = release.read_json(MODELS)
    return Opened(recipe, config, models, run)


def records_of(release: Store) -> dict[str, Store]:
    """The folders of a release by the step whose files they hold, as `evidence.read` takes them."""
    present = {name.split("/")[1] for name in release.names("run/") if name.count("/") > 1}
    found = {step: release.child(f"run/{step}") for step in RECORDS if step in present}
    return {**found, **dict.fromkeys(EVALUATION_FILES, release.child(EVALUATION))}


def write_records(inputs: Mapping[str, Store], out: Store, run: RunFacts) -> list[FileRecord]:
    """Copy what the run recorded of itself: ledgers, mixture, journals, results, exercise splits, versions and machine."""
    records = [out.write_json(RUN, {key: value for key, value in run.items() if key != "recipe"})]
    for step, names in RECORDS.items():
        for name in [n for n in names if step in inputs and inputs[step].exists(n)]:
            place = f"run/{step}/{name}"
            if name == "plan.json":
                records.append(out.write_json(place, _without_folder(inputs[step].read_json(name))))
            else:
                records.append(out.write_bytes(place, inputs[step].read_bytes(name)))
    for step, names in EVALUATION_FILES.items():
        for name in [n for n in names if step in inputs and inputs[step].exists(n)]:
            records.append(out.write_bytes(f"{EVALUATION}/{name}", inputs[step].read_bytes(name)))
    exercises = inputs["exercises"]
    for name in exercises.names("exercises-"):
        records.append(out.write_bytes(f"{EXERCISES}/{name}", exercises.read_bytes(name)))
    return records


def _without_folder(plan: TomlTable) -> TomlTable:
    """A stage's plan without the folder in which a continued model lay on this machine."""
    train = plan.get("train")
    if isinstance(train, dict) and train.get("init_from"):
        return {**plan, "train": {**train, "init_from": PurePath(train["init_from"]).name}}
    return plan
