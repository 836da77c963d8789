"""The recipe: one TOML file, read into one frozen typed tree of the settings of all packages.

Each package declares its own part; this module only composes them. A key that no package knows is an error that names the
file, the key and the nearest valid one. `samples` is relative to the recipe's own folder, so that a recipe can be run from
anywhere; the paths of sources are the user's, and relative to where the command is run.

A recipe needs only the tables of the steps that are asked for: `require` names those that are missing. A recipe can begin with
`base`, another recipe below it (`recipe_base`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from skyloom.core.config import build, override, plain, setting
from skyloom.core.config import to_toml as plain_to_toml
from skyloom.core.errors import ConfigError
from skyloom.core.json_files import PlainTable
from skyloom.corpus.bitext import BitextConfig
from skyloom.corpus.clean import CleanConfig, check_filters
from skyloom.corpus.extract import ExtractConfig
from skyloom.corpus.filters import FilterConfig
from skyloom.corpus.sources import SourceConfig
from skyloom.corpus.stem import StemConfig
from skyloom.data.config import PackConfig
from skyloom.evaluate.config import EvaluateConfig, ReferencesConfig
from skyloom.leakage.config import LeakageConfig
from skyloom.model.config import ModelConfig
from skyloom.model.presets import preset
from skyloom.release.config import ReleaseConfig
from skyloom.report.config import ReportConfig
from skyloom.run.recipe_base import BASE, read_tables, refuse_earlier_form
from skyloom.run.recipe_checks import check
from skyloom.suites import HeldoutSetsConfig
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.train.config import TrainConfig
from skyloom.train.stage_list import Stage, check_stages, shape_in, train_of

T = TypeVar("T")
STEPS_BEFORE = ("pages", "extract", "parallel", "exercises", "corpus", "tokenizer", "tokens", "lr-test", "references")
STEPS_AFTER = ("evaluate", "leakage", "release", "report")
"""Steps of a run before and after the training stages, in order."""
TAKEN = (*STEPS_BEFORE, *STEPS_AFTER, "final", "unigram", "xz")
"""Names that no stage can have: those of the other steps, and those of other models in tables."""
USUAL_SAMPLES = "../samples"
"""What a recipe says of the sample pages that says nothing of them."""


@dataclass(frozen=True)
class CorpusSettings:
    """Pages to documents (report 3.1 and 3.2)."""

    sources: tuple[SourceConfig, ...] = setting((), doc="where pages come from")
    extract: ExtractConfig = setting(factory=ExtractConfig, doc="structural extraction")
    parallel_text: BitextConfig = setting(factory=BitextConfig, doc="parallel text")
    clean: CleanConfig = setting(factory=CleanConfig, doc="cleaning: the phases and filters, in order")
    filters: tuple[FilterConfig, ...] = setting((), doc="filters of one's own", identity=False)

    def __post_init__(self) -> None:
        check_filters(self.filters, self.clean.order)


@dataclass(frozen=True)
class Recipe:
    """A whole run, or as much of one as a recipe describes: what is None is not there, and so are the steps that need it."""

    name: str = setting(doc="name of the run [the file's]; its work folder is runs/<name> unless --work says otherwise")
    corpus: CorpusSettings = setting(factory=CorpusSettings, doc="pages to documents")
    tokenizer: TokenizerConfig | None = setting(None, doc="the vocabulary")
    model: ModelConfig | None = setting(None, doc='the decoder; `preset = "demo-3m"` names a known shape')
    stages: tuple[Stage, ...] = setting((), doc="the training stages in order, a [[stages]] table each")
    samples: str = setting(
        USUAL_SAMPLES, doc="folder of sample pages, from the recipe's own on; if it is not there, those of Skyloom"
    )
    exercises: StemConfig = setting(factory=StemConfig, doc="generated exercises with solutions")
    tokens: PackConfig = setting(factory=PackConfig, doc="token shards")
    heldout_sets: HeldoutSetsConfig = setting(factory=HeldoutSetsConfig, doc="held-out sets that the monitor scores")
    train: TrainConfig = setting(factory=TrainConfig, doc="training")
    evaluate: EvaluateConfig = setting(factory=EvaluateConfig, doc="evaluation")
    leakage: LeakageConfig = setting(factory=LeakageConfig, doc="the leakage audit")
    release: ReleaseConfig = setting(factory=ReleaseConfig, doc="the released folder")
    references: ReferencesConfig = setting(factory=ReferencesConfig, doc="other models' losses beside ours")
    report: ReportConfig = setting(factory=ReportConfig, doc="the run page")

    def __post_init__(self) -> None:
        if self.name in ("", ".", "..") or "/" in self.name:
            raise ConfigError(f"name is {self.name!r}; it names the work folder in runs/ and has no slash")
        check_stages(self.stages, TAKEN)


def stages(recipe: Recipe) -> tuple[str, ...]:
    """The training stages that the recipe has, in order."""
    return tuple(stage.name for stage in recipe.stages)


def stage_of(recipe: Recipe, name: str) -> Stage:
    """A training stage of the recipe. ConfigError if it has none of that name."""
    for stage in recipe.stages:
        if stage.name == name:
            return stage
    raise ConfigError(f"the recipe has no stage {name}; its stages are {', '.join(stages(recipe)) or 'none'}")


def stage_train(recipe: Recipe, name: str) -> TrainConfig:
    """The settings of training in a stage."""
    return train_of(recipe.train, stage_of(recipe, name))


def stage_shape(recipe: Recipe, name: str) -> ModelConfig:
    """The model's shape in a stage, see `shape_in`."""
    begun = 0
    if recipe.train.init_from and any(stage.context for stage in recipe.stages):
        from skyloom.model.adopt import read_shape

        begun = read_shape(Path(recipe.train.init_from)).context
    return shape_in(given(recipe.model, "model"), recipe.train, recipe.stages, stage_of(recipe, name).name, begun)


