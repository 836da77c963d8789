"""A byte-level BPE vocabulary of another model, read from its `tokenizer.json` (report 3.3 takes LLaMA's; this is Llama 3's kind).

Input: a folder of a Hugging Face model, or its `tokenizer.json`. Output: `ByteVocabulary`: the pieces by id, the merges in their
order, and the rest of the file as it is. Which pieces begin and end a text is read from the files beside it:
`tokenizer_config.json`, `special_tokens_map.json`, or the ids in `config.json`.

All that could make ids or text wrong without notice is refused here with a sentence, before anything is computed: another kind of
vocabulary, bytes that are missing, merges of unknown pieces, ids that are given twice or not at all, text that is changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers

from skyloom.core.errors import ConfigError, StorageError
from skyloom.tokenizer.byte_level.spelling import NEVER, byte_letters, bytes_of
from skyloom.tokenizer.pieces import RESERVED

FILE = "tokenizer.json"
Tree = dict[str, Any]
"""A parsed `tokenizer.json`."""

_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>")
_NORMALIZERS = {"NFC"}
_KEPT = ("normalizer", "pre_tokenizer", "decoder")


@dataclass(frozen=True)
class ByteVocabulary:
    """A byte-level vocabulary, another model's or an extended one. `pieces`: as the file spells them, by id. `special`: ids that
    no text is cut into. `matched`: ids of pieces that are looked for in a text before it is cut, as their maker wants it.
    `merges`: the pairs, the first is joined first. `begin`, `end`, `pad`: ids of the pieces before and after a text and for
    padding; a base without `begin` uses `end`."""

    tree: Tree
    pieces: tuple[str, ...]
    special: frozenset[int]
    matched: frozenset[int]
    merges: tuple[tuple[str, str], ...]
    begin: int
    end: int
    pad: int | None

    @property
    def size(self) -> int:
        return len(self.pieces)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that decides how a text is cut, and the ids of begin and end."""
        found = hashlib.sha256()
        rest = {key: self.tree.get(key) for key in _KEPT} | {
            k: v for k, v in self.tree["model"].items() if k not in ("vocab", "merges")
        }
        added = sorted((token for token in self.tree.get("added_tokens") or []), key=lambda token: token["id"])
        for part in (self.pieces, self.merges, rest, added, [self.begin, self.end]):
            found.update(json.dumps(part, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))
        return found.hexdigest()

    def first(self, pieces: int, merges: int) -> ByteVocabulary:
        """The vocabulary of the first so many pieces and merges: the base of an extended one."""
        added = [token for token in self.tree.get("added_tokens") or [] if token["id"] < pieces]
        tree = {**self.tree, "added_tokens": added}
        special, matched = (frozenset(i for i in ids if i < pieces) for ids in (self.special, self.matched))
        return ByteVocabulary(tree, self.pieces[:pieces], special, matched, self.merges[:merges], self.begin, self.end, self.pad)

    @cached_property
    def lacking(self) -> tuple[int, ...]:
        """The bytes of UTF-8 that have no piece: a text with one of them would lose it."""
        return tuple(b for b, letter in enumerate(byte_letters()) if letter not in self.spelled and b not in NEVER)

    @cached_property
    def spelled(self) -> dict[str, int]:
        """The pieces that text is cut into, with their ids: no special ones, and none that are matched."""
        return {piece: i for i, piece in enumerate(self.pieces) if i not in self.special and i not in self.matched}


def byte_level_file(path: Path) -> Path | None:
    """The `tokenizer.json` that a path names, a folder's or the file itself; None for everything else."""
    if path.is_dir():
        return path / FILE if (path / FILE).is_file() and not (path / "tokenizer.model").is_file() else None
    return path if path.suffix == ".json" else None


