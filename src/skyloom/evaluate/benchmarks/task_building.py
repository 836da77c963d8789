"""Definitions and data to tasks that can be asked: lm-eval's task objects, with every check that needs no model.

Input: names, number of examples, local data, whether the network may be used; output: tasks and groups. A task takes its items from
what --data gives (`task_data`), else from the hub as its definition says. Under --offline only local data is taken, and a task
without any is named before anything is read. Each item is put through the task's templates once, so a field that is missing or an
item without text is told, with the item's id, before a model is loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from skyloom.core.errors import ConfigError, DataError, SkyloomError
from skyloom.evaluate.benchmarks.task_data import Given, columns_of, parse, read_items
from skyloom.evaluate.benchmarks.task_index import find, index, require_harness
from skyloom.evaluate.benchmarks.template_fields import example

if TYPE_CHECKING:
    from datasets import Dataset
    from lm_eval.api.group import Group
    from lm_eval.api.task import Task
    from lm_eval.tasks._index import Entry

SEED = 1234
"""Of the drawing of examples: lm-eval's default."""

Settings = dict[str, object]


@dataclass
class Built:
    """Tasks and groups by name, in the order of asking, and where the items of each task come from."""

    tasks: dict[str, Task] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Factory(Protocol):
    """What is used of lm-eval's TaskFactory."""

    def build(self, entry: Entry, *, overrides: Settings | None, registry: dict[str, Entry]) -> Task | Group | list[Task]: ...


def build(
    names: Sequence[str], *, shots: int | None = None, limit: int | None = None, data: Sequence[str] = (), offline: bool = False
) -> Built:
    """The tasks of `names`, ready to be asked. `shots`: examples before each item (None: the task's own number).

    ConfigError: an unknown name, a task that needs images or runs code. DataError: data that is missing or cannot be used.
    """
    require_harness()
    wanted, given = find(names), parse(data)
    sources = _Sources(given, shots, offline)
    found = Built(origins=sources.origins)
    with quiet(), without_network() if offline else contextlib.nullcontext():
        factory = _factory(sources)
        for name in wanted:
            made = _built(factory, name)
            for item in made if isinstance(made, list) else [made]:
                _collect(found, item)
        unused = sorted(set(given) - sources.used)
        if unused:
            raise ConfigError(f"--data names {', '.join(unused)}, which is no part of --tasks {','.join(wanted)}")
        for name, task in found.tasks.items():
            _set_shots(name, task, shots, found)
            check_items(name, task, limit)
    return found


def settings_of(name: str) -> dict[str, Settings]:
    """The settings of a task, or of each task of a group or tag, without any data."""
    require_harness()
    from lm_eval.tasks._yaml_loader import load_yaml

    with quiet():
        return {task: with_splits(load_yaml(path)) for task, path in _members(name).items()}


def _members(name: str) -> dict[str, Path]:
    """The definitions of the tasks that a name stands for."""
    from lm_eval.tasks._index import Kind
    from lm_eval.tasks._yaml_loader import load_yaml

    entry = index().get(name)
    if entry is None:
        return {}
    if entry.kind is Kind.TAG:
        return {task: path for tag in sorted(entry.tags) for task, path in _members(tag).items()}
    if entry.yaml_path is None:
        return {}
    if entry.kind is not Kind.GROUP:
        return {name: entry.yaml_path}
    found: dict[str, Path] = {}
    members = load_yaml(entry.yaml_path, resolve_func=False).get("task") or []
    for member in [members] if isinstance(members, str) else members:
        inner = member if isinstance(member, str) else member.get("group") or member.get("task")
        if isinstance(inner, str):
            found |= _members(inner)
        elif isinstance(inner, list):  # a group that is defined within another
            for part in inner:
                found |= _members(part if isinstance(part, str) else str(part.get("task")))
    return found


