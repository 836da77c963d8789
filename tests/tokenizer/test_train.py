from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest
from sentencepiece import SentencePieceProcessor

from skyloom.core.config import build
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.pieces import RESERVED
from skyloom.tokenizer.train import train
from tests.tokenizer.texts import COUNTS, SIZES, write_documents

SILENT = Progress.silent()


def test_parts_have_the_stated_sizes(tokenizer, folder):
    sizes = dict(tokenizer.parts.sizes)
    assert tokenizer.vocab_size == SIZES["vocabulary"]
    assert sizes["special"] + sizes["bytes"] + sizes["latin"] == SIZES["base"]
    assert (sizes["special"], sizes["bytes"], sizes["reserved"]) == (3, 256, 17)
    assert (sizes["characters"], sizes["words"]) == (SIZES["characters"], SIZES["words"])
    assert (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2)
    assert tokenizer.pieces[3:259] == [f"<0x{b:02X}>" for b in range(256)]
    assert tuple(tokenizer.pieces[-17:]) == RESERVED and len(RESERVED) == 17
    assert folder.read_json("parts.json")["vocabulary"] == SIZES["vocabulary"]


def test_default_and_the_reports_sizes_add_up():
    assert TokenizerConfig().vocabulary == 8192
    TokenizerConfig(vocabulary=65_536, base=32_000, characters=8_000, words=25_519)
    with pytest.raises(ConfigError, match="add up to 8191"):
        TokenizerConfig(base=4299)
    with pytest.raises(ConfigError, match=r"recipe\.toml.*add up"):
        build(TokenizerConfig, {"words": 1}, origin="recipe.toml", key="tokenizer")


def test_every_added_piece_encodes_to_its_one_id(tokenizer):
    ids = [*tokenizer.parts.range("characters"), *tokenizer.parts.range("words")]
    for i in ids:
        assert tokenizer.encode(tokenizer.pieces[i]) == [i]


def test_words_are_chinese_words_and_help(tokenizer):
    words = [tokenizer.pieces[i] for i in tokenizer.parts.range("words")]
    assert all(len(w) >= 2 and all("\u4e00" <= c <= "\u9fff" for c in w) for w in words)
    assert "人民" in words and "语言" in words
    text = "我们的语言模型从两种语言的文本中学习"
    assert len(tokenizer.encode(text)) < 0.8 * len(text)
    assert "，" in tokenizer.pieces and "。" in tokenizer.pieces, "full-width punctuation is ranked with the characters"


def test_layout_and_indentation_are_pieces(tokenizer):
    assert [p for p, _, _ in tokenizer.show("a\n\n\tb\n")][1:3] == ["\n\n", "\t"]
    assert len(tokenizer.encode("    ")) == 1


def test_same_bytes_on_every_run_and_however_the_corpus_is_cut(tmp_path, documents, folder):
    again = Store(tmp_path / "again")
    train(documents, again, TokenizerConfig(**SIZES), progress=SILENT)
    assert {n: again.describe(n).sha256 for n in again.names()} == {n: folder.describe(n).sha256 for n in folder.names()}


def test_a_seed_draws_another_sample(tmp_path, documents):
    config = TokenizerConfig(**SIZES, sample_megabytes=0.05)
    sums = set()
    for seed in (1, 2):
        out = Store(tmp_path / str(seed))
        train(documents, out, dataclasses.replace(config, seed=seed), progress=SILENT)
        sums.add(out.describe("tokenizer.model").sha256)
    assert len(sums) == 2


def test_a_small_corpus_shrinks_the_vocabulary(tmp_path):
    documents, out = Store(tmp_path / "documents"), Store(tmp_path / "out")
    write_documents(documents, {"web_en": 40, "web_zh": 40}, shards=1)
    train(documents, out, TokenizerConfig(fit=True), progress=SILENT)
    tokenizer = Tokenizer.load(out)
    assert tokenizer.vocab_size < 8192 and tokenizer.vocab_size % 64 == 0
    assert len(SentencePieceProcessor(model_file=str(out.path("tokenizer.model")))) == tokenizer.vocab_size
    for text in ("今天的天气非常好", "The weather station"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"vocabulary": 8192, "base": 7892, "characters": 180, "words": 103},
            r"base.*\b7,892 pieces.*Latin",
        ),
        (
            {"vocabulary": 31_200, "base": 1100, "characters": 29_980, "words": 103},
            r"29,980 characters .*\b2\d\d candidates .*\b3 times.*dictionary.*\b1\d,\d{3}\b",
        ),
        (
            {"vocabulary": 2280, "base": 1100, "characters": 180, "words": 983},
            r"983 words .*\b\d{3} candidates.*\b3\b",
        ),
    ],
)
def test_sizes_that_the_corpus_cannot_fill_are_errors_that_count(tmp_path, documents, sizes, message):
    with pytest.raises(DataError, match=message):
        train(documents, Store(tmp_path), TokenizerConfig(**sizes), progress=SILENT)
    assert not (tmp_path / "tokenizer.model").exists()


