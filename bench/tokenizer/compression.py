"""Tokenizers of 65,536 pieces trained here, beside published ones: bytes per token on held-out text, proofs, time and memory.

Two are trained from one corpus (corpus.py): `own`, with a base of its own, and `llama+`, LLaMA's base extended.
What comes out are three tables by held-out set (bytes per token, Han characters per token of the runs of Han alone, tokens
per document), whose head marks vocabularies that do not split digits, and the bars. The corpus is the third-party texts
(SKYLOOM_BENCH_DATA) and, where SKYLOOM_BENCH_WARC names a WARC file of documentation pages (bench/corpus/docs_warc.py makes one),
those pages, up to 1 GB of text.

    python -m bench.tokenizer.compression [--peers PYTHON] [--work FOLDER]      the tables
    python -m bench.tokenizer.compression --json BAR[,BAR]                      bars

The weights of domains are settings of the training, not of the measurement: `own` takes technical Chinese four times,
`llama+` sixteen times. The latter was raised until the technical set passed the bar, which cost a percent and a half on
news: see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.answers import NotMeasuredError, answer, offer
from bench.tokenizer import corpus as tokenizer_corpus
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.invariants import check
from skyloom.tokenizer.pieces import holds_digits, read_model
from skyloom.tokenizer.train import train

HERE = Path(__file__).resolve().parent
DATA_VARIABLE, WARC_VARIABLE, WORK_VARIABLE = "SKYLOOM_BENCH_DATA", "SKYLOOM_BENCH_WARC", "SKYLOOM_BENCH_WORK"
BYTES = 1e9
SIZES = {
    "vocabulary": 65_536,
    "base": 32_000,
    "characters": 8_000,
    "words": 25_519,
    "sample_megabytes": BYTES / 1e6,
    "balance": 0.25,
}
WEIGHTS = {
    "own": {"zh_tech_docs": 4.0, "zh_docs": 2.0},
    "llama+": {"zh_tech_docs": 16.0, "zh_docs": 8.0, "zh_parallel": 2.0, "zh_news": 3.0},
}
PEERS = {
    "LLaMA": "llama.model",
    "Chinese-LLaMA": "cla_merged.model",
    "InternLM": "internlm.model",
    "Qwen": "qwen.tiktoken",
    "BERT-zh": "bert_zh_vocab.txt",
}
OWN, EXTENDED = "own", "llama+"
BARS = (
    "failed-checks", "news", "tech", "news-bytes", "tech-bytes", "news-llama", "tech-llama", "english-llama", "english-own",
    "train-minutes", "train-gigabytes",
)  # fmt: skip
_HAN = re.compile("[\u3007\u4e00-\u9fff]+")


class Bench:
    """The trained tokenizers and the counts of all; each is made once, when it is first asked for."""

    def __init__(self, peers: str, work: Path) -> None:
        self.peers = peers
        self.work = Store(work)
        self.data = Path(os.environ.get(DATA_VARIABLE, ""))
        if not (self.data / "tokenizers").is_dir():
            raise NotMeasuredError(
                f"set {DATA_VARIABLE} to the folder that holds tokenizers/ and text/ (bench/data.toml lists them)"
            )

    @functools.cached_property
    def warc(self) -> str | None:
        return os.environ.get(WARC_VARIABLE)

    @functools.cached_property
    def documents(self) -> Store:
        folder = self.work.child("documents-with-pages" if self.warc else "documents")
        sizes = tokenizer_corpus.corpus(self.data, folder, warc=self.warc, limit_bytes=BYTES)
        print(f"corpus: {sum(sizes.values()) / 1e6:,.0f} MB in {len(sizes)} domains", file=sys.stderr)
        return folder

    @functools.cached_property
    def heldout(self) -> dict[str, list[str]]:
        return tokenizer_corpus.heldout(self.data)

    def trained(self, name: str) -> tuple[Store, dict[str, float]]:
        """The folder of a tokenizer, and seconds and bytes of the process that trained it."""
        folder = self.work.child(f"{name}-{'with-pages' if self.warc else 'texts'}")
        if not folder.exists("spent.json"):
            documents = self.documents
            command = [sys.executable, "-m", "bench.tokenizer.compression", "--train", name, str(documents.root), str(folder.root)]
            begun = time.perf_counter()
            process = subprocess.Popen(command)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise RuntimeError(f"training {name} failed")
            folder.write_json("spent.json", {"seconds": time.perf_counter() - begun, "bytes": usage.ru_maxrss * 1024.0})
        return folder, folder.read_json("spent.json")

    @functools.cached_property
    def counts(self) -> dict[str, dict[str, list[int]]]:
        """Tokens of each text by tokenizer and set; sets named `han:…` are the runs of Han of the Chinese ones."""
        texts = dict(self.heldout)
        # A line end in front, which no vocabulary joins with Han: it keeps the space away that some models put in front of a text.
        chinese = {k: v for k, v in self.heldout.items() if k.startswith("zh_")}
        texts |= {f"han:{k}": ["\n" + run for t in v for run in _HAN.findall(t)] for k, v in chinese.items()}
        texts["line end"] = ["\n"]
        flat = [t for v in texts.values() for t in v]
        found = {}
        for name in (OWN, EXTENDED):
            tokenizer = Tokenizer.load(self.trained(name)[0])
            _, offsets = tokenizer.encode_column(pa.array(flat, pa.large_string()))
            found[name] = np.diff(offsets).tolist()
        for name, file in PEERS.items():
            python = self.peers if file.endswith(".tiktoken") else sys.executable
            command = [python, "-P", str(HERE / "peers.py"), str(self.data / "tokenizers" / file)]
            lines = "".join(json.dumps(t) + "\n" for t in flat)
            said = json.loads(
                subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
            )
            if "tokens" in said:
                found[name] = said["tokens"]
        split: dict[str, dict[str, list[int]]] = {}
        for name, tokens in found.items():
            split[name], start = {}, 0
            for key, values in texts.items():
                split[name][key] = tokens[start : start + len(values)]
                start += len(values)
        return split

    def bytes_per_token(self, name: str, key: str) -> float:
        if name not in self.counts:
            raise NotMeasuredError(f"{name} needs tiktoken in the peers' interpreter (bench/peers.txt)")
        return sum(len(t.encode()) for t in self.heldout[key]) / sum(self.counts[name][key])

    def bar(self, name: str) -> float:
        if name == "failed-checks":
            return float(sum(not f.ok for which in (OWN, EXTENDED) for f in check(self.trained(which)[0])))
        if name in ("train-minutes", "train-gigabytes"):
            if not self.warc:
                raise NotMeasuredError(
                    f"set {WARC_VARIABLE} to a WARC file of documentation with 1 GB of text (bench/corpus/docs_warc.py)"
                )
            spent = self.trained(OWN)[1]
            return spent["seconds"] / 60 if name == "train-minutes" else spent["bytes"] / 1e9
        which, key = EXTENDED if name.endswith("-llama") else OWN, "zh_news" if name.startswith("news") else "zh_tech"
        if name in ("english-llama", "english-own"):
            sets = [k for k in self.heldout if k.startswith("en_")]
            ratios = [self.bytes_per_token(which, k) / self.bytes_per_token("LLaMA", k) for k in sets]
            # With LLaMA's base by how much percent English may be longer; with our own on how many of four sets it is shorter.
            return 100 * (1 / min(ratios) - 1) if which == EXTENDED else 4 * sum(r > 1 for r in ratios) / len(ratios)
        if name.endswith("-bytes"):
            return self.bytes_per_token(which, key)
        return self.bytes_per_token(which, key) / self.bytes_per_token("Qwen", key)

    def tables(self) -> None:
        names = list(self.counts)
        marks = {n: "" if self._splits_digits(n) else "*" for n in names}
        head = "| set | " + " | ".join(f"{n}{marks[n]}" for n in names) + " |\n|---|" + "---|" * len(names)
        for title, cell in (
            ("bytes per token", self.bytes_per_token),
            ("Han characters per token of the runs of Han", self._han),
            ("tokens per document", self._tokens),
        ):
            print(f"\n{title} (* does not split digits)\n\n{head}")
            for key in self.heldout:
                if title.startswith("Han") and not key.startswith("zh_"):
                    continue
                print(
                    f"| {key} | " + " | ".join(f"{cell(n, key):,.{0 if title.startswith('tokens') else 3}f}" for n in names) + " |"
                )
        for which in (OWN, EXTENDED):
            spent = self.trained(which)[1]
            print(f"\n{which}: {spent['seconds']:.0f} s, {spent['bytes'] / 1e9:.2f} GB")
            for finding in check(self.trained(which)[0]):
                print(f"  {'ok ' if finding.ok else 'NOT OK'} {finding.name}: {finding.detail}")

    def _han(self, name: str, key: str) -> float:
        runs = [run for t in self.heldout[key] for run in _HAN.findall(t)]
        (end,) = self.counts[name]["line end"]
        return sum(map(len, runs)) / (sum(self.counts[name][f"han:{key}"]) - end * len(runs))

    def _tokens(self, name: str, key: str) -> float:
        return sum(self.counts[name][key]) / len(self.heldout[key])

    def _splits_digits(self, name: str) -> bool:
        if name in (OWN, EXTENDED):
            pieces = Tokenizer.load(self.trained(name)[0]).pieces
        elif (path := self.data / "tokenizers" / PEERS[name]).suffix == ".model":
            pieces = [p.piece for p in read_model(path.read_bytes()).pieces]
        else:
            return name == "Qwen"  # its pattern cuts at each digit; WordPiece joins them
        return not any(holds_digits(p) and p.isdigit() for p in pieces)


def train_one(name: str, documents: str, out: str) -> int:
    base = str(Path(os.environ[DATA_VARIABLE], "tokenizers", "llama.model")) if name == EXTENDED else ""
    there = set(Store(documents).read_json("sizes.json"))
    weights = {d: w for d, w in WEIGHTS[name].items() if d in there}
    train(Store(documents), Store(out), TokenizerConfig(**SIZES, base_model=base, weights=weights), progress=Progress())  # type: ignore[arg-type]
    return 0


def main() -> int:
    if sys.argv[1:2] == ["--train"]:
        return train_one(*sys.argv[2:])
    parser = argparse.ArgumentParser(description="Measure tokenizers of 65,536 pieces beside published ones.")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the interpreter that has tiktoken")
    kept = os.environ.get(WORK_VARIABLE)
    parser.add_argument(
        "--work",
        type=Path,
        default=kept and Path(kept),
        help=f"a folder that keeps corpus and tokenizers ({WORK_VARIABLE}); else made anew",
    )
    offer(parser, BARS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        try:
            bench: Any = Bench(options.peers, options.work or Path(place))
        except NotMeasuredError as why:
            reason = why

            def missing(_: str = "") -> float:
                raise reason

            return answer(options.json, missing, missing)
        return answer(options.json, bench.bar, bench.tables)


if __name__ == "__main__":
    sys.exit(main())
