"""Export of the vocabulary as a GGUF file without weights, for llama.cpp.

llama.cpp's tokenizer "llama" is SentencePiece's BPE: it joins the pair whose concatenation has the best score, and falls back to
bytes. So pieces, scores and types go over as they are, with the ids of the specials and whether a space is put in front of a
text. A byte-level vocabulary is its tokenizer "gpt2": pieces, merges, types, and the name that llama.cpp has for the way in which
a text is cut into words. What llama.cpp itself made of such files is in docs/3-tokenizer.md; the files' fields are tested here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skyloom.core.errors import ConfigError
from skyloom.core.store import Store
from skyloom.tokenizer.byte_level.byte_cutter import ByteLevelCutter
from skyloom.tokenizer.byte_level.word_patterns import llama_cpp_name
from skyloom.tokenizer.pieces import PAD, TYPE, read_model
from skyloom.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import gguf


def write(folder: Store, out: Path) -> int:
    """Write `out` from the tokenizer in a folder; the number of pieces. The file appears whole or not at all.

    ConfigError without the package gguf, or if llama.cpp has no name for the way in which a byte-level vocabulary cuts words.
    StorageError if the folder has no tokenizer.
    """
    try:
        import gguf
    except ImportError as problem:
        raise ConfigError("writing GGUF needs the package gguf: pip install 'skyloom[gguf]'") from problem
    tokenizer = Tokenizer.load(folder)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "vocabulary.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_name("skyloom tokenizer")
        writer.add_vocab_size(tokenizer.vocab_size)
        add_vocabulary(writer, tokenizer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        Store(out.absolute().parent).write_bytes(out.name, path.read_bytes())
    return tokenizer.vocab_size


def add_vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    """Add the fields of a vocabulary, SentencePiece or byte-level, to a GGUF that is being written."""
    if isinstance(tokenizer.cutter, ByteLevelCutter):
        _byte_level(writer, tokenizer.cutter)
    else:
        _sentencepiece(writer, tokenizer.model)
    writer.add_bos_token_id(tokenizer.bos_id)
    writer.add_eos_token_id(tokenizer.eos_id)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def _sentencepiece(writer: gguf.GGUFWriter, data: bytes) -> None:
    model = read_model(data)
    names = [p.piece for p in model.pieces]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([n.encode() for n in names])
    writer.add_token_scores([float(np.float32(p.score)) for p in model.pieces])
    writer.add_token_types([int(p.type) for p in model.pieces])  # GGUF numbers types as SentencePiece does
    writer.add_unk_token_id(model.trainer_spec.unk_id)
    if PAD in names:
        writer.add_pad_token_id(names.index(PAD))
    writer.add_add_space_prefix(bool(model.normalizer_spec.add_dummy_prefix))


def _byte_level(writer: gguf.GGUFWriter, cutter: ByteLevelCutter) -> None:
    vocabulary = cutter.vocabulary
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(llama_cpp_name(cutter.tree))
    writer.add_token_list([piece.encode() for piece in vocabulary.pieces])
    kinds = np.full(vocabulary.size, TYPE.NORMAL)
    kinds[sorted(vocabulary.special)] = TYPE.CONTROL
    kinds[sorted(vocabulary.matched)] = TYPE.USER_DEFINED
    writer.add_token_types(kinds.tolist())
    writer.add_token_merges([f"{left} {right}" for left, right in vocabulary.merges])
    writer.add_pad_token_id(cutter.pad_id)
    writer.add_add_space_prefix(False)
