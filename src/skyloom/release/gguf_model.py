"""A released model as one GGUF file, which llama.cpp and the programs around it (Ollama, LM Studio) load.

Input: a released folder (`config.json`, `model.safetensors`, the tokenizer's files). Output: the file, and a Modelfile for Ollama
beside it. The layout is that of llama.cpp's converter: its names, vectors in fp32, matrices in fp16 or in q8_0 (blocks of 32
numbers with one scale, 8.5 bits each). A matrix whose rows are no multiple of 32 stays fp16 in a q8_0 file.

llama.cpp's architecture `llama` turns neighbours as pairs, so rows of queries and keys are interleaved for it; `qwen2` and
`qwen3` turn the halves of a head, as we do. A Mistral is a `llama` there and has no window, so its context ends with its window:
up to there both compute the same. What a GGUF cannot say is refused.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import safetensors
import torch

from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import stretched
from skyloom.model.hf import from_hf_config, names, shapes
from skyloom.model.hf_config import family_of
from skyloom.tokenizer.gguf import add_vocabulary
from skyloom.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import gguf

TYPES = ("f16", "q8_0")
_BLOCK = 32
_MOST_F16 = 65_504
_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
_OUTER = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight", "head.weight": "output.weight"}
_INNER = {
    "attention_norm": "attn_norm", "attention.query": "attn_q", "attention.key": "attn_k", "attention.value": "attn_v",
    "attention.output": "attn_output", "attention.query_norm": "attn_q_norm", "attention.key_norm": "attn_k_norm",
    "ffn_norm": "ffn_norm", "ffn.gate": "ffn_gate", "ffn.up": "ffn_up", "ffn.down": "ffn_down",
}  # fmt: skip


@dataclass(frozen=True)
class WrittenGguf:
    """What was written: the files, the architecture, and the tensors by their type."""

    path: Path
    modelfile: Path
    architecture: str
    context: int
    tensors: dict[str, int]


def write_gguf(folder: Store, out: Path, kind: str = "f16", *, name: str = "skyloom") -> WrittenGguf:
    """Write `out`, and `out` with the suffix .Modelfile. Both appear whole or not at all; one weight is held at a time.

    `folder`: a release, one of its checkpoints, or what `skyloom model export` writes. `kind`: one of `TYPES`. ConfigError without
    the package gguf, and for a model that GGUF cannot say; DataError for weights outside of fp16; IntegrityError for weights that
    are not those of `config.json`; StorageError if a file cannot be read or written.
    """
    try:
        import gguf
    except ImportError as problem:
        raise ConfigError("writing GGUF needs the package gguf: pip install 'skyloom[gguf]'") from problem
    if kind not in TYPES:
        raise ConfigError(f"the type of a GGUF is {kind!r}; known are {', '.join(TYPES)}")
    shape = from_hf_config(folder.read_json("config.json"))
    _refuse(shape)
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocab_size != shape.vocabulary:
        raise ConfigError(f"the tokenizer in {folder.root} has {tokenizer.vocab_size:,} pieces, its model {shape.vocabulary:,}")
    architecture = _ARCHITECTURES[family_of(shape)]
    counted: dict[str, int] = {}
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".tmp-") as place:
            aside = Path(place, "model.gguf")
            writer = gguf.GGUFWriter(aside, architecture)
            writer.add_type(gguf.GGUFType.MODEL)
            writer.add_name(name)
            writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if kind == "f16" else gguf.LlamaFileType.MOSTLY_Q8_0)
            writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
            _add_shape(writer, shape)
            add_vocabulary(writer, tokenizer)
            _add_tensors(writer, folder, shape, kind, counted)
            with open(aside, "rb") as whole:
                os.fsync(whole.fileno())
            os.replace(aside, out)
    except OSError as problem:
        raise StorageError(f"cannot write {out}: {problem.strerror or problem}") from problem
    modelfile = out.with_suffix(".Modelfile")
    Store(out.absolute().parent).write_text(
        modelfile.name, _modelfile(folder, out.name, _context(shape), tokenizer.pieces[tokenizer.eos_id])
    )
    return WrittenGguf(out, modelfile, architecture, _context(shape), counted)


def _refuse(shape: ModelConfig) -> None:
    scaling = shape.rope_scaling
    if scaling is not None and scaling.kind == "llama3" and _ARCHITECTURES[family_of(shape)] != "llama":
        raise ConfigError("llama.cpp reads a rotation scaled by llama3 only of the architecture llama; this model is another")
    if scaling is not None and scaling.kind == "yarn" and not scaling.truncate:
        raise ConfigError("llama.cpp's yarn begins and ends at whole pairs; this model has truncate = false, which GGUF cannot say")


def _context(shape: ModelConfig) -> int:
    return min(shape.context, shape.window or shape.context)


def _add_shape(writer: gguf.GGUFWriter, shape: ModelConfig) -> None:
    import gguf

    writer.add_context_length(_context(shape))
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.grouped_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_vocab_size(shape.vocabulary)
    scaling = shape.rope_scaling
    if scaling is None or scaling.kind == "llama3":  # llama3 is a tensor of factors
        return
    writer.add_rope_scaling_type(gguf.RopeScalingType(scaling.kind))
    writer.add_rope_scaling_factor(scaling.factor)
    if scaling.kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(scaling.original_context)
        writer.add_rope_scaling_yarn_beta_fast(scaling.beta_fast)
        writer.add_rope_scaling_yarn_beta_slow(scaling.beta_slow)
        if scaling.attention:  # llama.cpp multiplies it by its own 1 + ln(factor) / 10
            writer.add_rope_scaling_attn_factors(scaling.attention / (1 + 0.1 * math.log(scaling.factor)))


def _add_tensors(writer: gguf.GGUFWriter, folder: Store, shape: ModelConfig, kind: str, counted: dict[str, int]) -> None:
    """First what all tensors are, then their numbers one after the other."""
    import gguf

    factors = _factors(shape)
    sizes: dict[str, tuple[int, ...]] = {} if factors is None else {"rope_freqs.weight": factors.shape}
    sizes |= {gguf_name(ours): size for ours, size in shapes(shape).items()}
    for name, size in sizes.items():
        stored, rows, width = _type_of(size, kind), math.prod(size[:-1]), size[-1]
        counted[stored.name.lower()] = counted.get(stored.name.lower(), 0) + 1
        if stored == gguf.GGMLQuantizationType.Q8_0:
            block, packed = gguf.GGML_QUANT_SIZES[stored]
            row = width // block * packed
            writer.add_tensor_info(name, (*size[:-1], row), np.dtype(np.uint8), rows * row, stored)
        else:
            held = np.dtype(np.float16 if stored == gguf.GGMLQuantizationType.F16 else np.float32)
            writer.add_tensor_info(name, size, held, rows * width * held.itemsize)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if factors is not None:
        writer.write_tensor_data(factors)
    for ours, weight in _weights(folder, shape):
        writer.write_tensor_data(_stored(ours, weight, kind))
    writer.close()


def _type_of(size: tuple[int, ...], kind: str) -> gguf.GGMLQuantizationType:
    import gguf

    if len(size) == 1:
        return gguf.GGMLQuantizationType.F32
    return gguf.GGMLQuantizationType.Q8_0 if kind == "q8_0" and size[-1] % _BLOCK == 0 else gguf.GGMLQuantizationType.F16


def _stored(name: str, weight: npt.NDArray[np.float32], kind: str) -> npt.NDArray[Any]:
    import gguf

    largest = float(np.abs(weight).max(initial=0.0))
    if not math.isfinite(largest):
        raise DataError(f"the weight {name} has numbers that are not finite")
    stored = _type_of(weight.shape, kind)
    if stored == gguf.GGMLQuantizationType.F16 and largest > _MOST_F16:
        raise DataError(f"the weight {name} has a number of {largest:.3g}, which fp16 cannot hold")
    return np.ascontiguousarray(gguf.quantize(weight, stored))


def _weights(folder: Store, shape: ModelConfig) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Our names with the weights in fp32, as GGUF orders their rows."""
    path = folder.path("model.safetensors")
    interleaved = _ARCHITECTURES[family_of(shape)] == "llama"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            expected, present = names(shape), set(file.keys())
            spare = {"lm_head.weight"} if shape.tied else set()
            if wrong := sorted((set(expected.values()) - present) | (present - set(expected.values()) - spare)):
                raise IntegrityError(f"{path} is not of its config.json: missing, or unknown, {', '.join(wrong[:3])}")
            for ours, size in shapes(shape).items():
                tensor = file.get_tensor(expected[ours]).to(torch.float32)
                if tuple(tensor.shape) != size:
                    raise IntegrityError(f"{path} is not of its config.json: {ours} is {tuple(tensor.shape)}, expected {size}")
                weight = tensor.numpy()
                if interleaved and ours.endswith(("attention.query.weight", "attention.key.weight")):
                    weight = _interleave(weight, shape.head_dim)
                yield ours, weight
    except safetensors.SafetensorError as problem:
        raise IntegrityError(f"{path} is damaged: {problem}") from problem
    except FileNotFoundError as problem:
        raise StorageError(f"{path} does not exist") from problem


