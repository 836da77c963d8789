"""Two or more versions of our own code in turns: has extraction, deduplication, encoding or a training step become slower?

Input: checkouts, the first being the one that the others are compared with, and real text (SKYLOOM_BENCH_DATA; training takes
none). Output: a table of rates and ratios. A processor's clock on a shared machine moves by a third within a minute, so two runs
one after the other compare minutes, not versions. Here one process of each version stays open, and they take turns round by round
on the same input; a ratio is the median over rounds of the two rates of one round. Kernels are compiled before the first round
that counts. Extraction and deduplication run the worker that each checkout has for its own benches (under `bench/`, wherever it
lies); encoding runs this checkout's `bench/tokenizer/ours.py` with the other one's code. Training runs each checkout's
`bench/train/peers.py`, as `bench.train.cpu` does, with its shapes, threads and environment; the first step of a turn is not timed.
The loss runs this checkout's `bench/train/loss_peers.py` with the other one's code, at the shapes of `bench.train.loss`.

    python -m bench.versions CHECKOUT [CHECKOUT ...] --folder TOKENIZER [--rounds N] [--only NAME ...]

The interpreter is ours for all of them, so that libraries do not differ. Order matters little but is not nothing: it is
turned round every second round.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.answers import NotMeasuredError
from bench.corpus.dedup import planted
from bench.corpus.extraction import COLUMN, OURS, SIZES, SPEED_PAGES, give, nearest, read_pages, seconds_of
from bench.tokenizer.speed import texts_of_each_domain
from bench.train import cpu as train_cpu
from bench.train import loss as train_loss
from bench.worker import Worker

HERE = Path(__file__).resolve().parent
DOCUMENTS = 11_000  # of the planted set, for deduplication
WORK = ("extraction", "dedup", "encoding", "loss", "training")

Round = Callable[[Worker], float]  # runs the work once and gives its rate


def script(checkout: Path, name: str) -> Path:
    """The bench script of that name in a checkout; folders below `bench/` were not always the same."""
    found = sorted((checkout / "bench").rglob(name))
    if not found:
        raise NotMeasuredError(f"{checkout} has no bench/**/{name}")
    return found[0]


def in_turns(workers: Sequence[Worker], run: Round, rounds: int) -> list[list[float]]:
    """The rates of each worker, round by round, after one that does not count."""
    for worker in workers:
        run(worker)
    rates: list[list[float]] = [[] for _ in workers]
    for number in range(rounds):
        order = range(len(workers)) if number % 2 == 0 else reversed(range(len(workers)))
        for k in order:
            rates[k].append(run(workers[k]))
    return rates


def show(what: str, checkouts: Sequence[Path], rates: list[list[float]], unit: str) -> None:
    """Rows of the table: one for each version."""
    first = np.array(rates[0])
    for checkout, found in zip(checkouts, np.array(rates), strict=True):
        ratio = found / first
        low, high = np.quantile(ratio, (0.25, 0.75))
        rate = f"{np.median(found):.4g} {unit}"
        print(f"| {what} | {checkout} | {rate} | {np.median(ratio):.3f} ({low:.3f}–{high:.3f}) |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare versions of our own code in turns.")
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT", help="a folder with src/ and bench/")
    parser.add_argument("--folder", type=Path, help="a folder that `skyloom tokenizer train` wrote, for encoding")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--only", nargs="+", choices=WORK, help="only these")
    parser.add_argument(
        "--shape", nargs="+", choices=list(train_cpu.SHAPES), default=list(train_cpu.SHAPES), help="of training and the loss"
    )
    options = parser.parse_args()
    checkouts = [c.resolve() for c in options.checkouts]
    wanted = options.only or WORK
    if "encoding" in wanted and not options.folder:
        parser.error("encoding needs --folder, a trained tokenizer")

    def opened(processes: ExitStack, name: str, argument: str, own: bool = True, **more: str) -> list[Worker]:
        """A process of each version; `name`: a script that each has, or if not `own` one under this checkout's `bench`."""
        workers = []
        for checkout in checkouts:
            path = script(checkout, name) if own else HERE / name
            environment = {"PYTHONPATH": f"{checkout / 'src'}:{checkout}", **more}
            workers.append(processes.enter_context(Worker(path, argument, sys.executable, environment)))
        return workers

    try:
        print("| work | version | rate, median | times the first, median (quartiles) |\n|---|---|---|---|")
        with ExitStack() as processes, tempfile.TemporaryDirectory() as place:
            if "extraction" in wanted:
                pages = read_pages()
                for label, size in SIZES.items():
                    chosen = nearest(pages, size)
                    for form in (OURS, COLUMN):
                        workers = opened(processes, "extractors.py", form)
                        for worker in workers:
                            give(worker, chosen)
                        rates = in_turns(workers, lambda w: SPEED_PAGES / seconds_of(w), options.rounds)
                        show(f"extraction, {form}, {label}", checkouts, rates, "pages/CPU-s")
            if "dedup" in wanted:
                found = planted(Path(place), DOCUMENTS)
                workers = opened(processes, "dedup_peers.py", "skyloom")
                for worker in workers:
                    worker.ask({"documents": found.folders})

                def removed(worker: Worker) -> float:
                    with tempfile.TemporaryDirectory() as out:
                        return DOCUMENTS / float(worker.ask({"remove": out})["cpu"])

                rates = in_turns(workers, lambda w: DOCUMENTS / float(w.ask("signatures")["seconds"]), options.rounds)
                show("signatures", checkouts, rates, "documents/CPU-s")
                show("near-duplicates", checkouts, in_turns(workers, removed, options.rounds), "documents/CPU-s")
            if "encoding" in wanted:
                texts = Path(place, "texts.parquet")
                pq.write_table(pa.table({"text": pa.array(texts_of_each_domain()[0], pa.large_string())}), texts)
                workers = opened(processes, str(Path("tokenizer", "ours.py")), str(options.folder.resolve()), own=False)
                for worker in workers:
                    worker.ask({"texts": str(texts)})
                rates = in_turns(workers, lambda w: float(w.ask("encode")["rate"]), options.rounds)
                show("encoding", checkouts, rates, "MB/CPU-s")
            if "loss" in wanted:
                for name in options.shape:
                    with ExitStack() as those:
                        workers = opened(
                            those, str(Path("train", "loss_peers.py")), train_loss.OURS, own=False, **train_cpu.SURROUNDINGS
                        )
                        rates = in_turns(workers, train_loss.turns_of(name, workers, threads=2), options.rounds)
                        show(f"loss from features, {name}", checkouts, rates, "passes/s")
            if "training" in wanted:
                for name in options.shape:
                    shape = train_cpu.SHAPES[name]
                    with ExitStack() as those:
                        workers = opened(those, str(Path("train", "peers.py")), train_cpu.OURS, **train_cpu.SURROUNDINGS)
                        rates = in_turns(workers, train_cpu.turns_of(shape, Path(place, name), workers), options.rounds)
                        show(f"training step, {name}", checkouts, rates, "tokens/s")
    except NotMeasuredError as why:
        print(why, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
