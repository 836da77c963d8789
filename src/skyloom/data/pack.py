"""Packing: documents of the corpus and canaries as token shards, one in Megatron's format for each domain (docs/design.md).

Each document of split "train" becomes one sequence: <s>, its tokens, </s>. The <s> costs one token a document and buys that
a text scored alone, behind <s>, is seen as the model saw it in training. The order inside a domain is a permutation by the
seed, so that neighbours in the stream do not come from one site.

`canary` is a domain of its own: the exercises of split "canary", each `canary_copies` times, shuffled. A plan goes through
it a stated number of times, so that the leakage audit knows how often each item was seen (report 5, and its open question
of how robust the loss differences are).

Every shard of documents is encoded by a task of its own into a scratch folder; the merge then copies sequences from
memory maps in their final order, so memory stays at one buffer whatever the corpus size. What is written depends
on neither the number of workers nor a kill in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import DataError
from skyloom.core.json_files import PackedDomain
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.data.config import CANARY, PackConfig
from skyloom.data.indexed import Ids, dtype_for, open_indexed, write_index
from skyloom.data.permute import key_of, shuffled
from skyloom.tokenizer import Tokenizer

MANIFEST = "tokens.json"
_SCRATCH = "parts"
_BUFFER_BYTES = 8 << 20
_ROWS = 1 << 22  # ids that are put into order at once: 134 MB


def pack(
    documents: Store,
    exercises: Store,
    tokenizer: Store,
    out: Store,
    config: PackConfig,
    *,
    engine: Engine,
    progress: Progress,
) -> None:
    """Write `<domain>.bin`, `.idx` and `<domain>.ids.parquet` (the document of each sequence) per domain, and `tokens.json`.

    DataError if there are no training documents. `out` must be local: training maps the shards into memory.
    """
    out.path()
    vocabulary = Tokenizer.load(tokenizer)
    shards = documents.names("documents-")
    scratch = out.child(_SCRATCH)
    tasks = [Task(name.removesuffix(".parquet"), DocumentShard(documents, name, tokenizer)) for name in shards]
    found = engine.map(encode_shard, tasks, scratch, progress=progress, label="encode documents")
    domains = sorted({domain for result in found for domain in result})
    if not domains:
        raise DataError(
            f"{documents.root} has no documents of split 'train' to pack; look at its ledger.json for what dropped them"
        )
    manifest = {}
    with progress.task("merge domains", len(domains), "domains") as bar:
        for domain in domains:
            parts = [f"{task.key}/{domain}" for task, result in zip(tasks, found, strict=True) if domain in result]
            manifest[domain] = _merge(scratch, parts, out, domain, config.seed, copies=1)
            bar.advance()
    canaries = _encode_canaries(exercises, vocabulary, scratch) if config.canary_copies else []
    if canaries:
        manifest[CANARY] = _merge(scratch, canaries, out, CANARY, config.seed, copies=config.canary_copies)
    else:
        progress.log("tokens: no canaries; the leakage audit will have no planted items")
    out.write_json(
        MANIFEST,
        {
            "vocabulary": vocabulary.vocab_size,
            "bos": vocabulary.bos_id,
            "eos": vocabulary.eos_id,
            "dtype": dtype_for(vocabulary.vocab_size).name,
            "seed": config.seed,
            "canary_copies": config.canary_copies,
            "domains": manifest,
        },
    )
    out.remove(_SCRATCH)


@dataclass(frozen=True)
class DocumentShard:
    """What a task encodes: the shard `name` of `documents`, with the tokenizer in a store."""

    documents: Store
    name: str
    tokenizer: Store


def encode_shard(task: Task[DocumentShard], scratch: Store) -> Done[dict[str, int]]:
    """Encode one shard of documents into `<task>/<domain>` token files; the result is {domain: tokens}."""
    tokenizer = Tokenizer.load(task.payload.tokenizer)
    table = task.payload.documents.read_table(task.payload.name, ["id", "text", "domain", "split"])
    table = table.filter(pc.equal(table["split"], "train"))
    files: list[FileRecord] = []
    tokens: dict[str, int] = {}
    for domain in sorted(set(table["domain"].to_pylist())):
        rows = table.filter(pc.equal(table["domain"], domain))
        written, count = _write_sequences(scratch, f"{task.key}/{domain}", rows["id"], rows["text"], tokenizer)
        files += written
        tokens[domain] = count
    return Done(tuple(files), tokens)


def _encode_canaries(exercises: Store, tokenizer: Tokenizer, scratch: Store) -> list[str]:
    parts = []
    for name in exercises.names(f"exercises-{CANARY}"):
        table = exercises.read_table(name, ["id", "text"])
        if len(table):
            parts.append(f"{CANARY}/{name}")
            _write_sequences(scratch, parts[-1], table["id"], table["text"], tokenizer)
    return parts


def _write_sequences(
    store: Store, name: str, ids: pa.ChunkedArray, texts: pa.ChunkedArray, tokenizer: Tokenizer
) -> tuple[list[FileRecord], int]:
    """Write texts as sequences <s> … </s> with their index and document ids; returns the files and the number of tokens."""
    encoded, offsets = tokenizer.encode_column(texts, threads=1)
    sizes = np.diff(offsets) + 2
    ends = np.cumsum(sizes)
    sequence = np.empty(int(sizes.sum()), dtype_for(tokenizer.vocab_size))
    inner = np.ones(len(sequence), np.bool_)
    inner[ends - sizes] = inner[ends - 1] = False
    sequence[inner] = encoded
    sequence[ends - sizes] = tokenizer.bos_id
    sequence[ends - 1] = tokenizer.eos_id
    files = [
        store.write_bytes(f"{name}.bin", sequence.tobytes()),
        write_index(store, name, sizes, sequence.dtype),
        store.write_table(f"{name}.ids.parquet", pa.table({"id": ids})),
    ]
    return files, len(sequence)


def _merge(scratch: Store, parts: list[str], out: Store, domain: str, seed: int, *, copies: int) -> PackedDomain:
    """Join the parts of a domain, each sequence `copies` times, in the order that the seed gives; its manifest entry."""
    shards = [open_indexed(scratch, part) for part in parts]
    part_of = np.repeat(np.arange(len(shards)), [len(s) for s in shards])
    row_of = np.concatenate([np.arange(len(s)) for s in shards])
    order = shuffled(len(part_of) * copies, key_of("pack", seed, domain)) % len(part_of)
    sizes = np.concatenate([s.sizes for s in shards]).astype(np.int64)[order]
    dtype = shards[0].tokens.dtype
    with out.writing(f"{domain}.bin") as file:
        buffer: list[Ids] = []
        held = 0
        for sequence in order:
            buffer.append(shards[part_of[sequence]][row_of[sequence]])
            held += buffer[-1].nbytes
            if held >= _BUFFER_BYTES:
                file.write(np.concatenate(buffer))
                buffer, held = [], 0
        if buffer:
            file.write(np.concatenate(buffer))
    ids = [chunk for part in parts for chunk in scratch.read_table(f"{part}.ids.parquet")["id"].chunks]
    files = [
        file.record(f"{domain}.bin"),
        write_index(out, domain, sizes, dtype),
        out.write_table(f"{domain}.ids.parquet", pa.table({"id": _in_order(ids, order)})),
    ]
    return {
        "documents": len(order),
        "tokens": int(sizes.sum()),
        "files": [{"name": f.name, "size": f.size, "sha256": f.sha256} for f in files],
    }


def _in_order(chunks: list[pa.Array], order: npt.NDArray[np.int64]) -> pa.ChunkedArray:
    """The rows `order` (int64[n], over all chunks one after the other) of a string column, in chunks of at most `_ROWS` rows.

    Arrow takes rows of several chunks by joining them, and a joined string column holds at most 2 GiB: the ids of 67 million
    documents. So rows are taken from each chunk by itself, and only a part of the result is joined at a time.
    """
    ends = np.cumsum([len(chunk) for chunk in chunks])
    found = []
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        owner = np.searchsorted(ends, rows, side="right")
        sorted_ = np.argsort(owner, kind="stable")
        owners, first = np.unique(owner[sorted_], return_index=True)
        parts = [
            chunks[k].take(pa.array(mine - (ends[k] - len(chunks[k]))))
            for k, mine in zip(owners.tolist(), np.split(rows[sorted_], first[1:]), strict=True)
        ]
        back = np.empty(len(rows), np.int64)
        back[sorted_] = np.arange(len(rows))
        found.append(pa.concat_arrays(parts).take(pa.array(back)))
    return pa.chunked_array(found, pa.string())