def order(recipe: Recipe) -> tuple[str, ...]:
    """The names of all steps that a run of the recipe can have, in order."""
    return (*STEPS_BEFORE, *stages(recipe), *STEPS_AFTER)


def given(value: T | None, key: str) -> T:
    """A part of a recipe that is there. ConfigError if it is not."""
    if value is None:
        raise ConfigError(f"missing key {meaning(key)}")
    return value


def meaning(key: str) -> str:
    """A key of a recipe with what it means, for messages: `'model' (the decoder; …)`."""
    if key == "corpus.sources":
        return "'corpus.sources' (where pages come from; write a [[corpus.sources]] table, or give --source)"
    if key == "stages":
        return "'stages' (the training stages; write a [[stages]] table for each)"
    docs = {field.name: str(field.metadata["doc"]) for field in dataclasses.fields(Recipe)}
    return f"'{key}' ({docs[key]})"


def load(path: Path, overrides: Sequence[str] = (), source: str | None = None, text_field: str | None = None) -> Recipe:
    """Read, replace the sources, override, check. `source` replaces the recipe's own pages (the standard library's code stays);
    `text_field` is the column or key in which it has its text.

    ConfigError for whatever is wrong with it, before anything runs.
    """
    table = read_tables(path, Recipe)
    if source is not None:
        _replace_sources(table, source, text_field)
    elif text_field is not None:
        raise ConfigError("--text-field belongs to --source; in a recipe it is text_field of a [[corpus.sources]] table")
    table = override(table, overrides)
    if BASE in table:
        raise ConfigError(f"{path}: 'base' is read from the file alone; --set cannot give one")
    refuse_earlier_form(table, str(path))
    table.setdefault("name", path.stem)
    _continue(table, str(path))
    _complete(table, str(path))
    recipe = build(Recipe, table, origin=str(path))
    check(recipe, str(path))
    return recipe


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML; `load` reads it back to an equal tree."""
    return plain_to_toml(plain(recipe))


def with_base(recipe: Recipe, base: Path, characters: int, words: int) -> Recipe:
    """The recipe with a tokenizer that extends the model in a file. ConfigError if the file is no base that can be extended."""
    from skyloom.tokenizer.base import given_base

    size = given_base(base).size
    own = recipe.tokenizer or TokenizerConfig()
    total = size + characters + words + own.reserved
    path = str(base.absolute())
    sizes = {"base_model": path, "base": size, "characters": characters, "words": words, "vocabulary": total}
    tokenizer = build(TokenizerConfig, plain(own) | sizes, origin="tokenizer extend", key="tokenizer")
    return replace(recipe, tokenizer=tokenizer, model=recipe.model and replace(recipe.model, vocabulary=total))


def _replace_sources(table: PlainTable, source: str, text_field: str | None) -> None:
    corpus = table.setdefault("corpus", {})
    given = corpus.get("sources", []) if isinstance(corpus, dict) else None
    if not isinstance(corpus, dict) or not isinstance(given, list):
        return  # not what a recipe says; building it tells where
    kept = [s for s in given if isinstance(s, dict) and s.get("kind") == "stdlib"]
    path = source if "://" in source else str(Path(source).absolute())
    own: PlainTable = {"name": "source", "kind": "auto", "path": path}
    if text_field is not None:
        own["text_field"] = text_field
    corpus["sources"] = [own, *kept]


def _continue(table: PlainTable, origin: str) -> None:
    """With `train.init_from` the model's shape is that of the model that is continued, with our vocabulary."""
    train = table.get("train")
    folder = train.get("init_from") if isinstance(train, dict) else None
    if not folder or not isinstance(folder, str):
        return
    from skyloom.model.adopt import read_shape

    model = table.get("model", {})
    shape = plain(read_shape(Path(folder)))
    wider = model.get("context") if isinstance(model, dict) and shape["block"] != "gpt" else None
    if isinstance(wider, int) and wider > shape["context"]:  # a longer context is no other shape: a stage may train it
        shape["context"] = wider
    if isinstance(model, dict) and set(model) - {"preset", "vocabulary"}:
        differing = sorted(k for k, v in model.items() if k in shape and k != "vocabulary" and _differs(v, shape[k]))
        if differing:
            said = [f"{k} = {json.dumps(shape[k])}" for k in differing if not isinstance(shape[k], dict | None)]
            said += [f"no {k}" for k in differing if shape[k] is None]
            said += [f"{k} = the folder's" for k in differing if isinstance(shape[k], dict)]
            raise ConfigError(
                f"{origin}: model.{differing[0]} is {model[differing[0]]!r}, but {folder} has {shape[differing[0]]!r}: remove "
                f"[model], or set it to {', '.join(said)}"
            )
    del shape["vocabulary"]
    table["model"] = shape


