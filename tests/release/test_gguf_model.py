"""A GGUF of a released model holds its weights, shape and vocabulary, for each family that is written."""

from __future__ import annotations

import builtins
import re
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig, RopeScaling
from skyloom.model.decoder import Decoder, Rotation
from skyloom.model.gguf_file import settings_of, weights_of
from skyloom.model.hf import from_hf, from_hf_config, to_hf, to_hf_config
from skyloom.model.init import initialise
from skyloom.release.gguf_model import write_gguf
from skyloom.tokenizer.pieces import read_model
from skyloom.tokenizer.tokenizer import Tokenizer

PLAIN = ModelConfig(vocabulary=1024, hidden=64, layers=2, heads=4, ffn=96, context=48, key_heads=2, norm_eps=1e-6)
FAMILIES = {
    "llama": PLAIN,
    "mistral": replace(PLAIN, window=16),
    "qwen2": replace(PLAIN, query_bias=True, tied=True, rope_theta=1e6),
    "qwen3": replace(PLAIN, head_norm=True, head_width=128),
}


@pytest.fixture(scope="session")
def vocabulary(released: Path) -> Path:
    return released / "tokenizer.model"


def model_folder(folder: Path, shape: ModelConfig, vocabulary: Path, *, seed: int = 1, dtype: torch.dtype = torch.float32) -> Path:
    """What `model export` writes, with drawn weights."""
    folder.mkdir()
    shape = replace(shape, vocabulary=len(read_model(vocabulary.read_bytes()).pieces))
    torch.manual_seed(seed)
    model = Decoder(shape)
    initialise(model, seed=seed)
    state = {name: (torch.randn_like(weight) * 0.3).to(dtype).contiguous() for name, weight in model.state_dict().items()}
    if shape.tied:
        state["head.weight"] = state["embedding.weight"]
    store = Store(folder)
    store.write_bytes("model.safetensors", safetensors.torch.save(to_hf(state, shape)))
    store.write_json("config.json", to_hf_config(shape, bos_id=1, eos_id=2, dtype="float32"))
    store.write_json("generation_config.json", {"temperature": 0.8, "top_p": 0.95})
    for name in Tokenizer.load(vocabulary.parent).files:
        store.write_bytes(name, (vocabulary.parent / name).read_bytes())
    return folder


