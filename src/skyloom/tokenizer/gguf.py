"""Export of the vocabulary as a GGUF file without weights, for llama.cpp.

llama.cpp's tokenizer "llama" is SentencePiece's BPE: it joins the pair whose concatenation has the best score, and falls
back to bytes. So pieces, scores and types go over as they are, with the ids of the specials and whether a space is put in
front of a text. What llama.cpp itself made of such a file is in docs/3-tokenizer.md; the file's fields are tested here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from skyloom.core.errors import ConfigError
from skyloom.core.store import Store
from skyloom.tokenizer.pieces import PAD, read_model


def write(folder: Store, out: Path) -> int:
    """Write `out` from `tokenizer.model`; the number of pieces. The file appears whole or not at all.

    ConfigError without the package gguf. StorageError if the folder has no tokenizer.
    """
    try:
        import gguf
    except ImportError as problem:
        raise ConfigError("writing GGUF needs the package gguf: pip install 'skyloom[gguf]'") from problem
    model = read_model(folder.read_bytes("tokenizer.model"))
    spec, names = model.trainer_spec, [p.piece for p in model.pieces]
    with tempfile.TemporaryDirectory() as place:
        writer = gguf.GGUFWriter(Path(place, "vocabulary.gguf"), "llama")
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_name("skyloom tokenizer")
        writer.add_vocab_size(len(names))
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([n.encode() for n in names])
        writer.add_token_scores([float(np.float32(p.score)) for p in model.pieces])
        writer.add_token_types([int(p.type) for p in model.pieces])  # GGUF numbers types as SentencePiece does
        writer.add_unk_token_id(spec.unk_id)
        writer.add_bos_token_id(spec.bos_id)
        writer.add_eos_token_id(spec.eos_id)
        if PAD in names:
            writer.add_pad_token_id(names.index(PAD))
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(False)
        writer.add_add_space_prefix(bool(model.normalizer_spec.add_dummy_prefix))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        Store(out.absolute().parent).write_bytes(out.name, Path(place, "vocabulary.gguf").read_bytes())
    return len(names)
