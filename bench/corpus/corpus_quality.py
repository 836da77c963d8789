"""Which of two corpora teaches a small model more: equal tokens, equal model, paired seeds, held-out prose of neither.

Input: documents by corpus as (group, text), with groups such as `web_en` and `web_zh` that end with the language, and the share
of the tokens that each group gets, the same in both corpora. Output: the bits per byte of each held-out set (text/lmtest of
SKYLOOM_BENCH_DATA) after training on each, and the difference of both corpora in percent, paired by seed, with Student's 95 %
interval over the seeds. One tokenizer serves all runs: it is trained on prose that is in neither corpus (every second document of
text/en and text/zh), so that no corpus has its own words in it. Two learners:

    ngram        a 5-gram model with modified Kneser-Ney smoothing over the tokenizer's pieces (the project's own). At most
                 `NGRAM_TOKENS`, of each group no more than the smaller corpus has, no document twice. The seed draws the
                 documents; one that both corpora have is drawn for both. Seconds each.
    transformer  two layers, about 2.5 M parameters, most of them the embeddings; `TOKENS` tokens, half of them in each language,
                 whatever the group; a corpus that has fewer is gone through again. The seed draws first weights and order.
                 bf16, or fp32 on a processor that emulates bf16.

What is finished stays in the work folder, so that a run that is stopped goes on with the next training.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store

LEARNERS = ("ngram", "transformer")
NGRAM_TOKENS = 1_000_000
NGRAM_ORDER = 5
TOKENS = 300_000
LAYERS = 2
SEEDS = (1, 2, 3, 4, 5)
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Student's t, two-sided 95 %, by degrees of freedom."""
SHARES = {"web_en": 0.5, "web_zh": 0.5}
SET_BYTES, DOCUMENT_BYTES = 100_000, 4_000  # scored of each held-out set, and of each of its documents
PROSE_BYTES = 4_000_000  # of each language, for the tokenizer
SCORE = "score.json"


@dataclass(frozen=True)
class Paired:
    """Ours over the peer's bits per byte, minus one, in percent: the mean over seeds, and Student's 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, changes: Sequence[float]) -> Paired:
        mean = float(np.mean(changes))
        half = T95[len(changes) - 1] * float(np.std(changes, ddof=1)) / len(changes) ** 0.5 if len(changes) > 1 else float("inf")
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        return f"{self.mean:+.2f} % ({self.low:+.2f} to {self.high:+.2f})"


@dataclass(frozen=True)
class Quality:
    """What the trainings say, by held-out set, and the mean over the sets of each language."""

    sets: dict[str, Paired]
    languages: dict[str, Paired]
    table: str

    @property
    def worst_percent(self) -> float:
        """The set on which ours is worse most surely: its interval's lower end."""
        return max(found.low for found in self.sets.values())


@dataclass(frozen=True)
class HeldOut:
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def compare(
    corpora: dict[str, list[tuple[str, str]]],
    work: Path,
    *,
    ours: str,
    peer: str,
    shares: Mapping[str, float] = SHARES,
    seeds: Sequence[int] = SEEDS,
    learner: str = "ngram",
) -> Quality:
    """Train on each corpus with each seed and compare; trainings whose scores are in `work` are not repeated."""
    if learner == "transformer":
        corpora = {name: [(f"web_{group[-2:]}", text) for group, text in found] for name, found in corpora.items()}
        shares = SHARES
    label = f"{learner}-{hashlib.sha256(json.dumps(dict(shares)).encode()).hexdigest()[:12]}"
    data = Path(os.environ["SKYLOOM_BENCH_DATA"])
    tokenizer = _tokenizer(data, Store(work / "tokenizer"))
    sets = {path.name.split(".")[0]: _heldout(path) for path in sorted((data / "text" / "lmtest").glob("*.jsonl.gz"))}
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in corpora}
    if learner == "ngram":
        encoded = {name: _encoded(documents, tokenizer) for name, documents in corpora.items()}
        sizes = {name: {domain: sum(map(len, ids)) for domain, (_, ids) in found.items()} for name, found in encoded.items()}
        used = {
            domain: min(int(NGRAM_TOKENS * share), *(s.get(domain, 0) for s in sizes.values())) for domain, share in shares.items()
        }
        scored = _encoded([(name, text) for name, held in sets.items() for text in _cut(held)], tokenizer)
    else:
        used = {domain: int(TOKENS * share) for domain, share in shares.items()}
        packed = {name: _tokens(documents, tokenizer, work / name / label) for name, documents in corpora.items()}
        sizes = {name: found for name, (_, found) in packed.items()}
    for seed in seeds:
        for name in corpora:
            out = work / name / label / f"seed-{seed}"
            if not (out / SCORE).exists():
                if learner == "ngram":
                    found = _ngram(encoded[name], used, tokenizer, scored, seed)
                else:
                    found = _train(packed[name][0], tokenizer, sets, seed, out / "run")
                Store(out).write_json(SCORE, found)
            scores[name].append(json.loads((out / SCORE).read_text(encoding="utf-8")))
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    return _judge(scores, sizes, used, ours, peer)


def by_language(score: dict[str, float]) -> dict[str, float]:
    """Mean bits per byte over the sets of each language."""
    return {lang: float(np.mean([v for k, v in score.items() if k.startswith(f"{lang}_")])) for lang in ("en", "zh")}


