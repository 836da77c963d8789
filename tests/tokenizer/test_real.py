"""On real text: the default sizes, equal ids in both formats, and compression beside a Latin tokenizer's."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
import sentencepiece
import tokenizers
import transformers

from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.invariants import check
from skyloom.tokenizer.pieces import read_model
from skyloom.tokenizer.train import train

FILES = {"web_en": "text/en/news_mixed.jsonl.gz", "web_zh": "text/zh/web_mixed.jsonl.gz", "code": "text/code/code.jsonl.gz"}


LMTEST, CHINESE = "text/lmtest/*.jsonl.gz", "text/zh/*.jsonl.gz"


def place() -> Path:
    found = os.environ.get("SKYLOOM_BENCH_DATA")
    if not found:
        pytest.skip("SKYLOOM_BENCH_DATA does not name the folder of third-party texts")
    return Path(found)


def texts_of(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


@pytest.mark.data
def test_llamas_base_extended_to_the_reports_sizes(tmp_path):
    """Every proof of `check`, and the same ids in all four encoders on every text of the language-modelling test sets."""
    data = place()
    rows = [
        {"id": record_id(text), "text": text, "domain": path.name.split(".")[0], "split": "train"}
        for path in sorted(data.glob(CHINESE))
        for text in texts_of(path)
    ]
    documents, out = Store(tmp_path / "documents"), Store(tmp_path / "out")
    table = pa.Table.from_pylist([dict.fromkeys(DOCUMENT.names, "") | row for row in rows], DOCUMENT)
    documents.write_table("documents-00000.parquet", table)
    sizes = {"vocabulary": 65_536, "base": 32_000, "characters": 8_000, "words": 25_519, "sample_megabytes": 100.0}
    llama = data / "tokenizers" / "llama.model"
    train(documents, out, TokenizerConfig(**sizes, base_model=str(llama)), progress=Progress.silent())
    assert [f for f in check(out) if not f.ok] == []
    tokenizer = Tokenizer.load(out)
    assert tokenizer.pieces[:32_000] == [p.piece for p in read_model(llama.read_bytes()).pieces]
    texts = [text for path in sorted(data.glob(LMTEST)) for text in texts_of(path)]
    expected = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model).encode(texts)
    assert [ids.tolist() for ids in tokenizer.encode_batch(texts)] == expected
    twin = tokenizers.Tokenizer.from_str(out.read_text("tokenizer.json"))
    assert [e.ids for e in twin.encode_batch(texts, add_special_tokens=False)] == expected
    auto = transformers.AutoTokenizer.from_pretrained(out.root)
    assert auto(texts, add_special_tokens=False)["input_ids"] == expected
    before = sentencepiece.SentencePieceProcessor(model_file=str(llama))
    english = [t for t in texts if t.isascii()]
    assert len(english) > 200 and tokenizer.encode(english[0]) == before.encode(english[0])
    assert [ids.tolist() for ids in tokenizer.encode_batch(english)] == before.encode(english)


@pytest.mark.data
def test_default_tokenizer_on_real_text(tmp_path):
    data = place()
    rows, size = [], 0
    for domain, name in FILES.items():
        size = 0
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                text = json.loads(line)["text"]
                size += len(text.encode())
                if size > 1_500_000:
                    break
                split = "valid" if len(rows) % 20 == 0 else "train"
                row = {"id": record_id(text), "text": text, "domain": domain, "split": split}
                rows.append(dict.fromkeys(DOCUMENT.names, "") | row)
    documents, out = Store(tmp_path / "documents"), Store(tmp_path / "out")
    documents.write_table("documents-00000.parquet", pa.Table.from_pylist(rows, DOCUMENT))
    train(documents, out, TokenizerConfig(), progress=Progress.silent())
    tokenizer = Tokenizer.load(out)
    assert tokenizer.vocab_size == 8192 and all(f.ok for f in check(out))
    texts = [r["text"] for r in rows if r["split"] == "valid"]
    twin = tokenizers.Tokenizer.from_str(out.read_text("tokenizer.json"))
    ids = [i.tolist() for i in tokenizer.encode_batch(texts)]
    assert [e.ids for e in twin.encode_batch(texts, add_special_tokens=False)] == ids
    assert [tokenizer.decode(i) for i in ids] == texts
    chinese = [r["text"] for r in rows if r["split"] == "valid" and r["domain"] == "web_zh"]
    latin = sentencepiece.SentencePieceProcessor(model_file=str(data / "tokenizers" / "llama.model"))
    ours, theirs = (sum(map(len, encode(chinese))) for encode in (tokenizer.encode_batch, latin.encode))
    assert ours < 0.75 * theirs
