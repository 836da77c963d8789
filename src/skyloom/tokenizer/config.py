"""Settings of the tokenizer: the sizes of its parts, and the sample of text that it is trained on (report 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.tokenizer.base import SMALLEST


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes of the vocabulary and its parts. The report's: 65,536 = 32,000 + 8,000 + 25,519 + 17."""

    vocabulary: int = setting(8192, doc="size of the whole vocabulary; the parts must add up to it", unit="pieces", low=1024)
    base: int = setting(4300, doc="Latin pieces, with 3 specials and 256 bytes", unit="pieces", low=SMALLEST, high=1 << 20)
    base_model: str = setting(
        "", doc="SentencePiece BPE model, byte-level tokenizer.json or GGUF, or a folder with one; `base` is its size"
    )
    characters: int = setting(2400, doc="Chinese characters and symbols", unit="pieces", low=0)
    words: int = setting(1475, doc="Chinese words of two characters or more", unit="pieces", low=0)
    reserved: int = setting(
        17, doc="pieces for padding, chat roles and later use: 17, or 0 with a byte-level base", unit="pieces", low=0, high=17
    )
    fit: bool = setting(False, doc="where the corpus has too few candidates, take a smaller vocabulary instead of stopping")
    least_count: int = setting(
        3, doc="an added word occurs at least this often in the sample; a character too, if the sizes leave a choice", low=1
    )
    dictionary_weight: float = setting(
        0.1, doc="weight of jieba's dictionary against the Chinese text of the sample when words are chosen", low=0.0, high=10.0
    )
    sample_megabytes: float = setting(20.0, doc="text that is looked at, shared evenly by the domains", unit="MB", low=0.01)
    balance: float = setting(
        0.5, doc="what a domain that gives more text weighs: 1 in proportion, 0 as much as any other", low=0.0, high=1.0
    )
    weights: Mapping[str, float] = setting(factory=dict, doc="further weights of domains, 1 for those that are not named")
    seed: int = setting(1, doc="chooses the sampled documents", low=0)

    def __post_init__(self) -> None:
        if self.reserved not in (0, 17) or (not self.reserved and not self.base_model):
            raise ConfigError(f"tokenizer.reserved is {self.reserved}; it is 17, or 0 with a byte-level tokenizer.base_model")
        parts = self.base + self.characters + self.words + self.reserved
        if parts != self.vocabulary:
            raise ConfigError(
                f"the parts add up to {parts} (base {self.base} + characters {self.characters} + words {self.words} + "
                f"reserved {self.reserved}), but vocabulary is {self.vocabulary}; change one by {self.vocabulary - parts:+d}"
            )
        for domain, weight in self.weights.items():
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"tokenizer.weights.{domain} is {weight}; a weight is a number from 0 up")
