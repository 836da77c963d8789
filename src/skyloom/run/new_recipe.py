"""`skyloom init`: writes a commented recipe of the user's own.

Input: where pages come from, their languages, and the size of the machine. Output: one file, `recipe.toml`, which `skyloom run`
takes as it is. Nothing is asked and nothing is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import tomli_w

from skyloom.core.errors import ConfigError, StorageError

FILE = "recipe.toml"
LANGUAGES = ("en", "zh-Hans", "zh-Hant", "other")
_TEMPLATE = Path(__file__).with_name("recipe.toml.jinja")
_CODES = {"en": "en", "zh-Hans": "zh", "zh-Hant": "zh"}

SIZES: Mapping[str, Mapping[str, str | int]] = {
    "laptop": {
        "about": "3 M parameters: minutes on two cores. It shows that the pipeline works and knows nothing.",
        "preset": "demo-3m", "vocabulary": 8192, "base": 4300, "characters": 1800, "words": 2075, "sample": "20.0",
        "batch": 8, "context": 256, "precision": "fp32", "micro_batch": 0, "data": 1, "tensor": 1,
        "first": "2_400_000", "second": "600_000", "peak": "3e-3", "last": "3e-4", "warmup": 80, "points": 8,
    },
    "gpu": {
        "about": "134 M parameters, for one card. `skyloom train lr-test` tries learning rates.",
        "preset": "small-134m", "vocabulary": 32_768, "base": 18_000, "characters": 6_000, "words": 8_751, "sample": "200.0",
        "batch": 256, "context": 2048, "precision": "bf16", "micro_batch": 8, "data": 1, "tensor": 1,
        "first": "2_500_000_000", "second": "250_000_000", "peak": "6e-4", "last": "6e-5", "warmup": 500, "points": 20,
    },
    "cluster": {
        "about": "7.0 B parameters, for 8 nodes of 8 cards with 80 GB. Never run at this size by us.",
        "preset": "llama-7b", "vocabulary": 65_536, "base": 32_000, "characters": 8_000, "words": 25_519, "sample": "10_000.0",
        "batch": 1024, "context": 4096, "precision": "bf16", "micro_batch": 1, "data": 32, "tensor": 2,
        "first": "1_000_000_000_000", "second": "60_000_000_000", "peak": "3e-4", "last": "3e-5", "warmup": 2000, "points": 100,
    },
}  # fmt: skip
"""What a recipe says of vocabulary, model and training, by the size of the machine."""


def write_recipe(folder: Path, *, source: str | None, languages: Sequence[str], size: str) -> Path:
    """Write `recipe.toml` into a folder, which is made if need be; returns its path.

    `source`: a path, pattern or URL of the user's pages, None for the documentation packages of the demo. ConfigError for an
    unknown language, or if the file is there already; StorageError if it cannot be written.
    """
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown or not languages:
        raise ConfigError(f"--languages: {', '.join(unknown) or 'none'}; give one or more of {','.join(LANGUAGES)}")
    path = folder / FILE
    text = _rendered(path, source, languages, size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as problem:
        raise ConfigError(f"{path} is there already; give another folder, or remove it first") from problem
    except OSError as problem:
        raise StorageError(f"cannot write {path}: {problem.strerror or problem}") from problem
    return path


def _rendered(path: Path, source: str | None, languages: Sequence[str], size: str) -> str:
    place = source if source is None or "://" in source else str(Path(source).expanduser().absolute())
    codes = list(dict.fromkeys(_CODES[language] for language in languages if language in _CODES)) or ["en", "zh"]
    environment = jinja2.Environment(  # TOML, not HTML
        autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    try:
        text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
            file=path.name,
            name=_toml(path.absolute().parent.name or "recipe"),
            source=None if place is None else _toml(place),
            languages=_toml(list(dict.fromkeys(languages))),
            codes=_toml(codes),
            **SIZES[size],
        )
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise ConfigError("a path with bytes that are no UTF-8 cannot be written into a recipe; give it another name") from problem
    return text


def _toml(value: str | list[str]) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")
