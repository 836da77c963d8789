"""`config.json` of Hugging Face's dense decoders (LLaMA, Mistral, Qwen2, Qwen3) to and from a model's shape, checked strictly.

Input: the table of a `config.json`; output: a `ModelConfig`, and the other way round. Each key is one of four kinds: it is read
(`READ`), it would change what the model computes and has one value that is our decoder's (`FIXED`), it changes nothing
(`is_harmless`; callers log these), or it is not known and refused, so that no model is silently another one. What a family means
where a config leaves a key out stands in `FAMILIES`, as in transformers' classes.

The family that is written follows from the shape alone: norms of queries and keys are Qwen3's, biases Qwen2's, a window, or heads
that do not divide the width, Mistral's, all else is LLaMA.

transformers 5 reads `rope_parameters`, older versions and most other programs `rope_theta` and `rope_scaling`;
we write them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skyloom.core.config import build
from skyloom.core.errors import ConfigError
from skyloom.core.records import Json
from skyloom.model.config import ModelConfig, RopeScaling

Table = Mapping[str, Any]
"""A `config.json`, before it is checked."""


@dataclass(frozen=True)
class HfFamily:
    """A model type of transformers: its class, and what a config means that leaves keys out."""

    architecture: str
    usual: Mapping[str, Json]
    query_bias: bool = False
    head_norm: bool = False
    window: bool = False
    """A config may give its layers a window; `switched`: only where it says `use_sliding_window`."""
    switched: bool = False


FAMILIES = {
    "llama": HfFamily("LlamaForCausalLM", {"max_position_embeddings": 2048}),
    "mistral": HfFamily(
        "MistralForCausalLM",
        {"max_position_embeddings": 131_072, "num_key_value_heads": 8, "sliding_window": 4096},
        window=True,
    ),
    "qwen2": HfFamily(
        "Qwen2ForCausalLM",
        {"max_position_embeddings": 32_768, "num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28},
        query_bias=True, window=True, switched=True,
    ),
    "qwen3": HfFamily(
        "Qwen3ForCausalLM",
        {
            "max_position_embeddings": 32_768, "num_key_value_heads": 32, "head_dim": 128, "sliding_window": 4096,
            "max_window_layers": 28,
        },
        head_norm=True, window=True, switched=True,
    ),
}  # fmt: skip
_USUAL: Mapping[str, Json] = {"rms_norm_eps": 1e-6}
_NEEDED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
READ = {
    *_NEEDED, "model_type", "architectures", "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps",
    "rope_theta", "rope_parameters", "rope_scaling", "tie_word_embeddings", "sliding_window", "use_sliding_window",
    "max_window_layers", "layer_types",
}  # fmt: skip

_NOTHING: tuple[Json, ...] = (None, False, 0, 0.0, [], {})
_ONE: tuple[Json, ...] = (None, 1, 1.0)
FIXED: dict[str, tuple[tuple[Json, ...], str]] = {
    "hidden_act": (("silu", "swish", None), "the feed-forward part's activation; ours is silu"),
    "attention_bias": (_NOTHING, "biases in attention, also of its output matrix; ours has them in queries, keys and values alone"),
    "qkv_bias": (_NOTHING, "biases of queries, keys and values, which only model type qwen2 has here"),
    "mlp_bias": (_NOTHING, "biases in the feed-forward part; ours has none"),
    "bias": (_NOTHING, "biases in all matrices; ours has none"),
    "attention_dropout": (_NOTHING, "dropout of attention in training; ours has none"),
    "hidden_dropout": (_NOTHING, "dropout in training; ours has none"),
    "resid_pdrop": (_NOTHING, "dropout in training; ours has none"),
    "embd_pdrop": (_NOTHING, "dropout in training; ours has none"),
    "partial_rotary_factor": (_ONE, "only a part of each head is turned; ours turns all of it"),
    "rope_interleaved": (_NOTHING, "neighbours are turned as pairs; ours turns the halves of a head"),
    "use_mrope": (_NOTHING, "positions of images and films; ours are those of text"),
    "no_rope_layers": (_NOTHING, "layers without rotation; ours all have it"),
    "no_rope_layer_interval": (_NOTHING, "layers without rotation; ours all have it"),
    "alibi": (_NOTHING, "scores fall with the distance; ours turn queries and keys instead"),
    "use_qk_norm": (_NOTHING, "norms of queries and keys, which only model type qwen3 has here"),
    "clip_qkv": (_NOTHING, "queries, keys and values are cut off; ours are not"),
    "attn_logit_softcapping": (_NOTHING, "scores are capped; ours are not"),
    "final_logit_softcapping": (_NOTHING, "logits are capped; ours are not"),
    "query_pre_attn_scalar": ((None,), "scores are divided by another number than the root of a head's width"),
    "attention_multiplier": ((None,), "scores are multiplied by another number than one over the root of a head's width"),
    "embedding_multiplier": (_ONE, "the embedding is scaled; ours is not"),
    "residual_multiplier": (_ONE, "what a block adds is scaled; ours is not"),
    "logits_scaling": (_ONE, "logits are scaled; ours are not"),
    "logit_scale": (_ONE, "logits are scaled; ours are not"),
    "scale_emb": (_ONE, "the embedding is scaled; ours is not"),
    "num_experts": (_NOTHING, "the feed-forward part is a mixture of experts; ours is dense"),
    "num_local_experts": (_NOTHING, "the feed-forward part is a mixture of experts; ours is dense"),
    "add_cross_attention": (_NOTHING, "attention to an encoder; ours has none"),
    "is_encoder_decoder": (_NOTHING, "there is an encoder beside the decoder; ours has none"),
    "quantization_config": (_NOTHING, "the weights are stored quantised; save them in bf16 or fp32 first"),
    "auto_map": (_NOTHING, "the model brings code of its own, which is never run here"),
}  # fmt: skip
"""Keys that decide what the model computes: the values that are our decoder's, and what any other means."""
_HARMLESS = {
    "dtype", "torch_dtype", "use_cache", "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id",
    "decoder_start_token_id", "bos_token", "eos_token", "pad_token", "initializer_range", "output_attentions", "output_scores",
    "output_hidden_states", "return_dict", "return_dict_in_generate", "id2label", "label2id", "problem_type", "finetuning_task",
    "chunk_size_feed_forward", "pretraining_tp", "tokenizer_class", "processor_class", "is_llama_config", "is_decoder",
    "transformers.js_config", "max_sequence_length", "model_max_length", "attn_implementation", "use_flash_attn",
    "gradient_checkpointing", "torchscript", "use_bfloat16", "pruned_heads", "tf_legacy_loss", "tie_encoder_decoder",
    "cross_attention_hidden_size", "task_specific_params", "prefix", "keys_to_ignore_at_inference", "license", "datasets",
    "do_sample", "temperature", "top_k", "top_p", "typical_p", "min_p", "max_length", "min_length", "max_new_tokens", "num_beams",
    "num_beam_groups", "diversity_penalty", "early_stopping", "length_penalty", "repetition_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "forced_bos_token_id", "forced_eos_token_id",
    "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "unsloth_fixed",
}  # fmt: skip
_MOST_THETA = 1e12


