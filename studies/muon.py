"""Muon against AdamW: tokens and wall time until AdamW's final held-out loss, in English and Chinese, at two model sizes.

    SKYLOOM_BENCH_DATA=DATA python -m studies.muon --work FOLDER

(--sizes, --tokens, --seeds, --rates and --adamw-rates change what is trained; a second call goes on where the first was stopped)

Input: the corpus of the tokenizer benches (bench/tokenizer/corpus.py), half English and half Chinese, cut by a vocabulary of 8,192
as the demo has it. For each size and optimizer:

1. rates: one run for each of the same number of rates, constant after the warm-up, over a tenth of the tokens, as `skyloom train
   lr-test` does it; the rate with the lowest mean held-out loss is taken. A lowest loss at the edge of the rates is marked;
2. trainings: with each seed over all tokens, warm-up and cosine as in Stage 1 of the demo;
3. seconds of a step: both optimizers in turn on the same tokens, the median of each.

Output: a table. Tokens: where the held-out curve of Muon, straight between monitoring points, first reaches AdamW's final loss, as
a share of AdamW's tokens; "–" where it does not. Time: that share times the ratio of the seconds of a step. Muon's rate has then
not fallen to the end of its cosine, so the share is rather too large than too small. Small scale: it says nothing of 13 B.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from bench.tokenizer import corpus as tokenizer_corpus
from studies.vocabulary_size import reading, tokenizer_of

from bench.corpus import corpus_quality
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data.config import PackConfig, Phase
from skyloom.data.loader import Loader
from skyloom.data.mixture import resolve
from skyloom.data.pack import pack
from skyloom.model.init import first_weights
from skyloom.model.presets import preset
from skyloom.tokenizer import Tokenizer
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.loop import train_stage
from skyloom.train.step import SingleLearner, choose_compile, settled

VOCABULARY, CONTEXT = 8_192, 256
OPTIMIZERS = ("adamw", "muon")
RATES = (7.5e-4, 1.5e-3, 3e-3, 6e-3)
LANGUAGES = ("en", "zh")
SET_BYTES, DOCUMENT_BYTES = 16_000, 4_000
"""Of each held-out set at a monitoring point: with more, monitoring 20 sets takes longer than training."""
Curves = Mapping[str, Sequence[tuple[int, float]]]
"""Of each language (tokens, mean held-out loss in nats per token), ascending."""


@dataclass(frozen=True)
class Texts:
    """What is read, and what is held out."""

    tokenizer: Tokenizer
    shards: Store
    held: Mapping[str, corpus_quality.HeldOut]


def reached(curve: Sequence[tuple[int, float]], loss: float) -> float | None:
    """Tokens at which the curve, straight between its points, first is at or below `loss`; None if it never is."""
    before: tuple[int, float] | None = None
    for tokens, value in curve:
        if value <= loss:
            if before is None or before[1] == value:
                return float(tokens)
            return before[0] + (before[1] - loss) / (before[1] - value) * (tokens - before[0])
        before = tokens, value
    return None


def best_rate(losses: Mapping[float, float]) -> tuple[float, bool]:
    """The rate of the lowest loss (of equal ones the lowest rate), and whether it is the lowest or highest that was tried."""
    best = min(sorted(losses), key=lambda rate: losses[rate])
    return best, best in (min(losses), max(losses))


def curves(lines: Sequence[Mapping[str, object]], tokens_per_step: int) -> dict[str, list[tuple[int, float]]]:
    """The curves of a training's `heldout.jsonl`: the mean over the sets of a language, and over the languages as `mean`."""
    points: dict[int, dict[str, list[float]]] = {}
    for line in lines:
        lang = str(line["set"])[:2]
        points.setdefault(int(str(line["step"])), {}).setdefault(lang, []).append(float(str(line["loss"])))
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in (*LANGUAGES, "mean")}
    for step, by_language in sorted(points.items()):
        each = {lang: statistics.fmean(by_language[lang]) for lang in LANGUAGES}
        for lang, value in {**each, "mean": statistics.fmean(each.values())}.items():
            found[lang].append((step * tokens_per_step, value))
    return found


