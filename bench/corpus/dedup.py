"""Near-duplicate removal beside its peers: how fast, how much of what was planted, and how rightly.

Input: 44,000 passages, English and Chinese in halves, a good half of them planted near-copies (`dedup_set.py`, frozen
before the detector was written; SKYLOOM_BENCH_DATA holds the prose). Output: tables.

    python -m bench.corpus.dedup [--peers PYTHON] [--documents N] [--rounds N]     all tables but growth
    python -m bench.corpus.dedup growth [--documents N ...] [--memory 4GB]         cost and peak memory while a corpus grows
    python -m bench.corpus.dedup --json BAR [--peers PYTHON]                       one bar

Signatures: CPU seconds for the same texts in memory, in turns, medians over rounds. The whole removal: wall time from Parquet files
to verdicts, the peer with two workers, ours with one. Recall: of the pairs of planted relatives with an exact Jaccard
similarity in a bin (over shingles of 5 units, and over 5 characters of the lower-case text), those in one cluster, and those
of which at most one stays; chains are cut here, so that the first can be lower without anything being left. The bars
recall-en and recall-zh take the first, which is the harder one, at .9 and above over units; recall-lead, the smallest lead over
a peer, takes the second, because a peer's clusters that chain unlike documents together hold every pair. Precision: of
the removed documents, those with a similarity of at least .7 over units to the very one that stays for them. Growth: CPU
seconds and resident peak of the whole process, start-up included.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.answers import NotMeasuredError, answer, offer
from bench.corpus.dedup_set import write_growth, write_planted
from bench.worker import Worker
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup.clusters import jaccard
from skyloom.corpus.dedup.command import memory_size
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.shards import near_duplicates_of
from skyloom.corpus.dedup.sketch import Columns

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

HERE = Path(__file__).resolve().parent
OURS, OURS_14 = "skyloom", "skyloom 14 x 8"
WHOLE = ("datatrove", "daft")
PEERS = (*WHOLE, "rensa")
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0000001)
LANGUAGES = ("en", "zh")
CHARACTER_PAIRS = 20_000  # pairs drawn for the similarity over characters
GROWTH = (44_000, 440_000, 4_400_000)
SEED = 2023


def tool(name: str, peers: str) -> Worker:
    """A tool in a process of its own, see `dedup_peers.py`."""
    return Worker(HERE / "dedup_peers.py", name, sys.executable if name.startswith(OURS) else peers)


@dataclass(frozen=True)
class Planted:
    """The documents: a folder for each language, the table, and the pairs of relatives with their similarities."""

    folders: list[str]
    table: pa.Table
    left: Rows
    right: Rows
    similarity: Floats
    lang: npt.NDArray[np.object_]


def planted(work: Path, documents: int) -> Planted:
    """Write the set below `work`, by language, and find all pairs within families."""
    try:
        write_planted(work / "all", documents)
    except SystemExit as problem:
        raise NotMeasuredError(str(problem)) from problem
    table = pa.concat_tables([pq.read_table(p) for p in sorted((work / "all").glob("*.parquet"))])
    folders = []
    for lang in LANGUAGES:
        part = table.filter(pc.equal(table.column("lang"), lang)).select(["id", "text"])
        folder = work / lang
        folder.mkdir()
        half = len(part) // 2
        pq.write_table(part.slice(0, half), folder / "documents-0.parquet")
        pq.write_table(part.slice(half), folder / "documents-1.parquet")
        folders.append(str(folder))
    family = np.unique(table.column("family").to_pylist(), return_inverse=True)[1]
    order = np.argsort(family, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(family[order])) + 1)
    pairs = np.concatenate([g[np.stack(np.triu_indices(len(g), 1))] for g in groups], axis=1)
    similarity = jaccard(table.column("text"), pairs[0].tolist(), pairs[1].tolist(), 5)
    languages = np.array(table.column("lang").to_pylist(), object)
    return Planted(folders, table, pairs[0], pairs[1], similarity, languages[pairs[0]])


def characters(found: Planted) -> tuple[Rows, Floats]:
    """A sample of the pairs and their similarity over 5 characters of the text in lower case, runs of space as one."""
    random = np.random.default_rng(SEED)
    drawn = np.sort(random.choice(len(found.left), min(CHARACTER_PAIRS, len(found.left)), replace=False))
    texts = found.table.column("text").to_pylist()

    def grams(row: int) -> set[str]:
        text = " ".join(unicodedata.normalize("NFC", texts[row]).lower().split())
        return {text[k : k + 5] for k in range(max(len(text) - 4, 1))}

    values = []
    for k in drawn:
        one, other = grams(found.left[k]), grams(found.right[k])
        values.append(len(one & other) / len(one | other))
    return drawn, np.array(values)


@dataclass(frozen=True)
class Verdict:
    """What a tool decided: the row that stands for each row, and what it took."""

    label: Rows
    wall: float
    cpu: float

    @property
    def keep(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.label == np.arange(len(self.label)))

    def together(self, left: Rows, right: Rows) -> npt.NDArray[np.bool_]:
        return np.asarray(self.label[left] == self.label[right])

    def one_goes(self, left: Rows, right: Rows) -> npt.NDArray[np.bool_]:
        return ~(self.keep[left] & self.keep[right])


def removal(worker: Worker, found: Planted, out: Path) -> Verdict:
    answer = worker.ask({"remove": str(out)})
    clusters = json.loads(Path(answer["clusters"]).read_text(encoding="utf-8"))
    ids = found.table.column("id").to_pylist()
    row = {name: k for k, name in enumerate(ids)}
    return Verdict(np.array([row[clusters[name]] for name in ids]), answer["wall"], answer["cpu"])


def speeds(workers: Sequence[Worker], folders: list[str], rounds: int) -> dict[str, Floats]:
    """MB of text per CPU second, float64[rounds], the tools in turns."""
    for worker in workers:
        worker.ask({"documents": folders})
    rates: dict[str, list[float]] = {w.name: [] for w in workers}
    for _ in range(rounds):
        for worker in workers:
            answer = worker.ask("signatures")
            rates[worker.name].append(answer["bytes"] / 1e6 / answer["seconds"])
    return {name: np.array(values) for name, values in rates.items()}


def precision(verdict: Verdict, found: Planted, lang: str | None = None) -> float:
    """The share of removed documents that are similar to the one that stays for them."""
    gone = np.flatnonzero(~verdict.keep)
    if lang:
        gone = gone[np.array(found.table.column("lang").to_pylist(), object)[gone] == lang]
    values = jaccard(found.table.column("text"), gone.tolist(), verdict.label[gone].tolist(), 5)
    return float((values >= 0.7).mean())


def recall(verdict: Verdict, found: Planted, lang: str, low: float = 0.9, high: float = 2.0) -> tuple[float, float]:
    """Of the relatives of a language with a similarity over units in the bin: in one cluster; at most one stays."""
    some = (found.lang == lang) & (found.similarity >= low) & (found.similarity < high)
    left, right = found.left[some], found.right[some]
    return float(verdict.together(left, right).mean()), float(verdict.one_goes(left, right).mean())


def recall_table(verdicts: dict[str, Verdict], found: Planted) -> str:
    """Markdown: one line for each language, measure and bin; in each cell same cluster / at most one stays."""
    drawn, values = characters(found)
    lines = [["similarity", "pairs", *verdicts]]
    for lang in LANGUAGES:
        for what, rows, similarity in (
            ("units", np.arange(len(found.left)), found.similarity),
            ("characters", drawn, values),
        ):
            for low, high in itertools.pairwise(BINS):
                some = rows[(found.lang[rows] == lang) & (similarity >= low) & (similarity < high)]
                left, right = found.left[some], found.right[some]
                cells = [f"{v.together(left, right).mean():.3f} / {v.one_goes(left, right).mean():.3f}" for v in verdicts.values()]
                lines.append([f"{lang}, {what}, {low:.1f} to {min(high, 1):.1f}", f"{len(some):,}", *cells])
    return markdown(lines)


def markdown(lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def tables(peers: str, documents: int, rounds: int) -> None:
    """Measure everything and print the tables."""
    with tempfile.TemporaryDirectory(prefix="skyloom-dedup-") as folder, ExitStack() as processes:
        found = planted(Path(folder), documents)
        names = [OURS, OURS_14, *PEERS]
        workers = [processes.enter_context(tool(n, peers)) for n in names]
        absent = [w.name for w in workers if w.missing]
        workers = [w for w in workers if not w.missing]
        by_language = {lang: speeds(workers, [f], rounds) for lang, f in zip(LANGUAGES, found.folders, strict=True)}
        both = speeds(workers, found.folders, rounds)
        lines = [["signatures, MB per CPU-second", *LANGUAGES, "both", "ours / theirs"]]
        for worker in workers:
            rates = [float(np.median(r[worker.name])) for r in (*by_language.values(), both)]
            ratio = np.median(both[OURS] / both[worker.name])
            lines.append(
                [f"{worker.name} {worker.version}", *(f"{r:.1f}" if r < 10 else f"{r:.0f}" for r in rates), f"{ratio:.1f}"]
            )
        print(f"{markdown(lines)}\n")
        verdicts = {w.name: removal(w, found, Path(folder) / f"out-{w.name}") for w in workers if w.name != "rensa"}
        lines = [["whole removal", "wall s", "ours / theirs", "stay", "precision en", "precision zh"]]
        for name, verdict in verdicts.items():
            rates = [precision(verdict, found, lang) for lang in LANGUAGES]
            lines.append(
                [name, f"{verdict.wall:.2f}", f"{verdict.wall / verdicts[OURS].wall:.1f}", f"{verdict.keep.sum():,}"]
                + [f"{r:.4f}" for r in rates]
            )
        print(f"{markdown(lines)}\n\n{recall_table(verdicts, found)}")
        if absent:
            print(f"\nnot installed: {', '.join(absent)}; see bench/peers.txt")


@dataclass(frozen=True)
class Grown:
    """One size of the growing corpus, of the whole process: CPU and wall seconds, resident peak and the stated one in bytes."""

    documents: int
    removed: int
    cpu: float
    wall: float
    peak: int
    stated: int
    way: str


def grow(documents: int, memory: int) -> Grown:
    """Write a synthetic corpus and remove its near-duplicates in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="skyloom-growth-") as folder:
        write_growth(Path(folder) / "in", documents)
        command = [sys.executable, "-m", "bench.corpus.dedup", "one", "--work", folder, "--memory", str(memory)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return Grown(documents, **json.loads(done.stdout.splitlines()[-1]))


def one(work: Path, memory: int) -> None:
    """What `grow` measures."""
    wall = time.perf_counter()
    store = Store(work / "in")
    names = store.names("documents-")
    done = near_duplicates_of(
        store, names, Columns(), Store(work / "out"), DedupConfig(), memory=memory, engine=Engine(), progress=Progress.silent()
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"cpu": used.ru_utime + used.ru_stime, "wall": time.perf_counter() - wall, "peak": used.ru_maxrss * 1024}
    print(json.dumps({**found, "removed": done.removed, "stated": done.plan.peak, "way": done.plan.way}))


def measured_growth(sizes: Sequence[int], memory: int) -> list[Grown]:
    """Each size in turn; the kernels are compiled before by a small run."""
    grow(1000, memory)
    return [grow(size, memory) for size in sizes]


def growth(sizes: Sequence[int], memory: int) -> list[Grown]:
    """Measure each size, and print them beside the one before."""
    found = measured_growth(sizes, memory)
    lines = [["documents", "removed", "CPU s", "CPU per document, to the size before", "wall s", "peak MB", "stated MB", "way"]]
    for g, ratio in zip(found, steps(found), strict=True):
        cells = [f"{g.documents:,}", f"{g.removed:,}", f"{g.cpu:.1f}", f"{ratio:.2f}" if g is not found[0] else "", f"{g.wall:.1f}"]
        lines.append([*cells, f"{g.peak / 1e6:,.0f}", f"{g.stated / 1e6:,.0f}", g.way])
    print(markdown(lines))
    return found


def steps(found: Sequence[Grown]) -> list[float]:
    """CPU seconds per document, to the size before; 1 for the first."""
    each = [g.cpu / g.documents for g in found]
    return [1.0, *(after / before for before, after in itertools.pairwise(each))]


class Bars:
    """The values of the bars; what several of them rest on is measured once."""

    def __init__(self, peers: str, documents: int, rounds: int, memory: int) -> None:
        self.peers, self.documents, self.rounds, self.memory = peers, documents, rounds, memory

    def __enter__(self) -> Bars:
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="skyloom-dedup-")))
        return self

    def __exit__(self, *problem: object) -> None:
        self.stack.close()

    def value(self, what: str) -> float:
        """The value of one bar; see bars.toml."""
        if what == "memory":
            return max(g.peak / g.stated for g in self.grown)
        if what == "growth":
            return max(steps(self.grown)[1:])
        if what.startswith("signatures-"):
            tools = [self.tool(OURS), self.tool(what.removeprefix("signatures-"))]
            rates = speeds(tools, self.found.folders, self.rounds)
            return float(np.median(rates[OURS]) / np.median(rates[tools[1].name]))
        ours = self.verdict(OURS)
        if what == "wall":
            return self.verdict("datatrove").wall / ours.wall
        if what == "precision":
            return min(precision(ours, self.found, lang) for lang in LANGUAGES)
        if what == "recall-lead":
            others = [self.verdict(name) for name in WHOLE]
            return min(recall(ours, self.found, g)[1] - recall(o, self.found, g)[1] for o in others for g in LANGUAGES)
        return recall(ours, self.found, what.removeprefix("recall-"))[0]

    @functools.cached_property
    def found(self) -> Planted:
        return planted(self.folder, self.documents)

    @functools.cached_property
    def grown(self) -> list[Grown]:
        return measured_growth(GROWTH, self.memory)

    @functools.cache  # noqa: B019, there is one of them in a process
    def tool(self, name: str) -> Worker:
        made = self.stack.enter_context(tool(name, self.peers))
        if made.missing:
            raise NotMeasuredError(f"{name} is not installed ({made.missing}); name an interpreter that has it with --peers")
        return made

    @functools.cache  # noqa: B019
    def verdict(self, name: str) -> Verdict:
        self.tool(name).ask({"documents": self.found.folders})
        return removal(self.tool(name), self.found, self.folder / f"out-{name}")


BARS = (
    "signatures-datatrove",
    "signatures-daft",
    "wall",
    "recall-en",
    "recall-zh",
    "recall-lead",
    "precision",
    "growth",
    "memory",
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure near-duplicate removal beside its peers.")
    parser.add_argument("what", nargs="?", default="tables", choices=("tables", "growth", "one"))
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--documents", type=int, nargs="+", help="planted documents (44,000), or sizes for growth")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in the measurement of signatures")
    parser.add_argument("--memory", default="4GB", help="limit for growth")
    parser.add_argument("--work", type=Path, help="folder of `one`, which `growth` starts")
    offer(parser, BARS)
    options = parser.parse_args()
    memory, documents = memory_size(options.memory), (options.documents or [44_000])[0]
    if options.what == "one":
        one(options.work, memory)
        return 0
    with Bars(options.peers, documents, options.rounds, memory) as bars:
        if options.what == "growth":
            return answer(options.json, bars.value, lambda: growth(options.documents or GROWTH, memory))
        return answer(options.json, bars.value, lambda: tables(options.peers, documents, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