def is_harmless(key: str, value: object) -> bool:
    """Whether a key changes nothing about what the model computes: notes of programs, how to train, generate or store it."""
    return value is None or key in _HARMLESS or key.startswith("_") or key.endswith("_version")


def passed_over(table: Table) -> list[str]:
    """The keys of a `config.json` that change nothing, in order: what a program logs that reads it."""
    return sorted(key for key, value in table.items() if key not in READ and key not in FIXED and is_harmless(key, value))


def from_hf_config(table: Table) -> ModelConfig:
    """The shape that a `config.json` describes. ConfigError that names the key if the model is not one of ours."""
    family = _family(table)
    for key, (allowed, meaning) in FIXED.items():
        if key in table and table[key] not in allowed:
            raise ConfigError(f"config.json: {key} is {_short(table[key])}: {meaning}")
    unknown = sorted(k for k, v in table.items() if k not in READ and k not in FIXED and not is_harmless(k, v))
    if unknown:
        raise ConfigError(
            f"config.json: unknown keys {', '.join(unknown)[:300]}; if they do not change what the model computes, take them out"
        )
    missing = sorted(key for key in _NEEDED if table.get(key) is None)
    if missing:
        raise ConfigError(f"config.json: missing keys {', '.join(missing)}")
    told = {**_USUAL, **family.usual, **{key: value for key, value in table.items() if value is not None}}
    for key in (*_NEEDED, "num_key_value_heads", "head_dim", "max_position_embeddings"):
        value = told.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ConfigError(f"config.json: {key} is {_short(value)}; it must be a whole number above 0")
    _check_kinds(told)
    hidden, heads = told["hidden_size"], told["num_attention_heads"]
    shared = heads if table.get("num_key_value_heads", 0) is None else told.get("num_key_value_heads", heads)
    width = told.get("head_dim", 0)
    theta, scaling = _rotation(told)
    shape = {
        "vocabulary": told["vocab_size"],
        "hidden": hidden,
        "layers": told["num_hidden_layers"],
        "heads": heads,
        "ffn": told["intermediate_size"],
        "context": told["max_position_embeddings"],
        "rope_theta": theta,
        "norm_eps": told["rms_norm_eps"],
        "key_heads": 0 if shared == heads else shared,
        "tied": bool(told.get("tie_word_embeddings", False)),
        "head_width": 0 if width * heads == hidden else width,
        "query_bias": family.query_bias,
        "head_norm": family.head_norm,
        "window": _window(table, told, family),
        "rope_scaling": scaling,
    }
    return build(ModelConfig, shape, origin="config.json")


