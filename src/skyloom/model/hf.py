"""Conversion to and from Hugging Face's `LlamaForCausalLM`: weight names and config, checked strictly.

Both ways refuse what they do not know: a missing or surplus weight, a wrong
shape, or a config whose model is not ours (biases, scaled rotations, an own head width, the gpt block) is an error and
never a model that is silently another one. Weights keep their values and layout; only names change.

transformers 5 reads `rope_parameters`, older versions and most other programs read `rope_theta`; we write both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.records import Json
from skyloom.model.config import ModelConfig

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
_FIXED: dict[str, tuple[Json, ...]] = {
    "model_type": ("llama",),
    "architectures": (["LlamaForCausalLM"], None),
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "attention_dropout": (0.0, 0),
    "pretraining_tp": (1,),
    "rope_scaling": (None,),
    "is_encoder_decoder": (False,),
}
"""Keys that decide what the model computes, with the only values that are our decoder."""
_SIZES = {
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "intermediate_size", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_parameters",
    "tie_word_embeddings",
}  # fmt: skip
_HARMLESS = {
    "transformers_version", "dtype", "torch_dtype", "use_cache", "bos_token_id", "eos_token_id", "pad_token_id",
    "initializer_range", "_name_or_path", "output_attentions", "output_hidden_states", "return_dict", "id2label",
    "label2id", "problem_type", "chunk_size_feed_forward",
}  # fmt: skip
_DEFAULTS = {"max_position_embeddings": 2048, "rms_norm_eps": 1e-6}
"""What LlamaConfig means when an old config leaves the key out."""


def names(config: ModelConfig) -> dict[str, str]:
    """Our weight names to Hugging Face's, in the order of the model. ConfigError for a model that is no LLaMA."""
    if config.block != "llama":
        raise ConfigError(f"a {config.block} block has no place in Hugging Face's LLaMA layout; only llama blocks are exported")
    blocks = {
        f"blocks.{layer}.{ours}": f"model.layers.{layer}.{theirs}"
        for layer in range(config.layers)
        for ours, theirs in _BLOCK.items()
    }
    last = {name: theirs for name, theirs in _OUTER.items() if not (config.tied and name == "head.weight")}
    return {"embedding.weight": _OUTER["embedding.weight"], **blocks, **last}


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each weight by our name."""
    square, wide, narrow = (config.hidden, config.hidden), (config.ffn, config.hidden), (config.key_width, config.hidden)
    kinds: dict[str, tuple[int, ...]] = {
        "gate.weight": wide, "up.weight": wide, "down.weight": (config.hidden, config.ffn),
        "key.weight": narrow, "value.weight": narrow,
    }  # fmt: skip
    result: dict[str, tuple[int, ...]] = {}
    for name in names(config):
        if name.endswith("norm.weight"):
            result[name] = (config.hidden,)
        elif name in ("embedding.weight", "head.weight"):
            result[name] = (config.vocabulary, config.hidden)
        else:
            result[name] = kinds.get(".".join(name.split(".")[-2:]), square)
    return result


def to_hf(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dict under Hugging Face's names. IntegrityError for unknown, missing or misshapen weights.

    The state of a tied model may hold its output matrix, if that is the embedding.
    """
    table = names(config)
    state = _untwinned(state, config, "embedding.weight", "head.weight")
    _check(state, shapes(config), "the model's state")
    return {table[name]: state[name] for name in table}


def from_hf(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """A `LlamaForCausalLM` state dict under our names. IntegrityError for unknown, missing or misshapen weights."""
    table, expected = names(config), shapes(config)
    state = _untwinned(state, config, _OUTER["embedding.weight"], _OUTER["head.weight"])
    _check(state, {table[name]: shape for name, shape in expected.items()}, "the Hugging Face state")
    return {ours: state[theirs] for ours, theirs in table.items()}


def to_hf_config(config: ModelConfig, *, bos_id: int, eos_id: int, dtype: str) -> dict[str, Json]:
    """The content of `config.json`. `dtype`: "bfloat16" or "float32", as the weights are stored. ConfigError for no LLaMA."""
    names(config)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocabulary,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.grouped_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": config.tied,
        "bos_token_id": bos_id,
        "eos_token_id": eos_id,
        "torch_dtype": dtype,
        "use_cache": True,
    }


def from_hf_config(table: Mapping[str, Any]) -> ModelConfig:
    """The shape that a `config.json` describes. ConfigError for keys we do not know or a model that is not ours."""
    unknown = sorted(set(table) - set(_FIXED) - _SIZES - _HARMLESS)
    if unknown:
        raise ConfigError(f"config.json: unknown keys {', '.join(unknown)}; only plain LLaMA decoders can be read")
    for key, allowed in _FIXED.items():
        if key in table and table[key] not in allowed:
            raise ConfigError(f"config.json: '{key}' is {table[key]!r}, but our decoder has {allowed[0]!r}")
    missing = sorted(
        k
        for k in _SIZES
        - {"rope_theta", "rope_parameters", "num_key_value_heads", "head_dim", "tie_word_embeddings"}
        - set(_DEFAULTS)
        if k not in table
    )
    if missing:
        raise ConfigError(f"config.json: missing keys {', '.join(missing)}")
    heads, hidden = table["num_attention_heads"], table["hidden_size"]
    if not isinstance(heads, int) or not isinstance(hidden, int) or heads < 1:
        raise ConfigError(f"config.json: {heads!r} heads for a width of {hidden!r}; both must be numbers")
    if table.get("head_dim") not in (None, hidden // heads):
        raise ConfigError(f"config.json: head_dim is {table['head_dim']}; our heads are hidden_size / num_attention_heads wide")
    shared = table.get("num_key_value_heads") or heads
    return ModelConfig(
        vocabulary=table["vocab_size"],
        hidden=hidden,
        layers=table["num_hidden_layers"],
        heads=heads,
        ffn=table["intermediate_size"],
        context=table.get("max_position_embeddings", _DEFAULTS["max_position_embeddings"]),
        rope_theta=_rope_theta(table),
        norm_eps=table.get("rms_norm_eps", _DEFAULTS["rms_norm_eps"]),
        key_heads=0 if shared == heads else shared,
        tied=bool(table.get("tie_word_embeddings", False)),
    )


_MOST_THETA = 1e12


def _rope_theta(table: Mapping[str, Any]) -> float:
    parameters = dict(table.get("rope_parameters") or {})
    if parameters.pop("rope_type", "default") != "default" or set(parameters) - {"rope_theta"}:
        raise ConfigError(f"config.json: scaled rotations {table['rope_parameters']!r}; our decoder has plain ones")
    found = [v for v in (table.get("rope_theta"), parameters.get("rope_theta")) if v is not None]
    if not all(isinstance(v, (int, float)) and 0 < v <= _MOST_THETA for v in found):
        raise ConfigError(f"config.json: rope_theta is {str(found)[:80]}; it must be a number above 0 and at most {_MOST_THETA:g}")
    given = {float(v) for v in found}
    if len(given) > 1:
        raise ConfigError(f"config.json: rope_theta and rope_parameters disagree: {sorted(given)}")
    return given.pop() if given else 10_000.0


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