class _Sources:
    """Gives the settings of each task its local data, or says why it cannot be had."""

    def __init__(self, given: Mapping[str, Given], shots: int | None, offline: bool) -> None:
        self.given, self.shots, self.offline = given, shots, offline
        self.used: set[str] = set()
        self.origins: dict[str, str] = {}
        self.alone: dict[str, bool] = {}
        self.of: dict[str, Given] = {}
        for name, source in given.items():
            members = _members(name)
            for task in members:
                if task not in given or task == name:
                    self.of[task], self.alone[task] = source, len(members) == 1
            if not members:
                find([name])  # tells the nearest names

    def check(self, settings: Settings) -> None:
        """What can be said of a task before its programs are loaded, some of which fetch things at once."""
        name = str(settings.get("task"))
        if settings.get("doc_to_image") or settings.get("doc_to_audio"):
            raise ConfigError(f"task {name} shows images or sound; only tasks of text can be asked")
        if settings.get("unsafe_code"):
            raise ConfigError(f"task {name} runs programs that the model writes; such tasks are not run")
        if self.offline and name not in self.of:
            raise DataError(f"task {name} has no local data, and --offline forbids the network: give --data {name}=FILE")

    def prepare(self, settings: Settings) -> Settings:
        """The settings with `custom_dataset` (or a class of its own) where the task has local data."""
        self.check(settings)
        name = str(settings["task"])
        source = self.of.get(name)
        if source is None:
            if not any(settings.get(key) for key in ("dataset_path", "class", "custom_dataset")):
                raise DataError(
                    f"task {name} has no data set on the hub: give --data {name}=FILE (--fields {name} prints its fields)"
                )
            self.origins[name] = f"hub:{settings.get('dataset_path') or 'its own'}"
            return settings
        self.used.add(source.name)
        splits = self._splits(name, with_splits(settings), source)

        def local(**_: object) -> Mapping[str, Dataset]:
            return splits

        made = settings.get("class")
        if isinstance(made, type):  # a task that is a program; it fetches its data in `download`
            return settings | {
                "class": type(made.__name__, (made,), {"download": lambda self, *a, **k: setattr(self, "dataset", splits)})
            }
        return settings | {"custom_dataset": local}

    def _splits(self, name: str, settings: Settings, source: Given) -> Mapping[str, Dataset]:
        from datasets import Dataset, DatasetDict

        scored, examples = scored_split(settings), example_split(settings)
        words = list(dict.fromkeys(str(w) for w in (name, settings.get("dataset_name"), settings.get("task_alias")) if w))
        needed = {scored}
        if examples and shots_of(settings, self.shots):
            needed.add(examples)
        found: dict[str, Dataset] = {}
        for split in dict.fromkeys((scored, examples, *_named_splits(settings))):
            path = source.find(split, split == scored, words, self.alone[name]) if split else None
            if path is None:
                if split in needed:
                    raise DataError(self._missing(name, split, scored, source, settings))
                continue
            rows = read_items(path)
            _check_fields(path, rows, settings)
            found[split] = Dataset.from_dict(dict(columns_of(path, rows)))
            if split == scored:
                self.origins[name] = str(path)
        for split in _named_splits(settings):  # tasks look at all of their splits, also those that they do not need
            found.setdefault(split, found[scored].select([]))
        made: Mapping[str, Dataset] = DatasetDict(found)
        return made

    def _missing(self, name: str, split: str, scored: str, source: Given, settings: Settings) -> str:
        if split == scored:
            return f"task {name} has no file of its split '{split}': give --data {name}=FILE ({source.listing()})"
        count = shots_of(settings, self.shots)
        zero = "" if settings.get("num_fewshot") == 0 else ", or --shots 0"
        return (
            f"task {name} takes its {count} examples from the split '{split}', for which there is no file: give "
            f"--data {name}:{split}=FILE{zero} ({source.listing()})"
        )


def scored_split(settings: Mapping[str, object]) -> str:
    """The split whose items are scored, as lm-eval chooses it; "" if the task names none."""
    return str(settings.get("test_split") or settings.get("validation_split") or "")


