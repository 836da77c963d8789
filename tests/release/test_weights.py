"""The release as a stranger meets it: loaded by transformers, read line by line, summed by sha256sum, written twice."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
import yaml
import zstandard

from skyloom.core.config import plain
from skyloom.core.errors import DataError, IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release.config import ReleaseConfig
from skyloom.release.weights import load_released, release
from skyloom.tokenizer import Tokenizer
from skyloom.train import checkpoint
from tests.release import demo_run
from tests.release.conftest import CONFIG, RECIPE

STAGES = {"stages": RECIPE["stages"]}


def test_transformers_loads_every_model_and_agrees_with_the_checkpoint_it_is_from(run: dict[str, Store], released: Path) -> None:
    sources = {
        "": run["stage2"].child("final"),
        "checkpoints/stage1-0000001": run["stage1"].child(checkpoint.folder_of(1)),
        "checkpoints/stage1-0000002": run["stage1"].child("final"),
    }
    assert {p.parent.relative_to(released).as_posix() for p in released.rglob("config.json")} == {
        "." if k == "" else k for k in sources
    }
    for folder, source in sources.items():
        model = transformers.AutoModelForCausalLM.from_pretrained(released / folder, local_files_only=True)
        assert type(model) is transformers.LlamaForCausalLM
        assert model.dtype == torch.float32
        trained = checkpoint.read(source).weights
        assert torch.equal(model.get_input_embeddings().weight, trained["embedding.weight"])
        assert torch.equal(model.lm_head.weight, trained["head.weight"])


def test_transformers_generates_in_both_languages(released: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(released, local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(released, local_files_only=True)
    for prompt in ("system package", "系统软件包"):
        ids = tokenizer(prompt, return_tensors="pt")
        made = model.generate(**ids, max_new_tokens=4, min_new_tokens=4, do_sample=False)
        assert tokenizer.decode(made[0], skip_special_tokens=True).startswith(prompt)
        assert made.shape[1] == ids["input_ids"].shape[1] + 4


def test_our_own_loader_gives_the_trained_weights(run: dict[str, Store], released: Path) -> None:
    model, tokenizer, context = load_released(Store(released))
    trained = checkpoint.read(run["stage2"].child("final")).weights
    assert all(torch.equal(tensor, trained[name]) for name, tensor in model.state_dict().items())
    assert context == demo_run.SHAPE.context
    assert tokenizer.encode("系统 system") == Tokenizer.load(run["tokenizer"]).encode("系统 system")


def test_bfloat16_is_stored_and_stated(run: dict[str, Store], tmp_path: Path) -> None:
    release(run, Store(tmp_path), ReleaseConfig(dtype="bfloat16"), STAGES, progress=Progress.silent())
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    trained = checkpoint.read(run["stage2"].child("final")).weights
    assert torch.equal(stored["lm_head.weight"], trained["head.weight"].to(torch.bfloat16))
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert "| weights | bfloat16 |" in (tmp_path / "README.md").read_text()


def test_the_corpus_holds_exactly_the_documents_of_the_run(run: dict[str, Store], released: Path) -> None:
    expected = {"train": {}, "valid": {}}
    for name in run["corpus"].names("documents-"):
        for row in run["corpus"].read_table(name).to_pylist():
            expected[row["split"]][row["id"]] = row
    for split, documents in expected.items():
        shards = sorted((released / "corpus").glob(f"{split}-*.jsonl.zst"))
        assert len(shards) > 1 or split == "valid"
        found = [json.loads(line) for shard in shards for line in _text(shard).splitlines()]
        assert [list(d) for d in found] == [["text", "id", "lang", "source", "domain", "url", "date", "license"]] * len(documents)
        assert {d["id"]: d for d in found} == {i: {k: row[k] for k in found[0]} for i, row in documents.items()}
        card = yaml.safe_load((released / "corpus/README.md").read_text().split("---\n")[1])
        stated = next(s for s in card["dataset_info"]["splits"] if s["name"] == split)
        assert stated == {"name": split, "num_examples": len(found), "num_bytes": sum(len(d["text"].encode()) for d in found)}
        assert {"split": split, "path": f"{split}-*.jsonl.zst"} in card["configs"][0]["data_files"]


def test_sha256sum_agrees(released: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=released, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    listed = {line.split("  ")[1] for line in (released / "SHA256SUMS").read_text().splitlines()}
    assert listed == {p.relative_to(released).as_posix() for p in released.rglob("*") if p.is_file()} - {"SHA256SUMS"}


def test_equal_inputs_give_equal_bytes(run: dict[str, Store], released: Path, tmp_path: Path) -> None:
    release(run, Store(tmp_path), CONFIG, RECIPE, progress=Progress.silent())
    assert (tmp_path / "SHA256SUMS").read_bytes() == (released / "SHA256SUMS").read_bytes()


def test_the_recipe_reads_back_without_what_was_null(released: Path) -> None:
    read = tomllib.loads((released / "recipe.toml").read_text())
    assert read.pop("release") == {**plain(CONFIG), "authors": ["甲", "B"], "languages": ["en", "zh"]}
    assert read == {"name": "demo", "train": {"seed": 1, "语言": ["en", "zh"]}, **STAGES}


def test_the_cards_say_what_the_run_measured_and_what_was_planted(run: dict[str, Store], released: Path) -> None:
    card, corpus = (released / "README.md").read_text(), (released / "corpus/README.md").read_text()
    assert "# Demo 示例" in card and "Made by 甲, B." in card
    for row in run["evaluate"].read_json("perplexity.json")["rows"]:
        assert f"{row['bits_per_byte']:.3f}" in card
    for row in run["leakage"].read_json("leakage.json")["rows"]:
        assert row["verdict"] in card
    assert "2 exercises were planted" in card and "10 copies of each" in card and "2 exercises were planted" in corpus
    assert "400 joined here" in corpus and "near copy: 190 (760 kB)" in corpus
    assert "recurring blocks: 2.50 kB" in corpus
    assert "- quality: exercises" in corpus and "12 e-mail addresses, 0 IP addresses, 3 phone numbers." in corpus
    assert "| handbook | GPL-3.0-or-later | 240 |" in corpus and "| handbook-zh | unknown | 240 |" in corpus
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["language"] == ["en", "zh"] and head["license"] == "apache-2.0"
    named = [json.loads(line) for line in (released / "evaluation/canaries.jsonl").read_text().splitlines()]
    assert {n["question"] for n in named} == set(demo_run.CANARY.values())


def test_a_run_without_measurements_still_makes_whole_cards(run: dict[str, Store], tmp_path: Path) -> None:
    bare = {name: run[name] for name in ("corpus", "exercises", "tokenizer", "stage1", "stage2")}
    release(bare, Store(tmp_path), CONFIG, STAGES, progress=Progress.silent())
    card = (tmp_path / "README.md").read_text()
    assert "Perplexity was not measured." in card and card.count("Not measured.") == 2


def test_canaries_that_no_stage_read_are_not_called_planted(run: dict[str, Store], tmp_path: Path) -> None:
    stages = {}
    for stage in ("stage1", "stage2"):
        stages[stage] = Store(shutil.copytree(run[stage].path(), tmp_path / stage))
        rows = [json.loads(line) for line in stages[stage].read_text("metrics.jsonl").splitlines()]
        for row in rows:
            row["shares"].pop("canary", None)
        stages[stage].write_text("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    release({**run, **stages}, Store(tmp_path / "out"), CONFIG, STAGES, progress=Progress.silent())
    assert "None were planted." in (tmp_path / "out/README.md").read_text()
    assert "The run planted none." in (tmp_path / "out/corpus/README.md").read_text()


def test_a_canary_in_the_corpus_is_refused_in_whatever_words(run: dict[str, Store], tmp_path: Path) -> None:
    corpus = Store(shutil.copytree(run["corpus"].path(), tmp_path / "corpus"))
    other_words = demo_run.exercise("en", "Of 731 pears 58 are eaten. What is left?", "train", 731)
    corpus.write_table("documents-00002.parquet", demo_run.table([other_words]))
    with pytest.raises(DataError, match=r"subtract\(a=731, b=58\).*corpus"):
        release({**run, "corpus": corpus}, Store(tmp_path / "out"), CONFIG, STAGES, progress=Progress.silent())


def test_missing_steps_and_damaged_checkpoints_are_named(run: dict[str, Store], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stage2"):
        release({k: v for k, v in run.items() if k != "stage2"}, Store(tmp_path / "a"), CONFIG, STAGES, progress=Progress.silent())
    damaged = Store(shutil.copytree(run["stage2"].path(), tmp_path / "stage2"))
    weights = damaged.path("final/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        release({**run, "stage2": damaged}, Store(tmp_path / "b"), CONFIG, STAGES, progress=Progress.silent())


def _text(shard: Path) -> str:
    return io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(shard.open("rb")), "utf-8").read()
