"""datatrove's blocks over the pages and texts that from_datatrove.py left in a folder; run by the interpreter that has datatrove.

Input: a folder with pages.warc.gz, texts.jsonl, english.jsonl and export/*.parquet. Output: the last line printed is JSON: what
each block says, by document id.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader, ParquetReader, WarcReader


def corpus_peer():
    """The module corpus_peer.py beside this file, loaded by its path: the folder has a code.py that would hide Python's own."""
    spec = importlib.util.spec_from_file_location("corpus_peer", Path(__file__).with_name("corpus_peer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def passes(block, document) -> bool:
    found = block.filter(document)
    return bool(found[0] if isinstance(found, tuple) else found)


def main() -> None:
    work, peer = Path(sys.argv[1]), corpus_peer()
    records = [doc.metadata["url"] for doc in WarcReader(str(work), glob_pattern="pages.warc.gz").run()]
    texts = list(JsonlReader(str(work), glob_pattern="texts.jsonl", compression=None).run())
    exported = list(ParquetReader(str(work / "export")).run())
    same = [a.id for a, b in zip(texts, exported, strict=True) if a.text == b.text and a.id == b.id]
    said: dict = {"records": len(records), "urls": records, "read": len(same), "written": len(texts)}
    language = peer.LocalLanguageFilter(languages=["en", "zh"])
    said["language"] = {}
    for doc in texts:
        language.filter(doc)
        said["language"][doc.id] = doc.metadata["language"] if doc.metadata["language"] in ("en", "zh") else "ot"
    blocks = {
        "gopher-repetition": GopherRepetitionFilter(),
        "gopher-quality": GopherQualityFilter(),
        "c4": C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb": FineWebQualityFilter(),
    }
    for name, block in blocks.items():
        said[name] = {}
        for doc in JsonlReader(str(work), glob_pattern="english.jsonl", compression=None).run():
            said[name][doc.id] = passes(block, doc)
    (work / "filtered" / "en").mkdir(parents=True)
    import gzip

    packed = gzip.compress((work / "english.jsonl").read_bytes())
    (work / "filtered" / "en" / "00000.jsonl.gz").write_bytes(packed)
    peer.minhash(work, "en", "eng", 1)
    kept = {doc.id for doc in JsonlReader(str(work / "final" / "en")).run()}
    said["near-duplicates"] = {
        doc.id: doc.id in kept for doc in JsonlReader(str(work), glob_pattern="english.jsonl", compression=None).run()
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
