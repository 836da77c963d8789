"""Continuing a Hugging Face model: which rows a new vocabulary gets, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
import torch
from safetensors.torch import save_file

from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.model import adopt, hf
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from tests.planted.families import table

transformers = pytest.importorskip("transformers")

TEXT = ["the printer prints the paper", "a paper jam in the printer", "打印 纸 the 机器", "print paper, 打印机"] * 20
NEW = ["打印机", "\u2581printers", "paperjam", "<|user|>", "<|pad|>"]


def llama(folder: Path, vocabulary: int, **other: object) -> transformers.LlamaForCausalLM:
    """A random LLaMA of transformers, saved."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 80}
    torch.manual_seed(3)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=vocabulary, **shape, **other))
    model.save_pretrained(folder)
    return model


@pytest.fixture
def spm(tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder with a SentencePiece vocabulary, as LLaMA's, and its pieces."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_writer=out, model_type="bpe", vocab_size=320, byte_fallback=True, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    (tmp_path / "tokenizer.model").write_bytes(out.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    return tmp_path, [processor.id_to_piece(i) for i in range(len(processor))]


def test_old_pieces_keep_their_rows_and_new_ones_are_means(spm: tuple[Path, list[str]]) -> None:
    folder, old = spm
    model = llama(folder, len(old))
    adopted = adopt.Adopted(folder, [*old, *NEW])
    assert adopted.config.vocabulary == len(old) + len(NEW) and adopted.config.key_heads == 2
    table = dict(zip([*old, *NEW], adopted.rows, strict=True))
    assert all(table[piece] == [i] for i, piece in enumerate(old))
    assert table["<|user|>"] == [] and len(table["打印机"]) > 1
    text = {piece: "".join(old[i] for i in table[piece]) for piece in NEW[1:3]}
    assert text == {piece: piece for piece in NEW[1:3]}, "a piece is cut as it stands, with no space of the tokenizer's in front"
    for name in ("embedding.weight", "head.weight"):
        theirs = model.get_parameter({"embedding.weight": "model.embed_tokens.weight", "head.weight": "lm_head.weight"}[name])
        ours = adopted(name)
        assert torch.equal(ours[: len(old)], theirs)
        torch.testing.assert_close(ours[len(old)], theirs[list(table["打印机"])].mean(0))
        torch.testing.assert_close(ours[-1], theirs.mean(0))
    assert f"{len(old):,} of {len(old) + len(NEW):,}" in adopted.summary() and "2 without text" in adopted.summary()


def test_the_continued_model_computes_what_the_old_one_did(spm: tuple[Path, list[str]]) -> None:
    folder, old = spm
    model = llama(folder, len(old), rms_norm_eps=1e-5).eval()
    adopted = adopt.Adopted(folder, [*old, *NEW])
    ours = Decoder(adopted.config)
    ours.load_state_dict({name: adopted(name) for name in hf.names(adopted.config)})
    tokens = torch.randint(len(old), (2, 20))
    torch.testing.assert_close(ours(tokens)[..., : len(old)], model(tokens).logits, rtol=1e-5, atol=1e-5)


def test_a_byte_level_vocabulary_in_tokenizer_json(tmp_path: Path) -> None:
    old = tokenizers.Tokenizer(tokenizers.models.BPE())
    old.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    old.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False)
    old.train_from_iterator(TEXT, trainer)
    old.save(str(tmp_path / "tokenizer.json"))
    llama(tmp_path, old.get_vocab_size(), tie_word_embeddings=True)
    pieces = ["<s>", "<0x41>", "<0xE6>", "\u2581the", "the", "打", "<|pad|>"]
    adopted = adopt.Adopted(tmp_path, pieces)
    rows = dict(zip(pieces, adopted.rows, strict=True))
    assert rows["<s>"] == [old.token_to_id("<s>")] and rows["<0x41>"] == [old.token_to_id("A")] and rows["<|pad|>"] == []
    assert old.decode(rows["\u2581the"]) == " the" and old.decode(rows["the"]) == "the" and old.decode(rows["打"]) == "打"
    assert len(rows["<0xE6>"]) == 1 and adopted.config.tied and "head.weight" not in hf.names(adopted.config)


