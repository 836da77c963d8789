"""The byte-level vocabulary in a GGUF file, as a `tokenizer.json` would have it.

Input: a GGUF file. Output: the tree of a `tokenizer.json`, and which pieces begin and end a text. GGUF has pieces, merges and
types, and only the name of the way in which a text is cut into words (`word_patterns`); a file with another name is refused.
Pieces of type control are special; those that a user defined are matched in text; unused ones behind the last piece fill up the
embedding and are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skyloom.core.errors import ConfigError, StorageError
from skyloom.tokenizer.byte_level.byte_vocabulary import ByteVocabulary, vocabulary_of
from skyloom.tokenizer.byte_level.word_patterns import pre_tokenizer_of
from skyloom.tokenizer.pieces import TYPE

if TYPE_CHECKING:
    import gguf

_KEY = "tokenizer.ggml."


def read_gguf_vocabulary(path: Path) -> ByteVocabulary:
    """The vocabulary. ConfigError without the package gguf or for a vocabulary that cannot be taken; StorageError for a missing
    file."""
    where = f"tokenizer.base_model: {path}"
    try:
        import gguf
    except ImportError as problem:
        raise ConfigError("reading GGUF needs the package gguf: pip install 'skyloom[gguf]'") from problem
    if not path.is_file():
        raise StorageError(f"{where} cannot be read: no such file")
    try:
        fields = gguf.GGUFReader(path).fields
    except Exception as problem:  # whatever numpy raises on a file that is cut, and ValueError for an unknown type
        raise ConfigError(
            f"{where} cannot be read as GGUF: {str(problem).splitlines()[0] if str(problem) else problem!r}"
        ) from problem
    kind = _value(fields, "model")
    if kind != "gpt2":
        raise ConfigError(f"{where} has a vocabulary of the kind {kind!r}; only byte-level ones ('gpt2') are read from GGUF")
    pieces, merges = (_strings(fields, name) for name in ("tokens", "merges"))
    types = fields[f"{_KEY}token_type"].contents() if f"{_KEY}token_type" in fields else [int(TYPE.NORMAL)] * len(pieces)
    while pieces and types[len(pieces) - 1] == TYPE.UNUSED:
        pieces.pop()
    shape = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": i, "content": piece, **shape, "special": types[i] != TYPE.USER_DEFINED}
        for i, piece in enumerate(pieces)
        if types[i] in (TYPE.CONTROL, TYPE.USER_DEFINED, TYPE.UNKNOWN)
    ]
    cutting, normalizer, whole_words = pre_tokenizer_of(str(_value(fields, "pre")), where)
    tree = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": cutting, "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": whole_words,
            "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": merges,
        },
    }  # fmt: skip
    names = {"bos": "bos_token_id", "eos": "eos_token_id", "pad": "padding_token_id"}
    return vocabulary_of(tree, where, lambda which: _value(fields, names[which]))


def _value(fields: dict[str, gguf.ReaderField], name: str) -> Any:
    field = fields.get(_KEY + name)
    return None if field is None else field.contents()


def _strings(fields: dict[str, gguf.ReaderField], name: str) -> list[str]:
    field = fields.get(_KEY + name)
    return [] if field is None else [bytes(field.parts[i]).decode("utf-8", "replace") for i in field.data]
