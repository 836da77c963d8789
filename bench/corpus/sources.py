"""Reading sources: how fast many small records and web archives become pages, and in how much memory.

Input: a file of one-line documents in both languages, written here, and, where SKYLOOM_BENCH_DATA is set, the WARC of
documentation pages in it. Output: a table. Each measurement is a process of its own: CPU-seconds without start-up, peak
memory with it. Ours writes the page shards (ids, checks, Parquet); the peer's reader only yields its documents, which is
less work. The median of alternating rounds is told.

    python -m bench.corpus.sources [--peers PYTHON] [--rows N] [--rounds N]     the table
    python -m bench.corpus.sources --json rows|memory|warc [--rows N]           one figure of ours
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.answers import NotMeasuredError, answer, offer

OURS = """
import json, resource, sys, tempfile, time
from pathlib import Path
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources import SourceConfig, fetch, resolve
path, quiet = sys.argv[1], Progress.silent()
with tempfile.TemporaryDirectory() as folder:
    found = resolve([SourceConfig(name="b", path=path)], cache=Path(folder), samples=Path(folder), progress=quiet)
    start = time.process_time()
    (row,) = fetch(found, Store(folder + "/pages"), engine=Engine(0), progress=quiet)
    seconds = time.process_time() - start
"""
PEER = """
import json, resource, sys, time
from pathlib import Path
from datatrove.pipeline.readers import JsonlReader, WarcReader
path = Path(sys.argv[1])
reader = (WarcReader if ".warc" in path.name else JsonlReader)(str(path.parent), glob_pattern=path.name, compression="infer")
start = time.process_time()
row = {"pages": 0, "bytes": 0}
for document in reader.run():
    row["pages"] += 1
    row["bytes"] += len(document.text)
seconds = time.process_time() - start
"""
TOLD = 'print(json.dumps([row["pages"], seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))'


def measure(python: str, code: str, path: Path) -> tuple[int, float, float]:
    """(pages, CPU-seconds, peak memory in MB) of one program in a process of its own."""
    done = subprocess.run([python, "-c", code + TOLD, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{python} failed: {done.stderr[-1000:]}")
    pages, seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return pages, seconds, memory


def one_liners(folder: Path, rows: int) -> Path:
    """A file of short documents, half of them Chinese."""
    path = folder / "lines.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            text = f"第 {i} 行，一句很短的话 {i * 7919 % 10007}" if i % 2 else f"line {i}, a very short sentence {i * 7919 % 10007}"
            file.write(json.dumps({"text": text, "url": f"http://example.org/{i}"}, ensure_ascii=False) + "\n")
    return path


def archive() -> Path | None:
    data = os.environ.get("SKYLOOM_BENCH_DATA")
    path = Path(data, "warc", "docs_en_zh.warc.gz") if data else None
    return path if path is not None and path.exists() else None


def table(files: dict[str, Path], peers: str, rounds: int) -> None:
    print("| input | reader | records | records per CPU-second | peak MB |\n|---|---|---|---|---|")
    for name, path in files.items():
        programs: dict[str, tuple[str, str]] = {"skyloom, page shards written": (sys.executable, OURS)}
        if peers:
            programs["datatrove, documents yielded"] = (peers, PEER)
        found: dict[str, list[tuple[int, float, float]]] = {p: [] for p in programs}
        for _ in range(rounds):
            for program, (python, code) in programs.items():
                found[program].append(measure(python, code, path))
        for program, runs in found.items():
            rate = statistics.median(pages / seconds for pages, seconds, _ in runs)
            print(f"| {name} | {program} | {runs[0][0]:,} | {rate:,.0f} | {max(m for *_, m in runs):,.0f} |")


def figure(what: str, folder: Path, rows: int) -> float:
    path = archive() if what == "warc" else one_liners(folder, rows)
    if path is None:
        raise NotMeasuredError("SKYLOOM_BENCH_DATA names no folder with warc/docs_en_zh.warc.gz")
    pages, seconds, memory = measure(sys.executable, OURS, path)
    return round(memory, 1) if what == "memory" else round(pages / seconds, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", default="", help="the interpreter of an environment with datatrove")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    offer(parser, ("rows", "memory", "warc"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:

        def tables() -> None:
            files = {f"{options.rows:,} one-line documents": one_liners(Path(folder), options.rows)}
            if (pages := archive()) is not None:
                files["WARC of documentation pages"] = pages
            table(files, options.peers, options.rounds)

        return answer(options.json, lambda name: figure(name, Path(folder), options.rows), tables)


if __name__ == "__main__":
    sys.exit(main())