def byte_level(folder: Path, lacking: int = 0) -> tokenizers.Tokenizer:
    """A byte-level vocabulary in tokenizer.json, as those of Llama 3 and Qwen."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())[lacking:]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(TEXT, trainer)
    made.save(str(folder / "tokenizer.json"))
    return made


@pytest.mark.parametrize("family", ["Qwen2", "Qwen3"])
def test_a_model_of_another_family_is_continued(family: str, tmp_path: Path) -> None:
    """Biases, norms and heads of their own width come over; the rows of a Chinese word are the mean of its bytes'."""
    old = byte_level(tmp_path)
    config = {**table(family, 0), "vocab_size": old.get_vocab_size() + 4, "bos_token_id": 0, "eos_token_id": 0}
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**config))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(tmp_path)
    pieces = ["<0x41>", "\u2581the", "打印机", "机"]
    adopted = adopt.Adopted(tmp_path, pieces)
    assert (adopted.config.query_bias, adopted.config.head_norm) == (family == "Qwen2", family == "Qwen3")
    assert "initializer_range" in adopted.passed_over and "rope_theta" not in adopted.passed_over
    ours = Decoder(adopted.config)
    ours.load_state_dict({name: adopted(name) for name in hf.names(adopted.config)}, strict=not adopted.config.tied)
    theirs = {name: weight.float() for name, weight in model.state_dict().items()}
    assert torch.equal(ours.embedding.weight[0], theirs["model.embed_tokens.weight"][old.token_to_id("A")])
    torch.testing.assert_close(ours.embedding.weight[2], theirs["model.embed_tokens.weight"][old.encode("打印机").ids].mean(0))
    for name, other in hf.names(adopted.config).items():
        assert name in ("embedding.weight", "head.weight") or torch.equal(ours.get_parameter(name), theirs[other])


def test_what_does_not_fit_is_told_before_weights_are_read(tmp_path: Path) -> None:
    old = byte_level(tmp_path)
    llama(tmp_path, old.get_vocab_size() - 3)
    with pytest.raises(
        DataError, match=rf"has ids up to {old.get_vocab_size() - 1}, its embedding {old.get_vocab_size() - 3} rows"
    ):
        adopt.Adopted(tmp_path, ["打"])
    llama(tmp_path, 400)
    byte_level(tmp_path, lacking=100)
    with pytest.raises(DataError, match=r"is byte-level and lacks \d+ of the 256 bytes"):
        adopt.Adopted(tmp_path, ["打"])
    byte_level(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 96}))
    with pytest.raises(IntegrityError, match=r"gate_proj\.weight is \(80, 32\), its config says \(96, 32\)"):
        adopt.Adopted(tmp_path, ["打"])


