"""Bases from elsewhere: which are taken, how those that cannot be extended are refused, and how a run extends one."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
import transformers

from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.base import read_base, train_base
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.count import Counts
from skyloom.tokenizer.invariants import check
from skyloom.tokenizer.pieces import RESERVED, TYPE, holds_digits, read_model
from skyloom.tokenizer.train import train
from tests.tokenizer.texts import CHINESE, CODE, ENGLISH

SILENT = Progress.silent()


def spm(**options) -> bytes:
    """A small model as LLaMA's is made: a space in front of a text, digits apart, bytes, no normalisation."""
    buffer = io.BytesIO()
    lines = itertools.islice(itertools.cycle([*ENGLISH, *CODE, *CHINESE[:3]]), 300)
    usual = {
        "model_type": "bpe", "vocab_size": 700, "hard_vocab_limit": False, "byte_fallback": True, "split_digits": True,
        "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True, "minloglevel": 2,
    }  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=lines, model_writer=buffer, **{**usual, **options})
    return buffer.getvalue()


@pytest.fixture(scope="module")
def llama_like() -> bytes:
    """With LLaMA's runs of spaces, which all have one score."""
    model = read_model(spm())
    present = {p.piece for p in model.pieces}
    for length in range(2, 17):
        if "▁" * length not in present:
            model.pieces.add(piece="▁" * length, score=-1e9, type=TYPE.NORMAL)
    return model.SerializeToString()


def extend(base: bytes, documents: Store, folder, **settings) -> Store:
    path = folder / "base.model"
    path.write_bytes(base)
    size = len(read_model(base).pieces)
    sizes = {"characters": 150, "words": 100, **settings}
    config = TokenizerConfig(base_model=str(path), base=size, vocabulary=size + sizes["characters"] + sizes["words"] + 17, **sizes)
    out = Store(folder / "out")
    train(documents, out, config, progress=SILENT)
    return out


def test_a_base_with_a_space_in_front_and_equal_scores_is_extended_and_proved(llama_like, documents, tmp_path):
    out = extend(llama_like, documents, tmp_path)
    assert [f for f in check(out) if not f.ok] == []
    tokenizer, size = Tokenizer.load(out), len(read_model(llama_like).pieces)
    before = sentencepiece.SentencePieceProcessor(model_proto=llama_like)
    assert tokenizer.pieces[:size] == [before.id_to_piece(i) for i in range(size)] and tuple(tokenizer.pieces[-17:]) == RESERVED
    auto = transformers.AutoTokenizer.from_pretrained(out.root)
    assert out.read_json("tokenizer_config.json")["add_prefix_space"] is True
    for text in ("x", " x", "  x", "中文", " 中文", "a" + " " * 40 + "b", " " * 33, "e.g. 3.5 人民 ", "\n x", ""):
        ids = tokenizer.encode(text)
        assert auto(text, add_special_tokens=False)["input_ids"] == ids, text
        assert tokenizer.decode(ids) == text == auto.decode(ids)
    assert tokenizer.encode("weather station") == before.encode("weather station")


def test_a_base_with_pieces_of_its_maker_in_the_middle(documents, tmp_path):
    """Such a base is one part; its user-defined pieces stay whole; our encoder leaves it to SentencePiece."""
    base = spm(user_defined_symbols=["<eoh>", "<eoa>"], add_dummy_prefix=False)
    out = extend(base, documents, tmp_path)
    assert [f for f in check(out) if not f.ok] == []
    tokenizer = Tokenizer.load(out)
    assert tokenizer.parts.sizes[0] == ("base", len(read_model(base).pieces))
    (ids,) = tokenizer.encode_batch(["你好<eoh>人民"])
    assert tokenizer.pieces.index("<eoh>") in ids and ids.tolist() == tokenizer.encode("你好<eoh>人民")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "unigram"}, "unigram.*BPE"),
        ({"byte_fallback": False}, r"\b256 bytes"),
        ({"normalization_rule_name": "nmt_nfkc"}, "normalises text"),
        ({"remove_extra_whitespaces": True}, "removes spaces"),
        ({"treat_whitespace_as_suffix": True}, r"spaces behind"),
        ({"bos_id": -1}, "no <unk>, <s> or </s>"),
    ],
)
def test_what_cannot_be_extended_is_refused(tmp_path, options, message):
    path = tmp_path / "base.model"
    path.write_bytes(spm(**options))
    with pytest.raises(ConfigError, match=message):
        read_base(path)


