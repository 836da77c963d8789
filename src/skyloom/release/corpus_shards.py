"""The published corpus: JSONL, one document a line, in zstd shards.

Input: Parquet shards of documents. Output: `corpus/<split>-NNNNN.jsonl.zst`, training and validation apart. The report
releases its 150 billion tokens as JSONL with the text in the field `text` (3.2); ours adds where each document is from.
The bytes depend on the documents and the shard size alone: one compressor at a fixed level, without threads.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import pyarrow as pa
import zstandard

from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import FileRecord, Store
from skyloom.release.canaries import Canary, refuse

CORPUS = "corpus"
"""The folder of a release that holds it."""
REMOVED = "corpus/removed.json"
"""What was taken out of it after the release, where anything was."""
FIELDS = ("text", "id", "lang", "source", "domain", "url", "date", "license")
SPLITS = ("train", "valid")
LEVEL = 10
UNKNOWN = "unknown"
"""The licence of a document whose source states none, as tables name it."""


class PublishedDocument(TypedDict):
    """A line of the published corpus."""

    text: str
    id: str
    lang: str
    source: str
    domain: str
    url: str
    date: str | None
    license: str | None


@dataclass
class PublishedCorpus:
    """What was written: the files, and per split documents and bytes of text; documents per source and licence, and language."""

    files: list[FileRecord] = field(default_factory=list)
    documents: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    licenses: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    languages: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def unknown(self) -> int:
        """Documents without a licence."""
        return sum(number for (_, name), number in self.licenses.items() if name == UNKNOWN)

    def count(self, split: str, document: PublishedDocument) -> None:
        """Count one document of a split."""
        self.documents[split] += 1
        self.bytes[split] += len(document["text"].encode())
        self.licenses[document["source"], document["license"] or UNKNOWN] += 1
        self.languages[document["lang"]] += 1


def publish(corpus: Store, canaries: Sequence[Canary], out: Store, shard_bytes: int, *, progress: Progress) -> PublishedCorpus:
    """Write the shards of both splits; a shard is closed when it holds `shard_bytes` of JSON.

    DataError if there are no documents, or if one is a canary.
    """
    names = [n for n in corpus.names("documents-") if n.endswith(".parquet")]
    if not names:
        raise DataError(f"{corpus.root} holds no documents-*.parquet; run the corpus step first")
    result = PublishedCorpus()
    with progress.task("release corpus", len(names) * len(SPLITS), "shards") as bar:
        for split in SPLITS:
            pending: list[bytes] = []
            size = number = 0
            for name in names:
                for line in _lines(corpus, name, split, canaries, result):
                    pending.append(line)
                    size += len(line)
                    if size >= shard_bytes:
                        result.files.append(_write(out, split, number, pending))
                        pending, size, number = [], 0, number + 1
                bar.advance()
            if pending or number == 0:  # an empty split still has a file, so that readers find what the card names
                result.files.append(_write(out, split, number, pending))
    return result


def read_shard(store: Store, name: str) -> Iterator[bytes]:
    """The lines of a published shard. DataError if it is not whole zstd."""
    try:
        with store.reading(name) as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
            rest = b""
            while chunk := reader.read(1 << 20):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
            if rest:
                raise DataError(f"{store.url(name)} ends in the middle of a line")
    except zstandard.ZstdError as problem:
        raise DataError(f"{store.url(name)} is not a whole zstd file: {problem}") from problem


def documents(release: Store, split: str) -> Iterator[tuple[str, PublishedDocument]]:
    """(file, document) for each line of a split of a release. DataError if a line is no document with the fields of one."""
    for name in release.names(f"corpus/{split}-"):
        yield from read_documents(release, name)


def read_documents(release: Store, name: str) -> Iterator[tuple[str, PublishedDocument]]:
    """As `documents`, of one shard."""
    for number, line in enumerate(read_shard(release, name), 1):
        try:
            document: PublishedDocument = json.loads(line)
        except ValueError as problem:
            raise DataError(f"{name}, line {number}: not JSON: {problem}") from problem
        if type(document) is not dict or list(document) != list(FIELDS):
            keys = list(document) if type(document) is dict else type(document).__name__
            raise DataError(f"{name}, line {number}: a document has the fields {keys}, not {list(FIELDS)}")
        yield name, document


def counted(release: Store) -> PublishedCorpus:
    """The documents of a release, counted. DataError if a shard or a line cannot be read."""
    result = PublishedCorpus()
    for split in SPLITS:
        for _, document in documents(release, split):
            result.count(split, document)
    return result


def write_documents(release: Store, name: str, rows: Iterable[PublishedDocument]) -> FileRecord:
    """Write a shard of a release again."""
    return _pack(release, name, [_line(row) for row in rows])


def category_of(domain: str) -> str:
    """The category of a document by its domain: `stem_zh` is of `stem`."""
    return domain if domain in ("code", "parallel") else domain.rpartition("_")[0]


def table_of(documents: Sequence[PublishedDocument], split: str, metas: Mapping[str, str] | None = None) -> pa.Table:
    """Documents as a table DOCUMENT; `metas`: what is known of some of them, by id."""
    known = metas or {}
    rows = [{**d, "split": split, "category": category_of(d["domain"]), "meta": known.get(d["id"], "{}")} for d in documents]
    return pa.Table.from_pylist(rows, schema=DOCUMENT)


def _lines(corpus: Store, name: str, split: str, canaries: Sequence[Canary], result: PublishedCorpus) -> Iterator[bytes]:
    table = corpus.read_table(name, [*FIELDS, "split", "meta"])
    for batch in table.to_batches(max_chunksize=1024):
        rows = [row for row in batch.to_pylist() if row["split"] == split]
        refuse([row["meta"] for row in rows], canaries, corpus.url(name))
        for row in rows:
            result.count(split, row)
            yield _line(row)


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps({key: row[key] for key in FIELDS}, ensure_ascii=False).encode() + b"\n"


def _write(out: Store, split: str, number: int, lines: list[bytes]) -> FileRecord:
    return _pack(out, f"corpus/{split}-{number:05d}.jsonl.zst", lines)


def _pack(out: Store, name: str, lines: list[bytes]) -> FileRecord:
    return out.write_bytes(name, zstandard.ZstdCompressor(level=LEVEL).compress(b"".join(lines)))
