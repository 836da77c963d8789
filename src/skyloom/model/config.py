"""The shape of a decoder (report 3.4, Table 3, appendix A): what a recipe says of it, and what follows from it.

It stands by itself so that reading a recipe does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError

BLOCKS = ("llama", "gpt")
ROPE_SCALINGS = ("linear", "llama3", "yarn")


@dataclass(frozen=True)
class RopeScaling:
    """How rotary wavelengths are stretched, so that a model reads longer texts than it was first trained on.

    `linear` divides all angles by `factor` (Chen et al. 2023); `llama3` those of wavelengths that are long beside the first
    context, with a slope between (Llama 3.1); `yarn` the same by numbers of turns, and makes the scores larger (Peng et al. 2023).
    """

    kind: str = setting(doc="linear, llama3 or yarn", choices=ROPE_SCALINGS)
    factor: float = setting(doc="by how much the longest wavelengths are stretched", low=1.0, high=1e6)
    original_context: int = setting(
        0, doc="longest sequence before the stretching; llama3 and yarn need it", unit="tokens", low=0, high=1 << 24
    )
    low_frequency: float = setting(
        1.0, doc="llama3: wavelengths above original_context / this are stretched whole", low=1e-3, high=1e6
    )
    high_frequency: float = setting(4.0, doc="llama3: wavelengths below original_context / this are left alone", low=1e-3, high=1e6)
    beta_fast: float = setting(
        32.0, doc="yarn: pairs that turn more often within original_context are left alone", low=1e-3, high=1e6
    )
    beta_slow: float = setting(1.0, doc="yarn: pairs that turn less often are stretched whole", low=1e-3, high=1e6)
    attention: float = setting(0.0, doc="yarn: factor of queries and keys; 0: 1 + ln(factor) / 10", low=0.0, high=1e3)
    truncate: bool = setting(True, doc="yarn: the slope begins and ends at whole pairs")

    def __post_init__(self) -> None:
        if self.kind != "linear" and not self.original_context:
            raise ConfigError(f"a rotation scaled by {self.kind} needs original_context, the longest sequence before the scaling")
        if self.kind == "llama3" and self.low_frequency >= self.high_frequency:
            raise ConfigError(f"low_frequency {self.low_frequency:g} must be below high_frequency {self.high_frequency:g}")


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a decoder. ConfigError if the heads do not divide the width, or options do not go together."""

    vocabulary: int = setting(doc="tokens in the vocabulary", unit="tokens", low=2, high=1 << 24)
    hidden: int = setting(doc="width of the residual stream", low=2, high=1 << 20)
    layers: int = setting(doc="number of blocks", low=1, high=10_000)
    heads: int = setting(doc="attention heads; they divide `hidden` into parts of even size", low=1, high=1 << 16)
    ffn: int = setting(doc="width of the feed-forward part; about 8/3 of `hidden` (gpt: 4 times)", low=1, high=1 << 23)
    context: int = setting(4096, doc="longest sequence the model is made for", unit="tokens", low=1, high=1 << 24)
    rope_theta: float = setting(10_000.0, doc="base of the rotary wavelengths", low=1.0, high=1e12)
    norm_eps: float = setting(1e-5, doc="added to the mean square (gpt: the variance) in a norm", low=0.0, high=1.0)
    block: str = setting(
        "llama",
        doc="llama: RoPE, RMSNorm, SwiGLU, no biases; gpt: absolute positions, LayerNorm, GELU, biases (appendix A)",
        choices=BLOCKS,
    )
    key_heads: int = setting(
        0, doc="heads of keys and values, each shared by heads/key_heads queries; 0: as many as `heads`", low=0
    )
    tied: bool = setting(False, doc="the output matrix is the embedding")
    dropout: float = setting(0.0, doc="share of activations zeroed in training, gpt only", low=0.0, high=0.9)
    head_width: int = setting(0, doc="width of a head, an even number; 0: hidden / heads", low=0, high=1 << 16, later=True)
    query_bias: bool = setting(False, doc="queries, keys and values have biases (Qwen2)", later=True)
    head_norm: bool = setting(False, doc="queries and keys of each head pass an RMSNorm before RoPE (Qwen3)", later=True)
    window: int = setting(
        0, doc="a token sees so many tokens, itself and those before it; 0: all before it (Mistral)", unit="tokens",
        low=0, high=1 << 24, later=True,
    )  # fmt: skip
    rope_scaling: RopeScaling | None = setting(None, doc="how rotary wavelengths are stretched (Llama 3.1)", later=True)

    def __post_init__(self) -> None:
        if self.head_width % 2:
            raise ConfigError(f"heads are {self.head_width} wide; RoPE turns pairs, so the width must be even")
        if not self.head_width and (self.hidden % self.heads or self.hidden // self.heads % 2):
            raise ConfigError(f"{self.heads} heads do not divide a width of {self.hidden} into parts of even size")
        if self.rope_scaling is not None and self.rope_scaling.kind == "yarn" and self.rope_theta <= 1:
            raise ConfigError(f"yarn needs a rope_theta above 1, it is {self.rope_theta:g}")
        if self.key_heads and self.heads % self.key_heads:
            raise ConfigError(f"{self.key_heads} key heads cannot be shared evenly by {self.heads} heads")
        if self.block != "gpt" and self.dropout:
            raise ConfigError("dropout belongs to the gpt block; the llama block has none (report 3.4)")
        llama_only = ("head_width", "query_bias", "head_norm", "window", "rope_scaling")
        if self.block == "gpt" and (given := [name for name in llama_only if getattr(self, name)]):
            raise ConfigError(f"{given[0]} belongs to the llama block; the gpt block has none")

    @property
    def head_dim(self) -> int:
        """Width of a head of queries, keys or values."""
        return self.head_width or self.hidden // self.heads

    @property
    def grouped_heads(self) -> int:
        """Heads of keys and values."""
        return self.key_heads or self.heads

    @property
    def query_width(self) -> int:
        """Width of all queries, and of what attention gives to its output matrix."""
        return self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Width of all keys, and of all values."""
        return self.grouped_heads * self.head_dim

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the token embedding, which is looked up and not multiplied."""
        return self.vocabulary * self.hidden

    @property
    def position_parameters(self) -> int:
        """Parameters of learnt absolute positions, which are looked up too; none with RoPE."""
        return self.context * self.hidden if self.block == "gpt" else 0

    @property
    def block_parameters(self) -> int:
        """Parameters of one block, its norms (and biases) included."""
        attention = 2 * self.hidden * (self.query_width + self.key_width)
        if self.block == "gpt":
            biases = 2 * self.hidden + 2 * self.key_width + self.ffn + self.hidden
            return attention + 2 * self.hidden * self.ffn + biases + 4 * self.hidden
        attention += (self.query_width + 2 * self.key_width) * self.query_bias + 2 * self.head_dim * self.head_norm
        return attention + 3 * self.hidden * self.ffn + 2 * self.hidden

    @property
    def block_matrices(self) -> dict[str, tuple[int, int]]:
        """[rows, columns] of the matrices that one block multiplies by, by their names in the block."""
        shapes = {
            "attention.query": (self.query_width, self.hidden),
            "attention.key": (self.key_width, self.hidden),
            "attention.value": (self.key_width, self.hidden),
            "attention.output": (self.hidden, self.query_width),
            "ffn.up": (self.ffn, self.hidden),
            "ffn.down": (self.hidden, self.ffn),
        }
        return shapes if self.block == "gpt" else {**shapes, "ffn.gate": (self.ffn, self.hidden)}

    @property
    def parameters(self) -> int:
        """All parameters, the embedding and the output matrix included (once where they are tied)."""
        final_norm = 2 * self.hidden if self.block == "gpt" else self.hidden
        matrices = 1 if self.tied else 2
        return matrices * self.embedding_parameters + self.position_parameters + self.layers * self.block_parameters + final_norm

    @property
    def multiplied_parameters(self) -> int:
        """Parameters without those that are only looked up: N − input embedding. A tied embedding is multiplied as the output."""
        looked_up = self.position_parameters + (0 if self.tied else self.embedding_parameters)
        return self.parameters - looked_up

    def flops_per_token(self, sequence: int, *, causal: bool = False) -> int:
        """FLOPs to train on one token in sequences of `sequence` tokens, forward and backward.

        6 for each parameter that multiplies, and 12·layers·heads·head_dim·sequence for the attention scores as if every token saw
        every other, as the literature on utilisation counts (Chowdhery et al. 2022, appendix B). `causal`: half of the latter,
        which is what a causal kernel needs to compute. With a window a token sees at most so many.
        """
        seen = min(sequence, self.window or sequence)
        scores = 12 * self.layers * self.query_width * seen
        if causal:  # of the first tokens, which have fewer before them, the mean is taken
            scores = scores * (2 * sequence - seen) // (2 * sequence)
        return 6 * self.multiplied_parameters + scores