def shares(adamw: Curves, muon: Curves) -> dict[str, float | None]:
    """Of each language and the mean: Muon's tokens to AdamW's final loss as a share of AdamW's."""
    result = {}
    for name, curve in adamw.items():
        tokens, loss = curve[-1]
        at = reached(muon[name], loss)
        result[name] = None if at is None else at / tokens
    return result


def table(found: Mapping[str, Mapping[str, object]]) -> str:
    """Markdown: a row for each size and seed. `found`: what `study` gives, by size."""
    lines = [
        "| size | seed | rate AdamW | rate Muon | final loss AdamW en, zh | Muon en, zh | tokens en | zh | mean | time, mean |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size, told in found.items():
        rates, edges, seconds, seeds = (told[name] for name in ("rates", "edges", "seconds", "seeds"))
        assert isinstance(rates, dict) and isinstance(edges, dict) and isinstance(seconds, dict) and isinstance(seeds, dict)
        named = [f"{rates[name]:g}{' (edge)' if edges[name] else ''}" for name in OPTIMIZERS]
        slower = seconds["muon"] / seconds["adamw"]
        for seed, by in seeds.items():
            ends = [", ".join(f"{by[name][lang][-1][1]:.3f}" for lang in LANGUAGES) for name in OPTIMIZERS]
            part = shares(by["adamw"], by["muon"])
            cells = ["–" if part[name] is None else f"{part[name]:.2f}" for name in (*LANGUAGES, "mean")]
            mean = part["mean"]
            cells.append("–" if mean is None else f"{mean * slower:.2f}")
            lines.append("| " + " | ".join([size, str(seed), *named, *ends, *cells]) + " |")
    return "\n".join(lines)


def config_of(optimizer: str, seed: int) -> TrainConfig:
    """The demo's settings but for the optimizer."""
    return TrainConfig(
        seed=seed, optimizer=optimizer, context=CONTEXT, monitor_bytes=SET_BYTES, monitor_document_bytes=DOCUMENT_BYTES
    )


def run(texts: Texts, size: str, optimizer: str, seed: int, rate: float, tokens: int, warmup: int, test: bool, out: Store) -> None:
    """One training into `out`, or the rest of it; `test`: at a constant rate."""
    if out.exists("done.json"):
        return
    config = config_of(optimizer, seed)
    phase = Phase(tokens=tokens, shares={"web_en": 0.5, "web_zh": 0.5}, repeat_cap=1000.0)
    plan = resolve(phase, texts.shards.read_json("tokens.json"), progress=Progress())
    loader = Loader(texts.shards, plan, seed=seed, batch=config.batch, context=CONTEXT)
    stage = StageConfig(
        name="stage1", schedule="constant" if test else "warmup-cosine", peak=rate, warmup_steps=min(warmup, loader.steps - 1),
        monitor_points=1 if test else 12, releases=1,
    )  # fmt: skip
    model = replace(preset(size), vocabulary=VOCABULARY, context=CONTEXT)
    train_stage(config, stage, model, loader, texts.held, texts.tokenizer, None, out, progress=Progress())
    out.write_json("done.json", {"rate": rate, "tokens": loader.steps * config.batch * CONTEXT})


def read_curves(out: Store) -> dict[str, list[tuple[int, float]]]:
    """The curves of a training in `out`."""
    lines = [json.loads(line) for line in out.read_text("heldout.jsonl").splitlines()]
    return curves(lines, config_of("adamw", 1).batch * CONTEXT)


def step_seconds(size: str, count: int) -> dict[str, float]:
    """Median seconds of a step of each optimizer, compiled where this machine can, in turn."""
    model = replace(preset(size), vocabulary=VOCABULARY, context=CONTEXT)
    took: dict[str, list[float]] = {name: [] for name in OPTIMIZERS}
    with settled(0):
        compiled = choose_compile("auto", None, Progress())
        learners = {name: SingleLearner(config_of(name, 1), model, compiled=compiled, bos_id=1) for name in OPTIMIZERS}
        tokens = torch.randint(VOCABULARY, (config_of("adamw", 1).batch, CONTEXT + 1), generator=torch.Generator().manual_seed(1))
        for learner in learners.values():
            learner.begin(first_weights(model, 1))
        for turn in range(count + 2):
            for name, learner in learners.items():
                started = time.perf_counter()
                learner.measure(tokens, turn)
                learner.apply(1e-4)
                if turn >= 2:
                    took[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in took.items()}


def study(
    texts: Texts, size: str, tokens: int, warmup: int, seeds: Sequence[int], rates: Mapping[str, Sequence[float]], work: Store
) -> dict[str, object]:
    """All cells of one model size."""
    chosen, edges = {}, {}
    for name in OPTIMIZERS:
        losses = {}
        for rate in rates[name]:
            out = work.child(f"{name}-rate-{rate:g}")
            run(texts, size, name, 1, rate, max(tokens // 10, 50 * 8 * CONTEXT), warmup, True, out)
            losses[rate] = read_curves(out)["mean"][-1][1]
        chosen[name], edges[name] = best_rate(losses)
    by_seed: dict[int, dict[str, Curves]] = {}
    for seed in seeds:
        for name in OPTIMIZERS:
            out = work.child(f"{name}-seed-{seed}-rate-{chosen[name]:g}")
            run(texts, size, name, seed, chosen[name], tokens, warmup, False, out)
            by_seed.setdefault(seed, {})[name] = read_curves(out)
    if not work.exists("seconds.json"):
        work.write_json("seconds.json", step_seconds(size, 20))
    return {"rates": chosen, "edges": edges, "seconds": work.read_json("seconds.json"), "seeds": by_seed}


def texts_of(data: Path, work: Store) -> Texts:
    """The corpus, the vocabulary and the shards, made once."""
    documents, read, shards = work.child("documents"), work.child("read"), work.child("tokens")
    tokenizer_corpus.corpus(data, documents)
    if not read.exists("documents-00000.parquet"):
        reading(data, read)
    tokenizer = tokenizer_of(VOCABULARY, documents, work.child("tokenizer"))
    if not shards.exists("tokens.json"):
        made = PackConfig(canary_copies=0)
        pack(read, work.child("none"), work.child("tokenizer"), shards, made, engine=Engine(0), progress=Progress())
    sets = {k: v for k, v in tokenizer_corpus.heldout(data).items() if k != "code"}
    held = {k: corpus_quality.HeldOut(tuple(f"{i:06d}" for i in range(len(v))), tuple(v)) for k, v in sets.items()}
    return Texts(tokenizer, shards, held)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder that keeps texts and models; a second call goes on")
    parser.add_argument("--sizes", nargs="+", default=["demo-3m", "small-13m"], help="presets (default: demo-3m small-13m)")
    parser.add_argument("--tokens", type=int, default=2_400_000, help="of one training (default: Stage 1 of the demo)")
    parser.add_argument("--warmup", type=int, default=80, help="steps (default: the demo's)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="of Muon")
    parser.add_argument("--adamw-rates", type=float, nargs="+", default=list(RATES), help="of AdamW, as many")
    options = parser.parse_args()
    if "SKYLOOM_BENCH_DATA" not in os.environ:
        parser.error("set SKYLOOM_BENCH_DATA to the folder of third-party texts that bench/data.toml lists")
    if len(options.rates) != len(options.adamw_rates):
        parser.error("both optimizers are tuned by as many runs: give as many --rates as --adamw-rates")
    work = Store(options.work)
    texts = texts_of(Path(os.environ["SKYLOOM_BENCH_DATA"]), work)
    rates = {"adamw": options.adamw_rates, "muon": options.rates}
    found = {
        size: study(texts, size, options.tokens, options.warmup, options.seeds, rates, work.child(f"{size}-{options.tokens}"))
        for size in options.sizes
    }
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