def read_byte_vocabulary(path: Path) -> ByteVocabulary:
    """The vocabulary in a `tokenizer.json`. ConfigError, with the reason, for one that cannot be taken; StorageError if it is not
    there."""
    where = f"tokenizer.base_model: {path}"
    tree = _table(path, where)
    base = vocabulary_of(tree, where, beside(path.parent))
    try:
        tokenizers.Tokenizer.from_str(json.dumps(tree))
    except Exception as problem:  # the library raises nothing narrower
        raise ConfigError(f"{where} cannot be loaded by the tokenizers library: {problem}") from problem
    clash = sorted(set(RESERVED) & set(base.pieces))
    if clash:
        raise ConfigError(f"{where} has the reserved piece {clash[0]} already; is it an extended one?")
    return base


def _table(path: Path, where: str) -> Tree:
    try:
        tree = json.loads(path.read_bytes())
    except OSError as problem:
        raise StorageError(f"{where} cannot be read: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise ConfigError(f"{where} is not JSON: {problem}") from problem
    if not isinstance(tree, dict):
        raise ConfigError(f"{where} is no tokenizer.json: it is no table")
    return tree


Named = Callable[[str], str | int | None]
"""The piece (by name or id) for "bos", "eos" or "pad", as files say; None where they do not."""


def beside(folder: Path) -> Named:
    """What the files in the folder of a `tokenizer.json` say about the pieces that begin and end a text."""
    tables = [_optional(folder / name) for name in ("tokenizer_config.json", "special_tokens_map.json", "config.json")]

    def named(which: str) -> str | int | None:
        for table in tables[:2]:
            said = table.get(f"{which}_token")
            said = said.get("content") if isinstance(said, dict) else said
            if isinstance(said, str):
                return said
        number = tables[2].get(f"{which}_token_id")
        number = number[0] if isinstance(number, list) and number else number
        return number if isinstance(number, int) and not isinstance(number, bool) else None

    return named


def _optional(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        raise ConfigError(f"{path} is not JSON, so it is not known which piece ends a text: {problem}") from problem
    return table if isinstance(table, dict) else {}


def vocabulary_of(tree: Tree, where: str, named: Named) -> ByteVocabulary:
    """The vocabulary of a parsed `tokenizer.json`. ConfigError, which begins with `where`, for one that cannot be taken."""
    model = tree.get("model")
    model = model if isinstance(model, dict) else {}
    kind = model.get("type") or ("BPE" if "merges" in model else "unnamed")
    if kind != "BPE":
        raise ConfigError(f"{where} is a {kind} vocabulary; only byte-level BPE can be extended by merges")
    steps = _kinds(tree.get("pre_tokenizer"))
    if "ByteLevel" not in steps or "ByteLevel" not in _kinds(tree.get("decoder")):
        raise ConfigError(
            f"{where} is BPE, but not byte-level (no ByteLevel in pre_tokenizer and decoder); if the model has a tokenizer.model, "
            "give that file"
        )
    pieces, special, matched = _pieces(tree, model, where)
    merges = _merges(model, where)
    _check(tree, model, where)
    known = set(pieces)
    for number, (left, right) in enumerate(merges):
        lost = next((p for p in (left, right, left + right) if p not in known), None)
        if lost is not None:
            raise ConfigError(f"{where}: merge {number} joins {left!r} and {right!r}, but {lost!r} is no piece of it")
    begin, end, pad = (_id(named(which), pieces, where) for which in ("bos", "eos", "pad"))
    if end is None:
        end = next((pieces.index(name) for name in _ENDS if name in known), begin)
    if end is None:
        raise ConfigError(
            f"{where}: no piece is named that ends a text; put the model's tokenizer_config.json (eos_token) beside it"
        )
    return ByteVocabulary(tree, tuple(pieces), special, matched, tuple(merges), end if begin is None else begin, end, pad)


def _kinds(step: object) -> list[str]:
    """The names of a step of a `tokenizer.json` and of all steps in it."""
    if not isinstance(step, dict):
        return []
    found = [str(step.get("type"))]
    for key in ("pretokenizers", "decoders", "normalizers"):
        for inner in step.get(key) or []:
            found += _kinds(inner)
    return found


def _byte_steps(step: object) -> list[Tree]:
    """The ByteLevel steps."""
    if not isinstance(step, dict):
        return []
    inner = [found for part in step.get("pretokenizers") or [] for found in _byte_steps(part)]
    return [step, *inner] if step.get("type") == "ByteLevel" else inner


def _check(tree: Tree, model: Tree, where: str) -> None:
    """ConfigError for what would change text, or cut the same text in several ways."""
    normal = [name for name in _kinds(tree.get("normalizer")) if name != "Sequence"]
    for wrong, why in (
        (bool(set(normal) - _NORMALIZERS), f"changes text ({', '.join(normal)}), so that text would not come back as it was"),
        (model.get("dropout") not in (None, 0), "leaves out merges at random (dropout), so that a text has no one form"),
        (
            bool(model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")),
            "marks the beginning or end of words inside of its pieces, which is not supported",
        ),
        (
            any(step.get("add_prefix_space") for step in _byte_steps(tree.get("pre_tokenizer"))),
            "puts a space in front of each text, which cannot be told from the text's own",
        ),
        (bool(model.get("byte_fallback")), "has both letters and pieces for bytes (byte_fallback), which is not supported"),
    ):
        if wrong:
            raise ConfigError(f"{where} {why}")


def _pieces(tree: Tree, model: Tree, where: str) -> tuple[list[str], frozenset[int], frozenset[int]]:
    """The pieces by id, and the ids of those that are special and of those that are matched in a text."""
    vocabulary, added = model.get("vocab"), tree.get("added_tokens") or []
    sound = isinstance(added, list) and all(
        isinstance(t, dict) and isinstance(t.get("content"), str) and type(t.get("id")) is int for t in added
    )
    if not isinstance(vocabulary, dict) or not sound or not all(type(number) is int for number in vocabulary.values()):
        raise ConfigError(f"{where}: its vocabulary is no table of pieces and ids")
    by_id: dict[int, str] = {}
    extra = [(token["content"], token["id"]) for token in added]
    for piece, number in (*vocabulary.items(), *extra):
        if by_id.setdefault(number, piece) != piece:
            raise ConfigError(f"{where} gives the id {number} to {by_id[number]!r} and to {piece!r}")
    wrong = next(((p, i, vocabulary[p]) for p, i in extra if p in vocabulary and vocabulary[p] != i), None)
    if wrong is not None:
        raise ConfigError(f"{where} gives {wrong[0]!r} the ids {wrong[2]} and {wrong[1]}")
    gap = next((i for i in range(len(by_id)) if i not in by_id), None)
    if gap is not None:
        raise ConfigError(f"{where} has {len(by_id):,} pieces up to id {max(by_id)}, but none with id {gap}")
    special = frozenset(token["id"] for token in added if token.get("special"))
    matched = frozenset(token["id"] for token in added if not token.get("special"))
    pieces = [by_id[i] for i in range(len(by_id))]
    strange = [p for i, p in enumerate(pieces) if i not in special and i not in matched and (not p or bytes_of(p) is None)]
    if strange:
        raise ConfigError(f"{where} has {len(strange):,} pieces that do not spell bytes, for example {strange[0]!r}")
    return pieces, special, matched


def _merges(model: Tree, where: str) -> list[tuple[str, str]]:
    """The pairs, from "a b" (old files) or ["a", "b"]."""
    found: list[tuple[str, str]] = []
    merges = model.get("merges")
    for number, merge in enumerate(merges if isinstance(merges, list) else []):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(side, str) and side for side in pair):
            raise ConfigError(f"{where}: merge {number} is no pair of pieces: {str(merge)[:80]!r}")
        found.append((pair[0], pair[1]))
    if not found:
        raise ConfigError(f"{where} has no merges")
    return found


def _id(named: str | int | None, pieces: Sequence[str], where: str) -> int | None:
    """The id of a piece that a file names. ConfigError if there is none."""
    if named is None:
        return None
    if isinstance(named, int):
        if not 0 <= named < len(pieces):
            raise ConfigError(f"{where}: config.json names the id {named}, but there are only {len(pieces):,} pieces")
        return named
    if named not in pieces:
        raise ConfigError(f"{where}: the files beside it name the piece {named!r}, which it does not have")
    return pieces.index(named)
