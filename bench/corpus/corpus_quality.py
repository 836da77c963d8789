"""Which of two corpora teaches a small model more: equal tokens, equal model, paired seeds, held-out prose of neither.

Input: documents by corpus as (domain, text), domains `web_en` and `web_zh`. Output: the bits per byte of each
held-out set (text/lmtest of SKYLOOM_BENCH_DATA) after training on each, averaged by language, with the spread over seeds.
One tokenizer serves all runs: it is trained on prose that is in neither corpus (text/en and text/zh), so that no corpus has
its own words in it. Tokens are half English, half Chinese, in every run; a corpus that has fewer is gone through again,
as it would be in practice, and the table says how often. Small scale: 3 M parameters and about a million tokens.
Training is in bf16, in fp32 on a processor that emulates bf16: both corpora alike.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store

TOKENS = 1_000_000
SEEDS = (1, 2, 3)
SHARES = {"web_en": 0.5, "web_zh": 0.5}
SET_BYTES, DOCUMENT_BYTES = 120_000, 4_000  # scored of each held-out set, and of each of its documents
PROSE_BYTES = 6_000_000  # of each language, for the tokenizer


@dataclass(frozen=True)
class Quality:
    """Ours over the peer's bits per byte, minus one, in percent: the worse language, and the mean of both."""

    worst_percent: float
    average_percent: float
    table: str


@dataclass(frozen=True)
class HeldOut:
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def compare(corpora: dict[str, list[tuple[str, str]]], work: Path, *, ours: str, peer: str) -> Quality:
    """Train on each corpus with each seed and compare."""
    data = Path(os.environ["SKYLOOM_BENCH_DATA"])
    tokenizer = _tokenizer(data, Store(work / "tokenizer"))
    sets = {path.name.split(".")[0]: _heldout(path) for path in sorted((data / "text" / "lmtest").glob("*.jsonl.gz"))}
    scores: dict[str, list[dict[str, float]]] = {}
    sizes: dict[str, dict[str, int]] = {}
    for name, documents in corpora.items():
        tokens, sizes[name] = _tokens(documents, tokenizer, work / name)
        scores[name] = [_train(tokens, tokenizer, sets, seed, work / name / f"seed-{seed}") for seed in SEEDS]
    return _judge(scores, sizes, ours, peer)


def by_language(score: dict[str, float]) -> dict[str, float]:
    """Mean bits per byte over the sets of each language."""
    return {lang: float(np.mean([v for k, v in score.items() if k.startswith(f"{lang}_")])) for lang in ("en", "zh")}


def _judge(scores: dict[str, list[dict[str, float]]], sizes: dict[str, dict[str, int]], ours: str, peer: str) -> Quality:
    means = {name: [by_language(s) for s in runs] for name, runs in scores.items()}
    change = {lang: [100 * (a[lang] / b[lang] - 1) for a, b in zip(means[ours], means[peer], strict=True)] for lang in ("en", "zh")}
    lines = ["| | tokens en / zh | en | zh |", "|---|---|---|---|"]
    for name, runs in means.items():
        cells = [
            f"{np.mean([r[lang] for r in runs]):.3f} (± {np.std([r[lang] for r in runs], ddof=1):.3f})" for lang in ("en", "zh")
        ]
        lines.append(f"| {name} | {sizes[name].get('web_en', 0):,} / {sizes[name].get('web_zh', 0):,} | {' | '.join(cells)} |")
    spread = {lang: f"{np.mean(v):+.2f} % ({min(v):+.2f} to {max(v):+.2f})" for lang, v in change.items()}
    lines.append(f"| {ours} against {peer}, paired by seed | | {spread['en']} | {spread['zh']} |")
    lines.append("")
    lines += ["| set | " + " | ".join(scores) + " |", "|---|" + "---|" * len(scores)]
    for name in scores[ours][0]:
        lines.append(f"| {name} | " + " | ".join(f"{np.mean([run[name] for run in runs]):.3f}" for runs in scores.values()) + " |")
    worst = max(float(np.mean(v)) for v in change.values())
    return Quality(worst, float(np.mean([np.mean(v) for v in change.values()])), "\n".join(lines))


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _heldout(path: Path) -> HeldOut:
    rows = sorted(_rows(path), key=lambda row: record_id("lmtest", row["id"]))
    return HeldOut(tuple(f"{k:06d}" for k in range(len(rows))), tuple(row["text"] for row in rows))


