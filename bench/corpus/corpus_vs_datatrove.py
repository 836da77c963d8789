"""The whole corpus stage from WARC to clean corpus, beside datatrove's, on the same pages: speed, memory, quality of the corpus.

Input: a WARC file of real pages (documentation in English and Chinese, SKYLOOM_BENCH_DATA/warc/docs_en_zh.warc.gz, or
any other by --warc); it is cut into parts, so that both can use their workers. Output: two tables. Speed: pages per second
of wall time, CPU seconds and peak memory of all processes (sampled five times a second; pages of memory that processes share
count once), the median of alternating rounds.
Quality: the same small model, trained from the same seeds on an equal number of tokens of each corpus with equal shares of
both languages, and its bits per byte on held-out sets of prose that neither corpus holds (text/lmtest). The bars of quality are
measured on general web pages and prose instead, see general_web.py.

    python -m bench.corpus.corpus_vs_datatrove --peers PEERS/bin/python [--rounds N]      speed
    python -m bench.corpus.corpus_vs_datatrove --peers PEERS/bin/python --quality         and quality (minutes)
    python -m bench.corpus.corpus_vs_datatrove ... --json speed|memory                    one bar

datatrove's pipeline is in corpus_peer.py. Ours is `skyloom corpus build` with the defaults. Both start from nothing: Python, their
imports and worker processes are in the time, compiled kernels are not (a first run on a machine compiles them once).
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from fastwarc.warc import ArchiveIterator

from bench.answers import NotMeasuredError, answer, offer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
SAMPLE_SECONDS = 0.2
OURS, PEER = "skyloom", "datatrove"
RECIPE = """
name = "corpus"

[[corpus.sources]]
name = "pages"
kind = "warc"
path = "{path}"

[exercises] # datatrove makes none, and neither is timed
train = 13
valid = 13
test = 13
ref = 13
canaries = 13

[tokenizer]

[model]
preset = "demo-3m"

[[stages]]
name = "stage1"
[stages.data]
tokens = 100_000

[[stages]]
name = "stage2"
[stages.data]
tokens = 100_000

