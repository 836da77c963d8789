"""Other models' figures that a user gives in a TOML or JSON file: bits per byte by model and held-out set.

```toml
["LLaMA2-7B"]           # the name in the legend
zh = 1.10               # a tag: all sets of that language, domain or kind
code = 0.62             # a set or a tag
web_en = 0.71           # a held-out set; it counts before tags
```

Losses per token of other tokenizers could not be compared, so the unit is bits per byte. What the file says is checked when
the run is planned, and the names of sets as soon as the sets are known, which is before training.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from skyloom.core.config import read_toml
from skyloom.core.errors import ConfigError
from skyloom.core.records import Json, tags_of
from skyloom.evaluate.config import ReferencesConfig

Figures = Mapping[str, Mapping[str, float]]
"""Bits per byte by model, and set or tag."""

_SAMPLE = 1 << 16


def read_figures(config: ReferencesConfig) -> Figures:
    """The figures of the file, if one is named, in the order of their names, whatever that of the file is.

    ConfigError if it is not what the module says or names a computed model.
    """
    if not config.file:
        return {}
    path = Path(config.file)
    found: dict[str, dict[str, float]] = {}
    for model, figures in sorted(_read(path).items()):
        if model in config.models:
            raise ConfigError(f"{path}: '{model}' is in references.models too; one of the two must have another name")
        if not isinstance(figures, Mapping) or not figures:
            raise ConfigError(f"{path}: '{model}' must be a table of held-out sets or tags with bits per byte")
        found[model] = {}
        for name, value in sorted(figures.items()):
            if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{path}: '{model}'.'{name}' is {value!r}; it must be bits per byte, a number above 0")
            found[model][name] = value
    return found


def _read(path: Path) -> Mapping[str, Json]:
    if path.suffix == ".toml":
        return read_toml(path)
    if path.suffix != ".json":
        raise ConfigError(f"references.file is {path}; it must end in .toml or .json")
    try:
        table = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise ConfigError(f"cannot read {path}: {problem.strerror or problem}") from problem
    except (ValueError, RecursionError) as problem:
        raise ConfigError(f"{path}: not valid JSON: {problem}") from problem
    if not isinstance(table, Mapping):
        raise ConfigError(f"{path} must be a table of models")
    return table


class FigureRow(TypedDict):
    """A figure that a user gave, for one set."""

    model: str
    set: str
    bits_per_byte: float


def spread(figures: Figures, sets: Sequence[str], origin: str) -> list[FigureRow]:
    """A row `{model, set, bits_per_byte}` for each set that a figure is given for. ConfigError for names that are no set or tag."""
    tags = {name: _tags(name) for name in sets}
    known = {tag for own in tags.values() for tag in own}
    rows: list[FigureRow] = []
    for model, given in figures.items():
        for name in given:
            if name not in tags and name not in known:
                raise ConfigError(
                    f"{origin}: '{model}'.'{name}' is neither a held-out set of this run ({', '.join(sets)}) nor a tag of one "
                    f"({', '.join(sorted(known))})"
                )
        for name in sets:
            found = {given[name]} if name in given else {given[tag] for tag in tags[name] if tag in given}
            if len(found) > 1:
                raise ConfigError(f"{origin}: '{model}' has different figures for the tags of {name}; give '{name}' one of its own")
            rows += [{"model": model, "set": name, "bits_per_byte": float(value)} for value in found]
    return rows


def _tags(name: str) -> tuple[str, ...]:
    tags = tags_of(name)
    return (tags.lang, tags.domain, tags.kind)


def fingerprint(name: str, folder: Path) -> str:
    """SHA-256 over names, sizes and ends of the files of a Hugging Face folder. ConfigError if it is none."""
    if not (folder / "config.json").is_file():
        raise ConfigError(f"references.models: {name} is {folder}, which holds no Hugging Face model (it has no config.json)")
    digest = hashlib.sha256()
    for path in _files(folder.iterdir()):
        with path.open("rb") as file:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def _files(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file())
