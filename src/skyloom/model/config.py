"""The shape of a decoder (report 3.4, Table 3): what a recipe says of it, and what follows from it.

It stands by itself so that reading a recipe does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a decoder. ConfigError if the heads do not divide the width into even parts."""

    vocabulary: int = setting(doc="tokens in the vocabulary", unit="tokens", low=2)
    hidden: int = setting(doc="width of the residual stream", low=2)
    layers: int = setting(doc="number of blocks", low=1)
    heads: int = setting(doc="attention heads; they divide `hidden` into parts of even size", low=1)
    ffn: int = setting(doc="width of the feed-forward part; about 8/3 of `hidden`", low=1)
    context: int = setting(4096, doc="longest sequence the model is made for", unit="tokens", low=1)
    rope_theta: float = setting(10_000.0, doc="base of the rotary wavelengths", low=1.0)
    norm_eps: float = setting(1e-5, doc="added to the mean square in RMSNorm", low=0.0)

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise ConfigError(f"{self.heads} heads do not divide a width of {self.hidden} into parts of even size")

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the input embedding, which is looked up and not multiplied."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters, input embedding and output matrix included."""
        block = 4 * self.hidden**2 + 3 * self.hidden * self.ffn + 2 * self.hidden
        return 2 * self.embedding_parameters + self.layers * block + self.hidden

    def flops_per_token(self, sequence: int) -> int:
        """FLOPs to train on one token in sequences of `sequence` tokens, forward and backward.

        6 for each parameter that multiplies, and 12·layers·hidden·sequence for the attention scores, where the causal
        half is counted as in the literature on utilisation (Chowdhery et al. 2022, appendix B).
        """
        return 6 * (self.parameters - self.embedding_parameters) + 12 * self.layers * self.hidden * sequence
