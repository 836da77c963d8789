"""Export of the tokenizer for the `tokenizers` and `transformers` libraries: from the model proto to JSON files.

SentencePiece keeps pieces with scores, `tokenizers` a list of merges. Every way in which two pieces make a third is a merge,
and merges are ordered by the score of what they make. Of equal scores SentencePiece takes the leftmost pair, `tokenizers` the
merge that stands first: LLaMA's runs of spaces all have one score, and grow from the left when longer ones stand first.
Spaces are replaced by U+2581 in the normalizer, and a base that wants one in front of a text gets it there; the usual
`Metaspace` pre-tokenizer treats leading spaces differently, and cutting the text at spaces would lose the pieces that
are runs of spaces. Equality of ids over fuzzed text is tested in tests/tokenizer/test_parity.py.
"""

from __future__ import annotations

import json

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from skyloom.core.store import Store
from skyloom.tokenizer.pieces import PAD, RESERVED, SPACE, TYPE, ParsedModel, normal_pieces, read_model


def merges_of(pieces: list[tuple[str, float]]) -> list[tuple[str, str]]:
    """All pairs of pieces that make a piece: best score of the result first, then the longer result, then the shorter left side."""
    present = {piece for piece, _ in pieces}
    merges = []
    for piece, _ in sorted(pieces, key=lambda item: (-np.float32(item[1]), -len(item[0]))):
        for cut in range(1, len(piece)):
            if piece[:cut] in present and piece[cut:] in present:
                merges.append((piece[:cut], piece[cut:]))
    return merges


def to_tokenizers(model: bytes) -> Tokenizer:
    """The `tokenizers` object with the same ids; adds <s> in front where special tokens are asked for."""
    parsed = read_model(model)
    pieces = [p.piece for p in parsed.pieces]
    unknown, bos, _ = special_pieces(parsed)
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=merges_of(normal_pieces(model)),
            unk_token=unknown,
            byte_fallback=True,
            fuse_unk=False,
        )
    )
    replace = normalizers.Replace(" ", SPACE)
    back = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if parsed.normalizer_spec.add_dummy_prefix:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), replace])
        back.append(decoders.Strip(" ", 1, 0))
    else:
        tokenizer.normalizer = replace
    tokenizer.decoder = decoders.Sequence(back)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, pieces.index(bos))]
    )
    special = [p.piece for p in parsed.pieces if p.type in (TYPE.UNKNOWN, TYPE.CONTROL)]
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    # Pieces that the base's maker wants matched before anything is joined.
    given = [p.piece.replace(SPACE, " ") for p in parsed.pieces if p.type == TYPE.USER_DEFINED]
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in given])
    return tokenizer


def special_pieces(parsed: ParsedModel) -> tuple[str, str, str]:
    """<unk>, <s> and </s> of a parsed model, however it names them."""
    spec = parsed.trainer_spec
    unknown, bos, eos = (parsed.pieces[i].piece for i in (spec.unk_id, spec.bos_id, spec.eos_id))
    return unknown, bos, eos


def write(model: bytes, out: Store) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`, which `AutoTokenizer` loads."""
    # Through json, so that the file is ours byte for byte: the library's own order of keys may change.
    out.write_text("tokenizer.json", json.dumps(json.loads(to_tokenizers(model).to_str()), ensure_ascii=False, indent=1) + "\n")
    unknown, bos, eos = special_pieces(read_model(model))
    tokens = {"bos_token": bos, "eos_token": eos, "unk_token": unknown, "pad_token": PAD}
    out.write_json("special_tokens_map.json", {**tokens, "additional_special_tokens": list(RESERVED[1:])})
    out.write_json(
        "tokenizer_config.json",
        {
            **tokens,
            "additional_special_tokens": list(RESERVED[1:]),
            "tokenizer_class": "PreTrainedTokenizerFast",
            # llama.cpp's converter asks here whether a space is put in front of a text, and takes it for granted otherwise.
            "add_prefix_space": bool(read_model(model).normalizer_spec.add_dummy_prefix),
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
        },
    )
