"""Small byte-level vocabularies as the families have them, trained here on the texts of the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tests.tokenizer.texts import CHINESE, CODE, ENGLISH

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
FAMILIES = ("llama3", "qwen2", "smollm2")


def pre_tokenizer(family: str) -> Any:
    """How a family cuts a text into words: Llama 3 takes up to three digits together, Qwen and SmolLM2 one."""
    if family == "smollm2":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    pattern = _WORDS % (r"\p{N}{1,3}" if family == "llama3" else r"\p{N}")
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def byte_tokenizer(family: str, size: int = 700) -> Tokenizer:
    """A vocabulary of about `size` pieces with the special pieces of its family."""
    made = Tokenizer(models.BPE(ignore_merges=family == "llama3"))
    made.pre_tokenizer = pre_tokenizer(family)
    made.decoder = decoders.ByteLevel()
    first = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] if family == "smollm2" else []
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=first, show_progress=False
    )
    lines = [*ENGLISH, *CODE, *CHINESE[:3], "Привет ひらがな カタカナ 한국어", "12 345 2023 1998 100 2000"] * 12
    made.train_from_iterator([*lines, *(CHINESE if size > 1000 else ())], trainer)
    if family == "qwen2":
        made.normalizer = normalizers.NFC()
        made.add_special_tokens([AddedToken(t, normalized=False) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
        made.add_tokens([AddedToken("<tool_call>", normalized=False)])
    if family == "llama3":
        made.add_special_tokens([AddedToken(t, normalized=False) for t in ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>")])
    return made


def write_model(folder: Path, family: str, size: int = 700) -> Path:
    """A folder with the vocabulary of a family as its makers publish it: `tokenizer.json` and `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    byte_tokenizer(family, size).save(str(folder / "tokenizer.json"))
    end = {
        "__type": "AddedToken",
        "content": "<|im_end|>",
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
    }
    named = {
        "llama3": {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        "qwen2": {"bos_token": None, "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
        "smollm2": {"bos_token": "<|im_start|>", "eos_token": end, "pad_token": "<|im_end|>"},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(named[family]), encoding="utf-8")
    return folder
