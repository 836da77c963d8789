"""At the report's own sizes: 32,000 + 8,000 + 25,519 + 17 = 65,536, from a corpus that is made here, and every proof of `check`."""

from __future__ import annotations

import random

import pyarrow as pa

from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.extend import dictionary_runs
from skyloom.tokenizer.invariants import check
from skyloom.tokenizer.train import train

SIZES = {"vocabulary": 65_536, "base": 32_000, "characters": 8_000, "words": 25_519}


def write_corpus(store: Store) -> None:
    """Latin words of random syllables, and Chinese of the dictionary's words: each often enough, the frequent ones more often."""
    draw = random.Random(1)
    syllables = [a + b + c for a in "bcdfglmnprst" for b in "aeiou" for c in ("", "n", "r", "st", "ck")]
    latin = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(60_000)]
    runs = dictionary_runs()
    order = (-runs.weight).argsort(kind="stable")[:60_000]
    han = ["".join(map(chr, runs.points[runs.offsets[i] : runs.offsets[i + 1]])) for i in order]
    rows = []
    for number in range(300):
        words = draw.choices(latin, weights=[1 / (k + 50) for k in range(len(latin))], k=3000)
        rows.append({"text": " ".join(words) + f". {number}\n", "domain": "web_en"})
        chosen = draw.choices(han, weights=[1 / (k + 500) for k in range(len(han))], k=5000) + han[number % 75 :: 75]
        rows.append({"text": "".join(w + draw.choice(["", "", "，", "。\n"]) for w in chosen), "domain": "web_zh"})
    for k, row in enumerate(rows):
        row |= {"id": f"{k:06d}", "split": "train"}
    table = pa.Table.from_pylist([dict.fromkeys(DOCUMENT.names, "") | r for r in rows], DOCUMENT)
    store.write_table("documents-00000.parquet", table)


def test_every_proof_holds_at_the_reports_sizes(tmp_path):
    documents, out = Store(tmp_path / "documents"), Store(tmp_path / "out")
    write_corpus(documents)
    train(documents, out, TokenizerConfig(**SIZES, sample_megabytes=100.0), progress=Progress.silent())
    assert [f for f in check(out) if not f.ok] == []
    parts = dict(Tokenizer.load(out).parts.sizes)
    assert parts == {"special": 3, "bytes": 256, "latin": 31_741, "characters": 8_000, "words": 25_519, "reserved": 17}