def example_split(settings: Mapping[str, object]) -> str:
    """The split that examples come from, as lm-eval chooses it; "" where they stand in the definition."""
    shown = settings.get("fewshot_config")
    shown = shown if isinstance(shown, Mapping) else {}
    if chosen := shown.get("split") or settings.get("fewshot_split"):
        return str(chosen)
    if shown.get("samples") is not None:
        return ""
    return str(settings.get("training_split") or settings.get("validation_split") or scored_split(settings))


def shots_of(settings: Mapping[str, object], asked: int | None) -> int:
    """Examples before each item. A definition that says 0 is kept, as in lm-eval: its prompt has no place for examples."""
    own = settings.get("num_fewshot")
    if own == 0 or asked is None:
        return own if isinstance(own, int) else 0
    return asked


def _named_splits(settings: Mapping[str, object]) -> list[str]:
    keys = ("training_split", "validation_split", "test_split", "fewshot_split")
    return list(dict.fromkeys(str(settings[key]) for key in keys if settings.get(key)))


def with_splits(settings: Settings) -> Settings:
    """Of a task that is a program, the settings with the splits that its methods read; every other task's as they are."""
    made = settings.get("class")
    if not isinstance(made, type):
        return settings
    found: Settings = {}
    for kind, key in (("training", "training_split"), ("validation", "validation_split"), ("test", "test_split")):
        has, docs = getattr(made, f"has_{kind}_docs", None), getattr(made, f"{kind}_docs", None)
        with contextlib.suppress(AttributeError, TypeError, OSError):  # it depends on the task's settings, or has no source
            if callable(has) and callable(docs) and has(None):
                named = re.search(r"""dataset\[["'](\w+)["']\]""", inspect.getsource(docs))
                found[key] = named[1] if named else None
    return settings | found


def _check_fields(path: Path, rows: Sequence[Mapping[str, object]], settings: Settings) -> None:
    """DataError if an item lacks a field that the templates read and that other items have."""
    used = set(example(settings)) & {name for row in rows for name in row}
    for number, row in enumerate(rows):
        if lacking := sorted(used - set(row)):
            raise DataError(
                f"{path}: item {item_id(row, number)} lacks the field {', '.join(lacking)}, which the prompt of task "
                f"{settings['task']} uses; it has {', '.join(sorted(row))}"
            )


def item_id(row: object, number: int) -> str:
    """The name of an item: its own `id`, else its number in the split, from 0."""
    name = row.get("id") if isinstance(row, Mapping) else None
    return str(name) if isinstance(name, (str, int)) and str(name) else str(number)


def _factory(sources: _Sources) -> Factory:
    from lm_eval.tasks._factory import TaskFactory
    from lm_eval.tasks._index import Kind
    from lm_eval.tasks._yaml_loader import load_yaml

    class LocalFactory(TaskFactory):  # type: ignore[misc]  # lm-eval is not typed
        """lm-eval's, with our data."""

        def _load_full_config(self, entry: Entry, overrides: Settings | None = None) -> Settings:
            if entry.yaml_path is not None and entry.kind is not Kind.GROUP:
                sources.check(load_yaml(entry.yaml_path, resolve_func=False))
            settings: Settings = super()._load_full_config(entry, overrides)
            return settings if entry.kind is Kind.GROUP else sources.prepare(settings)

        def _build_group_members(
            self, member_list: list[str | Settings], group_name: str, overrides: Settings | None, registry: dict[str, Entry]
        ) -> list[Task | Group]:
            def prepared(member: str | Settings) -> str | Settings:
                if isinstance(member, str) or "group" in member or member.get("task") in registry:
                    return member
                name = str(member.get("task"))  # a task that is defined within the group
                ready = sources.prepare({**(overrides or {}), **member, "task": f"{group_name}::{name}"})
                return ready | {"task": name}

            made: list[Task | Group] = super()._build_group_members(
                [prepared(m) for m in member_list], group_name, overrides, registry
            )
            return made

    made: Factory = LocalFactory(meta={})
    return made