def to_hf_config(config: ModelConfig, *, bos_id: int, eos_id: int, dtype: str) -> dict[str, Json]:
    """The content of `config.json`. `dtype`: "bfloat16" or "float32", as the weights are stored. ConfigError if no family has such
    a shape."""
    kind = family_of(config)
    scaled = _scaled(config.rope_scaling)
    table: dict[str, Json] = {
        "architectures": [FAMILIES[kind].architecture],
        "model_type": kind,
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
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default", **scaled},
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
    if scaled:
        table["rope_scaling"] = scaled
    if config.window or kind == "mistral":  # a Mistral that leaves it out has a window of 4,096
        table["sliding_window"] = config.window or None
    if FAMILIES[kind].switched and config.window:
        table |= {"use_sliding_window": True, "max_window_layers": 0, "layer_types": ["sliding_attention"] * config.layers}
    return table


def family_of(config: ModelConfig) -> str:
    """The model type that a shape is written as. ConfigError if there is none."""
    if config.block != "llama":
        raise ConfigError(f"a {config.block} block has no place in Hugging Face's LLaMA layout; only llama blocks are exported")
    if config.head_norm and config.query_bias:
        raise ConfigError(
            "no model type has both biases (Qwen2's) and norms (Qwen3's) of queries and keys; such a model is not exported"
        )
    if config.head_norm:
        return "qwen3"
    if config.query_bias:
        return "qwen2"
    return "mistral" if config.window or config.hidden % config.heads else "llama"  # transformers' LLaMA wants heads that divide it


def _family(table: Table) -> HfFamily:
    kind = table.get("model_type", "llama")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ConfigError(f"config.json: model_type is {_short(kind)}; the decoder here is that of {', '.join(FAMILIES)}")
    family, named = FAMILIES[kind], table.get("architectures")
    if named not in (None, [], [family.architecture]):
        raise ConfigError(f"config.json: architectures is {_short(named)}; of {kind} only {family.architecture} is read")
    return family


def _check_kinds(told: Table) -> None:
    """ConfigError for keys of windows and tied embeddings that are of the wrong kind."""
    for key in ("tie_word_embeddings", "use_sliding_window"):
        if not isinstance(told.get(key, False), bool):
            raise ConfigError(f"config.json: {key} is {_short(told[key])}; it must be true or false")
    first = told.get("max_window_layers", 0)
    if not isinstance(first, int) or isinstance(first, bool):
        raise ConfigError(f"config.json: max_window_layers is {_short(first)}; it must be a whole number")
    kinds = told.get("layer_types", [])
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise ConfigError(f"config.json: layer_types is {_short(kinds)}; it must be a list of names")


def _window(table: Table, told: Table, family: HfFamily) -> int:
    """Tokens that all layers see, 0 for all. ConfigError where layers differ, or the family has no window."""
    wide = table["sliding_window"] if "sliding_window" in table else told.get("sliding_window")
    kinds, layers = told.get("layer_types"), told["num_hidden_layers"]
    if not family.window:
        if wide is not None or told.get("use_sliding_window") or set(kinds or ()) - {"full_attention"}:
            raise ConfigError(
                f"config.json: sliding_window is {_short(wide)}: each token sees so many before it; model type "
                f"{table.get('model_type', 'llama')} has no window (mistral, qwen2 and qwen3 have)"
            )
        return 0
    if wide is not None and (not isinstance(wide, int) or isinstance(wide, bool) or wide < 1):
        raise ConfigError(f"config.json: sliding_window is {_short(wide)}; it must be a whole number above 0, or null")
    if not family.switched:
        if kinds and kinds != ["sliding_attention" if wide else "full_attention"] * layers:
            raise ConfigError("config.json: layers differ in how far they see (layer_types); ours are all alike")
        if wide and told.get("use_sliding_window") is False:
            raise ConfigError("config.json: use_sliding_window is False beside a sliding_window; take one of them out")
        return int(wide or 0)
    if wide is None or not told.get("use_sliding_window"):
        wide = 0
    if kinds is None:
        first = told["max_window_layers"]
        kinds = ["sliding_attention" if wide and layer >= first else "full_attention" for layer in range(layers)]
    if not isinstance(kinds, list) or len(kinds) != layers or len({str(kind) for kind in kinds}) > 1:
        raise ConfigError("config.json: layers differ in how far they see (layer_types, max_window_layers); ours are all alike")
    if kinds[0] not in ("sliding_attention", "full_attention"):
        raise ConfigError(f"config.json: layer_types names {_short(kinds[0])}; ours are full_attention or sliding_attention")
    return int(wide) if kinds[0] == "sliding_attention" else 0


def _rotation(told: Table) -> tuple[float, RopeScaling | None]:
    """Base of the wavelengths, and how they are stretched."""
    parts: list[dict[str, Any]] = []
    for key in ("rope_parameters", "rope_scaling"):
        part = told.get(key) or {}
        if not isinstance(part, Mapping):
            raise ConfigError(f"config.json: {key} is {_short(part)}; it must be a table")
        parts.append(dict(part))
    found = [v for v in (told.get("rope_theta"), *(part.pop("rope_theta", None) for part in parts)) if v is not None]
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and 0 < v <= _MOST_THETA for v in found):
        raise ConfigError(f"config.json: rope_theta is {_short(found)}; it must be a number above 0 and at most {_MOST_THETA:g}")
    thetas = {float(v) for v in found}
    if len(thetas) > 1:
        raise ConfigError(f"config.json: rope_theta and rope_parameters disagree: {sorted(thetas)}")
    scalings = [_scaling(part, told["max_position_embeddings"]) for part in parts]
    if scalings[0] is not None and told.get("rope_scaling") and scalings[0] != scalings[1]:
        raise ConfigError("config.json: rope_parameters and rope_scaling disagree")
    return (thetas.pop() if thetas else 10_000.0), scalings[0] or scalings[1]


