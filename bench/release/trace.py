"""How fast `skyloom release trace` answers, and what its index costs.

    python -m bench.release.trace [--work FOLDER] [--megabytes 1000] [--memory 1GB] [--json queries-per-second]

Makes a corpus of drawn text as the shards of a release (in FOLDER it is kept and used again), half of the bytes English-like
words, half Chinese characters; each tenth document repeats passages of an earlier one, as pages do. Builds the index in a process
of its own, with its time and its greatest memory (from the kernel), and asks it 400 texts of 20 to 60 units in another, with the
index mapped into memory: half are cut from documents and have every ninth unit exchanged, half are drawn. Times of a query include
reading the documents that are shown. Figures: `queries-per-second`, `build-seconds`, `build-memory-gb`, `index-bytes-per-byte`.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zstandard

from bench.answers import answer_measured, offer
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup import memory_size
from skyloom.release import sums
from skyloom.release.corpus_shards import FIELDS, LEVEL
from skyloom.release.trace import TraceIndex, build_index, open_corpus, trace

WORDS, CHARACTERS, QUERIES, SEED = 300_000, 6_000, 400, 7
SHARD = 64_000_000
BARS = ("queries-per-second", "queries-per-cpu-second", "median-ms", "slowest-ms", "build-seconds", "build-cpu-seconds",
        "build-memory-gb", "index-bytes-per-byte")  # fmt: skip


class Drawn:
    """Documents of drawn units: ranks follow Zipf's law, and every tenth document has passages of an earlier one."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        letters = np.array(list("etaoinshrdlucmfwypvbgkqjxz"))
        lengths = np.minimum(2 + np.log2(np.arange(WORDS) + 1) / 2.2, 12).astype(int)
        self.words = np.array(["".join(self.rng.choice(letters, n)) for n in lengths], object)
        self.characters = np.array([chr(0x4E00 + n) for n in self.rng.permutation(20_000)[:CHARACTERS]], object)
        self.old: dict[str, list[npt.NDArray[np.int64]]] = {"en": [], "zh-Hans": []}
        self.sums = {lang: np.cumsum(1.0 / (np.arange(n) + 2.7) ** 1.05) for lang, n in (("en", WORDS), ("zh-Hans", CHARACTERS))}

    def ranks(self, lang: str, number: int) -> npt.NDArray[np.int64]:
        table = self.sums[lang]
        return np.searchsorted(table, self.rng.random(number) * table[-1])

    def document(self, lang: str) -> npt.NDArray[np.int64]:
        units = self.ranks(lang, int(self.rng.integers(100, 900)))
        kept = self.old[lang]
        if kept and self.rng.random() < 0.1:
            other = kept[self.rng.integers(len(kept))]
            at = self.rng.integers(len(units))
            units = np.concatenate([units[:at], other[self.rng.integers(len(other)) :], units[at:]])
        if len(kept) < 20_000:
            kept.append(units)
        else:
            kept[self.rng.integers(len(kept))] = units
        return units

    def text(self, lang: str, units: npt.NDArray[np.int64]) -> str:
        return " ".join(self.words[units]) + "." if lang == "en" else "".join(self.characters[units]) + "。"


def lines(size: int) -> Iterator[tuple[bytes, int]]:
    """JSON lines of a published corpus until the texts have `size` bytes, and the bytes of each text."""
    drawn, done, number, of = Drawn(SEED), 0, 0, {"en": 0, "zh-Hans": 0}
    while done < size:
        lang = "en" if of["en"] <= of["zh-Hans"] else "zh-Hans"
        text = drawn.text(lang, drawn.document(lang))
        bare = {"text": text, "id": f"{number:032x}", "lang": lang, "source": "drawn", "domain": "web_en", "license": "CC0-1.0"}
        row = {**bare, "url": f"https://example.org/{number}", "date": None}
        length = len(text.encode())
        done, number, of[lang] = done + length, number + 1, of[lang] + length
        yield json.dumps({key: row[key] for key in FIELDS}, ensure_ascii=False).encode() + b"\n", length


