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

from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.check import check
from skyloom.tokenizer.train import TokenizerConfig, train

FILES = {"web_en": "text/en/news_mixed.jsonl.gz", "web_zh": "text/zh/web_mixed.jsonl.gz", "code": "text/code/code.jsonl.gz"}


@pytest.mark.data
def test_default_tokenizer_on_real_text(tmp_path):
    place = os.environ.get("SKYLOOM_BENCH_DATA")
    if not place:
        pytest.skip("SKYLOOM_BENCH_DATA does not name the folder of third-party texts")
    rows, size = [], 0
    for domain, name in FILES.items():
        size = 0
        with gzip.open(Path(place, name), "rt", encoding="utf-8") as lines:
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
    latin = sentencepiece.SentencePieceProcessor(model_file=str(Path(place, "tokenizers", "llama.model")))
    ours, theirs = (sum(map(len, encode(chinese))) for encode in (tokenizer.encode_batch, latin.encode))
    assert ours < 0.75 * theirs
