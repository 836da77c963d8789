from __future__ import annotations

import shutil
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from skyloom.core.engine import Engine
from skyloom.core.errors import DataError, IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data.config import PackConfig
from skyloom.data.indexed import dtype_for, open_indexed, write_index
from skyloom.data.pack import pack
from skyloom.tokenizer import Tokenizer
from tests.data.conftest import CANARIES
from tests.tokenizer.texts import COUNTS

SILENT = Progress.silent()


def parse(folder: str, name: str) -> list[list[int]]:
    """An independent reader of Megatron's format, from its description, with nothing but `struct`."""
    index, data = Path(folder, f"{name}.idx").read_bytes(), Path(folder, f"{name}.bin").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, bounds = struct.unpack_from("<QBQQ", index, 9)
    assert version == 1 and bounds == sequences + 1
    letter, width = {8: ("H", 2), 4: ("i", 4)}[code]
    at = 9 + 8 + 1 + 8 + 8
    sizes = struct.unpack_from(f"<{sequences}i", index, at)
    pointers = struct.unpack_from(f"<{sequences}q", index, at + 4 * sequences)
    documents = struct.unpack_from(f"<{bounds}q", index, at + 12 * sequences)
    assert documents == tuple(range(bounds)) and len(index) == at + 12 * sequences + 8 * bounds
    assert len(data) == width * sum(sizes)
    return [list(struct.unpack_from(f"<{n}{letter}", data, p)) for n, p in zip(sizes, pointers, strict=True)]


def training_texts(documents: Store) -> dict[str, dict[str, str]]:
    """{domain: {id: text}} of split "train"."""
    found: dict[str, dict[str, str]] = {}
    for name in documents.names("documents-"):
        for row in documents.read_table(name).to_pylist():
            if row["split"] == "train":
                found.setdefault(row["domain"], {})[row["id"]] = row["text"]
    return found


def hashes(store: Store) -> dict[str, str]:
    return {n: store.describe(n).sha256 for n in store.names()}


def test_every_training_document_is_there_once_whole(tokens, documents, tokenizer):
    words = Tokenizer.load(tokenizer)
    texts = training_texts(documents)
    assert set(texts) == set(COUNTS)
    for domain, expected in texts.items():
        sequences = parse(tokens.root, domain)
        ids = tokens.read_table(f"{domain}.ids.parquet")["id"].to_pylist()
        assert sorted(ids) == sorted(expected)
        for document, sequence in zip(ids, sequences, strict=True):
            assert sequence == [words.bos_id, *words.encode(expected[document]), words.eos_id]
            assert words.decode(sequence) == expected[document]
        assert ids != sorted(ids) and ids != list(expected), "the order is shuffled"


def test_our_reader_agrees_with_the_independent_one(tokens):
    for domain in (*COUNTS, "canary"):
        ours = open_indexed(tokens, domain)
        assert [s.tolist() for s in ours] == parse(tokens.root, domain)
        assert ours.tokens.dtype == np.uint16


def test_places_are_found_in_the_index_by_halves(tokens):
    shard = open_indexed(tokens, "web_zh")
    offsets = np.concatenate([[0], np.cumsum(shard.sizes)])
    places = np.arange(len(shard.tokens))
    assert (shard.sequence_at(places) == np.searchsorted(offsets, places, side="right") - 1).all()


def test_canaries_stand_there_ten_times_in_mixed_order(tokens, tokenizer):
    words = Tokenizer.load(tokenizer)
    texts = [words.decode(s) for s in parse(tokens.root, "canary")]
    counts = Counter(texts)
    assert len(counts) == CANARIES and set(counts.values()) == {10}
    assert all("Question" in t and "小明" in t for t in texts)
    assert texts[:CANARIES] != texts[CANARIES : 2 * CANARIES]
    ids = tokens.read_table("canary.ids.parquet")["id"].to_pylist()
    assert Counter(ids) == {f"canary-{n}": 10 for n in range(CANARIES)}


