"""How large should the vocabulary be? Compression, and bits per byte of small models at equal compute, for 16k, 32k, 65k and
100k.

    SKYLOOM_BENCH_DATA=DATA python -m studies.vocabulary_size --work FOLDER --figure docs/vocabulary-size.svg

(about 40 minutes on 2 cores; --sizes, --flops and --seeds change what is trained)

Input: the corpus of the tokenizer benches (bench/tokenizer/corpus.py: third-party prose, code and exercises, none
of which is near a held-out text). Output: a table and a figure. The parts keep the report's proportions at every
size: 48.8 % base, 12.2 % characters, 38.9 % words, 17 reserved.

Equal compute means equal floating-point operations of training (`ModelConfig.flops_per_token`: the matrices, the output
head among them, and attention), so that a larger vocabulary, whose head costs more for each token, reads fewer tokens; it
reads more text in each. Half of the tokens are English, half Chinese. Each size is trained with each seed; what is compared
is bits per byte, which does not depend on how text is cut, as the mean over the held-out sets of a language.

Small scale, and that matters here more than elsewhere: the body of this model has 0.8 million parameters, so that its head
is most of its compute from 16k on. In the report's 13B model the head of 65,536 is 2 % of it. The figure says how the trade
falls at this size; at a large one only the compression carries over.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from bench.tokenizer import corpus as tokenizer_corpus

from bench.corpus import corpus_quality
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store
from skyloom.data.config import PackConfig, Phase
from skyloom.data.loader import Loader
from skyloom.data.mixture import resolve
from skyloom.data.pack import pack
from skyloom.model.presets import preset
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.loop import train_stage

REPORT = {"base": 32_000, "characters": 8_000, "words": 25_519}
RESERVED = 17
READ_BYTES = 12_000_000  # of each language, for the models
SET_BYTES, DOCUMENT_BYTES = 60_000, 4_000


@dataclass(frozen=True)
class Outcome:
    """Of one size: bytes per token by language, and bits per byte by language for each seed."""

    vocabulary: int
    tokens: int
    compression: dict[str, float]
    bits: dict[str, list[float]]


def sizes_of(vocabulary: int) -> dict[str, int]:
    """The parts in the report's proportions."""
    free = vocabulary - RESERVED
    base, characters = (round(free * REPORT[part] / sum(REPORT.values())) for part in ("base", "characters"))
    return {"vocabulary": vocabulary, "base": base, "characters": characters, "words": free - base - characters}


def tokenizer_of(vocabulary: int, documents: Store, out: Store) -> Tokenizer:
    if not out.exists("measure.json"):
        config = TokenizerConfig(**sizes_of(vocabulary), sample_megabytes=200.0, balance=0.25, least_count=2)  # type: ignore[arg-type]
        train(documents, out, config, progress=Progress())
    return Tokenizer.load(out)


def reading(data: Path, out: Store) -> None:
    """What the models read: every domain of a language gives the same number of bytes, as far as it has them."""
    texts: dict[str, list[tokenizer_corpus.Text]] = {}
    for text in tokenizer_corpus.training(data):
        if text.domain != "code":
            texts.setdefault(text.domain, []).append(text)
    rows = []
    for lang in ("en", "zh"):
        domains = [d for d in texts if d.startswith(lang)]
        for domain in domains:
            size = 0
            for text in texts[domain]:
                if size > READ_BYTES / len(domains):
                    break
                size += len(text.text.encode())
                rows.append({"id": record_id(text.text), "text": text.text, "domain": f"web_{lang}", "split": "train"})
    table = pa.Table.from_pylist([dict.fromkeys(DOCUMENT.names, "") | row for row in rows], DOCUMENT)
    out.write_table("documents-00000.parquet", table)


