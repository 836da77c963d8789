"""A GGUF file, as llama.cpp's programs keep models, read through transformers: its settings, tokenizer and weights.

Input: the path of one `.gguf` file. Output: what a Hugging Face folder would hold: the table of `config.json`, a tokenizer, and the
weights as fp32 numbers under Hugging Face's names. Quantised weights become the numbers that they stand for. A GGUF may scale the
rotary wavelengths (Llama 3.1), have a window, or have weights that its architecture usually has not (experts, biases). transformers
passes over all this without a word; such files are refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import tokenizers
import torch
from torch import Tensor

from skyloom.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import gguf

SUFFIX = ".gguf"
_PLAIN = ("", "none")
_NAMES = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
_LLAMA = tuple(f"{name}.weight" for name in _NAMES)
_BLOCK = {
    "llama": _LLAMA,
    "qwen2": (*_LLAMA, "attn_q.bias", "attn_k.bias", "attn_v.bias"),
    "qwen3": (*_LLAMA, "attn_q_norm.weight", "attn_k_norm.weight"),
}
"""The weights of a block by architecture. transformers passes over others, and draws at random what a file lacks."""


def is_gguf(path: Path) -> bool:
    """Whether a path names a GGUF file."""
    return path.suffix == SUFFIX and path.is_file()


def check_gguf(path: Path) -> None:
    """That a GGUF file is whole, all its quantisation types can be read, and its rotation is a plain one. ConfigError without the
    package, else DataError."""
    try:
        import gguf
    except ImportError as problem:
        raise ConfigError("reading GGUF needs the package gguf: pip install 'skyloom[gguf]'") from problem
    try:
        reader = gguf.GGUFReader(path)
    except Exception as problem:  # the reader raises whatever numpy does on a file that is cut, and ValueError for an unknown type
        raise DataError(f"{path} cannot be read as GGUF: {first_line(problem)}") from problem
    unknown = {kind.name for kind in {tensor.tensor_type for tensor in reader.tensors} if not _dequantizes(int(kind))}
    if unknown:
        raise DataError(f"{path} has weights of the types {', '.join(sorted(unknown))}, which cannot be turned into numbers here")
    if not reader.tensors:
        raise DataError(f"{path} holds no weights, only a vocabulary or settings")
    kinds = {str(field.contents()) for name, field in reader.fields.items() if name.endswith(".rope.scaling.type")}
    ends = (".rope.scaling.factor", ".rope.scale_linear")  # without a type, they scale linearly
    if not kinds and any(name.endswith(ends) and field.contents() not in (0, 1) for name, field in reader.fields.items()):
        kinds = {"linear"}
    if kinds - set(_PLAIN) or any(tensor.name.startswith(("rope_freqs", "rope_factors")) for tensor in reader.tensors):
        raise DataError(
            f"{path} scales its rotation ({', '.join(sorted(kinds)) or 'rope_freqs'}), which is not read from GGUF here: give the "
            "Hugging Face folder of the model"
        )
    _check_parts(path, reader)


def _check_parts(path: Path, reader: gguf.GGUFReader) -> None:
    """That the file of a known architecture has its usual weights and no window."""
    if any(name.endswith(".attention.sliding_window") and field.contents() for name, field in reader.fields.items()):
        raise DataError(f"{path} has a sliding window, which is not read from GGUF here: give the Hugging Face folder of the model")
    named = reader.fields.get("general.architecture")
    kind = str(named.contents()) if named else ""
    blocks = reader.fields.get(f"{kind}.block_count")
    if kind not in _BLOCK or blocks is None:
        return
    wished = {f"blk.{block}.{name}" for block in range(int(blocks.contents())) for name in _BLOCK[kind]}
    there = {tensor.name for tensor in reader.tensors} - {"output.weight"}
    if wrong := sorted(there ^ (wished | {"token_embd.weight", "output_norm.weight"})):
        raise DataError(f"{path} is no usual {kind} model: it lacks, or has beside the usual weights, {', '.join(wrong[:3])}")


def _dequantizes(kind: int) -> bool:
    import gguf

    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)][1]
    try:
        gguf.dequantize(np.zeros((1, size), np.uint8), gguf.GGMLQuantizationType(kind))
    except NotImplementedError:
        return False
    return True


def first_line(problem: Exception) -> str:
    """What an exception says, in a line."""
    return (str(problem).strip().splitlines() or [repr(problem)])[0][:300]


def settings_of(path: Path) -> dict[str, Any]:
    """The table of a `config.json`. DataError if the file cannot be read."""
    import transformers

    check_gguf(path)
    with _readable(path, "settings"):
        table: dict[str, Any] = transformers.AutoConfig.from_pretrained(
            path.parent, gguf_file=path.name, local_files_only=True
        ).to_dict()
    table.pop("quantization_config", None)
    eps = table.get("rms_norm_eps")
    if isinstance(eps, float):
        table["rms_norm_eps"] = float(f"{eps:.7g}")  # the file has it in fp32, which knows no 1e-5
    return table


def tokenizer_of(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer. DataError if the file has none that can be read."""
    import transformers

    with _readable(path, "tokenizer"):
        made = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
        return cast(tokenizers.Tokenizer, made.backend_tokenizer)


def weights_of(path: Path) -> dict[str, Tensor]:
    """All weights by Hugging Face's names, fp32: 4 bytes for each parameter are held. DataError if the file cannot be read."""
    import transformers

    with _readable(path, "causal language model"):
        made = transformers.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, local_files_only=True
        )
        return dict(made.state_dict())


@contextlib.contextmanager
def _readable(path: Path, what: str) -> Iterator[None]:
    """What transformers raises (anything) as a sentence with its first line; its progress bars are not shown."""
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except Exception as problem:
        raise DataError(f"{path} cannot be read as a {what}: {first_line(problem)}") from problem
