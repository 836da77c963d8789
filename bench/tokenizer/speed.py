"""Encoding beside SentencePiece and `tokenizers`: the same vocabulary and texts, one run, alternating rounds.

Input: a tokenizer of 65,536 pieces (--folder; without it one is made from the texts with LLaMA's base) and prose of
both languages and code (SKYLOOM_BENCH_DATA), as an Arrow column for us and as lists of strings for the others, made before
the clock runs. Output: MB per second on one thread and on two, and ratios of medians. `tokenizers` encodes with
`encode_batch_fast`, which leaves out offsets; SentencePiece with its own threads and numpy output. All give the same ids,
which is asserted.

    python -m bench.tokenizer.speed [--folder FOLDER] [--rounds N]      the table
    python -m bench.tokenizer.speed --json sentencepiece|tokenizers     times that we are faster, on two threads
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.answers import NotMeasuredError, answer, offer

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
OURS, BARS = "skyloom", ("sentencepiece", "tokenizers")
BYTES_OF_EACH = 3_000_000


def measure(threads: int, folder: Path | None, rounds: int) -> dict[str, float]:
    """MB per second of each. One process for each number of threads, because `tokenizers` reads its own once."""
    import json
    import subprocess

    command = [
        sys.executable,
        "-m",
        "bench.tokenizer.speed",
        "--threads",
        str(threads),
        "--rounds",
        str(rounds),
        *(["--folder", str(folder)] if folder else []),
    ]
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def texts_of_each_domain() -> tuple[list[str], int]:
    """Some 3 MB of each domain of the tokenizer's training corpus, and how many bytes there are."""
    from bench.tokenizer.corpus import training

    sizes: dict[str, int] = {}
    texts = []
    for text in training(Path(os.environ[DATA_VARIABLE])):
        size = sizes.get(text.domain, 0)
        if size < BYTES_OF_EACH:
            sizes[text.domain] = size + len(text.text.encode())
            texts.append(text.text)
    return texts, sum(sizes.values())


def inside(threads: int, folder: str, rounds: int) -> dict[str, float]:
    import pyarrow as pa
    import sentencepiece
    import tokenizers

    from skyloom.tokenizer import Tokenizer

    texts, size = texts_of_each_domain()
    column = pa.array(texts, pa.large_string())
    ours = Tokenizer.load(folder)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=ours.model)
    twin = tokenizers.Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
    runs: dict[str, Callable[[], object]] = {
        OURS: lambda: ours.encode_column(column, threads=threads),
        "sentencepiece": lambda: theirs.encode(texts, num_threads=threads, out_type="numpy"),
        "tokenizers": lambda: twin.encode_batch_fast(texts, add_special_tokens=False),
    }
    ids, _ = ours.encode_column(column.slice(0, 2000), threads=threads)
    expected = [i for row in theirs.encode(texts[:2000]) for i in row]
    assert ids.tolist() == expected == [i for e in twin.encode_batch(texts[:2000], add_special_tokens=False) for i in e.ids]
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    return {name: size / 1e6 / median(times) for name, times in seconds.items()}


def tokenizer_folder(place: Path) -> Path:
    """A tokenizer of full size from the texts and LLaMA's base."""
    from bench.tokenizer import compression

    kept = os.environ.get(compression.WORK_VARIABLE)
    bench = compression.Bench(sys.executable, Path(kept) if kept else place)
    return Path(bench.trained(compression.EXTENDED)[0].root)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure encoding beside SentencePiece and tokenizers.")
    parser.add_argument("--folder", type=Path, help="a folder that `skyloom tokenizer train` wrote")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    offer(parser, BARS)
    options = parser.parse_args()
    if options.threads:
        import json

        print(json.dumps(inside(options.threads, str(options.folder), options.rounds)))
        return 0
    found: dict[int, dict[str, float]] = {}

    def rates(threads: int, place: Path) -> dict[str, float]:
        if not Path(os.environ.get(DATA_VARIABLE, ""), "tokenizers").is_dir():
            raise NotMeasuredError(
                f"set {DATA_VARIABLE} to the folder that holds tokenizers/ and text/ (bench/data.toml lists them)"
            )
        options.folder = options.folder or tokenizer_folder(place)
        if threads not in found:
            found[threads] = measure(threads, options.folder, options.rounds)
        return found[threads]

    with tempfile.TemporaryDirectory() as place:

        def bar(name: str) -> float:
            speeds = rates(2, Path(place))
            return speeds[OURS] / speeds[name]

        def tables() -> None:
            print(
                "| threads | "
                + " | ".join((OURS, *BARS))
                + " | times sentencepiece | times tokenizers |\n|---|---|---|---|---|---|"
            )
            for threads in (1, 2):
                speeds = rates(threads, Path(place))
                ratios = " | ".join(f"{speeds[OURS] / speeds[name]:.2f}" for name in BARS)
                print(f"| {threads} | " + " | ".join(f"{speeds[n]:.1f} MB/s" for n in (OURS, *BARS)) + f" | {ratios} |")

        return answer(options.json, bar, tables)


if __name__ == "__main__":
    sys.exit(main())