def test_manifest_counts_and_checksums_hold(tokens, tokenizer):
    manifest = tokens.read_json("tokens.json")
    assert manifest["vocabulary"] == Tokenizer.load(tokenizer).vocab_size and manifest["dtype"] == "uint16"
    listed = {"tokens.json"}
    for domain, entry in manifest["domains"].items():
        sequences = parse(tokens.root, domain)
        assert (entry["documents"], entry["tokens"]) == (len(sequences), sum(map(len, sequences)))
        for file in entry["files"]:
            record = tokens.describe(file["name"])
            assert (record.size, record.sha256) == (file["size"], file["sha256"])
            listed.add(file["name"])
    assert set(tokens.names()) == listed, "no scratch files are left"


def test_workers_change_nothing_and_a_seed_changes_the_order(tmp_path, documents, exercises, tokenizer, tokens):
    parallel, other = Store(tmp_path / "parallel"), Store(tmp_path / "other")
    engine = Engine(2)
    try:
        pack(documents, exercises, tokenizer, parallel, PackConfig(), engine=engine, progress=SILENT)
    finally:
        engine.close()
    assert hashes(parallel) == hashes(tokens)
    pack(documents, exercises, tokenizer, other, PackConfig(seed=2, canary_copies=3), engine=Engine(), progress=SILENT)
    for domain in COUNTS:
        assert sorted(parse(other.root, domain)) == sorted(parse(tokens.root, domain))
        assert parse(other.root, domain) != parse(tokens.root, domain)
    assert other.read_json("tokens.json")["domains"]["canary"]["documents"] == 3 * CANARIES


class _KilledError(Exception):
    pass


def test_a_run_killed_in_the_merge_goes_on_to_the_same_bytes(tmp_path, documents, exercises, tokenizer, tokens, monkeypatch):
    from skyloom.data import pack as module

    out, encoded = Store(tmp_path / "out"), []
    real_merge, real_encode = module._merge, module.encode_shard

    def merge(scratch, parts, out, domain, seed, *, copies):
        if domain == "stem_zh":
            raise _KilledError
        return real_merge(scratch, parts, out, domain, seed, copies=copies)

    def encode(task, scratch):
        encoded.append(task.key)
        return real_encode(task, scratch)

    monkeypatch.setattr(module, "_merge", merge)
    monkeypatch.setattr(module, "encode_shard", encode)
    with pytest.raises(_KilledError):
        pack(documents, exercises, tokenizer, out, PackConfig(), engine=Engine(), progress=SILENT)
    assert not out.exists("tokens.json") and len(encoded) == 3
    monkeypatch.setattr(module, "_merge", real_merge)
    pack(documents, exercises, tokenizer, out, PackConfig(), engine=Engine(), progress=SILENT)
    assert len(encoded) == 3, "encoded shards are not encoded again"
    assert hashes(out) == hashes(tokens)


def test_no_training_documents_is_an_error_and_no_canaries_is_not(tmp_path, documents, tokenizer):
    with pytest.raises(DataError, match=r"no documents.*'train'"):
        pack(Store(tmp_path), Store(tmp_path), tokenizer, Store(tmp_path / "a"), PackConfig(), engine=Engine(), progress=SILENT)
    out = Store(tmp_path / "b")
    pack(documents, Store(tmp_path / "none"), tokenizer, out, PackConfig(), engine=Engine(), progress=SILENT)
    assert "canary" not in out.read_json("tokens.json")["domains"]


def test_large_vocabularies_use_int32(tmp_path):
    assert [dtype_for(n).name for n in (65_499, 65_500, 65_536)] == ["uint16", "int32", "int32"]
    store, ids = Store(tmp_path), np.array([1, 70_000, 2, 1, 2], "<i4")
    store.write_bytes("big.bin", ids.tobytes())
    write_index(store, "big", np.array([3, 2]), ids.dtype)
    assert parse(store.root, "big") == [[1, 70_000, 2], [1, 2]]
    assert [s.tolist() for s in open_indexed(store, "big")] == [[1, 70_000, 2], [1, 2]]


def test_damaged_shards_are_refused(tmp_path, tokens):
    for name in ("code.bin", "code.idx"):
        shutil.copy(tokens.path(name), tmp_path / name)
    store = Store(tmp_path)
    (tmp_path / "code.bin").write_bytes((tmp_path / "code.bin").read_bytes()[:-2])
    with pytest.raises(IntegrityError, match=r"pack.*again"):
        open_indexed(store, "code")
    (tmp_path / "code.idx").write_bytes(b"not an index")
    with pytest.raises(IntegrityError, match="not an index"):
        open_indexed(store, "code")
