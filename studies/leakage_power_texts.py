"""The texts of the study of known power: GSM8K and CMATH as pools that a lot divides, and what else the small models read.

Input: the folder `eval` of SKYLOOM_BENCH_DATA. Output: `StudyTexts`: a tokenizer, and each text as token ids.

GSM8K's two splits are one pool: its makers drew them by lot, and words tell them apart with an AUC of .50. Items of at most `MOST`
tokens are in the pool (longer ones would cost too much, and are left out as `leak model` leaves out what exceeds a context); longer
items of both splits are what all models read beforehand. So no model has read an item of the pool unless it was planted,
and any two models can be compared on the same items. CMATH is a pool of questions; beforehand the models read CMMLU. The tokenizer
is trained on a part of the train split, and on CMMLU, that no lot draws from.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.stem import StemConfig, generate
from skyloom.leakage.benchmark_sets import BenchmarkItem, BenchmarkSet
from skyloom.leakage.twins import make_twins
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train as train_tokenizer

VOCABULARY = TokenizerConfig(vocabulary=2048, base=1200, characters=750, words=81, reserved=17, least_count=2, fit=True)
MOST = 192
"""Tokens of the longest item of a pool."""
LONGEST = 320
"""Tokens of the longest text that is read beforehand."""
DRAWN_FROM = 6000
"""Items of GSM8K's train split that lots and reading draw from; the tokenizer is trained on the rest."""
SAMPLE_SEED, TWIN_SEED, OTHERS = 100, 1, 4000
EN, ZH = "en", "zh"
Row = tuple[int, ...]


@dataclass(frozen=True)
class TextPool:
    """Texts of one kind. `rows`: token ids; `places`: of which item of the pool each is a twin, else its own number."""

    texts: tuple[str, ...]
    rows: tuple[Row, ...]
    places: tuple[int, ...]


@dataclass(frozen=True)
class StudyTexts:
    """`pools`, `twins`, and `read`, which models read beforehand: by language; `published`: the report's reference set."""

    tokenizer: Tokenizer
    pools: dict[str, TextPool]
    twins: dict[str, TextPool]
    read: dict[str, tuple[Row, ...]]
    published: TextPool


def study_texts(data: Path, folder: Path) -> StudyTexts:
    """Read everything; the tokenizer is trained once and kept in `folder`."""
    tests = [(row["question"], row["answer"]) for row in _lines(data / "gsm8k/test.jsonl.gz")]
    trained = [row["text"] for row in _lines(data / "gsm8k/train_text.jsonl.gz")]
    others = _cmmlu(data / "cmmlu/cmmlu_data.tar.gz")
    picked = np.random.default_rng(SAMPLE_SEED).permutation(len(others))
    tokenizer = _tokenizer(folder, trained[DRAWN_FROM:], [others[n] for n in picked[:OTHERS]])
    english = [*tests, *map(halves, trained[:DRAWN_FROM])]
    chinese = [(row["question"], row["answer"]) for row in _lines(data / "cmath/test.jsonl.gz")]
    kept, long = _short(tokenizer, english)
    pools = {EN: _pool(tokenizer, [joined(*english[n]) for n in kept]), ZH: _pool(tokenizer, [q for q, _ in chinese])}
    twins = {
        EN: _kept_twins(folder, EN, tokenizer, [english[n] for n in kept], trained[DRAWN_FROM:]),
        ZH: _kept_twins(folder, ZH, tokenizer, chinese, []),
    }
    read = {EN: long, ZH: _fitting(tokenizer, [others[n] for n in picked[OTHERS:]])}
    published = _pool(tokenizer, [row["text"] for row in _lines(data / "gsm8k/skywork_mock_test.jsonl.gz")])
    return StudyTexts(tokenizer, pools, twins, read, published)


def joined(question: str, answer: str) -> str:
    """The template `{question} {answer}`, which is how the published train split is written."""
    return f"{question} {answer}".strip()


def halves(text: str) -> tuple[str, str]:
    """Question and answer of a text that has them on one line: the question ends with the last question mark before the first
    calculator note. A text without one has no answer, and so no twin."""
    end = text.rfind("? ", 0, text.find("<<") if "<<" in text else len(text))
    return (text[: end + 1], text[end + 2 :]) if end >= 0 else (text, "")


