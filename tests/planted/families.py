"""Small random models of the families that are read from Hugging Face, each with a `config.json` as its publisher writes it.

Input: a family and a number. Output: a folder as `save_pretrained` leaves it (config and safetensors), whose weights are drawn wide
enough that every one matters: matrices keep the variance of what they multiply, gains and biases deviate by 0.2. The keys are those
of the published models (LLaMA 7B, Llama 2 7B, Llama 3.1 8B, TinyLlama 1.1B, SmolLM2 135M, Mistral 7B v0.1 and Nemo, Qwen2.5 7B,
Qwen3 4B); the sizes are small, and some shapes have a scaled rotation, tied embeddings or another head width instead of the usual.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

FAMILIES = ("LLaMA 1", "LLaMA 2", "LLaMA 3", "TinyLlama", "SmolLM2", "Mistral", "Qwen2", "Qwen3")
SHAPES = 3
"""Random shapes of each family."""
_TYPES = {
    "Mistral": ("MistralForCausalLM", "mistral"),
    "Qwen2": ("Qwen2ForCausalLM", "qwen2"),
    "Qwen3": ("Qwen3ForCausalLM", "qwen3"),
}


def table(family: str, number: int) -> dict[str, Any]:
    """The `config.json` of a family's random shape of that number. All sizes are even, so that two processes can share them."""
    draw = random.Random(f"{family} {number}")
    shared = draw.choice((2, 4))
    heads = shared * draw.choice((1, 2, 3))
    width = draw.choice((8, 12, 16))
    architecture, kind = _TYPES.get(family, ("LlamaForCausalLM", "llama"))
    sizes = {
        "architectures": [architecture], "model_type": kind, "vocab_size": 2 * draw.randint(30, 60), "hidden_size": heads * width,
        "num_hidden_layers": draw.randint(2, 3), "num_attention_heads": heads, "intermediate_size": 2 * draw.randint(30, 60),
        "max_position_embeddings": 2 * draw.randint(14, 20), "hidden_act": "silu", "initializer_range": 0.02, "use_cache": True,
        "bos_token_id": 1, "eos_token_id": 2, "transformers_version": "4.40.1", "torch_dtype": "bfloat16", "rms_norm_eps": 1e-5,
        "num_key_value_heads": shared, "tie_word_embeddings": False,
    }  # fmt: skip
    return sizes | _own(family, number, width)


def _own(family: str, number: int, width: int) -> dict[str, Any]:
    """What a family's config says besides its sizes; `None` is written as null."""
    llama3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8}
    windowed = {"sliding_window": 128, "use_sliding_window": False, "max_window_layers": 28, "attention_dropout": 0.0}
    if family == "LLaMA 1":
        return {"rms_norm_eps": 1e-6, "max_sequence_length": 2048, "pad_token_id": 0, "num_key_value_heads": None}
    if family == "LLaMA 2":
        return {
            "pretraining_tp": 1,
            "rope_scaling": {"type": "linear", "factor": 2.0} if number == 2 else None,
            "_name_or_path": "x",
        }
    if family == "LLaMA 3":
        said = {
            "rope_theta": 500000.0,
            "attention_bias": False,
            "mlp_bias": False,
            "attention_dropout": 0.0,
            "unsloth_version": "2024.9",
        }
        return said | {"rope_scaling": {**llama3, "rope_type": "llama3"}, "_attn_implementation_autoset": True}
    if family == "SmolLM2":
        dtypes = {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}}
        said = {"rope_theta": 100000, "tie_word_embeddings": True, "is_llama_config": True, "rope_interleaved": False}
        return said | {"rope_scaling": None, "pad_token_id": 2, "pretraining_tp": 1, "transformers.js_config": dtypes}
    if family == "Mistral":  # 7B v0.1 has a window, v0.2 none, Nemo heads that do not make its width
        return ({"sliding_window": 7}, {"sliding_window": None, "rope_theta": 1e6}, {"sliding_window": 11, "head_dim": width + 4})[
            number
        ]
    if family == "Qwen2":
        said = {"rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": number == 1, "use_mrope": False, **windowed}
        if number == 0:
            said |= {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 0}
        scales = {"mscale": 1.0, "mscale_all_dim": 0.7, "truncate": False}
        return said | ({"rope_scaling": {**yarn, **scales}} if number == 2 else {})
    if family == "Qwen3":
        said = {"rms_norm_eps": 1e-6, "rope_theta": 1000000, "attention_bias": False, "rope_scaling": None, **windowed}
        return said | {"head_dim": width + 4 * number, "tie_word_embeddings": number == 1}
    return {}


def write(family: str, number: int, folder: Path) -> torch.nn.Module:
    """Write a random model of the family to the new `folder`; returns it as transformers reads it back, in evaluation mode."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(table(family, number)), encoding="utf-8")
    made = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder), dtype=torch.float32)
    stream = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            scale = weight.shape[-1] ** -0.5 if weight.dim() == 2 else 0.2
            weight.copy_(torch.randn(weight.shape, generator=stream) * scale + (1.0 if name.endswith("norm.weight") else 0.0))
    state = {name: weight.detach().clone() for name, weight in made.named_parameters()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    read: torch.nn.Module = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return read.eval()


def tokens(vocabulary: int, rows: int, width: int) -> torch.Tensor:
    """int64[rows, width] of random ids, of ordinary tokens: transformers does not train the row of `pad_token_id`, below 3 here."""
    return torch.randint(3, vocabulary, (rows, width), generator=torch.Generator().manual_seed(vocabulary))
