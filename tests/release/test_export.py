"""Any checkpoint of a run becomes a folder that transformers loads; what does not fit together leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from skyloom.core.errors import ConfigError, IntegrityError, StorageError
from skyloom.core.store import Store
from skyloom.run.model_commands import export
from skyloom.tokenizer import Tokenizer
from skyloom.train import checkpoint


@pytest.fixture
def work(run: dict[str, Store], tmp_path: Path) -> Path:
    """A work folder with a stage's checkpoint and the tokenizer beside it."""
    shutil.copytree(run["stage1"].path("final"), tmp_path / "work" / "stage1-0123" / "checkpoints" / "step-0000007")
    shutil.copytree(run["tokenizer"].path(), tmp_path / "work" / "tokenizer-4567")
    return tmp_path / "work"


def test_a_checkpoint_is_what_transformers_loads(work: Path, tmp_path: Path) -> None:
    place, out = work / "stage1-0123" / "checkpoints" / "step-0000007", tmp_path / "out"
    told = export(place, out, dtype="float32")
    state = checkpoint.read_state(Store(place))
    assert (told["stage"], told["step"], told["tokens"]) == (state["stage"], state["step"], state["tokens"])
    assert told["bytes"] == sum(f.stat().st_size for f in out.iterdir())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    text = "The file 文件。"
    assert tokenizer.encode(text, add_special_tokens=False) == Tokenizer.load(Store(work / "tokenizer-4567")).encode(text)
    weights = checkpoint.read(Store(place), moments=False).weights
    assert torch.equal(model.lm_head.weight, weights["head.weight"])


def test_what_does_not_fit_is_told_and_leaves_nothing(work: Path, tmp_path: Path) -> None:
    place, out = work / "stage1-0123" / "checkpoints" / "step-0000007", tmp_path / "out"
    (tmp_path / "there").mkdir()
    with pytest.raises(StorageError, match="already"):
        export(place, tmp_path / "there")
    with pytest.raises(IntegrityError, match="not a whole checkpoint"):
        export(work / "tokenizer-4567", out, work / "tokenizer-4567")
    shutil.copytree(work / "tokenizer-4567", work / "tokenizer-89ab")
    with pytest.raises(ConfigError, match="has 2 tokenizers"):
        export(place, out)
    shutil.copytree(place, tmp_path / "elsewhere" / "alone")
    with pytest.raises(ConfigError, match="no tokenizer"):
        export(tmp_path / "elsewhere" / "alone", out)
    (place / "model.safetensors").write_bytes((place / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        export(place, out, work / "tokenizer-4567")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["elsewhere", "there", "work"]