[stages.rate]
schedule = "constant"
peak = 3e-4
"""


@dataclass
class Cost:
    """What one run took."""

    seconds: float
    cpu: float
    memory: int  # bytes
    pages: int
    kept: int


@dataclass
class Measured:
    """The runs of both, by name, and where the last corpus of each lies."""

    runs: dict[str, list[Cost]] = field(default_factory=lambda: {OURS: [], PEER: []})
    corpora: dict[str, Path] = field(default_factory=dict)

    def median(self, name: str, what: str) -> float:
        return float(np.median([getattr(cost, what) for cost in self.runs[name]]))


def cut(warc: Path, folder: Path, parts: int) -> int:
    """Copy the records of a WARC of gzip members into `parts` files, byte for byte; returns how many records."""
    with open(warc, "rb") as file:
        starts = [record.stream_pos for record in ArchiveIterator(file, parse_http=False)]
    data = memoryview(warc.read_bytes())
    ends = [*starts[1:], len(data)]
    folder.mkdir(parents=True)
    for part in range(parts):
        first, last = len(starts) * part // parts, len(starts) * (part + 1) // parts
        (folder / f"part-{part:02d}.warc.gz").write_bytes(data[starts[first] : ends[last - 1]])
    return len(starts)


def watched(command: Sequence[str], env: dict[str, str]) -> tuple[str, float, float, int]:
    """Run a command: its output, wall seconds, CPU seconds of all its processes, peak of their proportional set sizes in bytes.

    Python may keep its byte code, ours as theirs, as it does where this is not forbidden.
    """
    env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    peak, cpu = 0, {}

    def look() -> None:
        nonlocal peak
        while process.poll() is None:
            total = 0
            try:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            except psutil.Error:
                return
            for member in family:
                try:
                    times = member.cpu_times()
                    cpu[member.pid] = times.user + times.system
                    total += member.memory_full_info().pss
                except psutil.Error:
                    continue  # it has just ended
            peak = max(peak, total)
            time.sleep(SAMPLE_SECONDS)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    out, errors = process.communicate()
    seconds = time.monotonic() - started
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {errors[-2000:]}")
    return out, seconds, sum(cpu.values()), peak


def run_ours(warcs: Path, out: Path, workers: int) -> Cost:
    recipe = out / "corpus.toml"
    out.mkdir(parents=True)
    recipe.write_text(RECIPE.format(path=warcs), encoding="utf-8")
    command = [sys.executable, "-m", "skyloom.cli", "corpus", "build", str(recipe), "--work", str(out / "work")]
    _, seconds, cpu, memory = watched([*command, "--workers", str(workers)], {**os.environ, "OMP_NUM_THREADS": "1"})
    (folder,) = (out / "work").glob("corpus-*")
    (pages,) = (out / "work").glob("pages-*/sources.json")
    kept = sum(row["documents"] for row in _json(folder / "mixture.json")["rows"] if row["category"] == "web")
    return Cost(seconds, cpu, memory, sum(row["pages"] for row in _json(pages)), kept)


def run_peer(python: str, warcs: Path, out: Path, workers: int) -> Cost:
    command = [python, "-P", str(HERE / "corpus_peer.py"), str(warcs), str(out), "--workers", str(workers)]
    text, seconds, cpu, memory = watched(command, {**os.environ, "OMP_NUM_THREADS": "1"})
    said = json.loads(text.strip().splitlines()[-1])
    return Cost(seconds, cpu, memory, said["read"], said["kept"])


def measure(warc: Path, peers: str, work: Path, *, rounds: int, workers: int, parts: int) -> Measured:
    """Alternate both over the same parts; each round in fresh folders."""
    pages = cut(warc, work / "warc", parts)
    found = Measured()
    for number in range(rounds):
        for name in (OURS, PEER) if number % 2 == 0 else (PEER, OURS):
            out = work / f"{name}-{number}"
            cost = run_ours(work / "warc", out, workers) if name == OURS else run_peer(peers, work / "warc", out, workers)
            if cost.pages != pages:
                print(f"{name} read {cost.pages} of {pages} records", file=sys.stderr)
            found.runs[name].append(Cost(cost.seconds, cost.cpu, cost.memory, pages, cost.kept))
            if name in found.corpora:
                shutil.rmtree(found.corpora[name])
            found.corpora[name] = out
    return found


def speed_table(found: Measured) -> str:
    lines = ["| | pages | kept | s | pages/s | CPU s | peak MB |", "|---|---|---|---|---|---|---|"]
    for name in found.runs:
        value = {what: found.median(name, what) for what in ("pages", "kept", "seconds", "cpu", "memory")}
        lines.append(
            f"| {name} | {value['pages']:,.0f} | {value['kept']:,.0f} | {value['seconds']:.1f} | "
            f"{value['pages'] / value['seconds']:,.0f} | {value['cpu']:.1f} | {value['memory'] / 1e6:,.0f} |"
        )
    ratios = [a.seconds / b.seconds for a, b in zip(found.runs[PEER], found.runs[OURS], strict=True)]
    spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
    memory = found.median(OURS, "memory") / found.median(PEER, "memory")
    return "\n".join([*lines, "", f"pages per second, ours over theirs: {np.median(ratios):.1f} ({spread}); memory: {memory:.2f}"])


def documents(corpus: Path, name: str) -> list[tuple[str, str]]:
    """(domain, text) of a corpus' documents, `web_en` and `web_zh` only."""
    if name == OURS:
        import pyarrow.parquet as pq

        (folder,) = (corpus / "work").glob("corpus-*")
        rows = [row for path in sorted(folder.glob("documents-*.parquet")) for row in pq.read_table(path).to_pylist()]
        return [(row["domain"], row["text"]) for row in rows if row["domain"] in ("web_en", "web_zh")]
    found = []
    for lang in ("en", "zh"):
        for path in sorted((corpus / "final" / lang).glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                found += [(f"web_{lang}", json.loads(line)["text"]) for line in lines]
    return found


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def source(options: argparse.Namespace) -> Path:
    if options.warc:
        return Path(options.warc)
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds warc/docs_en_zh.warc.gz (bench/data.toml lists it)")
    return Path(folder) / "warc" / "docs_en_zh.warc.gz"


def peer_python(options: argparse.Namespace) -> str:
    python = options.peers or os.environ.get("SKYLOOM_PEERS", "")
    if not python or subprocess.run([python, "-c", "import datatrove"], capture_output=True, check=False).returncode:
        raise NotMeasuredError("datatrove is not installed: give --peers or SKYLOOM_PEERS an interpreter that has it (peers.txt)")
    return str(python)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the whole corpus stage beside datatrove's.")
    parser.add_argument("--peers", metavar="PYTHON", help="the interpreter that has datatrove [SKYLOOM_PEERS]")
    parser.add_argument("--warc", help="another WARC file of gzip members")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--quality", action="store_true", help="train on both corpora and compare bits per byte")
    offer(parser, ("speed", "memory"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measurements = Measurements(options, Path(folder))
        return answer(options.json, measurements.value, measurements.tables)


class Measurements:
    """The values of the bars; both roads are run once for all of them."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work = options, work

    @functools.cached_property
    def found(self) -> Measured:
        warc, peers = source(self.options), peer_python(self.options)
        o = self.options
        return measure(warc, peers, self.work, rounds=o.rounds, workers=o.workers, parts=o.parts)

    @functools.cached_property
    def quality(self) -> Any:
        from bench.corpus import corpus_quality

        corpora = {name: documents(self.found.corpora[name], name) for name in (OURS, PEER)}
        return corpus_quality.compare(corpora, self.work / "quality", ours=OURS, peer=PEER)

    def value(self, name: str) -> float:
        if name == "speed":
            return self.found.median(PEER, "seconds") / self.found.median(OURS, "seconds")
        return self.found.median(OURS, "memory") / self.found.median(PEER, "memory")

    def tables(self) -> None:
        print(speed_table(self.found), flush=True)
        if self.options.quality:
            print(f"\n{self.quality.table}")


if __name__ == "__main__":
    sys.exit(main())
