"""Conversion of weights to and from Hugging Face's LLaMA, Mistral, Qwen2 and Qwen3: names and shapes, checked strictly.

Both ways refuse what they do not know: a missing or surplus weight, a wrong shape, or a config whose model is not ours is an error
and never a model that is silently another one. Weights keep their values and layout; only names change. What a `config.json` says
stands in `hf_config`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from skyloom.core.errors import IntegrityError
from skyloom.model.config import ModelConfig
from skyloom.model.hf_config import family_of, from_hf_config, to_hf_config

__all__ = ["from_hf", "from_hf_config", "names", "shapes", "to_hf", "to_hf_config"]

_OUTER = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
_BLOCK = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn.gate.weight": "mlp.gate_proj.weight",
    "ffn.up.weight": "mlp.up_proj.weight",
    "ffn.down.weight": "mlp.down_proj.weight",
}
_BIASES = {
    f"attention.{ours}.bias": f"self_attn.{theirs}_proj.bias" for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v"))
}
_HEAD_NORMS = {"attention.query_norm.weight": "self_attn.q_norm.weight", "attention.key_norm.weight": "self_attn.k_norm.weight"}


def names(config: ModelConfig) -> dict[str, str]:
    """Our weight names to Hugging Face's, in the order of the model. ConfigError for a model that no family there has."""
    family_of(config)
    block = {**_BLOCK, **(_BIASES if config.query_bias else {}), **(_HEAD_NORMS if config.head_norm else {})}
    blocks = {
        f"blocks.{layer}.{ours}": f"model.layers.{layer}.{theirs}"
        for layer in range(config.layers)
        for ours, theirs in block.items()
    }
    last = {name: theirs for name, theirs in _OUTER.items() if not (config.tied and name == "head.weight")}
    return {"embedding.weight": _OUTER["embedding.weight"], **blocks, **last}


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each weight by our name."""
    hidden, ffn, queries, keys = config.hidden, config.ffn, config.query_width, config.key_width
    kinds: dict[str, tuple[int, ...]] = {
        "gate.weight": (ffn, hidden), "up.weight": (ffn, hidden), "down.weight": (hidden, ffn),
        "query.weight": (queries, hidden), "key.weight": (keys, hidden), "value.weight": (keys, hidden),
        "query.bias": (queries,), "key.bias": (keys,), "value.bias": (keys,), "output.weight": (hidden, queries),
        "query_norm.weight": (config.head_dim,), "key_norm.weight": (config.head_dim,),
        "attention_norm.weight": (hidden,), "ffn_norm.weight": (hidden,), "norm.weight": (hidden,),
        "embedding.weight": (config.vocabulary, hidden), "head.weight": (config.vocabulary, hidden),
    }  # fmt: skip
    return {name: kinds[".".join(name.split(".")[-2:])] for name in names(config)}


def to_hf(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dict under Hugging Face's names. IntegrityError for unknown, missing or misshapen weights.

    The state of a tied model may hold its output matrix, if that is the embedding.
    """
    table = names(config)
    state = _untwinned(state, config, "embedding.weight", "head.weight")
    _check(state, shapes(config), "the model's state")
    return {table[name]: state[name] for name in table}


def from_hf(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """A state dict of transformers' causal model under our names. IntegrityError for unknown, missing or misshapen weights."""
    table, expected = names(config), shapes(config)
    state = _untwinned(state, config, _OUTER["embedding.weight"], _OUTER["head.weight"])
    _check(state, {table[name]: shape for name, shape in expected.items()}, "the Hugging Face state")
    return {ours: state[theirs] for ours, theirs in table.items()}


def _untwinned(state: Mapping[str, Tensor], config: ModelConfig, embedding: str, head: str) -> Mapping[str, Tensor]:
    """The state without the output matrix of a tied model. IntegrityError if that is not the embedding."""
    if not config.tied or head not in state or embedding not in state:
        return state
    if state[head] is not state[embedding] and not state[head].equal(state[embedding]):
        raise IntegrityError(f"{head} differs from {embedding}, but the config says that they are tied")
    return {name: weight for name, weight in state.items() if name != head}


def _check(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], what: str) -> None:
    unknown, missing = sorted(set(state) - set(expected)), sorted(set(expected) - set(state))
    if unknown or missing:
        said = [f"unknown {', '.join(unknown[:5])}" if unknown else "", f"missing {', '.join(missing[:5])}" if missing else ""]
        raise IntegrityError(f"{what} does not fit the config: {'; '.join(s for s in said if s)}")
    for name, shape in expected.items():
        if tuple(state[name].shape) != shape:
            raise IntegrityError(f"{what} does not fit the config: {name} is {tuple(state[name].shape)}, expected {shape}")