def write_corpus(folder: Path, size: int) -> None:
    """The shards, and their sums last."""
    store, records, pending, held = Store(folder, sync=False), [], [], 0
    if store.exists(sums.SUMS):
        return

    def flush() -> None:
        name = f"corpus/train-{len(records):05d}.jsonl.zst"
        records.append(store.write_bytes(name, zstandard.ZstdCompressor(level=min(LEVEL, 1)).compress(b"".join(pending))))

    for line, _ in lines(size):
        pending.append(line)
        held += len(line)
        if held >= SHARD:
            flush()
            pending, held = [], 0
    if pending:
        flush()
    sums.write(records, store)


def queries(index: TraceIndex) -> list[str]:
    """Half cut from documents with every ninth unit exchanged, half drawn; of both languages."""
    drawn, rng, made = Drawn(SEED + 1), np.random.default_rng(SEED), []
    for number in range(QUERIES):
        lang, length = ("en", "zh-Hans")[number % 2], int(rng.integers(20, 60))
        if number % 4 < 2:
            made.append(drawn.text(lang, drawn.ranks(lang, length)))
            continue
        while True:
            part = index.parts[rng.integers(len(index.parts))]
            about, text = part.document(int(rng.integers(part.documents)))
            if about["lang"] == lang:
                break
        parts = text.split(" ") if lang == "en" else list(text)
        at = int(rng.integers(max(len(parts) - length, 1)))
        parts = parts[at : at + length]
        parts[::9] = ["某"] * len(parts[::9])
        made.append((" " if lang == "en" else "").join(parts))
    return made


def build(folder: Path, memory: int) -> dict[str, float]:
    shutil.rmtree(folder.with_name("index"), ignore_errors=True)
    began, cpu = time.perf_counter(), time.process_time()
    index = build_index(open_corpus(folder), folder.with_name("index"), memory=memory, progress=Progress())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "build-seconds": time.perf_counter() - began,
        "build-cpu-seconds": time.process_time() - cpu,
        "build-memory-gb": peak / 1e9,
        "index-bytes-per-byte": index.size / index.text_bytes,
        "parts": len(index.parts),
        "documents": index.documents,
        "units": index.units,
        "text-bytes": index.text_bytes,
    }


def ask(folder: Path) -> dict[str, float]:
    index = TraceIndex.open(folder.with_name("index"))
    asked = queries(index)
    for text in asked[:8]:  # compiles what is not compiled yet
        trace(index, text)
    times, found = [], 0
    cpu = time.process_time()
    for text in asked:
        began = time.perf_counter()
        found += bool(trace(index, text).spans)
        times.append(time.perf_counter() - began)
    return {
        "queries-per-second": len(asked) / sum(times),
        "queries-per-cpu-second": len(asked) / (time.process_time() - cpu),
        "median-ms": 1e3 * float(np.median(times)),
        "slowest-ms": 1e3 * max(times),
        "found": found,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed and cost of the index of release trace.")
    parser.add_argument("--work", type=Path, help="folder for the corpus and the index, kept [default: a temporary one]")
    parser.add_argument("--megabytes", type=float, default=1000, help="bytes of text")
    parser.add_argument("--memory", default="1GB", help="memory of the build")
    offer(parser, BARS)
    parser.add_argument("--part", choices=("corpus", "build", "ask"), help="do this part alone, as the program does for itself")
    given = parser.parse_args()
    if given.work is None:
        with tempfile.TemporaryDirectory() as place:
            return measure(Path(place), given)
    return measure(given.work, given)


def measure(work: Path, given: argparse.Namespace) -> int:
    """Do the part that was asked for, or all parts, each in a process of its own."""
    folder = work / f"trace-{given.megabytes:g}" / "release"
    if given.part == "corpus":
        write_corpus(folder, int(given.megabytes * 1e6))
        return 0
    if given.part:
        figures = build(folder, memory_size(given.memory)) if given.part == "build" else ask(folder)
        print(json.dumps(figures))
        return 0

    def values() -> dict[str, float]:
        found: dict[str, float] = {}
        for part in ("corpus", "build", "ask"):
            command = [sys.executable, "-m", "bench.release.trace", "--work", str(work), "--part", part]
            options = ["--megabytes", str(given.megabytes), "--memory", given.memory]
            done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE, text=True)
            found |= json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        return found

    return answer_measured(given.json, values)


if __name__ == "__main__":
    sys.exit(main())
