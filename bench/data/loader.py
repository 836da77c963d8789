"""The loader beside its peers: how many tokens a core gives out a second, and how long a jump to a late step takes.

Input: none; Megatron shards of eight sources are made from seeded numbers in a temporary folder, once with ids of 16
and once of 32 bits (a vocabulary of 65,536 takes 32), and read once, so that they lie in the page cache. Output: targets per
CPU-second of one thread, everybody in a process of its own (`loader_peers.py`) on the same files, in alternating rounds.
The peers see 32 bits.

    python -m bench.data.loader [--peers PYTHON] [--rounds N]     all tables
    python -m bench.data.loader --json speed                      M tokens per CPU-second, the slowest of 6 shapes and 2 widths
    python -m bench.data.loader --json jump                       seconds to open 3.4 T tokens at step 200,000 of 4,096 samples
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np

from bench.answers import answer, offer
from bench.worker import Worker
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data.config import Phase
from skyloom.data.indexed import dtype_for, write_index
from skyloom.data.loader import Loader
from skyloom.data.mixture import resolve

HERE = Path(__file__).resolve().parent
OURS = "skyloom"
PEERS = ("megatron-core", "grain", "torch DataLoader", "random windows")
BARS = ("speed", "jump")
SHARES = {
    "web_en": 0.4,
    "web_zh": 0.3,
    "code": 0.08,
    "social_zh": 0.06,
    "books_en": 0.05,
    "papers_en": 0.04,
    "stem_en": 0.04,
    "stem_zh": 0.03,
}
SHAPES = tuple((context, batch) for context in (256, 4096) for batch in (8, 64, 512))
VOCABULARIES = {16: 65_000, 32: 65_536}
TOKENS_OF_EACH = 16_000_000
TOKENS_A_ROUND = 4_000_000
STEPS, SAMPLES, CONTEXT = 200_000, 4096, 4096


def way(name: str, peers: str) -> Worker:
    """A way to make batches in a process of its own, see `loader_peers.py`."""
    one_thread = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return Worker(HERE / "loader_peers.py", name, sys.executable if name == OURS else peers, one_thread)


def shards(folder: Path, vocabulary: int) -> Path:
    """Token shards of all sources: documents of log-normal lengths, ids without meaning."""
    store, domains = Store(folder, sync=False), {}
    for number, domain in enumerate(SHARES):
        draw = np.random.default_rng(number)
        sizes = np.clip(draw.lognormal(6.3, 1.0, TOKENS_OF_EACH // 200), 16, 100_000).astype(np.int64)
        sizes = sizes[: np.searchsorted(np.cumsum(sizes), TOKENS_OF_EACH)]
        ids = draw.integers(3, vocabulary, int(sizes.sum()), dtype=np.int32)
        ends = np.cumsum(sizes)
        ids[ends - sizes], ids[ends - 1] = 1, 2
        ids = ids.astype(dtype_for(vocabulary))
        files = [store.write_bytes(f"{domain}.bin", ids.tobytes()), write_index(store, domain, sizes, ids.dtype)]
        domains[domain] = {"documents": len(sizes), "tokens": len(ids), "files": [asdict(file) for file in files]}
    manifest = {"vocabulary": vocabulary, "bos": 1, "eos": 2, "dtype": dtype_for(vocabulary).name, "domains": domains}
    store.write_json("tokens.json", manifest)
    return folder


class Bench:
    """The shards, made when first asked for, and what was measured on them."""

    def __init__(self, work: Path, peers: str, rounds: int) -> None:
        self.work, self.peers, self.rounds = work, peers, rounds

    def folder(self, bits: int) -> Path:
        folder = self.work / f"tokens-{bits}"
        if not (folder / "tokens.json").exists():
            shards(folder, VOCABULARIES[bits])
            for path in folder.iterdir():
                path.read_bytes()
        return folder

    def rates(self, names: Sequence[str], bits: int) -> dict[str, list[float]]:
        """M tokens per CPU-second of each for each of `SHAPES`, medians of rounds; a peer that is not installed is left out."""
        found: dict[str, list[float]] = {}
        with ExitStack() as processes:
            workers = [processes.enter_context(way(name, self.peers)) for name in names]
            absent = [worker.name for worker in workers if worker.missing]
            if absent:
                print(f"not installed, or broken: {', '.join(absent)}; see bench/peers.txt", file=sys.stderr)
            present = [worker for worker in workers if not worker.missing]
            for context, batch in SHAPES:
                for worker in present:
                    worker.ask({"open": str(self.folder(bits)), "shares": SHARES, "context": context, "batch": batch})
                seconds: dict[str, list[float]] = {worker.name: [] for worker in present}
                number = max(TOKENS_A_ROUND // (context * batch), 4)
                for _ in range(self.rounds):
                    for worker in present:
                        seconds[worker.name].append(worker.ask({"batches": number})["cpu"])
                for name, times in seconds.items():
                    found.setdefault(name, []).append(number * context * batch / median(times) / 1e6)
        return found

    def speed(self) -> float:
        return min(min(self.rates([OURS], bits)[OURS]) for bits in VOCABULARIES)

    def jump(self) -> float:
        """Seconds until a new loader has given out the last of many steps, median of rounds (shards repeat, counts are real)."""
        store = Store(self.folder(32))
        manifest = store.read_json("tokens.json")
        phase = Phase(tokens=STEPS * SAMPLES * CONTEXT, shares=dict(SHARES), ramp={"stem": (0.1, 0.4)}, repeat_cap=1e9)
        plan, times = resolve(phase, manifest, progress=Progress.silent()), []
        for _ in range(self.rounds + 1):
            begun = time.perf_counter()
            Loader(store, plan, seed=1, batch=SAMPLES, context=CONTEXT).batch(STEPS - 1)
            times.append(time.perf_counter() - begun)
        return median(times[1:])

    def cold(self, *, ahead: bool, context: int, batch: int, steps: int) -> float:
        """M tokens per second of wall time when the page cache holds nothing, each step asked for `ahead` of the one before."""
        folder = self.folder(32)
        for path in folder.glob("*.bin"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        store = Store(folder)
        plan = resolve(Phase(tokens=10**8, shares=dict(SHARES)), store.read_json("tokens.json"), progress=Progress.silent())
        loader = Loader(store, plan, seed=1, batch=batch, context=context)
        begun = time.perf_counter()
        for step in range(steps):
            if ahead:
                loader.prefetch(step)
            loader.batch(step)
        return steps * batch * context / (time.perf_counter() - begun) / 1e6

    def tables(self) -> None:
        rates = self.rates((OURS, *PEERS), 32)
        narrow = self.rates([OURS], 16)[OURS]
        print("M tokens per CPU-second, one thread, files in the page cache\n")
        print("| context × batch | skyloom, ids of 16 bits | " + " | ".join(rates) + " |\n|---" + "|---" * (len(rates) + 1) + "|")
        for row, (context, batch) in enumerate(SHAPES):
            print(f"| {context:,} × {batch} | {narrow[row]:.0f} | " + " | ".join(f"{r[row]:.1f}" for r in rates.values()) + " |")
        print(f"\na new loader at step {STEPS:,} of {SAMPLES:,} × {CONTEXT:,}: {self.jump():.3f} s")
        if hasattr(os, "posix_fadvise"):
            print("\nnothing in the page cache, M tokens per second of wall time\n")
            print("| context × batch | as needed | asked for ahead |\n|---|---|---|")
            for context, batch, steps in ((256, 64, 16), (4096, 64, 8)):
                found: dict[bool, list[float]] = {False: [], True: []}
                for _ in range(self.rounds):
                    for ahead, rates_of in found.items():
                        rates_of.append(self.cold(ahead=ahead, context=context, batch=batch, steps=steps))
                print(f"| {context:,} × {batch} | {median(found[False]):.1f} | {median(found[True]):.1f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the loader beside its peers.")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    offer(parser, BARS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(Path(work), options.peers, options.rounds)
        return answer(options.json, lambda name: {"speed": bench.speed, "jump": bench.jump}[name](), bench.tables)


if __name__ == "__main__":
    sys.exit(main())