def logits(shape: ModelConfig, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    model = Decoder(shape)
    model.load_state_dict(from_hf(weights, shape) | ({"head.weight": weights["model.embed_tokens.weight"]} if shape.tied else {}))
    tokens = torch.arange(2 * 15).reshape(2, 15) % shape.vocabulary
    with torch.no_grad():
        return model(tokens)


@pytest.mark.parametrize("kind", ["f16", "q8_0"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_weights_are_read_back(family: str, kind: str, vocabulary: Path, tmp_path: Path) -> None:
    folder = model_folder(
        tmp_path / "模型", FAMILIES[family], vocabulary, dtype=torch.bfloat16 if family == "qwen3" else torch.float32
    )
    written = write_gguf(Store(folder), tmp_path / "模型.gguf", kind, name="示例")
    given = safetensors.torch.load_file(folder / "model.safetensors")
    shape = from_hf_config(Store(folder).read_json("config.json"))
    read = weights_of(written.path)
    for name, weight in given.items():
        weight, got = weight.float(), read[name]
        assert got.shape == weight.shape
        if weight.ndim == 1:
            assert torch.equal(got, weight), name
        elif kind == "f16":
            assert torch.equal(got, weight.half().float()), name
        else:  # half a step of each block of 32, and the scale itself is fp16
            steps = weight.reshape(-1, 32).abs().amax(1, keepdim=True) / 127
            assert ((got - weight).reshape(-1, 32).abs() <= steps * 0.57 + 1e-7).all() and not torch.equal(got, weight), name
    wished, found = logits(shape, {k: w.float() for k, w in given.items()}), logits(shape, {k: read[k] for k in given})
    assert (wished - found).abs().max() < (0.02 if kind == "f16" else 0.5) * wished.abs().max()
    table = settings_of(written.path)
    assert written.architecture == table["model_type"] == {"mistral": "llama"}.get(family, family)
    ours = to_hf_config(replace(shape, window=0), bos_id=1, eos_id=2, dtype="float32")
    assert table["max_position_embeddings"] == written.context == (16 if family == "mistral" else 48)
    for key in (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "vocab_size",
    ):
        assert table[key] == ours[key], key
    assert written.tensors == ({"f16": 15 + (not shape.tied) * 1} if kind == "f16" else {"q8_0": 15 + (not shape.tied) * 1}) | {
        "f32": sum(weight.ndim == 1 for weight in given.values())
    }
    fields = {name: field.contents() for name, field in gguf.GGUFReader(written.path).fields.items()}
    assert fields["general.name"] == "示例" and fields["tokenizer.ggml.model"] == "llama"
    assert fields["tokenizer.ggml.tokens"] == [p.piece for p in read_model(vocabulary.read_bytes()).pieces]
    assert fields[f"{written.architecture}.attention.key_length"] == shape.head_dim
    modelfile = written.modelfile.read_text(encoding="utf-8")
    assert modelfile.startswith("FROM ./模型.gguf\n") and f"PARAMETER num_ctx {written.context}\n" in modelfile
    drawn = ("temperature 0.8", "top_p 0.95", "top_k 0", f"num_predict {written.context}")
    assert all(f"PARAMETER {setting}\n" in modelfile for setting in drawn)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["模型", "模型.Modelfile", "模型.gguf"]


def test_queries_are_turned_as_llama_cpp_turns_them(vocabulary: Path, tmp_path: Path) -> None:
    """Neighbours of each head as pairs, in the file's own order of rows: the scores are those of our halves."""
    folder = model_folder(tmp_path / "m", PLAIN, vocabulary)
    path = write_gguf(Store(folder), tmp_path / "m.gguf").path
    tensors = {t.name: np.array(t.data, np.float32) for t in gguf.GGUFReader(path).tensors}
    weights = from_hf(
        safetensors.torch.load_file(folder / "model.safetensors"), from_hf_config(Store(folder).read_json("config.json"))
    )
    x, width = torch.randn(7, 64), 16
    rotate = Rotation(replace(PLAIN, context=7))

    def halves(weight: torch.Tensor) -> torch.Tensor:
        return rotate((x @ weight.half().float().T).view(7, -1, width).transpose(0, 1))

    def neighbours(weight: torch.Tensor) -> torch.Tensor:
        y = (x @ weight.T).view(7, -1, width).transpose(0, 1)
        first, second = y[..., ::2], y[..., 1::2]
        turned = torch.stack((first * rotate.cos - second * rotate.sin, second * rotate.cos + first * rotate.sin), -1)
        return turned.flatten(-2)

    ours = halves(weights["blocks.1.attention.query.weight"])[:2] @ halves(weights["blocks.1.attention.key.weight"]).transpose(1, 2)
    theirs = [torch.from_numpy(tensors[f"blk.1.attn_{name}.weight"]) for name in ("q", "k")]
    scores = neighbours(theirs[0])[:2] @ neighbours(theirs[1]).transpose(1, 2)
    assert torch.allclose(ours, scores, atol=1e-3)


def test_scaled_rotations(vocabulary: Path, tmp_path: Path) -> None:
    llama3 = RopeScaling(kind="llama3", factor=8, original_context=16)
    yarn = RopeScaling(kind="yarn", factor=4, original_context=16, attention=1.5)
    linear = RopeScaling(kind="linear", factor=2)
    fields, tensors = {}, {}
    for scaling in (llama3, yarn, linear):
        folder = model_folder(tmp_path / scaling.kind, replace(PLAIN, rope_scaling=scaling), vocabulary)
        reader = gguf.GGUFReader(write_gguf(Store(folder), tmp_path / f"{scaling.kind}.gguf").path)
        fields[scaling.kind] = {n[11:]: f.contents() for n, f in reader.fields.items() if n.startswith("llama.rope.")}
        tensors[scaling.kind] = {t.name: np.array(t.data) for t in reader.tensors}
    plain, scaled = Rotation(PLAIN), Rotation(replace(PLAIN, rope_scaling=llama3))
    angles = [torch.atan2(r.sin[1], r.cos[1]).numpy() for r in (plain, scaled)]
    assert np.allclose(tensors["llama3"]["rope_freqs.weight"], angles[0] / angles[1], rtol=1e-3)
    assert "scaling.type" not in fields["llama3"] and "rope_freqs.weight" not in tensors["yarn"]
    assert (fields["linear"]["scaling.type"], fields["linear"]["scaling.factor"]) == ("linear", 2)
    assert fields["yarn"]["scaling.type"] == "yarn" and fields["yarn"]["scaling.original_context_length"] == 16
    assert fields["yarn"]["scaling.attn_factor"] * (1 + 0.1 * np.log(4)) == pytest.approx(1.5)
    for shape, said in (
        (replace(FAMILIES["qwen2"], rope_scaling=llama3), "only of the architecture llama"),
        (replace(PLAIN, rope_scaling=replace(yarn, truncate=False)), "truncate = false"),
    ):
        with pytest.raises(ConfigError, match=said):
            write_gguf(Store(model_folder(tmp_path / said[:4], shape, vocabulary)), tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()


def test_rows_that_are_no_blocks_stay_fp16(vocabulary: Path, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", replace(PLAIN, ffn=90), vocabulary)
    written = write_gguf(Store(folder), tmp_path / "m.gguf", "q8_0")
    assert written.tensors == {"f16": 2, "q8_0": 14, "f32": 5}
    given, read = safetensors.torch.load_file(folder / "model.safetensors"), weights_of(written.path)
    down = "model.layers.1.mlp.down_proj.weight"
    assert torch.equal(read[down], given[down].half().float())


def test_what_cannot_be_written(vocabulary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = model_folder(tmp_path / "m", PLAIN, vocabulary), tmp_path / "m.gguf"
    good = safetensors.torch.load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    for changed, error, said in (
        ({name: good[name] * 1e6}, DataError, "fp16 cannot hold"),
        ({name: good[name] * float("nan")}, DataError, "not finite"),
        ({name: good[name][:-1].contiguous()}, IntegrityError, "ffn.up.weight is"),
        ({"surplus": good[name].clone()}, IntegrityError, "unknown, surplus"),
    ):
        safetensors.torch.save_file(good | changed, folder / "model.safetensors")
        with pytest.raises(error, match=said):
            write_gguf(Store(folder), out)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]
    (folder / "model.safetensors").write_bytes(b"\1" * 40)
    with pytest.raises(IntegrityError, match="damaged"):
        write_gguf(Store(folder), out)
    (folder / "parts.json").unlink()
    with pytest.raises(StorageError, match=r"parts\.json"):
        write_gguf(Store(folder), out)
    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: _refuse() if name == "gguf" else real(name, *rest))
    with pytest.raises(ConfigError, match=re.escape("pip install 'skyloom[gguf]'")):
        write_gguf(Store(folder), out)


def _refuse() -> None:
    raise ImportError("gguf")


def test_the_command_on_a_release_and_a_checkpoint(released: Path, tmp_path: Path) -> None:
    checkpoint = next((released / "checkpoints").iterdir())
    for folder, name in ((released, "full"), (checkpoint, "stage")):
        out = tmp_path / f"{name}.gguf"
        done = CliRunner().invoke(main, ["release", "gguf", str(folder), str(out), "--type", "q8_0"])
        assert done.exit_code == 0 and "architecture llama, context 48" in done.output, done.output
        assert weights_of(out).keys() == safetensors.torch.load_file(folder / "model.safetensors").keys()
        assert f"FROM ./{name}.gguf" in (tmp_path / f"{name}.Modelfile").read_text(encoding="utf-8")
