"""Continuing a Hugging Face model with our vocabulary: its weights become our first weights.

What a group does that continues LLaMA in Chinese. A piece that the old vocabulary has keeps its rows of the embedding and of
the output matrix; a new piece gets the mean of the rows of the old pieces that its text is cut into, so that the model begins
by reading 印刷 as it read the bytes or characters of it (Cui et al. 2023, arXiv 2304.08177, begin at random; Hewitt 2021 shows
why means are the safer start). <s> and </s> take the rows of the pieces that the old config names as such; a piece without text and
without a counterpart (<|user|>, say) gets the mean of all rows (`vocabulary_rows`).

Weights are read one by one from memory-mapped safetensors, so that a model larger than memory can be cut into parts.
Pickled weights (`pytorch_model.bin`) are refused: reading one runs whatever it holds. A GGUF file may stand in the place
of a folder; its weights are held whole, in fp32.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.model.config import ModelConfig
from skyloom.model.gguf_file import is_gguf, settings_of, weights_of
from skyloom.model.hf import from_hf_config, names, shapes
from skyloom.model.hf_config import Table, passed_over
from skyloom.model.vocabulary_rows import Rows, read_vocabulary, rows_of
from skyloom.tokenizer.pieces import SPECIAL

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_SAMPLE = 1 << 20


def read_shape(folder: Path) -> ModelConfig:
    """The shape that the folder's config.json describes. ConfigError if it is not there or not our decoder's."""
    return from_hf_config(read_config(folder))


def read_config(folder: Path) -> Table:
    """The folder's config.json, or what a GGUF file says in its place. ConfigError if it is not there or no table."""
    if is_gguf(folder):
        return settings_of(folder)
    try:
        table = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise ConfigError(f"{folder} is no folder of a Hugging Face model: {CONFIG} cannot be read ({problem})") from problem
    if not isinstance(table, dict):
        raise ConfigError(f"{folder / CONFIG} is not a table of settings")
    return table


def fingerprint(folder: Path) -> str:
    """SHA-256 over the config, the vocabulary, and sizes, headers and ends of the weights: 26 GB need not be read to name a run."""
    digest = hashlib.sha256()
    files = [folder] if is_gguf(folder) else [folder / CONFIG, *_vocabulary_files(folder), *weight_files(folder)]
    for path in files:
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, path.stat().st_size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


class Adopted:
    """The weights of a model in a folder, under our names, in fp32, with rows for the new `pieces`; called with a weight's name.

    `pieces`: the new vocabulary in the order of its ids, U+2581 for a space (`Tokenizer.pieces`). ConfigError or DataError if the
    folder is not a model that can be continued, IntegrityError if its weights are not those of its config; names and shapes are
    looked at here, before anything is read. `passed_over`: keys of its config that change nothing. `spelled`: the bytes of each
    piece of a byte-level vocabulary (`Tokenizer.spelled`). `ends`: the ids of the pieces that begin and end a text, <s> and </s>
    if not given.
    """

    def __init__(
        self,
        folder: Path,
        pieces: Sequence[str],
        spelled: Sequence[bytes] | None = None,
        ends: tuple[int, int] | None = None,
    ) -> None:
        table = read_config(folder)
        self.old, self.passed_over = from_hf_config(table), passed_over(table)
        self.config = replace(self.old, vocabulary=len(pieces))
        self._theirs = names(self.old)
        self._files: dict[str, Path] = {}
        self._held: dict[str, Tensor] = {}
        if is_gguf(folder):
            self._held = weights_of(folder)
            there = {name: tuple(weight.shape) for name, weight in self._held.items()}
        else:
            self._files, there = _where(folder)
        _check_weights(folder, self.old, there)
        rows = self.old.vocabulary
        self.rows = rows_of(read_vocabulary(folder, rows), rows, pieces, spelled, _ends(table, pieces, ends))

    def __call__(self, name: str) -> Tensor:
        """The whole weight of that name. IntegrityError if it cannot be read."""
        weight = self._read(self._theirs[name])
        return mean_rows(weight, self.rows) if name in ("embedding.weight", "head.weight") else weight

    def _read(self, theirs: str) -> Tensor:
        if theirs in self._held:
            return self._held[theirs]
        path = self._files[theirs]
        try:
            with safetensors.safe_open(path, "pt") as file:
                weight: Tensor = file.get_tensor(theirs).float()
        except (OSError, safetensors.SafetensorError) as problem:
            raise IntegrityError(f"{path} cannot be read: {problem}") from problem
        return weight

    def summary(self) -> str:
        """What became of the vocabulary, for the log."""
        kept = sum(len(r) == 1 for r in self.rows)
        blank = sum(not r for r in self.rows)
        return (
            f"{kept:,} of {len(self.rows):,} pieces keep their row, {len(self.rows) - kept - blank:,} begin as the mean of their "
            f"parts, {blank:,} without text as the mean of all"
        )


