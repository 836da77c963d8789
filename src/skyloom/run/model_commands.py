"""The commands of `skyloom model` and `skyloom generate`: sizes of a model, export of a checkpoint, text from a released model.

`facts` gives parameters, FLOPs and memory of a preset, of a recipe's model or of a Hugging Face folder. `export` turns a checkpoint
of any layout into a folder for transformers. Memory is that of the weights alone; `skyloom plan` adds activations and says
which layouts fit.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from skyloom.core.errors import ConfigError, StorageError
from skyloom.core.json_files import Row, Rows
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.model.presets import PRESETS, preset
from skyloom.run.packaged import find_recipe, packaged

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
    if path.is_dir() or path.suffix == ".gguf":
        from skyloom.model.adopt import read_shape

        return read_shape(path)
    if path.exists() or packaged(which):
        from skyloom.run.recipe import given, load

        return given(load(find_recipe(which)).model, "model")
    raise ConfigError(f"'{which}' is no preset ({', '.join(PRESETS)}), no recipe and no folder of a Hugging Face model")


def table(name: str, shape: ModelConfig) -> Row:
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


def facts(which: str, sequence: int | None = None) -> Rows:
    """Parameters, FLOPs and memory of a shape, a row each."""
    shape = shape_of(which)
    tokens = sequence or shape.context
    cache = 2 * shape.layers * shape.key_width * BYTES_WEIGHTS * min(tokens, shape.window or tokens)
    rows = [
        ("parameters", shape.parameters, ""),
        ("of them in the embedding", shape.embedding_parameters, "looked up"),
        ("of them in each block", shape.block_parameters, f"{shape.layers} blocks of {shape.block}"),
        ("multiplied for each token", shape.multiplied_parameters, "N - what is only looked up"),
        ("FLOPs per token, training", shape.flops_per_token(tokens), f"6 N + 12 L h s, sequences of {tokens:,}"),
        ("FLOPs per token, causal", shape.flops_per_token(tokens, causal=True), "with the half of attention that is computed"),
        ("memory of the weights, GiB", shape.parameters * BYTES_WEIGHTS / 2**30, "bf16"),
        ("memory to train, GiB", shape.parameters * BYTES_TRAINING / 2**30, "one process, without activations"),
        ("cache of a sequence, MiB", cache / 2**20, f"keys and values of {tokens:,} tokens, bf16"),
    ]
    if skipped := [] if which in PRESETS else _passed_over(Path(which)):
        rows.append(("keys of config.json that change nothing here", len(skipped), ", ".join(skipped)))
    return [{"what": what, "value": value, "note": note} for what, value, note in rows]


def _passed_over(path: Path) -> list[str]:
    """The keys that were passed over, if `path` is the folder of a Hugging Face model."""
    if not path.is_dir() and path.suffix != ".gguf":
        return []
    from skyloom.model.adopt import read_config
    from skyloom.model.hf_config import passed_over

    return passed_over(read_config(path))


def export(checkpoint: Path, out: Path, tokenizer: Path | None = None, dtype: str = "bfloat16") -> Row:
    """Write the checkpoint in a folder to the new folder `out`, for `AutoModelForCausalLM` and `AutoTokenizer`.

    `tokenizer`: a folder with the tokenizer, None for the one of the work folder that the checkpoint lies in. Returns stage, step,
    tokens seen and bytes. ConfigError for what does not fit together, StorageError if `out` is there, IntegrityError if the
    checkpoint is damaged. `out` appears whole or not at all.
    """
    from skyloom.evaluate.opened import tokenizer_beside
    from skyloom.release.weights import write_model

    if out.exists():
        raise StorageError(f"{out} is there already; name a new folder")
    vocabulary = tokenizer or tokenizer_beside(checkpoint)
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        made, records = write_model(Store(checkpoint), Store(vocabulary), Store(unfinished), "", dtype)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return {"stage": made.stage, "step": made.step, "tokens": made.tokens, "bytes": sum(r.size for r in records)}


def continue_text(folder: Path, prompt: str, *, tokens: int, temperature: float, top_p: float, seed: int) -> str:
    """What the released model in `folder` writes after `prompt`. ConfigError if the folder holds no model."""
    from skyloom.release.weights import load_released
    from skyloom.score.config import SamplingConfig
    from skyloom.score.generate import generate

    if not (folder / "config.json").exists():
        raise ConfigError(f"{folder} holds no released model (skyloom release build RECIPE makes one)")
    model, tokenizer, context = load_released(Store(folder))
    sampling = SamplingConfig(tokens=tokens, temperature=temperature, top_p=top_p, seed=seed)
    begun = [tokenizer.bos_id, *tokenizer.encode(prompt)]
    (made,) = generate(model, [begun], sampling, context=context, eos_id=tokenizer.eos_id)
    return prompt + tokenizer.decode(made)