def _differs(value: object, there: object) -> bool:
    """Whether a setting contradicts the folder's; of a table only what it says."""
    if isinstance(value, dict) and isinstance(there, dict):
        return any(there.get(key) != said for key, said in value.items())
    return value != there


def _complete(table: PlainTable, origin: str) -> None:
    """Fill in what one part of a recipe says for another: preset shapes, the vocabulary, the context, names of stages."""
    model, vocabulary = table.get("model"), table.get("tokenizer", {})
    if isinstance(model, dict) and isinstance(vocabulary, dict):
        size = vocabulary.get("vocabulary", TokenizerConfig().vocabulary)
        if "tokenizer" not in table:  # a dry run, say: nothing but the model tells
            size = model.get("vocabulary", size)
        if "vocabulary" in model and model["vocabulary"] != size:
            raise ConfigError(
                f"{origin}: model.vocabulary is {model['vocabulary']}, tokenizer.vocabulary {size}; leave the first out"
            )
        named = model.pop("preset", None)
        if named is not None:
            try:
                model = {**plain(preset(str(named))), **model}
            except ConfigError as problem:
                raise ConfigError(f"{origin}: model.preset: {problem}") from problem
        table["model"] = {**model, "vocabulary": size}
    listed = table.get("stages")
    for stage in listed if isinstance(listed, list) else ():
        rate = stage.setdefault("rate", {}) if isinstance(stage, dict) else None
        if isinstance(stage, dict) and isinstance(rate, dict) and "name" in stage:
            rate.setdefault("name", stage["name"])