def check_model(folder: Path) -> None:
    """That a model can be continued, by its config, the headers of its weights and its tokenizer, before a corpus is built for it.

    ConfigError for a config that is not our decoder's, DataError for weights that are not there or a tokenizer that has ids beyond
    the embedding or lacks bytes, IntegrityError for weights that are damaged or not those of the config. A GGUF file's tokenizer is
    not looked at: its ids are the rows of its embedding.
    """
    shape = read_shape(folder)
    if not is_gguf(folder):
        read_vocabulary(folder, shape.vocabulary)
        _check_weights(folder, shape, _where(folder)[1])


def _check_weights(folder: Path, shape: ModelConfig, there: Mapping[str, tuple[int, ...]]) -> None:
    """IntegrityError if the weights that are `there`, by name with their shapes, are not those of the config."""
    theirs = names(shape)
    missing = [n for n in theirs.values() if n not in there]
    unknown = sorted(set(there) - set(theirs.values()) - ({"lm_head.weight"} if shape.tied else set()))
    unknown = [n for n in unknown if not n.endswith("rotary_emb.inv_freq")]  # written by old versions, and computed here
    if missing or unknown:
        raise IntegrityError(f"{folder} does not fit its config: missing {missing[:3]}, unknown {unknown[:3]}")
    for name, size in shapes(shape).items():
        if there[theirs[name]] != size:
            raise IntegrityError(f"{folder}: {theirs[name]} is {there[theirs[name]]}, its config says {size}")


def _ends(table: Table, pieces: Sequence[str], ends: tuple[int, int] | None) -> dict[int, int]:
    """For the new ids that begin and end a text the old ids that the config names; without its BOS, EOS begins a text."""
    if ends is None:
        named = [pieces.index(name) if name in pieces else -1 for name in SPECIAL[1:]]
        ends = (named[0], named[1])
    said = [value[0] if isinstance(value := table.get(f"{name}_token_id"), list) and value else value for name in ("bos", "eos")]
    begin, end = (value if isinstance(value, int) and value >= 0 else None for value in said)
    begin = end if begin is None else begin
    return {new: old for new, old in zip(ends, (begin, end), strict=True) if new >= 0 and old is not None}


def mean_rows(matrix: Tensor, rows: Rows) -> Tensor:
    """fp32[len(rows), width]: row i is the mean of `matrix` over the old ids rows[i]; of all rows where there are none."""
    counts = torch.tensor([len(r) for r in rows])
    flat = torch.tensor([i for r in rows for i in r], dtype=torch.int64)
    summed = torch.zeros(len(rows), matrix.shape[1]).index_add_(0, torch.arange(len(rows)).repeat_interleave(counts), matrix[flat])
    result = summed / counts.clamp(min=1)[:, None]
    result[counts == 0] = matrix.mean(0)
    return result


def _vocabulary_files(folder: Path) -> Iterable[Path]:
    return (p for p in (folder / "tokenizer.model", folder / "tokenizer.json") if p.exists())


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a Hugging Face model's weights. DataError if there are none that can be read safely."""
    if (folder / INDEX).exists():
        try:
            listed = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as problem:
            raise IntegrityError(f"{folder / INDEX} is not an index of weights: {problem!r}") from problem
        if any(Path(name).name != name for name in listed):
            raise IntegrityError(f"{folder / INDEX} names files outside of its folder")
        paths = [folder / name for name in listed]
    else:
        paths = [folder / WEIGHTS]
    absent = [p.name for p in paths if not p.exists()]
    if absent:
        pickled = " (pickled weights are not read; save them as safetensors)" if any(folder.glob("*.bin")) else ""
        raise DataError(f"{folder} lacks {', '.join(absent[:3])}{pickled}")
    return paths


def _where(folder: Path) -> tuple[dict[str, Path], dict[str, tuple[int, ...]]]:
    """The file of each weight, and its shape, by the files' own headers."""
    found: dict[str, Path] = {}
    there: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        with _readable(path), safetensors.safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                found[name], there[name] = path, tuple(file.get_slice(name).get_shape())
    return found, there


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except safetensors.SafetensorError as problem:
        raise IntegrityError(f"{path} is damaged or cut short: {problem}") from problem
    except OSError as problem:
        raise StorageError(f"{path} cannot be read: {problem.strerror or problem}") from problem
