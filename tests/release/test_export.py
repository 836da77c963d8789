"""Any checkpoint of a run becomes a folder that transformers loads; what does not fit together leaves nothing behind."""

from __future__ import annotations

import json
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


PROMPTS = ["The", "系统软件包的文件", "The file of the system is", "文件"]


def test_a_batch_of_prompts_is_continued_like_each_prompt_alone(work: Path, tmp_path: Path) -> None:
    """A decoder continues the last token of a row: padding on the right would stand between prompt and continuation."""
    out = tmp_path / "out"
    export(work / "stage1-0123" / "checkpoints" / "step-0000007", out, dtype="float32")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out).eval(), AutoTokenizer.from_pretrained(out)
    asked = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False}
    batch = tokenizer(PROMPTS, return_tensors="pt", padding=True)
    assert (batch["attention_mask"][:, 0] == 0).any() and (batch["attention_mask"][:, -1] == 1).all()
    together = model.generate(**batch, **asked)[:, batch["input_ids"].shape[1] :].tolist()
    for prompt, made in zip(PROMPTS, together, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        assert model.generate(**ids, **asked)[0, ids["input_ids"].shape[1] :].tolist() == made, prompt


def test_the_tokenizer_says_the_context_and_what_its_own_files_say(work: Path, tmp_path: Path) -> None:
    place, out = work / "stage1-0123" / "checkpoints" / "step-0000007", tmp_path / "out"
    export(place, out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    context = json.loads((out / "config.json").read_text())["max_position_embeddings"]
    assert tokenizer.padding_side == "left" and tokenizer.model_max_length == context
    before = Store(work / "tokenizer-4567").read_json("tokenizer_config.json")
    said = Store(out).read_json("tokenizer_config.json")
    assert said == {**before, "padding_side": "left", "model_max_length": context}


@pytest.mark.parametrize("text", ["Close it with </s> or <s> and go on.", "用 </s> 结束，用 <unk> 代替，<|pad|>。"])
def test_special_tokens_in_a_text_are_text_where_they_are_asked_to_be_split(text: str, work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(work / "stage1-0123" / "checkpoints" / "step-0000007", out)
    ours, theirs = Tokenizer.load(Store(out)), AutoTokenizer.from_pretrained(out)
    assert ours.eos_id not in ours.encode(text) and ours.eos_id in theirs(text)["input_ids"]
    assert theirs(text, split_special_tokens=True)["input_ids"] == [ours.bos_id, *ours.encode(text)]
