"""Documents to tokenizer: a Latin BPE base extended with Chinese characters and words (report 3.3)."""

from skyloom.tokenizer.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