def _lines(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _cmmlu(path: Path) -> list[str]:
    """Questions with their choices."""
    found: list[str] = []
    with tarfile.open(path) as archive:
        for name in sorted(archive.getnames()):
            member = archive.extractfile(name) if "/test/" in name and name.endswith(".csv") else None
            for row in csv.DictReader(io.TextIOWrapper(member, "utf-8")) if member else ():
                found.append("\n".join([row["Question"], *(f"{letter}. {row[letter]}" for letter in "ABCD")]))
    return found


def _tokenizer(folder: Path, english: list[str], chinese: list[str]) -> Tokenizer:
    out = Store(folder / "tokenizer")
    if not out.exists("tokenizer.model"):
        with tempfile.TemporaryDirectory() as place:
            given = Store(place)
            generate(StemConfig(train=20, valid=1, test=20, ref=20, canaries=10), given, progress=Progress.silent())
            like = given.read_table("exercises-train.parquet")  # documents have the columns of exercises
            texts = [*english, *chinese]
            langs = [EN] * len(english) + [ZH] * len(chinese)
            columns = {field.name: pa.array([like[field.name][0].as_py()] * len(texts), field.type) for field in like.schema}
            columns |= {"id": pa.array(map(str, range(len(texts)))), "text": pa.array(texts), "lang": pa.array(langs)}
            given.write_table("documents-00000.parquet", pa.table(columns))
            train_tokenizer(given, out, VOCABULARY, progress=Progress.silent())
    return Tokenizer.load(out)


def _short(tokenizer: Tokenizer, items: list[tuple[str, str]]) -> tuple[list[int], tuple[Row, ...]]:
    """Numbers of the items of at most MOST tokens, and the rows of the longer ones, cut at LONGEST."""
    rows = tokenizer.encode_batch([joined(*item) for item in items], threads=1)
    kept = [n for n, row in enumerate(rows) if len(row) <= MOST]
    return kept, tuple(tuple(map(int, row[:LONGEST])) for row in rows if len(row) > MOST)


def _fitting(tokenizer: Tokenizer, texts: list[str]) -> tuple[Row, ...]:
    return tuple(tuple(map(int, row)) for row in tokenizer.encode_batch(texts, threads=1) if 0 < len(row) <= LONGEST)


def _pool(tokenizer: Tokenizer, texts: list[str], places: list[int] | None = None) -> TextPool:
    """The texts of at most MOST tokens."""
    rows = tokenizer.encode_batch(texts, threads=1)
    kept = [n for n, row in enumerate(rows) if 0 < len(row) <= MOST]
    return TextPool(
        tuple(texts[n] for n in kept),
        tuple(tuple(map(int, rows[n])) for n in kept),
        tuple(places[n] if places else n for n in kept),
    )


def _kept_twins(folder: Path, lang: str, tokenizer: Tokenizer, items: list[tuple[str, str]], train: list[str]) -> TextPool:
    """Twins of a pool's items; they are made once and kept in `folder`."""
    path = folder / f"twins-{lang}.json"
    if not path.is_file():
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(_twins(items, train), ensure_ascii=False), encoding="utf-8")
        os.replace(aside, path)
    found = json.loads(path.read_text(encoding="utf-8"))
    return _pool(tokenizer, [text for _, text in found], [place for place, _ in found])


def _twins(items: list[tuple[str, str]], train: list[str]) -> list[tuple[int, str]]:
    """Number and text of each twin, as `leak twins` makes it; numbers are drawn from those of `train`."""
    source = _set([halves(text) for text in train]) if train else None
    rows = [row for row in make_twins(_set(items), source, TWIN_SEED).rows if bool(row.get("answer")) == bool(train)]
    return [(int(row["twin_of"]), joined(row["question"], row.get("answer", ""))) for row in rows]


def _set(items: list[tuple[str, str]]) -> BenchmarkSet:
    """Items named by their number."""
    lang = ZH if any("\u4e00" <= sign <= "\u9fff" for sign in items[0][0]) else EN
    return BenchmarkSet("pool", "pool", "", tuple(BenchmarkItem(str(n), lang, q, a, q) for n, (q, a) in enumerate(items)))