def _judge(
    scores: dict[str, list[dict[str, float]]], sizes: dict[str, dict[str, int]], used: dict[str, int], ours: str, peer: str
) -> Quality:
    def paired(a: Sequence[dict[str, float]], b: Sequence[dict[str, float]]) -> dict[str, Paired]:
        return {key: Paired.of([100 * (x[key] / y[key] - 1) for x, y in zip(a, b, strict=True)]) for key in a[0]}

    def cells(runs: Sequence[dict[str, float]], key: str) -> str:
        return f"{np.mean([run[key] for run in runs]):.3f} (± {np.std([run[key] for run in runs], ddof=1):.3f})"

    means = {name: [by_language(s) for s in runs] for name, runs in scores.items()}
    sets, languages = paired(scores[ours], scores[peer]), paired(means[ours], means[peer])
    groups = ", ".join(used)
    lines = [f"| | tokens in it: {groups} | share of them that is read | en | zh |", "|---|---|---|---|---|"]
    for name, runs in means.items():
        size = [sizes[name].get(domain, 0) for domain in used]
        passes = " / ".join(f"{used[domain] / max(1, n):.2f}" for domain, n in zip(used, size, strict=True))
        row = [name, " / ".join(f"{n:,}" for n in size), passes, *(cells(runs, lang) for lang in ("en", "zh"))]
        lines.append(f"| {' | '.join(row)} |")
    lines.append(f"| {ours} against {peer}, paired by seed | | | {languages['en']} | {languages['zh']} |")
    lines += ["", f"| set | {ours} | {peer} | {ours} against {peer}, paired |", "|---|---|---|---|"]
    lines += [f"| {name} | {cells(scores[ours], name)} | {cells(scores[peer], name)} | {sets[name]} |" for name in sets]
    return Quality(sets, languages, "\n".join(lines))


Encoded = dict[str, tuple[list[str], list[npt.NDArray[np.int32]]]]
"""Of each domain or set: the texts, and the ids of each."""


def _encoded(pairs: Sequence[tuple[str, str]], tokenizer: Store) -> Encoded:
    from skyloom.tokenizer import Tokenizer

    vocabulary = Tokenizer.load(tokenizer)
    found: Encoded = {}
    for name in dict.fromkeys(name for name, _ in pairs):
        texts = [text for other, text in pairs if other == name]
        found[name] = (texts, vocabulary.encode_batch(texts, threads=1))
    return found


def _cut(held: HeldOut) -> list[str]:
    """The beginning of each document, up to the size of a set."""
    texts, size = [], 0
    for text in held.texts:
        if size >= SET_BYTES:
            break
        texts.append(text.encode()[:DOCUMENT_BYTES].decode("utf-8", "ignore"))
        size += len(texts[-1].encode())
    return texts


def _ngram(corpus: Encoded, used: dict[str, int], tokenizer: Store, scored: Encoded, seed: int) -> dict[str, float]:
    """Bits per byte of each set under a model of documents that the seed draws.

    A document is a sentence; each piece of the vocabulary is a sentence besides, so that none is unknown.
    """
    from skyloom.corpus.quality.learned.config import LmConfig
    from skyloom.corpus.quality.learned.ngram import compile_model
    from skyloom.corpus.quality.learned.ngram_train import kneser_ney
    from skyloom.corpus.quality.learned.tokens import split_tokens
    from skyloom.tokenizer import Tokenizer

    def line(ids: npt.NDArray[np.int32]) -> str:
        return " ".join(map(str, ids.tolist()))

    lines = list(map(str, range(Tokenizer.load(tokenizer).vocab_size)))
    for domain, room in used.items():
        texts, ids = corpus.get(domain, ([], []))
        for place in sorted(range(len(texts)), key=lambda k: hashlib.sha256(f"{seed} {texts[k][:64]}".encode()).digest()):
            lines.append(line(ids[place][:room]))
            room -= min(room, len(ids[place]))
            if not room:
                break
    model = compile_model(kneser_ney(pa.array(lines, pa.large_string()), LmConfig(order=NGRAM_ORDER, prune=(0,))))
    found = {}
    for name, (texts, ids) in scored.items():
        logs = model.lines(split_tokens(pa.array([line(one) for one in ids], pa.large_string())))
        found[name] = float(-logs.sum() / np.log10(2) / sum(len(text.encode()) for text in texts))
    return found


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
    if out.exists("measure.json"):
        return out
    from skyloom.tokenizer.config import TokenizerConfig
    from skyloom.tokenizer.train import train

    pairs: list[tuple[str, str]] = []
    for lang in ("en", "zh"):
        files = sorted((data / "text" / lang).glob("*.jsonl.gz"))
        for path in files:
            size = 0
            for row in _rows(path)[1::2]:
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
    if not tokens.exists("tokens.json"):
        _documents(pairs, corpus)
        pack(
            corpus,
            Store(work / "none"),
            tokenizer,
            tokens,
            PackConfig(canary_copies=0),
            engine=Engine(0),
            progress=Progress.silent(),
        )
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
    stage = StageConfig(name="stage1", peak=3e-3, warmup_steps=20, monitor_points=1, releases=1)
    manifest = tokens.read_json("tokens.json")
    plan = resolve(Phase(tokens=TOKENS, shares=SHARES, repeat_cap=1000.0), manifest, progress=Progress.silent())
    loader = Loader(tokens, plan, seed=seed, batch=config.batch, context=config.context)
    model = replace(preset("demo-3m"), layers=LAYERS, vocabulary=vocabulary.vocab_size)
    train_stage(config, stage, model, loader, sets, vocabulary, None, Store(out), progress=Progress.silent())
    lines = [json.loads(line) for line in (out / "heldout.jsonl").read_text().splitlines()]
    last = max(line["step"] for line in lines)
    return {line["set"]: line["bits_per_byte"] for line in lines if line["step"] == last}