def test_files_that_are_no_model(tmp_path, documents, llama_like):
    with pytest.raises(StorageError, match="cannot be read"):
        read_base(tmp_path / "missing.model")
    for data in (b"", b"not a model at all", llama_like[:-7]):
        (tmp_path / "base.model").write_bytes(data)
        with pytest.raises(ConfigError, match=r"not a SentencePiece model"):
            read_base(tmp_path / "base.model")
    (tmp_path / "base.model").write_bytes(llama_like)
    config = TokenizerConfig(base_model=str(tmp_path / "base.model"))
    with pytest.raises(ConfigError, match=r"\d+ pieces.*tokenizer\.base\b.*\b4,300\b"):
        train(documents, Store(tmp_path / "out"), config, progress=SILENT)


def changed(base: bytes, change) -> bytes:
    model = read_model(base)
    change(model)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pieces.add(piece="人\0", score=-9e5, type=TYPE.NORMAL), "a space or NUL"),
        (lambda m: setattr(m.normalizer_spec, "escape_whitespaces", False), r"not write spaces"),
        (lambda m: setattr(m.trainer_spec, "unk_id", 300), r"other pieces.*<unk>"),
        (lambda m: setattr(m.trainer_spec, "bos_id", 99_999), "no <unk>, <s> or </s>"),
        (lambda m: m.pieces.add(piece="<|pad|>", score=0.0, type=TYPE.CONTROL), "reserved pieces"),
        (lambda m: m.pieces.add(piece=m.pieces[300].piece, score=-9e5, type=TYPE.NORMAL), r"cannot be loaded.*SentencePiece"),
        (lambda m: [setattr(p, "score", 0.0) for p in m.pieces], r"\d+ pieces.*score"),
        (lambda m: m.pieces.add(piece="人民", score=0.0, type=TYPE.UNUSED), "of type UNUSED"),
    ],
)
def test_models_whose_ids_could_not_be_kept_are_refused(tmp_path, llama_like, change, message):
    path = tmp_path / "base.model"
    path.write_bytes(changed(llama_like, change))
    with pytest.raises(ConfigError, match=message):
        read_base(path)


def test_chinese_pieces_of_the_bases_maker_are_not_added_again(documents, tmp_path):
    out = extend(spm(user_defined_symbols=["，", "天气"], add_dummy_prefix=False), documents, tmp_path)
    assert [f for f in check(out) if not f.ok] == []


def test_no_piece_of_our_own_base_joins_a_digit_of_any_script():
    words = [" m²)", " x²+", " ٢٠٢٣", " १२३", " ①②", " H₂O", " 10⁻³", " a1b", " the", " 2023"]
    counts = Counts()
    counts.add(pa.array([" ".join(words)] * 50), 1024)
    found, sums = counts.words()
    base = train_base(found, sums[:, 0], 700)
    assert [p.piece for p in read_model(base).pieces if p.type == TYPE.NORMAL and holds_digits(p.piece)] == []


def test_counts_beyond_32_bits_are_sums_like_any_other():
    words, counts = [" hello", " world", " held", "    x", " xx", "人"], np.array([3, 5, 7, 9, 4, 1])
    small, large = (train_base(words, counts * scale, 600) for scale in (1, 10**9))
    assert [p.piece for p in read_model(small).pieces] == [p.piece for p in read_model(large).pieces]
    assert 9 * 10**9 > 2**33
    with pytest.raises(DataError, match="no Latin text"):
        train_base([], np.zeros(0, np.int64), 600)
