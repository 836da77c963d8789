"""The tokenizer: a SentencePiece BPE base extended with Chinese characters and words (report 3.3), and its compiled encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.tokenizer.tokenizer import Tokenizer
else:
    __getattr__ = lazy(__name__, {"tokenizer": ("Tokenizer",)})

__all__ = ["Tokenizer"]