_ROPE_KEYS = {
    "factor": "factor", "original_max_position_embeddings": "original_context", "low_freq_factor": "low_frequency",
    "high_freq_factor": "high_frequency", "beta_fast": "beta_fast", "beta_slow": "beta_slow", "attention_factor": "attention",
    "truncate": "truncate",
}  # fmt: skip
_ROPE_USED = {
    "linear": ("factor",),
    "llama3": ("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor", "truncate"),
}
"""Keys that each rotation reads, of `_ROPE_KEYS`."""


def _scaling(part: dict[str, Any], context: int) -> RopeScaling | None:
    """What a table of a rotation says. ConfigError for a rotation that is not known, or keys that it does not read."""
    named = [part.pop("rope_type", None), part.pop("type", None)]
    if not all(name is None or isinstance(name, str) for name in named):
        raise ConfigError(f"config.json: the rotation is scaled by {_short(named)}; known are default, {', '.join(_ROPE_USED)}")
    kinds = set(named) - {None}
    kind = kinds.pop() if kinds else "default"
    given = {key: value for key, value in part.items() if value is not None}
    turned = given.pop("partial_rotary_factor", 1.0)
    if turned != 1:
        raise ConfigError(f"config.json: partial_rotary_factor is {_short(turned)}: {FIXED['partial_rotary_factor'][1]}")
    if kinds or (kind != "default" and kind not in _ROPE_USED):
        raise ConfigError(f"config.json: the rotation is scaled by {_short(kind)}; known are default, {', '.join(_ROPE_USED)}")
    if kind == "default":
        if unknown := sorted(set(given) - set(_ROPE_KEYS)):
            raise ConfigError(f"config.json: the rotation has unknown keys {', '.join(unknown)[:200]}")
        return None
    scales = (given.pop("mscale", None), given.pop("mscale_all_dim", None)) if kind == "yarn" else ()
    numbers = (*(scale for scale in scales if scale is not None), given.get("factor", 1))
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and 0 <= n < math.inf for n in numbers):
        raise ConfigError(
            f"config.json: the {kind} rotation has {_short(numbers)}; its factor and scales are numbers of at least 0"
        )
    if all(scales) and scales and "attention_factor" not in given and given.get("factor", 1) > 1:
        high, low = (1 + 0.1 * float(scale) * math.log(given["factor"]) for scale in scales)
        given["attention_factor"] = high / low
    if unknown := sorted(set(given) - set(_ROPE_KEYS)):
        raise ConfigError(f"config.json: the {kind} rotation has unknown keys {', '.join(unknown)[:200]}")
    if kind != "linear":
        given.setdefault("original_max_position_embeddings", context)
    absent = [key for key in ("factor", *(_ROPE_USED[kind][2:] if kind == "llama3" else ())) if key not in given]
    if absent:
        raise ConfigError(f"config.json: the {kind} rotation lacks {', '.join(absent)}")
    return build(
        RopeScaling, {"kind": kind, **{_ROPE_KEYS[key]: given[key] for key in _ROPE_USED[kind] if key in given}},
        origin="config.json", key="rope_scaling",
    )  # fmt: skip


def _scaled(scaling: RopeScaling | None) -> dict[str, Json]:
    """The table of a rotation, without its base; empty for a plain one."""
    if scaling is None:
        return {}
    said = {key: getattr(scaling, _ROPE_KEYS[key]) for key in _ROPE_USED[scaling.kind]}
    if not said.get("attention_factor", True):
        del said["attention_factor"]
    return {"rope_type": scaling.kind, **said}


def _short(value: object) -> str:
    return repr(value)[:80]
