"""Which kind of model a user's word names, and the files behind it.

Input: a path, or a model's name on the Hugging Face hub. Output: a `ModelPlace`: its kind, its files and their digest, without
reading the weights. An existing path wins over a name on the hub. The kinds: a checkpoint of ours (`state.json`), a folder for
transformers (which a release of ours is too), one GGUF file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.evaluate.opened.model_words import files_digest
from skyloom.model.adopt import weight_files
from skyloom.model.gguf_file import check_gguf, first_line

CHECKPOINT, RELEASE, FOLDER, GGUF = "checkpoint", "release", "hugging face", "gguf"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.tiktoken", "*.jinja")


@dataclass(frozen=True)
class ModelPlace:
    """`path`: a folder, or the GGUF file. `tokenizer`: the folder of a checkpoint's tokenizer, else `path`. `digest`: SHA-256 over
    the names, sizes and ends of all files that make the model, hex."""

    kind: str
    name: str
    path: Path
    tokenizer: Path
    digest: str


def locate(text: str, *, offline: bool = False, trust_code: bool = False) -> ModelPlace:
    """The place of a model. ConfigError if the word names none, DataError for a folder or file that holds none."""
    path = Path(text)
    if path.is_file():
        return _file(path)
    if path.is_dir():
        return _folder(path, trust_code)
    if _HUB_NAME.fullmatch(text) and not text.startswith((".", "/")):
        return _folder(_from_hub(text, offline, trust_code), trust_code, text)
    raise ConfigError(
        f"{text} is no model: no folder of a checkpoint, a release or a Hugging Face model, no .gguf file, and no name on the hub "
        "(owner/name)"
    )


def _file(path: Path) -> ModelPlace:
    if path.suffix != ".gguf":
        raise DataError(f"{path} is no model: a single file must be a .gguf file; else give the folder that holds config.json")
    check_gguf(path)
    return ModelPlace(GGUF, path.stem, path, path, files_digest([path]))


_NAMED = "name one with `skyloom model export CHECKPOINT --tokenizer FOLDER`, which writes a folder that can be evaluated"


def _folder(path: Path, trust_code: bool, name: str = "") -> ModelPlace:
    if (path / "state.json").is_file():
        tokenizer = tokenizer_beside(path)
        files = [p for folder in (path, tokenizer) for p in _files(folder)]
        return ModelPlace(CHECKPOINT, _checkpoint_name(path), path, tokenizer, files_digest(files))
    if not (path / "config.json").is_file():
        raise DataError(f"{path} holds no model: it has neither config.json (Hugging Face) nor state.json (a checkpoint of ours)")
    files = _files(path)
    weight_files(path)
    _check_code(path, trust_code)
    kind = RELEASE if (path / "parts.json").is_file() else FOLDER
    return ModelPlace(kind, name or path.resolve().name, path, path, files_digest(files))


def _files(folder: Path) -> list[Path]:
    """The files that make a model: settings, vocabulary, weights. Not what lies in folders below."""
    return sorted({path for pattern in _MODEL_FILES for path in folder.glob(pattern) if path.is_file()})


def _check_code(folder: Path, trust_code: bool) -> None:
    try:
        table = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{folder / 'config.json'} is no JSON: {problem}") from problem
    if not isinstance(table, dict):
        raise DataError(f"{folder / 'config.json'} is no table of settings")
    if table.get("auto_map") and not trust_code:
        raise ConfigError(f"{folder} needs code of its own ({json.dumps(table['auto_map'])[:200]}); --trust-code runs it")


def tokenizer_beside(checkpoint: Path) -> Path:
    """The tokenizer of the work folder above a checkpoint. ConfigError if there is none, or several."""
    for folder in checkpoint.absolute().parents[:4]:
        found = [path for path in folder.glob("tokenizer-*") if path.is_dir()]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(f"{folder} has {len(found)} tokenizers ({', '.join(sorted(p.name for p in found))}): {_NAMED}")
    raise ConfigError(f"no tokenizer was found above {checkpoint}: {_NAMED}")


def _checkpoint_name(path: Path) -> str:
    """`stage2/final` of `runs/demo/stage2-805e3cd308c4077c/final`."""
    whole = path.resolve()
    return f"{whole.parent.name.rpartition('-')[0] or whole.parent.name}/{whole.name}"


def _from_hub(name: str, offline: bool, trust_code: bool) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [*_MODEL_FILES, *(["*.py"] if trust_code else [])]
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns, local_files_only=offline))
    except LocalEntryNotFoundError as problem:
        if offline:
            raise StorageError(f"{name} is not among the models downloaded before, and --offline allows no download") from problem
        raise StorageError(f"{name} cannot be downloaded from the Hugging Face hub: {first_line(problem)}") from problem
    except (HfHubHTTPError, OSError, ValueError) as problem:
        raise StorageError(f"{name} cannot be downloaded from the Hugging Face hub: {first_line(problem)}") from problem
