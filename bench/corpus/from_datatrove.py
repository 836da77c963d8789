"""The same result block by block: datatrove's blocks and ours over the same pages, and how often both say the same.

Input: a WARC file of gzip members (SKYLOOM_BENCH_DATA/warc/docs_en_zh.warc.gz, or --warc) and an interpreter that has datatrove.
Output: a table with a row for each block: cases, and the share in which both agree. Each block gets the same input on both sides
(our extracted text), so that a row shows this block alone.

    python -m bench.corpus.from_datatrove --peers PEERS/bin/python [--pages 2000]

datatrove's side is `from_datatrove_peer.py`, which also reads what `skyloom corpus export` writes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.answers import NotMeasuredError
from bench.corpus.corpus_vs_datatrove import peer_python, source
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.corpus.alone import LanguageVerdict, QualityVerdicts, judge_files
from skyloom.corpus.dedup import DedupConfig, dedup_files
from skyloom.corpus.extract import ExtractConfig, extract_files
from skyloom.corpus.quality import QualityConfig
from skyloom.corpus.sources import READERS, About, File

HERE = Path(__file__).resolve().parent
FILTERS = ("gopher-repetition", "gopher-quality", "c4", "fineweb")
QUIET = Progress.silent()


def take(warc: Path, pages: int, out: Path) -> list[str]:
    """Write a WARC of the first records with HTML, and return their addresses in order."""
    from fastwarc.warc import ArchiveIterator

    starts, urls = list[int](), list[str]()
    with open(warc, "rb") as file:
        for record in ArchiveIterator(file, parse_http=False):
            starts.append(record.stream_pos)
            if len(starts) > pages:
                break
    end = starts[pages] if len(starts) > pages else warc.stat().st_size
    out.write_bytes(warc.read_bytes()[:end])
    for row in READERS["warc"](File(str(out), out.name, out.stat().st_size), About("s", "web", None, 16_000_000)):
        urls.append(str(row["url"]))
    return urls


def lines(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode().splitlines()]


def ours(warc: Path, work: Path) -> dict[str, Any]:
    """What our blocks say of the pages: by block a value for each document id."""
    extract_files(str(warc), work / "pages.jsonl", ExtractConfig(), QUIET)
    texts = [row for row in lines(work / "pages.jsonl") if row["text"]]
    written = "".join(json.dumps({"id": str(n), "text": row["text"]}, ensure_ascii=False) + "\n" for n, row in enumerate(texts))
    (work / "texts.jsonl").write_text(written, encoding="utf-8")
    said: dict[str, Any] = {}
    judge_files([work / "texts.jsonl"], work / "lang.jsonl", LanguageVerdict(()), engine=Engine(0), progress=QUIET)
    said["language"] = {row["id"]: row["lang"][:2] for row in lines(work / "lang.jsonl")}
    english = [name for name, lang in said["language"].items() if lang == "en"]
    plain = [json.dumps({"id": name, "text": texts[int(name)]["text"]}) for name in english]
    (work / "english.jsonl").write_text("\n".join(plain) + "\n", encoding="utf-8")
    base = _reasons(work, ())
    for name in FILTERS:
        with_it = _reasons(work, (name,))
        said[name] = {key: with_it[key] is None for key in english if base[key] is None}  # where our own rules pass
    dedup_files([work / "english.jsonl"], work / "dups.jsonl", DedupConfig(), memory=4 << 30, engine=Engine(0), progress=QUIET)
    said["near-duplicates"] = {row["id"]: row["keep"] for row in lines(work / "dups.jsonl")}
    return said


def _reasons(work: Path, names: tuple[str, ...]) -> dict[str, str | None]:
    stage, out = QualityVerdicts(QualityConfig(web_en=names)), work / "quality.jsonl"
    judge_files([work / "english.jsonl"], out, stage, engine=Engine(0), progress=QUIET)
    return {row["id"]: row["reason"] for row in lines(out)}


def compare(mine: dict[str, Any], theirs: dict[str, Any]) -> list[tuple[str, int, float]]:
    """Block, cases and the share in which both say the same."""
    rows = []
    for block, values in mine.items():
        both = [name for name in values if name in theirs.get(block, {})]
        same = sum(values[name] == theirs[block][name] for name in both)
        rows.append((block, len(both), same / len(both) if both else float("nan")))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare datatrove's blocks with ours, one by one.")
    parser.add_argument("--peers", metavar="PYTHON", help="the interpreter that has datatrove [SKYLOOM_PEERS]")
    parser.add_argument("--warc", help="another WARC file of gzip members")
    parser.add_argument("--pages", type=int, default=2000)
    options = parser.parse_args()
    try:
        warc, peers = source(options), peer_python(options)
    except NotMeasuredError as problem:
        print(f"not measured: {problem}", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        urls = take(warc, options.pages, work / "pages.warc.gz")
        mine = ours(work / "pages.warc.gz", work)
        parquet = work / "export"
        parquet.mkdir()
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(lines(work / "texts.jsonl")), parquet / "train-00000.parquet")
        command = [peers, "-P", str(HERE / "from_datatrove_peer.py"), str(work)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise RuntimeError(ran.stderr[-2000:])
        theirs = json.loads(ran.stdout.strip().splitlines()[-1])
    print("| block | cases | same |\n|---|---|---|")
    shared = len(set(urls) & set(theirs["urls"])) / len(set(urls))
    print(f"| WARC records (theirs {theirs['records']:,}) | {len(urls):,} | {shared:.2%} |")
    print(f"| Parquet and JSON lines of ours, read by theirs | {theirs['read']:,} | {theirs['read'] == theirs['written']} |")
    for block, cases, same in compare(mine, theirs):
        print(f"| {block} | {cases:,} | {same:.2%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
