"""The page docs/continue-chinese.md: its recipe and each of its commands, with a small random model and a small vocabulary."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stories.program import ROOT, environment
from tests.tokenizer.byte_models import write_model

transformers = pytest.importorskip("transformers")

PAGE = (ROOT / "docs" / "continue-chinese.md").read_text(encoding="utf-8")
RECIPE = re.search(r"```toml\n(.*?)```", PAGE, re.S)
_BLOCKS = re.findall(r"(?m)^```\n((?:skyloom .*\n)+)```$", PAGE)
COMMANDS = [line for block in _BLOCKS for line in block.splitlines()]


def small_model(folder: Path) -> int:
    """A LLaMA of a few thousand parameters with SmolLM2's kind of vocabulary, and more rows than it needs; its pieces."""
    import torch

    write_model(folder, "smollm2")
    size = len(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    torch.manual_seed(1)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 64}
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    config = transformers.LlamaConfig(vocab_size=size + 4, **shape, **ends, tie_word_embeddings=True, max_position_embeddings=256)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return size


def small_recipe(size: int) -> str:
    """The page's recipe with sizes of the small model."""
    assert RECIPE is not None
    text = RECIPE[1]
    for name, value in {"base": size, "vocabulary": size + 600 + 231 + 17}.items():
        text, found = re.subn(rf"(?m)^{name} = [\d_]+", f"{name} = {value}", text)
        assert found == 1, name
    text = text.replace("monitor_bytes = 2000", 'monitor_bytes = 2000\nprecision = "fp32"\ncompile = "off"\nthreads = 1')
    return re.sub(r"(?m)^tokens = [\d_]+", "tokens = 20_000", text)


@pytest.mark.xdist_group("continue")
def test_the_page_is_followed_to_its_end(tmp_path: Path) -> None:
    size = small_model(tmp_path / "models" / "base")
    (tmp_path / "chinese.toml").write_text(small_recipe(size), encoding="utf-8")
    assert len(COMMANDS) == 8
    said = {}
    for line in COMMANDS:
        arguments = shlex.split(line)[1:]
        for place, argument in enumerate(arguments):
            if "…" in argument:
                (found,) = tmp_path.glob(argument.replace("…", "*"))
                arguments[place] = str(found.relative_to(tmp_path))
        program = [sys.executable, "-m", "skyloom.cli", *arguments]
        done = subprocess.run(program, capture_output=True, text=True, timeout=1200, check=False, env=environment(), cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr[-2000:]}"
        said[line] = done.stdout + done.stderr
    (tokens,) = (tmp_path / "runs" / "chinese").glob("tokenizer-*/parts.json")
    parts = json.loads(tokens.read_text(encoding="utf-8"))
    assert (
        parts["kind"] == "byte-level" and parts["parts"][0]["size"] == size and size < parts["vocabulary"] <= size + 600 + 231 + 17
    )
    trained = next(text for line, text in said.items() if line.startswith("skyloom train"))
    assert f"of {parts['vocabulary']:,} pieces keep their row" in trained
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "chinese-model")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "chinese-model")
    assert model.config.vocab_size == len(auto) == parts["vocabulary"] and model.config.bos_token_id == 1
    (rows,) = (tmp_path / "runs" / "chinese").glob("references-*/references.json")
    before = {row["set"]: row["bits_per_byte"] for row in json.loads(rows.read_text(encoding="utf-8")) if row["model"] == "before"}
    (journal,) = (tmp_path / "runs" / "chinese").glob("chinese-*/heldout.jsonl")
    after = {row["set"]: row["bits_per_byte"] for row in map(json.loads, journal.read_text(encoding="utf-8").splitlines())}
    assert after["web_zh"] < before["web_zh"] and set(before) == set(after), "Chinese is learnt"
