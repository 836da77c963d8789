"""The corpus that the tokenizer benches train on, and the held-out text that they measure on.

Input: third-party texts (SKYLOOM_BENCH_DATA) and, for speed and memory at full size, a WARC file of documentation
pages (bench/corpus/docs_warc.py makes one). Output: a store of `documents-*.parquet` whose domains are the texts' own, and
held-out sets.

Nothing that is measured on was counted. Of the Chinese news set (eval/skywork_lm) the documents whose hash is odd are
measured on and the others counted, of the program text a tenth is measured on; all of text/lmtest is only measured on; and
whatever of the rest shares half of its 13-grams of units with a held-out document, or holds half of one's, is left out (the
project's own held-out index), because packages of documentation may hold the very pages that a test set was made of.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store
from skyloom.corpus import extract, sources
from skyloom.corpus.candidates import joined
from skyloom.corpus.heldout.nearness import HeldoutIndex

NEWS = "eval/skywork_lm/zh_general.jsonl.gz"
CODE = "text/code/code.jsonl.gz"
SHARD_ROWS = 4000
CONTAINED = 0.5


@dataclass(frozen=True)
class Text:
    domain: str
    lang: str
    text: str


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def counted(text: str) -> bool:
    """Whether a document of the news set is counted; the others are measured on."""
    return int(record_id(text)[:8], 16) % 2 == 0


def measured_code(text: str) -> bool:
    """Whether a program is measured on, one in ten is."""
    return int(record_id(text)[:8], 16) % 10 == 0


def heldout(data: Path) -> dict[str, list[str]]:
    """Held-out texts by set: the uncounted half of the Chinese news, a tenth of the code, and every set of text/lmtest."""
    found = {
        "zh_news": [r["text"] for r in rows(data / NEWS) if not counted(r["text"])],
        "code": [r["text"] for r in rows(data / CODE) if measured_code(r["text"])],
    }
    for path in sorted((data / "text" / "lmtest").glob("*.jsonl.gz")):
        found[path.name.split(".")[0]] = [r["text"] for r in rows(path)]
    return found


def training(data: Path) -> Iterator[Text]:
    """The counted half of the news, and all prose, exercises, code and parallel text that is no test set."""
    for row in rows(data / NEWS):
        if counted(row["text"]):
            yield Text("zh_news", "zh-Hans", row["text"])
    for lang in ("en", "zh"):
        for path in sorted((data / "text" / lang).glob("*.jsonl.gz")):
            for row in rows(path):
                yield Text(f"{lang}_{path.name.split('.')[0]}", "en" if lang == "en" else "zh-Hans", row["text"])
    for row in rows(data / CODE):
        if not measured_code(row["text"]):
            yield Text("code", "code", row["text"])
    for lang in ("en", "zh"):
        for row in rows(data / "text" / "stem" / f"stem_{lang}.jsonl.gz"):
            if row.get("split", "train") == "train":
                yield Text(f"{lang}_stem", lang, row["text"])
        for path in sorted((data / "text" / "parallel").glob("*.jsonl.gz")):
            for row in rows(path):
                yield Text(f"{lang}_parallel", lang, row[lang])


def documentation(warc: str, work: Store, workers: int, progress: Progress) -> Iterator[Text]:
    """The text of documentation pages as our own extraction finds it."""
    source = (sources.SourceConfig(name="pages", kind="warc", path=warc),)
    found = sources.resolve(source, cache=work.scratch("downloads"), samples=Path("samples"), progress=progress)
    pages, extracted = work.child("pages"), work.child("extracted")
    engine = Engine(workers)
    sources.fetch(found, pages, engine=engine, progress=progress)
    extract.extract(pages, extracted, extract.ExtractConfig(), sources.policies(source), engine=engine, progress=progress)
    engine.close()
    for name in extracted.names("extracted-"):
        table = extracted.read_table(name, ["blocks", "lang", "reason"])
        table = table.filter(pa.compute.is_null(table["reason"]))
        blocks = joined(table["blocks"].cast(pa.large_list(pa.large_string())))
        for text, lang in zip(blocks.to_pylist(), table["lang"].to_pylist(), strict=True):
            yield Text("zh_docs" if str(lang).startswith("zh") else "en_docs", str(lang), text)


def write(texts: Iterator[Text], measured: dict[str, list[str]], out: Store, limit_bytes: float) -> dict[str, int]:
    """Write `documents-*.parquet` of texts near no held-out one, until there are so many bytes; bytes by domain."""
    index = HeldoutIndex(pa.array([t for sets in measured.values() for t in sets], pa.large_string()))
    sizes: dict[str, int] = {}
    seen: set[str] = set()
    batch: list[Text] = []
    shard = 0

    def flush() -> None:
        nonlocal shard
        near = index.near(pa.array([t.text for t in batch], pa.large_string()), CONTAINED)
        kept = []
        for text, bad in zip(batch, near.tolist(), strict=True):
            identity = record_id(text.text)
            if bad or identity in seen:
                continue
            seen.add(identity)
            sizes[text.domain] = sizes.get(text.domain, 0) + len(text.text.encode())
            kept.append({"id": identity, "text": text.text, "lang": text.lang, "domain": text.domain, "split": "train"})
        out.write_table(
            f"documents-{shard:05d}.parquet", pa.Table.from_pylist([dict.fromkeys(DOCUMENT.names, "") | r for r in kept], DOCUMENT)
        )
        shard += 1
        batch.clear()

    for text in texts:
        batch.append(text)
        if len(batch) == SHARD_ROWS:
            flush()
            if sum(sizes.values()) >= limit_bytes:
                return sizes
    if batch:
        flush()
    return sizes


def corpus(data: Path, out: Store, *, warc: str | None = None, limit_bytes: float = np.inf, workers: int = 2) -> dict[str, int]:
    """The whole corpus in a folder, made once; bytes by domain."""
    if out.exists("sizes.json"):
        return {str(k): int(v) for k, v in out.read_json("sizes.json").items()}
    progress = Progress()

    def everything() -> Iterator[Text]:
        yield from training(data)
        if warc:
            yield from documentation(warc, out.child("docs"), workers, progress)

    sizes = write(everything(), heldout(data), out, limit_bytes)
    out.write_json("sizes.json", sizes)
    return sizes