@pytest.mark.parametrize(
    "sizes", [{"words": 0, "characters": 300}, {"words": 20, "characters": 163}, {"words": 300, "characters": 100}, {}]
)
def test_what_shrinks_is_a_multiple_of_64_of_pieces_that_are_seen(tmp_path, documents, sizes):
    parts = {"characters": 300, "words": 700, **sizes}
    config = TokenizerConfig(base=1100, vocabulary=1100 + sum(parts.values()) + 17, fit=True, **parts)
    train(documents, Store(tmp_path), config, progress=SILENT)
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.vocab_size in (config.vocabulary, tokenizer.vocab_size // 64 * 64)
    text = "".join(t for name in documents.names("documents-") for t in documents.read_table(name)["text"].to_pylist())
    assert all(tokenizer.pieces[i] in text for part in ("characters", "words") for i in tokenizer.parts.range(part))


def test_a_sample_without_a_document_is_told(tmp_path):
    row = dict.fromkeys(DOCUMENT.names, "x") | {"text": "长文 long text\n" * 200_000, "domain": "web_zh", "split": "train"}
    documents = Store(tmp_path / "documents")
    documents.write_table("documents-00000.parquet", pa.Table.from_pylist([row], DOCUMENT))
    with pytest.raises(DataError, match=r"\b0\.01 MB.*no document.*\b3\.40 MB.*tokenizer\.sample_megabytes"):
        train(documents, Store(tmp_path / "out"), TokenizerConfig(sample_megabytes=0.01), progress=SILENT)


def test_bad_weights_are_errors(tmp_path, documents):
    with pytest.raises(ConfigError, match=r"weights\.web_zh is -1"):
        TokenizerConfig(weights={"web_zh": -1.0})
    with pytest.raises(ConfigError, match="no domain of the corpus"):
        train(documents, Store(tmp_path), TokenizerConfig(**SIZES, weights={"web_fr": 2.0}), progress=SILENT)


def test_no_chinese_is_an_error_that_counts_candidates(tmp_path):
    documents, out = Store(tmp_path / "documents"), Store(tmp_path / "out")
    write_documents(documents, {"web_en": 40, "code": 10}, shards=1)
    with pytest.raises(DataError, match="0 candidate words"):
        train(documents, out, TokenizerConfig(**SIZES), progress=SILENT)
    english = TokenizerConfig(vocabulary=1024, base=1007, characters=0, words=0)
    train(documents, out, english, progress=SILENT)
    assert Tokenizer.load(out).encode("weather station")


def test_no_latin_text_and_no_documents_are_errors(tmp_path):
    empty = Store(tmp_path / "empty")
    with pytest.raises(DataError, match=r"no documents.*'train'"):
        train(empty, Store(tmp_path / "out"), TokenizerConfig(), progress=SILENT)
    chinese = Store(tmp_path / "chinese")
    row = dict.fromkeys(DOCUMENT.names, "x") | {"text": "今天的天气非常好。\n人民", "domain": "web_zh", "split": "train"}
    chinese.write_table("documents-00000.parquet", pa.Table.from_pylist([row], DOCUMENT))
    with pytest.raises(DataError, match="no Latin text"):
        train(chinese, Store(tmp_path / "out"), TokenizerConfig(), progress=SILENT)


def test_measure_agrees_with_counting_by_hand(documents, folder, tokenizer):
    measured = folder.read_json("measure.json")
    rows = {r["domain"]: r for r in measured["rows"]}
    assert set(rows) == set(COUNTS)
    texts = []
    for name in documents.names("documents-"):
        table = documents.read_table(name).to_pylist()
        texts += [r["text"] for r in table if r["split"] == "valid" and r["domain"] == "web_zh"]
    ids = [i for t in texts for i in tokenizer.encode(t)]
    assert rows["web_zh"]["bytes"] == sum(len(t.encode()) for t in texts)
    assert rows["web_zh"]["tokens"] == len(ids)
    assert rows["web_zh"]["fallback_share"] == pytest.approx(sum(3 <= i < 259 for i in ids) / len(ids))
    assert rows["web_en"]["fallback_share"] < 0.02
    assert measured["parts"] == dict(tokenizer.parts.sizes)
    counts = [count for _, _, count in measured["least_used"]]
    assert counts == sorted(counts) and len(counts) == 50