def _documents(pairs: Sequence[tuple[str, str]], out: Store) -> None:
    rows = [
        {
            "id": record_id(str(k), text), "text": text, "lang": "en" if domain.endswith("en") else "zh-Hans", "source": "bench",
            "domain": domain, "category": "web", "url": "", "date": None, "license": None, "split": "train", "meta": "{}",
        }
        for k, (domain, text) in enumerate(pairs)
    ]  # fmt: skip
    out.write_table("documents-00000.parquet", pa.Table.from_pylist(rows, schema=DOCUMENT))


def _tokenizer(data: Path, out: Store) -> Store:
    from skyloom.tokenizer.config import TokenizerConfig
    from skyloom.tokenizer.train import train

    pairs: list[tuple[str, str]] = []
    for lang in ("en", "zh"):
        files = sorted((data / "text" / lang).glob("*.jsonl.gz"))
        for path in files:
            size = 0
            for row in _rows(path):
                if size > PROSE_BYTES / len(files):
                    break
                pairs.append((f"web_{lang}", row["text"]))
                size += len(row["text"].encode())
    _documents(pairs, out.child("prose"))
    train(out.child("prose"), out, TokenizerConfig(), progress=Progress.silent())
    return out


def _tokens(pairs: Sequence[tuple[str, str]], tokenizer: Store, work: Path) -> tuple[Store, dict[str, int]]:
    from skyloom.data.config import PackConfig
    from skyloom.data.pack import pack

    corpus, tokens = Store(work / "documents"), Store(work / "tokens")
    _documents(pairs, corpus)
    pack(corpus, Store(work / "none"), tokenizer, tokens, PackConfig(canary_copies=0), engine=Engine(0), progress=Progress.silent())
    domains = tokens.read_json("tokens.json")["domains"]
    return tokens, {name: entry["tokens"] for name, entry in domains.items()}


def _train(tokens: Store, tokenizer: Store, sets: dict[str, HeldOut], seed: int, out: Path) -> dict[str, float]:
    """Bits per byte of each set after one training."""
    from dataclasses import replace

    from skyloom.data.config import Phase
    from skyloom.data.loader import Loader
    from skyloom.data.mixture import resolve
    from skyloom.model.presets import preset
    from skyloom.tokenizer import Tokenizer
    from skyloom.train.config import StageConfig, TrainConfig
    from skyloom.train.loop import train_stage
    from skyloom.train.step import emulates_bf16

    precision = "fp32" if emulates_bf16() else "bf16"
    vocabulary = Tokenizer.load(tokenizer)
    config = TrainConfig(seed=seed, precision=precision, monitor_bytes=SET_BYTES, monitor_document_bytes=DOCUMENT_BYTES)
    stage = StageConfig(name="stage1", peak=3e-3, warmup_steps=60, monitor_points=1, releases=1)
    manifest = tokens.read_json("tokens.json")
    plan = resolve(Phase(tokens=TOKENS, shares=SHARES, repeat_cap=1000.0), manifest, progress=Progress.silent())
    loader = Loader(tokens, plan, seed=seed, batch=config.batch, context=config.context)
    model = replace(preset("demo-3m"), vocabulary=vocabulary.vocab_size)
    train_stage(config, stage, model, loader, sets, vocabulary, None, Store(out), progress=Progress.silent())
    lines = [json.loads(line) for line in (out / "heldout.jsonl").read_text().splitlines()]
    last = max(line["step"] for line in lines)
    return {line["set"]: line["bits_per_byte"] for line in lines if line["step"] == last}
