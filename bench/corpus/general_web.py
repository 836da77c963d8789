"""Road quality on general web: a small model trained on our corpus of general pages and prose, and one trained on datatrove's.

Input: the web pages of SKYLOOM_BENCH_DATA/html_gold (news, blogs, forums, shops, documentation; English and Chinese; of the set
WCXB every third page, because it is larger than all others together) as WARC, and every second document of text/en and text/zh,
up to `PROSE_BYTES` of each domain, as JSON lines. Both corpora are built from these by the defaults: ours by `skyloom corpus
build`, datatrove's by corpus_peer.py. Output: how many documents of each source either keeps, why ours drops what it drops, and
bits per byte of the held-out sets after training on each (corpus_quality.py says how), paired over seeds.

    python -m bench.corpus.general_web --peers PEERS/bin/python --work FOLDER    the tables; goes on where it stopped
    python -m bench.corpus.general_web ... --json worst|average-en|average-zh    one bar
    python -m bench.corpus.general_web ... --set KEY=VALUE                       ours with other settings; needs a FOLDER of its own
    python -m bench.corpus.general_web ... --of pages|prose|sources              what the models learn, see below
    python -m bench.corpus.general_web ... --no-training                         only what is kept

`--of`: both (pages and prose in equal shares), one of them, or sources (both, with the same share of each domain of the prose).
`worst`: of all sets the one on which ours is worse most surely (the lower end of the 95 % interval of the difference, in
percent); `average-en`, `average-zh`: the mean over the sets of a language.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.answers import NotMeasuredError, answer, offer
from bench.corpus import corpus_quality
from bench.corpus.corpus_vs_datatrove import DATA_VARIABLE, HERE, OURS, PEER, RECIPE, ROOT, peer_python
from bench.corpus.docs_warc import record

PARTS = 4
WCXB_EVERY = 3
PROSE_BYTES = 300_000
"""Text of each domain."""
SHARES = {
    "both": {"pages_en": 0.25, "prose_en": 0.25, "pages_zh": 0.25, "prose_zh": 0.25},
    "pages": {"pages_en": 0.5, "pages_zh": 0.5},
    "prose": {"prose_en": 0.5, "prose_zh": 0.5},
}
"""Of the tokens: equal shares, so that a corpus that keeps more pages does not have less prose for it."""
BARS = ("worst", "average-en", "average-zh")
PROSE = """
[[corpus.sources]]
name = "{name}"
kind = "jsonl"
path = "{path}"
"""


def pages(gold: Path) -> Iterator[tuple[str, bytes]]:
    """(URL, HTML in UTF-8) of the pages, each set in its order."""
    for path in sorted(gold.glob("*.jsonl.gz")):
        every = WCXB_EVERY if path.name.startswith("wcxb") else 1
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                if number % every == 0:
                    row = json.loads(line)
                    url = row["url"] or f"https://{path.name.split('.')[0].replace('_', '-')}.invalid/{number}"
                    yield url, row["html"].encode("utf-8", "replace")


def write_pages(gold: Path, out: Path) -> int:
    """WARC files of response records, a gzip member each; how many pages they hold."""
    out.mkdir(parents=True)
    parts: list[list[bytes]] = [[] for _ in range(PARTS)]
    number = 0
    for number, (url, html) in enumerate(pages(gold), start=1):
        parts[number % PARTS].append(gzip.compress(record(url, html, "utf-8"), 1))
    for part, records in enumerate(parts):
        (out / f"part-{part:02d}.warc.gz").write_bytes(b"".join(records))
    return number


def write_prose(text: Path, out: Path) -> Counter[str]:
    """A file of JSON lines for each domain; how many documents each holds."""
    out.mkdir(parents=True)
    counts = Counter[str]()
    for lang in ("en", "zh"):
        for path in sorted((text / lang).glob("*.jsonl.gz")):
            name, size = f"{lang}-{path.name.split('.')[0]}", 0
            with (
                gzip.open(path, "rt", encoding="utf-8") as lines,
                gzip.open(out / f"{name}.jsonl.gz", "wt", encoding="utf-8") as to,
            ):
                for number, line in enumerate(lines):
                    row = json.loads(line)
                    if number % 2 == 0 and size < PROSE_BYTES:
                        size += len(row["text"].encode())
                        counts[name] += 1
                        to.write(json.dumps({"id": f"{name}-{number}", "text": row["text"]}, ensure_ascii=False) + "\n")
    return counts


def build_ours(work: Path, out: Path, overrides: list[str], workers: int) -> None:
    sources = "".join(PROSE.format(name=p.name.split(".")[0], path=p) for p in sorted((work / "prose").glob("*.jsonl.gz")))
    out.mkdir(parents=True, exist_ok=True)
    recipe = out / "corpus.toml"
    recipe.write_text(RECIPE.format(path=work / "pages") + sources, encoding="utf-8")
    command = [sys.executable, "-m", "skyloom.cli", "corpus", "build", str(recipe), "--work", str(out / "work")]
    command += ["--workers", str(workers), "--quiet", *(word for one in overrides for word in ("--set", one))]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})


def build_peer(python: str, work: Path, out: Path, workers: int) -> None:
    command = [python, "-P", str(HERE / "corpus_peer.py"), str(work / "pages"), str(out), "--rows", str(work / "prose")]
    command += ["--timeout", "120", "--workers", str(workers)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if found.returncode:
        raise RuntimeError(f"datatrove ended with {found.returncode}: {found.stderr[-2000:]}")
    (out / "done").write_text(found.stdout.strip().splitlines()[-1] + "\n")


def texts(corpus: Path, name: str) -> list[tuple[str, str, str]]:
    """(source, language, text) of what a corpus keeps as web text; the source is `pages` or a domain of the prose."""
    if name == OURS:
        import pyarrow.parquet as pq

        (folder,) = (corpus / "work").glob("corpus-*")
        return [
            (row["source"], "zh" if row["lang"].startswith("zh") else "en", row["text"])
            for path in sorted(folder.glob("documents-*.parquet"))
            for row in pq.read_table(path, columns=["source", "lang", "text", "domain"]).to_pylist()
            if row["domain"] in ("web_en", "web_zh")
        ]
    found = []
    for lang in ("en", "zh"):
        for path in sorted((corpus / "final" / lang).glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for row in map(json.loads, lines):
                    source = row["id"].rpartition("-")[0] if row["id"][:3] in ("en-", "zh-") else "pages"
                    found.append((source, lang, row["text"]))
    return found


def kept(found: list[tuple[str, str, str]]) -> tuple[Counter[str], Counter[str]]:
    """Documents and characters by source; of pages by language too."""
    counts, size = Counter[str](), Counter[str]()
    for source, lang, text in found:
        key = f"{source} {lang}" if source == "pages" else source
        counts[key] += 1
        size[key] += len(text)
    return counts, size


def dropped(corpus: Path) -> str:
    """What our corpus drops, by filter and reason."""
    (folder,) = (corpus / "work").glob("corpus-*")
    found = Counter[tuple[str, ...]]()
    ledger: Any = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    for stage, source, lang, reason, *numbers in ledger["counts"]:
        if reason:
            found[stage, reason, lang, "pages" if source == "pages" else "prose"] += numbers[0]
    lines = ["| filter | reason | language | from | documents |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(key)} | {n:,} |" for key, n in found.most_common() if n > 0)])


class Measurements:
    """The values of the bars; corpora and trainings that lie in the work folder are not made again."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work = options, work

    @functools.cached_property
    def corpora(self) -> dict[str, Path]:
        if not os.environ.get(DATA_VARIABLE):
            raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds html_gold and text (bench/data.toml lists them)")
        data, o = Path(os.environ[DATA_VARIABLE]), self.options
        said = {"set": o.set, "prose": PROSE_BYTES, "wcxb": WCXB_EVERY}
        mark = self.work / "settings.json"
        if not mark.exists():
            peer_python(o)
            print(f"{write_pages(data / 'html_gold', self.work / 'pages'):,} pages", flush=True)
            (self.work / "read.json").write_text(json.dumps(write_prose(data / "text", self.work / "prose")))
            mark.write_text(json.dumps(said))
        elif json.loads(mark.read_text()) != said:
            raise NotMeasuredError(f"{self.work} holds a measurement with other settings; name another --work")
        found = {OURS: self.work / OURS, PEER: self.work / PEER}
        build_ours(self.work, found[OURS], o.set, o.workers)
        if not (found[PEER] / "done").exists():
            build_peer(peer_python(o), self.work, found[PEER], o.workers)
        return found

    @functools.cached_property
    def quality(self) -> corpus_quality.Quality:
        o = self.options
        if o.of == "sources":
            prose = [p.name.split(".")[0] for p in sorted((self.corpora[OURS].parent / "prose").glob("*.jsonl.gz"))]
            shares = {f"{name[3:]}_{name[:2]}": 0.5 / len(prose) for name in prose} | {"pages_en": 0.25, "pages_zh": 0.25}
        else:
            shares = SHARES[o.of]

        def group(source: str, lang: str) -> str:
            return f"{source if source == 'pages' else source[3:] if o.of == 'sources' else 'prose'}_{lang}"

        found = {
            name: [(key, text) for source, lang, text in rows if (key := group(source, lang)) in shares]
            for name, rows in self.texts.items()
        }
        seeds = corpus_quality.SEEDS[: o.seeds]
        return corpus_quality.compare(
            found, self.work / "quality", ours=OURS, peer=PEER, shares=shares, seeds=seeds, learner=o.learner
        )

    @functools.cached_property
    def texts(self) -> dict[str, list[tuple[str, str, str]]]:
        return {name: texts(path, name) for name, path in self.corpora.items()}

    def value(self, name: str) -> float:
        return self.quality.worst_percent if name == "worst" else self.quality.languages[name.removeprefix("average-")].mean

    def tables(self) -> None:
        read = json.loads((self.corpora[OURS].parent / "read.json").read_text())
        ours, peer = (kept(self.texts[name]) for name in (OURS, PEER))
        print(f"| source | read | {OURS}: kept, M characters | {PEER}: kept, M characters |\n|---|---|---|---|")
        for key in sorted({*ours[0], *peer[0], *read}):
            cells = [f"{counts[key]:,}, {size[key] / 1e6:.2f}" for counts, size in (ours, peer)]
            print(f"| {key} | {read.get(key, '')} | {' | '.join(cells)} |")
        print(f"\n{dropped(self.corpora[OURS])}", flush=True)
        if not self.options.no_training:
            print(f"\n{self.quality.table}\n\nworst lower end of an interval: {self.quality.worst_percent:+.2f} %")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the corpora of both pipelines from general web pages and prose.")
    parser.add_argument("--peers", metavar="PYTHON", help="the interpreter that has datatrove [SKYLOOM_PEERS]")
    parser.add_argument("--work", type=Path, help="folder to keep what is made, and to go on in [a temporary one]")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of our recipe; may be repeated")
    parser.add_argument("--seeds", type=int, default=len(corpus_quality.SEEDS), help="2 to 5")
    parser.add_argument("--of", choices=(*SHARES, "sources"), default="both", help="what the models learn [both]")
    parser.add_argument("--learner", choices=corpus_quality.LEARNERS, default="ngram", help="[ngram]")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--no-training", action="store_true", help="only what is kept and dropped")
    offer(parser, BARS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = (options.work or Path(folder)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        measurements = Measurements(options, work)
        return answer(options.json, measurements.value, measurements.tables)


if __name__ == "__main__":
    sys.exit(main())