def _interleave(weight: npt.NDArray[np.float32], head_dim: int) -> npt.NDArray[np.float32]:
    """Rows i and i + d/2 of each head as neighbours: what is turned as a pair."""
    rows, width = weight.shape
    halves = weight.reshape(rows // head_dim, 2, head_dim // 2, width)
    return halves.swapaxes(1, 2).reshape(rows, width)


def _factors(shape: ModelConfig) -> npt.NDArray[np.float32] | None:
    """By what llama.cpp divides the angle of each pair, fp32[d/2], for a rotation scaled by llama3."""
    scaling = shape.rope_scaling
    if scaling is None or scaling.kind != "llama3":
        return None
    turns = 1.0 / shape.rope_theta ** (torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim)
    return (turns / stretched(turns, scaling, shape.rope_theta)[0]).float().numpy()


def gguf_name(ours: str) -> str:
    """llama.cpp's name of one of our weights: `blocks.3.ffn.up.weight` is `blk.3.ffn_up.weight`."""
    if ours in _OUTER:
        return _OUTER[ours]
    _, layer, inner = ours.split(".", 2)
    part, _, end = inner.rpartition(".")
    return f"blk.{layer}.{_INNER[part]}.{end}"


def _modelfile(folder: Store, file: str, context: int, end: str) -> str:
    """Ollama's description of a base model: the prompt as it is given, and how the release says to draw.

    What it does not say would be Ollama's own: 40 most probable tokens, and text without an end for ten contexts.
    """
    drawn: Mapping[str, Any] = folder.read_json("generation_config.json") if folder.exists("generation_config.json") else {}
    settings: dict[str, float] = {"num_ctx": context, "num_predict": context}
    for key, usual in (("temperature", 1.0), ("top_p", 1.0), ("top_k", 0)):
        settings[key] = usual if drawn.get(key) is None else drawn[key]
    lines = [f"FROM ./{file}", 'TEMPLATE "{{ .Prompt }}"', *(f"PARAMETER {key} {value}" for key, value in settings.items())]
    return "\n".join([*lines, "PARAMETER repeat_penalty 1.0", f'PARAMETER stop "{end}"']) + "\n"
