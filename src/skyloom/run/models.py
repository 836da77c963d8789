"""What a model of a given shape costs: a preset, a recipe or a Hugging Face folder enters, rows of figures leave.

Memory is what the numbers take and nothing else; `skyloom plan` adds activations and says what fits where.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.model.presets import PRESETS, preset

BYTES_WEIGHTS, BYTES_TRAINING = 2, 18
"""bf16; and bf16 weights, fp32 gradients, fp32 masters and two fp32 moments, of one process that trains."""


def named() -> dict[str, ModelConfig]:
    """All presets."""
    return dict(PRESETS)


def shape_of(which: str) -> ModelConfig:
    """The shape of a preset, of a recipe's model, or of the Hugging Face model in a folder. ConfigError if it is none of them."""
    if which in PRESETS:
        return preset(which)
    path = Path(which)
    if path.is_dir():
        from skyloom.model.adopt import read_shape

        return read_shape(path)
    if path.exists():
        from skyloom.run.recipe import load

        return load(path).model
    raise ConfigError(f"'{which}' is no preset ({', '.join(PRESETS)}), no recipe and no folder of a Hugging Face model")


def table(name: str, shape: ModelConfig) -> dict[str, Any]:
    """One row of the table of presets."""
    return {
        "preset": name,
        "parameters": shape.parameters,
        "hidden": shape.hidden,
        "layers": shape.layers,
        "heads": shape.heads,
        "ffn": shape.ffn,
        "vocabulary": shape.vocabulary,
        "context": shape.context,
        "block": shape.block,
    }


def facts(which: str, sequence: int | None = None) -> list[dict[str, Any]]:
    """Parameters, FLOPs and memory of a shape, a row each."""
    shape = shape_of(which)
    tokens = sequence or shape.context
    cache = 2 * shape.layers * shape.key_width * BYTES_WEIGHTS
    rows = [
        ("parameters", shape.parameters, ""),
        ("of them in the embedding", shape.embedding_parameters, "looked up"),
        ("of them in each block", shape.block_parameters, f"{shape.layers} blocks of {shape.block}"),
        ("multiplied for each token", shape.multiplied_parameters, "N - what is only looked up"),
        ("FLOPs per token, training", shape.flops_per_token(tokens), f"6 N + 12 L h s, sequences of {tokens:,}"),
        ("FLOPs per token, causal", shape.flops_per_token(tokens, causal=True), "with the half of attention that is computed"),
        ("memory of the weights, GiB", shape.parameters * BYTES_WEIGHTS / 2**30, "bf16"),
        ("memory to train, GiB", shape.parameters * BYTES_TRAINING / 2**30, "one process, without activations"),
        ("cache of a sequence, MiB", cache * tokens / 2**20, f"keys and values of {tokens:,} tokens, bf16"),
    ]
    return [{"what": what, "value": value, "note": note} for what, value, note in rows]