def study(
    vocabulary: int, documents: Store, read: Store, sets: dict[str, list[str]], flops: float, seeds: list[int], work: Store
) -> Outcome:
    tokenizer = tokenizer_of(vocabulary, documents, work.child("tokenizer"))
    compression = {}
    for lang in ("en", "zh"):
        chosen = {k: v for k, v in sets.items() if k.startswith(lang)}
        ratios = [
            sum(len(t.encode()) for t in texts) / len(tokenizer.encode_column(pa.array(texts, pa.large_string()))[0])
            for texts in chosen.values()
        ]
        compression[lang] = float(np.mean(ratios))
    model = replace(preset("demo-3m"), vocabulary=vocabulary)
    config = TrainConfig(monitor_bytes=SET_BYTES, monitor_document_bytes=DOCUMENT_BYTES)
    step = config.batch * config.context
    tokens = round(flops / model.flops_per_token(config.context) / step) * step
    shards = work.child("tokens")
    if not shards.exists("tokens.json"):
        pack(
            read,
            work.child("none"),
            work.child("tokenizer"),
            shards,
            PackConfig(canary_copies=0),
            engine=Engine(0),
            progress=Progress(),
        )
    plan = resolve(
        Phase(tokens=tokens, shares={"web_en": 0.5, "web_zh": 0.5}, repeat_cap=1000.0),
        shards.read_json("tokens.json"),
        progress=Progress(),
    )
    held = {k: corpus_quality.HeldOut(tuple(f"{i:06d}" for i in range(len(v))), tuple(v)) for k, v in sets.items()}
    bits: dict[str, list[float]] = {"en": [], "zh": []}
    for seed in seeds:
        out = work.child(f"seed-{seed}")
        if not out.exists("bits.json"):  # a training that was cut short goes on where it was
            loader = Loader(shards, plan, seed=seed, batch=config.batch, context=config.context)
            stage = StageConfig(name="stage1", peak=3e-3, warmup_steps=max(loader.steps // 15, 1), monitor_points=1, releases=1)
            train_stage(replace(config, seed=seed), stage, model, loader, held, tokenizer, None, out, progress=Progress())
            lines = [json.loads(line) for line in out.read_text("heldout.jsonl").splitlines()]
            last = max(line["step"] for line in lines)
            out.write_json("bits.json", {line["set"]: line["bits_per_byte"] for line in lines if line["step"] == last})
        found = out.read_json("bits.json")
        for lang in bits:
            bits[lang].append(float(np.mean([value for name, value in found.items() if name.startswith(lang)])))
    return Outcome(vocabulary, tokens, compression, bits)


def table(outcomes: list[Outcome]) -> str:
    lines = [
        "| vocabulary | tokens read | text read, MB | bytes per token en | zh | bits per byte en | zh |",
        "|---|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        read = o.tokens * (o.compression["en"] + o.compression["zh"]) / 2e6
        bits = [f"{np.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for v in (o.bits["en"], o.bits["zh"])]
        cells = [
            f"{o.vocabulary:,}",
            f"{o.tokens:,}",
            f"{read:.2f}",
            f"{o.compression['en']:.3f}",
            f"{o.compression['zh']:.3f}",
            *bits,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(outcomes: list[Outcome], path: Path) -> None:
    """Two panels over the size of the vocabulary: bytes per token, and bits per byte with the range over seeds."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "skyloom"  # the same file for the same figures
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    x = [o.vocabulary / 1000 for o in outcomes]
    for lang, name, colour in (("en", "English", "#2a6fbb"), ("zh", "Chinese", "#b8432f")):
        left.plot(x, [o.compression[lang] for o in outcomes], "o-", color=colour, label=name)
        means = [float(np.mean(o.bits[lang])) for o in outcomes]
        low, high = ([pick(o.bits[lang]) for o in outcomes] for pick in (min, max))
        spread = [np.subtract(means, low), np.subtract(high, means)]
        right.errorbar(x, means, yerr=spread, fmt="o-", color=colour, label=name, capsize=3)
    left.set(xlabel="vocabulary, thousands", ylabel="bytes per token, held-out", title="compression")
    right.set(xlabel="vocabulary, thousands", ylabel="bits per byte, held-out", title="0.8 M-parameter body, equal compute")
    for panel in (left, right):
        panel.set_xticks(x, [f"{v:.0f}" for v in x])
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder that keeps tokenizers and models; a second call goes on")
    parser.add_argument("--sizes", type=int, nargs="+", default=[16_384, 32_768, 65_536, 102_400])
    parser.add_argument("--flops", type=float, default=2.5e13, help="of one training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--figure", type=Path, help="where the figure is written, as SVG")
    options = parser.parse_args()
    if "SKYLOOM_BENCH_DATA" not in os.environ:
        parser.error("set SKYLOOM_BENCH_DATA to the folder of third-party texts that bench/data.toml lists")
    data, work = Path(os.environ["SKYLOOM_BENCH_DATA"]), Store(options.work)
    documents, read = work.child("documents"), work.child("read")
    tokenizer_corpus.corpus(data, documents)
    if not read.exists("documents-00000.parquet"):
        reading(data, read)
    sets = {k: v for k, v in tokenizer_corpus.heldout(data).items() if k != "code"}
    outcomes = [
        study(size, documents, read, sets, options.flops, options.seeds, work.child(str(size))) for size in sorted(options.sizes)
    ]
    print(table(outcomes))
    if options.figure:
        draw(outcomes, options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
