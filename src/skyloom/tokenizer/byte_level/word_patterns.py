"""How byte-level vocabularies cut a text into words before bytes are joined, and what llama.cpp calls each way.

llama.cpp does not read the patterns of a `tokenizer.json`; it has them built in, by name. A vocabulary whose pattern is none of
these would be cut in another way there without notice, so it is not written.
"""

from __future__ import annotations

import json
from typing import Any

from skyloom.core.errors import ConfigError

Tree = dict[str, Any]

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {_LETTERS + r"\p{N}{1,3}" + _REST: "llama-bpe", _LETTERS + r"\p{N}" + _REST: "qwen2"}
"""Llama 3 keeps up to three digits together, Qwen 2 and 3 one."""


def pre_tokenizer_of(name: str, where: str) -> tuple[Tree, Tree | None, bool]:
    """The `pre_tokenizer` and `normalizer` of a `tokenizer.json` for a name of llama.cpp's, and its `ignore_merges`.

    ConfigError, which begins with `where`, for a name that is not known here.
    """
    whole = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    pattern = next((pattern for pattern, known in _PATTERNS.items() if known == name), None)
    if pattern is not None:
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        steps = [split, {**whole, "use_regex": False}]
        return {"type": "Sequence", "pretokenizers": steps}, {"type": "NFC"} if name == "qwen2" else None, name == "llama-bpe"
    if name == "smollm":
        return {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, whole]}, None, False
    if name == "gpt-2":
        return whole, None, False
    known_names = ", ".join(sorted({*_PATTERNS.values(), "smollm", "gpt-2"}))
    raise ConfigError(f"{where} cuts words in the way {name!r}, which is not known here; known are {known_names}")


def llama_cpp_name(tree: Tree) -> str:
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