def _built(factory: Factory, name: str) -> Task | Group | list[Task]:
    """What a name stands for. Every failure of a definition or of its data becomes a sentence."""
    try:
        known = dict(index())
        return factory.build(known[name], overrides=None, registry=known)
    except SkyloomError:
        raise
    except ImportError as problem:
        raise ConfigError(f"task {name} needs a package that is not installed: {problem}") from problem
    except Exception as problem:  # definitions are programs of many authors; data comes from the network or from the user
        said = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise DataError(
            f"task {name} cannot be prepared ({type(problem).__name__}: {said}); local items: --data {name}=FILE, and "
            f"`skyloom eval tasks --fields {name}` prints the fields that they need"
        ) from problem


def _collect(found: Built, item: Task | Group) -> None:
    from lm_eval.api.group import Group

    if isinstance(item, Group):
        found.groups[item.name] = item
        for group in item.get_all_groups():
            found.groups[group.name] = group
        for task in item.get_all_tasks():
            found.tasks[task.task_name] = task
    else:
        found.tasks[item.task_name] = item


def _set_shots(name: str, task: Task, shots: int | None, found: Built) -> None:
    own = task.get_config("num_fewshot")
    if shots and own == 0:
        found.notes.append(f"task {name} is defined without examples: --shots {shots} does not change it")
    task.set_config(key="num_fewshot", value=shots_of({"num_fewshot": own}, shots))


def check_items(name: str, task: Task, limit: int | None) -> None:
    """DataError with the item's id if a template cannot be filled, or asks nothing."""
    for number, doc in _docs(name, task, limit):
        try:
            text, target = task.doc_to_text(doc), task.doc_to_target(doc)
            choices = task.doc_to_choice(doc) if task.get_config("doc_to_choice") is not None else None
        except Exception as problem:  # templates and functions of many authors over data of any kind
            there = ", ".join(sorted(map(str, doc))) if isinstance(doc, Mapping) else type(doc).__name__
            said = f"{type(problem).__name__}: {problem}" if not isinstance(problem, KeyError) else f"no field {problem}"
            raise DataError(
                f"task {name}, item {item_id(doc, number)}: the prompt cannot be made ({said}); the item has {there}"
            ) from problem
        asked = [*(choices or []), target if isinstance(target, str) else "", text if isinstance(text, str) else "x"]
        if choices is not None and not choices:
            raise DataError(f"task {name}, item {item_id(doc, number)} has no choices")
        if not any(isinstance(part, str) and part.strip() for part in asked):
            raise DataError(f"task {name}, item {item_id(doc, number)} has no text after the template")


def _docs(name: str, task: Task, limit: int | None) -> Iterator[tuple[int, object]]:
    try:
        docs = list(task.doc_iterator(limit=limit))
    except Exception as problem:
        raise DataError(f"task {name}: its items cannot be read ({type(problem).__name__}: {problem})") from problem
    if not docs:
        raise DataError(f"task {name} has no items")
    yield from docs


_SWITCHES = {
    "huggingface_hub.constants": ("HF_HUB_OFFLINE",),
    "datasets.config": ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"),
    "evaluate.config": ("HF_HUB_OFFLINE", "HF_EVALUATE_OFFLINE"),
}
"""Where the libraries of the hub keep whether they may call it."""


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """The libraries of the hub make no call, also where a task's program asks them to."""
    found = {place: importlib.import_module(place) for place in _SWITCHES}
    before = [
        (found[p], name, getattr(found[p], name)) for p, names in _SWITCHES.items() for name in names if hasattr(found[p], name)
    ]
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")
    environment = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    for module, name, _ in before:
        setattr(module, name, True)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        for name, text in environment.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """lm-eval and datasets speak on both streams; what matters of it is told by our own errors and notes."""
    import datasets

    loud = {name: logging.getLogger(name) for name in ("lm_eval", "datasets", "huggingface_hub", "absl", "httpx")}
    levels = {name: logger.level for name, logger in loud.items()}
    bars = datasets.are_progress_bars_disabled()
    for logger in loud.values():
        logger.setLevel(logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, logger in loud.items():
            logger.setLevel(levels[name])
        if not bars:
            datasets.enable_progress_bars()