def test_shards_are_read_and_damage_is_told(spm: tuple[Path, list[str]]) -> None:
    folder, old = spm
    model = llama(folder, len(old))
    first = adopt.fingerprint(folder)
    state = {n: w.detach().clone() for n, w in model.state_dict().items()}
    (folder / adopt.WEIGHTS).unlink()
    with pytest.raises(DataError, match=r"lacks model\.safetensors"):
        adopt.Adopted(folder, old)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(DataError, match="pickled weights are not read"):
        adopt.Adopted(folder, old)
    halves = {"a.safetensors": dict(list(state.items())[:9]), "b.safetensors": dict(list(state.items())[9:])}
    for name, part in halves.items():
        save_file(part, folder / name)
    (folder / adopt.INDEX).write_text(json.dumps({"weight_map": {w: name for name, part in halves.items() for w in part}}))
    assert torch.equal(adopt.Adopted(folder, old)("norm.weight"), state["model.norm.weight"])
    assert adopt.fingerprint(folder) != first
    cut = (folder / "b.safetensors").read_bytes()
    (folder / "b.safetensors").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(IntegrityError, match=r"b\.safetensors is damaged or cut short"):
        adopt.Adopted(folder, old)
    save_file({**halves["b.safetensors"], "model.layers.0.extra": torch.ones(2)}, folder / "b.safetensors")
    with pytest.raises(IntegrityError, match=r"unknown \['model.layers.0.extra'\]"):
        adopt.Adopted(folder, old)
    (folder / adopt.INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": "../elsewhere.safetensors"}}))
    with pytest.raises(IntegrityError, match="outside of its folder"):
        adopt.Adopted(folder, old)


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder of a Hugging Face model"):
        adopt.read_shape(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ConfigError, match="not a table"):
        adopt.read_shape(tmp_path)
    llama(tmp_path, 300)
    with pytest.raises(ConfigError, match=r"neither tokenizer\.model nor tokenizer\.json"):
        adopt.Adopted(tmp_path, ["a"])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(IntegrityError, match="is no tokenizer"):
        adopt.Adopted(tmp_path, ["a"])
    assert adopt.read_shape(tmp_path) == ModelConfig(
        vocabulary=300, hidden=32, layers=2, heads=4, key_heads=2, ffn=80, context=2048, norm_eps=1e-6
    )


def test_new_pieces_that_begin_and_end_a_text_take_the_rows_of_the_old_ones(tmp_path: Path) -> None:
    """The old config names them; a list of ends counts by its first; without a BOS the EOS begins a text too."""
    old = byte_level(tmp_path)
    pieces = ["<unk>", "<s>", "</s>", "打", "<|pad|>"]
    for bos, eos, expected in ((5, 7, [[5], [7]]), (5, [9, 8], [[5], [9]]), (None, 7, [[7], [7]]), (None, None, [[], []])):
        llama(tmp_path, old.get_vocab_size())
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "bos_token_id": bos, "eos_token_id": eos}))
        rows = adopt.Adopted(tmp_path, pieces).rows
        assert [list(r) for r in rows[1:3]] == expected and rows[0] == rows[4] == [] and len(rows[3]) >= 1
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "bos_token_id": 5, "eos_token_id": 7}))
    named = adopt.Adopted(tmp_path, ["<开始>", "打", "<结束>"], ends=(0, 2)).rows
    assert [list(named[0]), list(named[2])] == [[5], [7]], "the new vocabulary may name them otherwise"


def test_rows_of_a_byte_level_vocabulary(spm: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Equal bytes keep their row, special pieces by their name; a start of a character is cut by merges, or byte by byte."""
    (tmp_path / "b").mkdir()
    old = byte_level(tmp_path / "b")
    llama(tmp_path / "b", old.get_vocab_size())
    spelled = [b"the", "打印机".encode(), "打".encode()[:2], b"", b" \xe6", b""]
    pieces = ["the", "打印机", "<0xE6><0x89>", "<|end|>", "?", "<|user|>"]
    adopted = adopt.Adopted(tmp_path / "b", pieces, spelled, ends=(3, 3))
    letters = [[old.id_to_token(i) for i in row] for row in adopted.rows]
    back = tokenizers.decoders.ByteLevel()
    assert adopted.rows[0] == [old.token_to_id("the")] and back.decode(letters[1]) == "打印机" and len(letters[2]) in (1, 2)
    assert "".join(letters[4]) == "Ġæ" and list(adopted.rows[5]) == []
    folder, names = spm
    llama(folder, len(names))
    rows = adopt.Adopted(folder, pieces, spelled).rows
    assert [names[i] for i in rows[2]] == ["<0xE6>", "<0x89>"] and "".join(names[i] for i in rows[0]) == "the"
    assert rows[5] == []
