"""Other models on our held-out texts: the same loss as by hand, comparable across tokenizers, and nothing that cannot be read."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.config import ReferencesConfig
from skyloom.evaluate.reference import other_model, references, score_sets
from tests.train.watch.test_telemetry import Listener

SETS = {
    "web_en": ["The loom weaves the sky.", "A short text about rain.\nIt has two lines."],
    "web_zh": ["天空是一台织布机。", "今天下雨。\n明天放晴😀。", "机"],
}


def save(folder: Path, *, bos: bool, lower: bool = False) -> Path:
    """A random GPT-2 with a byte-level BPE of its own."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    if lower:
        made.normalizer = tokenizers.normalizers.Lowercase()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    made.train_from_iterator([t for texts in SETS.values() for t in texts], trainer)
    special = {"bos_token": "<s>"} if bos else {}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", **special).save_pretrained(folder)
    torch.manual_seed(1)
    size = {"vocab_size": made.get_vocab_size(), "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 16}
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**size, bos_token_id=0, eos_token_id=1)).save_pretrained(folder)
    return folder


def by_hand(folder: Path, texts: list[str], begin: int) -> float:
    """Bits per byte, a token at a time, in windows of 16 as `score.nll` cuts them."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    nats = 0.0
    for text in texts:
        ids = [begin, *tokenizer.encode(text, add_special_tokens=False)]
        for start in range(0, len(ids) - 1, 16):
            window = ids[start : start + 17]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([window[:-1]])).logits[0].double()
            nats -= float(torch.log_softmax(logits, -1)[torch.arange(len(window) - 1), window[1:]].sum())
    return nats / sum(len(t.encode()) for t in texts) / math.log(2)


@pytest.mark.parametrize(("bos", "begin"), [(True, 0), (False, 1)])
def test_bits_per_byte_are_those_computed_by_hand(bos: bool, begin: int, tmp_path: Path) -> None:
    folder = save(tmp_path / "模型", bos=bos)
    model = other_model(folder)
    assert (model.begin, model.context) == (begin, 16)
    found = score_sets(model, SETS, progress=Progress.silent())
    for row in found:
        assert row.bits_per_byte == pytest.approx(by_hand(folder, SETS[row.set], begin), rel=1e-5)
        assert row.low <= row.bits_per_byte <= row.high
        assert row.bytes == sum(len(t.encode()) for t in SETS[row.set]) and row.changed == 0
    alone = score_sets(model, {"web_zh": ["机"]}, progress=Progress.silent())[0]
    assert np.isnan(alone.low) and alone.documents == 1


def test_a_tokenizer_that_changes_the_text_is_noticed(tmp_path: Path) -> None:
    (english, chinese) = score_sets(other_model(save(tmp_path, bos=True, lower=True)), SETS, progress=Progress.silent())
    assert (english.changed, chinese.changed) == (2, 0)


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no config\.json"):
        other_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama", "没有": 1}')
    with pytest.raises(DataError, match=r"has no weights|lacks model"):
        other_model(tmp_path)


def test_computed_and_given_figures_stand_in_one_file(tmp_path: Path) -> None:
    folder = save(tmp_path / "hf", bos=True, lower=True)
    config = ReferencesConfig(file="f.toml", models={"小模型": str(folder)})
    listener, out = Listener(), Store(tmp_path / "out")
    references(config, {"given": {"zh": 1.5}}, SETS, out, progress=listener)
    rows = out.read_json("references.json")
    assert [(r["model"], r["set"]) for r in rows] == [("given", "web_zh"), ("小模型", "web_en"), ("小模型", "web_zh")]
    assert rows[0]["bits_per_byte"] == 1.5 and rows[0]["low"] is rows[0]["documents"] is None
    assert rows[1]["low"] <= rows[1]["bits_per_byte"] <= rows[1]["high"] and rows[1]["changed"] == 2
    assert sum("gives back 2 of 2 texts of web_en changed" in text for text in listener.said) == 1
    alone = {"web_zh": ["机"]}
    references(config, {}, alone, out, progress=listener)
    assert out.read_json("references.json")[0]["low"] is None, "one document has no interval, and NaN is no JSON"
    with pytest.raises(ConfigError, match="web_fr"):
        references(ReferencesConfig(models={"x": "/nowhere"}), {"given": {"web_fr": 1.5}}, SETS, out, progress=listener)


def test_a_special_token_in_a_text_is_characters(tmp_path: Path) -> None:
    """A page that writes </s> is scored as any other page: its figure is that of the characters, and it comes back."""
    from skyloom.evaluate.opened.model_words import HubWords

    model = other_model(save(tmp_path, bos=True))
    words = model.words
    assert isinstance(words, HubWords)
    for text in ("a </s> b", "<s>天空</s>"):
        (ids,) = words.encode_text([text])
        assert not {0, 1} & set(ids) and words.decode(ids) == text
        assert {0, 1} & set(words.encode([text])[0]), "for prompts of a chat they stay tokens"
    assert words.encode_text(SETS["web_zh"]) == words.encode(SETS["web_zh"]) and words.encode_text([]) == []
    (scored,) = score_sets(model, {"web_zh": ["机</s>器", "<s>天空"]}, progress=Progress.silent())
    assert scored.changed == 0
