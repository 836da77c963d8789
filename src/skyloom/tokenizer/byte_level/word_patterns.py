"""How byte-level vocabularies cut a text into words before bytes are joined, and what llama.cpp calls each way.

llama.cpp does not read the patterns of a `tokenizer.json`; it has them built in, by name. A vocabulary whose pattern is none of
these would be cut in another way there without notice, so it is not written.
"""

from __future__ import annotations

import json
from typing import Any

from skyloom.core.errors import ConfigError

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {_LETTERS + r"\p{N}{1,3}" + _REST: "llama-bpe", _LETTERS + r"\p{N}" + _REST: "qwen2"}
"""Llama 3 keeps up to three digits together, Qwen 2 and 3 one."""


def llama_cpp_name(tree: dict[str, Any]) -> str:
    """The `tokenizer.ggml.pre` of a parsed `tokenizer.json`. ConfigError if llama.cpp has none that is known here."""
    step = tree.get("pre_tokenizer") or {}
    parts = step.get("pretokenizers") or [step]
    kinds = [part.get("type") for part in parts]
    last = parts[-1]
    if kinds == ["Split", "ByteLevel"] and not last.get("use_regex", True):
        pattern = parts[0].get("pattern", {}).get("Regex")
        if pattern in _PATTERNS and parts[0].get("behavior") == "Isolated" and not parts[0].get("invert"):
            return _PATTERNS[pattern]
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits") and last.get("use_regex", True):
        return "smollm"
    if kinds == ["ByteLevel"] and last.get("use_regex", True):
        return "gpt-2"
    raise ConfigError(
        f"llama.cpp has no name that is known here for the way in which this vocabulary cuts words: {json.dumps(step)[:200]}"
    )
