"""The same tokenizer for the `tokenizers` and `transformers` libraries: model proto in, JSON files out.

SentencePiece keeps pieces with scores, `tokenizers` a list of merges. Every way in which two pieces make a third is a merge,
and merges are ordered by the score of what they make. Spaces are replaced by U+2581 in the normalizer; the usual
`Metaspace` pre-tokenizer treats leading spaces differently, and cutting the text at spaces would lose the pieces that
are runs of spaces. Equality of ids over fuzzed text is tested in tests/tokenizer/test_parity.py.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from skyloom.core.store import Store
from skyloom.tokenizer.pieces import BOS, EOS, PAD, RESERVED, SPECIAL, UNK, normal_pieces, read_model

SPACE = "\u2581"


def merges_of(pieces: list[tuple[str, float]]) -> list[tuple[str, str]]:
    """All pairs of pieces that make a piece, best score of the result first, then the shorter left side first."""
    present = {piece for piece, _ in pieces}
    merges = []
    for piece, _ in sorted(pieces, key=lambda item: -item[1]):
        for cut in range(1, len(piece)):
            if piece[:cut] in present and piece[cut:] in present:
                merges.append((piece[:cut], piece[cut:]))
    return merges


def to_tokenizers(model: bytes) -> Tokenizer:
    """The `tokenizers` object with the same ids; adds <s> in front where special tokens are asked for."""
    pieces = [p.piece for p in read_model(model).pieces]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=merges_of(normal_pieces(model)),
            unk_token=SPECIAL[UNK],
            byte_fallback=True,
            fuse_unk=False,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[BOS]} $A",
        pair=f"{SPECIAL[BOS]} $A {SPECIAL[BOS]}:1 $B:1",
        special_tokens=[(SPECIAL[BOS], BOS)],
    )
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in (*SPECIAL, *RESERVED)])
    return tokenizer


def write(model: bytes, out: Store) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`, which `AutoTokenizer` loads."""
    # Through json, so that the file is ours byte for byte: the library's own order of keys may change.
    out.write_text("tokenizer.json", json.dumps(json.loads(to_tokenizers(model).to_str()), ensure_ascii=False, indent=1) + "\n")
    tokens: dict[str, Any] = {
        "bos_token": SPECIAL[BOS],
        "eos_token": SPECIAL[EOS],
        "unk_token": SPECIAL[UNK],
        "pad_token": PAD,
    }
    out.write_json("special_tokens_map.json", {**tokens, "additional_special_tokens": list(RESERVED[1:])})
    out.write_json(
        "tokenizer_config.json",
        {
            **tokens,
            "additional_special_tokens": list(RESERVED[1:]),
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
        },
    )
