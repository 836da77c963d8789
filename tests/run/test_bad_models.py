"""A model or a vocabulary that cannot be continued is refused in one sentence, before a page is read and before a weight is allocated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from tests.tokenizer.byte_models import write_model

from skyloom.cli import main
from skyloom.model.decoder import Decoder
from skyloom.tokenizer.byte_level.spelling import letters_of

ROOT = Path(__file__).parents[2]
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
GATE = "model.layers.1.mlp.gate_proj.weight"


def model(folder: Path, fewer: int = 0) -> Path:
    """A small LLaMA in two files with a byte-level vocabulary; its embedding has so many rows fewer than there are pieces."""
    write_model(folder, "smollm2")
    size = len(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 96,
        "max_position_embeddings": 128,
    }
    torch.manual_seed(1)
    config = transformers.LlamaConfig(vocab_size=size - fewer, bos_token_id=1, eos_token_id=2, **shape)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shard(folder, weights)
    return folder


def shard(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    listed = sorted(weights)
    halves = dict(zip(SHARDS, (listed[::2], listed[1::2]), strict=True))
    for name, part in halves.items():
        save_file({key: weights[key] for key in part}, folder / name)
    index = {"weight_map": {key: name for name, part in halves.items() for key in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def changed(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads((folder / name).read_text(encoding="utf-8"))
    change(table)
    (folder / name).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")


def weights_changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / SHARDS[0]) | load_file(folder / SHARDS[1])
    change(weights)
    shard(folder, weights)


def without_a_byte(tree: dict[str, Any]) -> None:
    tree["model"]["vocab"]["zqzq"] = tree["model"]["vocab"].pop(letters_of(b"A"))
    tree["model"]["merges"] = [pair for pair in tree["model"]["merges"] if letters_of(b"A") not in "".join(pair)]


def cut_short(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 40])


BAD: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "rotation": (
        lambda f: changed(f, "config.json", lambda t: t.update(rope_parameters={"rope_type": "螺旋", "rope_theta": 1e4, "factor": 2.0})),
        2, "config.json: the rotation is scaled by '螺旋'; known are default, linear, llama3, yarn",
    ),
    "ids": (lambda f: model(f, fewer=3), 3, "its tokenizer has ids up to 699, its embedding 697 rows (vocab_size)"),
    "bytes": (lambda f: changed(f, "tokenizer.json", without_a_byte), 3, "is byte-level and lacks 1 of the 256 bytes (0x41 is the first)"),
    "a weight is missing": (lambda f: weights_changed(f, lambda w: w.pop(GATE)), 4, f"does not fit its config: missing ['{GATE}']"),
    "a weight too many": (lambda f: weights_changed(f, lambda w: w.update(多余=w[GATE].clone())), 4, "missing [], unknown ['多余']"),
    "another shape": (
        lambda f: weights_changed(f, lambda w: w.update({GATE: w[GATE][:-2].clone()})), 4, f"{GATE} is (94, 32), its config says (96, 32)",
    ),
    "a shard is cut short": (lambda f: cut_short(f / SHARDS[1]), 4, f"{SHARDS[1]} is damaged or cut short"),
    "a shard is missing": (lambda f: (f / SHARDS[1]).unlink(), 3, f"lacks {SHARDS[1]}"),
}  # fmt: skip


def refused(arguments: list[str], work: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and sentence of `skyloom train` with the small recipe; that it made no step and no model is looked at here."""

    def none(*_: object, **__: object) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(Decoder, "__init__", none)
    options = [text for value in arguments for text in ("--set", value)]
    done = CliRunner().invoke(main, ["train", str(ROOT / "recipes" / "tiny.toml"), "--work", str(work), *options])
    assert not list(work.glob("*/_step.json")) and not list(work.glob("*-*")), "no step was begun"
    *_, sentence = done.output.strip().splitlines()
    return done.exit_code, sentence


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("models") / "模型")


@pytest.mark.parametrize("name", BAD)
def test_a_model_that_cannot_be_continued_is_refused_first(
    name: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, code, said = BAD[name]
    folder = tmp_path / "模型"
    folder.mkdir()
    for path in sound.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    found, told = refused([f"train.init_from={folder}"], tmp_path / "work", monkeypatch)
    assert found == code and told.startswith("skyloom: ") and said in told, told


def test_a_vocabulary_without_a_byte_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tokenizer.base_model` to be used unchanged."""
    write_model(tmp_path / "词表", "smollm2", 1100)
    changed(tmp_path / "词表", "tokenizer.json", without_a_byte)
    size = len(json.loads((tmp_path / "词表" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    sizes = f"base={size}, characters=0, words=0, reserved=0, vocabulary={size}, fit=true"
    found, told = refused([f"tokenizer={{base_model='{tmp_path / '词表'}', {sizes}}}"], tmp_path / "work", monkeypatch)
    assert found == 2 and "lacks 1 of the 243 bytes of UTF-8 (0x41 is the first)" in told, told
    assert told.startswith("skyloom: ") and "set tokenizer.characters to 1 or more" in told
