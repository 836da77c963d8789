"""Continuing a Hugging Face model with our vocabulary: its weights become our first weights.

What a group does that continues LLaMA in Chinese. A piece that the old vocabulary has keeps its rows of the embedding and of
the output matrix; a new piece gets the mean of the rows of the old pieces that its text is cut into, so that the model begins
by reading 印刷 as it read the bytes or characters of it (Cui et al. 2023, arXiv 2304.08177, begin at random; Hewitt 2021 shows
why means are the safer start). A piece without text and without a counterpart (<|user|>, say) gets the mean of all rows.

Weights are read one by one from memory-mapped safetensors, so that a model larger than memory can be cut into parts.
Pickled weights (`pytorch_model.bin`) are refused: reading one runs whatever it holds. A GGUF file may stand in the place
of a folder; its weights are held whole, in fp32.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import safetensors
import sentencepiece
import tokenizers
import torch
from torch import Tensor

from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.model.config import ModelConfig
from skyloom.model.gguf_file import is_gguf, settings_of, tokenizer_of, weights_of
from skyloom.model.hf import from_hf_config, names, shapes
from skyloom.model.hf_config import Table, passed_over
from skyloom.tokenizer.pieces import BYTES, RESERVED, SPACE, SPECIAL, read_model

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_SAMPLE = 1 << 20
_ANCHOR = "\n"

Rows = Sequence[Sequence[int]]
"""For each new id the old ids whose rows it is the mean of; none: the mean of all."""


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
    looked at here, before anything is read. `passed_over`: keys of its config that change nothing.
    """

    def __init__(self, folder: Path, pieces: Sequence[str]) -> None:
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
        missing = [n for n in self._theirs.values() if n not in there]
        unknown = sorted(set(there) - set(self._theirs.values()) - ({"lm_head.weight"} if self.old.tied else set()))
        unknown = [n for n in unknown if not n.endswith("rotary_emb.inv_freq")]  # written by old versions, and computed here
        if missing or unknown:
            raise IntegrityError(f"{folder} does not fit its config: missing {missing[:3]}, unknown {unknown[:3]}")
        for name, shape in shapes(self.old).items():
            if there[self._theirs[name]] != shape:
                raise IntegrityError(f"{folder}: {self._theirs[name]} is {there[self._theirs[name]]}, its config says {shape}")
        self.rows = rows_of(folder, pieces, self.old.vocabulary)

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


def mean_rows(matrix: Tensor, rows: Rows) -> Tensor:
    """fp32[len(rows), width]: row i is the mean of `matrix` over the old ids rows[i]; of all rows where there are none."""
    counts = torch.tensor([len(r) for r in rows])
    flat = torch.tensor([i for r in rows for i in r], dtype=torch.int64)
    summed = torch.zeros(len(rows), matrix.shape[1]).index_add_(0, torch.arange(len(rows)).repeat_interleave(counts), matrix[flat])
    result = summed / counts.clamp(min=1)[:, None]
    result[counts == 0] = matrix.mean(0)
    return result


def rows_of(folder: Path, pieces: Sequence[str], vocabulary: int) -> Rows:
    """For each piece the old ids that stand for it, by the tokenizer in the folder (SentencePiece, or tokenizer.json) or GGUF file.

    DataError if that has more ids than the old embedding has rows (`vocabulary`), or is byte-level and lacks bytes.
    """
    path = folder / "tokenizer.model"
    if is_gguf(folder):  # transformers adds a special token to its vocabulary, beyond the embedding; no text is cut into it
        same, cut, _ = _tokenizers(tokenizer_of(folder), folder)
        size = vocabulary
    elif path.exists():
        same, cut, size = _sentencepiece(path)
    else:
        same, cut, size = _tokenizers(_read_tokenizer(folder / "tokenizer.json"), folder / "tokenizer.json")
    if size > vocabulary:
        raise DataError(f"{folder}: its tokenizer has ids up to {size - 1:,}, its embedding {vocabulary:,} rows (vocab_size)")
    found = []
    for piece in pieces:
        known = same(piece)
        ids = [known] if known is not None else cut(piece.replace(SPACE, " ")) if not _is_special(piece) else []
        found.append([i for i in ids if i < vocabulary])
    return found


def _is_special(piece: str) -> bool:
    return piece in BYTES or piece in SPECIAL or piece in RESERVED


Vocabulary = tuple[Callable[[str], int | None], Callable[[str], Sequence[int]], int]
"""The id of an equal piece, the ids that a text is cut into when nothing stands before it, and one more than the largest id."""


def _sentencepiece(path: Path) -> Vocabulary:
    model = read_model(path.read_bytes())
    ids = {p.piece: i for i, p in enumerate(model.pieces)}
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    return ids.get, lambda text: [int(i) for i in processor.encode(text)], len(ids)


def _read_tokenizer(path: Path) -> tokenizers.Tokenizer:
    if not path.exists():
        raise ConfigError(f"{path.parent} has neither tokenizer.model nor tokenizer.json, so its rows cannot be named")
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as problem:  # the library raises a bare Exception for whatever is wrong with the file
        raise IntegrityError(f"{path} is no tokenizer: {problem}") from problem


def _tokenizers(old: tokenizers.Tokenizer, path: Path) -> Vocabulary:
    """Of a tokenizer read from `path`. Text is cut behind an anchor, to which a space goes that is put in front of every text."""
    anchor = old.encode(_ANCHOR, add_special_tokens=False).ids
    letters = _byte_letters()
    lacking = [b for b in range(256) if old.token_to_id(letters[b]) is None]
    if lacking and _is_byte_level(old):
        raise DataError(
            f"{path} is byte-level and lacks {len(lacking)} of the 256 bytes (0x{lacking[0]:02X} is the first), so not every text "
            "can be cut into its pieces"
        )

    def same(piece: str) -> int | None:
        if piece in BYTES and old.token_to_id(piece) is None:
            return old.token_to_id(letters[int(piece[3:5], 16)])
        return old.token_to_id(piece) if _is_special(piece) else None

    def cut(text: str) -> Sequence[int]:
        ids = old.encode(_ANCHOR + text, add_special_tokens=False).ids
        return ids[len(anchor) :] if ids[: len(anchor)] == anchor else old.encode(text, add_special_tokens=False).ids

    return same, cut, max(old.get_vocab().values(), default=-1) + 1


def _is_byte_level(old: tokenizers.Tokenizer) -> bool:
    """Whether the pieces are written in letters that stand for bytes."""
    return "ByteLevel" in json.dumps(json.loads(old.to_str()).get("decoder"))


@functools.cache
def _byte_letters() -> list[str]:
    """The letter that byte-level vocabularies (GPT-2's and after) write for each byte: printable ones stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) if b in printable else chr(256 + others.index(b)) for b in range(256)]


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
