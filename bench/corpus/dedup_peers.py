"""One way to find near-duplicates in a process of its own: ours, or a peer that its interpreter has installed.

    python -m bench.corpus.dedup_peers NAME

reads orders and writes answers, each one line of JSON, as `extractors.py` does. The first answer is {"version": text} or
{"not_installed": module}. Orders: {"documents": [folder, ...]} names folders with Parquet shards of `id` and `text`, one for each
language, "en" and "zh" at the end of their names; "signatures" computes all signatures of the texts in memory and answers
{"seconds": CPU, "bytes": of text}; {"remove": folder} runs the whole removal from the Parquet files, with what it writes in that
folder, and answers {"wall", "cpu", "clusters": file}: JSON of {id: id of the document that stays for it}. Imports and the
compilation of kernels are not timed; a first signature of a hundred texts warms everybody up.

Everybody gets the setting of `MinhashConfig()` in datatrove: 5-grams, 14 bands of 8 rows; "skyloom" takes its own default
(18 of 6) and "skyloom 14 x 8" theirs. datatrove runs its four steps with two workers, one language after the other, because
its word tokenizers are by language.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

BANDS, ROWS, SHINGLE = 14, 8, 5


class Tool(Protocol):
    """What a peer must be able to do. `texts`: list of (language, Arrow array)."""

    def signatures(self, texts: list[tuple[str, Any]]) -> None: ...

    def remove(self, folders: list[str], out: str) -> dict[str, str]: ...


def language(folder: str) -> str:
    return "zh" if folder.rstrip("/").endswith("zh") else "en"


class Skyloom:
    def __init__(self, bands: int, rows: int) -> None:
        from skyloom.corpus.dedup.config import DedupConfig

        self.config = DedupConfig(bands=bands, rows=rows)

    def signatures(self, texts: list[tuple[str, Any]]) -> None:
        from skyloom.corpus.dedup.minhash import band_keys
        from skyloom.corpus.text.columns import slices

        for _, column in texts:
            for start, stop in slices(column):
                band_keys(column.slice(start, stop - start), SHINGLE, self.config.bands, self.config.rows)

    def remove(self, folders: list[str], out: str) -> dict[str, str]:
        from skyloom.core.engine import Engine
        from skyloom.core.progress import Progress
        from skyloom.core.store import Store
        from skyloom.corpus.dedup.shards import near_duplicates_of
        from skyloom.corpus.dedup.sketch import Columns

        root = Store(Path(folders[0]).parent)
        names = [f"{Path(f).name}/{p.name}" for f in folders for p in sorted(Path(f).glob("*.parquet"))]
        place = Store(out)
        done = near_duplicates_of(
            root, names, Columns(), place, self.config, memory=4 << 30, engine=Engine(), progress=Progress.silent()
        )
        tables = [place.read_table(n) for n in done.names]
        return {i: c for t in tables for i, c in zip(t.column("id").to_pylist(), t.column("cluster").to_pylist(), strict=True)}


class Datatrove:
    def __init__(self) -> None:
        from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

        self.config = MinhashConfig(n_grams=SHINGLE, num_buckets=BANDS, hashes_per_bucket=ROWS)
        self.languages = {"en": "eng", "zh": "cmn"}  # for the macrolanguage, zho, it cuts at white space only
        self.signers = {
            short: MinhashDedupSignature("/tmp", config=self.config, language=name) for short, name in self.languages.items()
        }

    def signatures(self, texts: list[tuple[str, Any]]) -> None:
        for lang, column in texts:
            signer = self.signers[lang]
            for text in column.to_pylist():
                shingles = signer.get_shingles(text)
                if shingles.size:
                    signer.get_signature(shingles)

    def remove(self, folders: list[str], out: str) -> dict[str, str]:
        from datatrove.executor import LocalPipelineExecutor
        from datatrove.pipeline.dedup.minhash import (
            MinhashDedupBuckets,
            MinhashDedupCluster,
            MinhashDedupFilter,
            MinhashDedupSignature,
        )
        from datatrove.pipeline.readers import ParquetReader
        from datatrove.pipeline.writers import JsonlWriter

        clusters: dict[str, str] = {}
        for folder in folders:
            lang, base = language(folder), f"{out}/{Path(folder).name}"
            name = self.languages[lang]
            steps: list[tuple[list[Any], int]] = [
                ([ParquetReader(folder), MinhashDedupSignature(f"{base}/signatures", config=self.config, language=name)], 2),
                ([MinhashDedupBuckets(f"{base}/signatures", f"{base}/pairs", config=self.config)], BANDS),
                ([MinhashDedupCluster(f"{base}/pairs", f"{base}/clusters", config=self.config, save_cluster_id=True)], 1),
                (
                    [
                        ParquetReader(folder),
                        MinhashDedupFilter(
                            f"{base}/clusters",
                            exclusion_writer=JsonlWriter(f"{base}/removed", compression=None),
                            load_cluster_ids=True,
                        ),
                        JsonlWriter(f"{base}/kept", compression=None),
                    ],
                    2,
                ),
            ]
            for number, (pipeline, tasks) in enumerate(steps):
                LocalPipelineExecutor(
                    pipeline, tasks=tasks, workers=min(tasks, 2), logging_dir=f"{base}/logs{number}", skip_completed=False
                ).run()
            clusters |= self._read(base)
        return clusters

    @staticmethod
    def _read(base: str) -> dict[str, str]:
        members: dict[int, list[str]] = {}
        stays: dict[int, str] = {}
        found: dict[str, str] = {}
        for kind in ("kept", "removed"):
            for path in sorted(Path(base, kind).glob("*.jsonl")):
                for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
                    row = json.loads(line)
                    number = row["metadata"].get("minhash_cluster_id", -1)
                    if number < 0:
                        found[row["id"]] = row["id"]
                        continue
                    members.setdefault(number, []).append(row["id"])
                    if kind == "kept":
                        stays[number] = row["id"]
        return found | {name: stays[number] for number, names in members.items() for name in names}


class Daft:
    """As its guide on deduplication has it: normalize, minhash, one row for each band, group, components."""

    def __init__(self) -> None:
        import daft

        daft.set_runner_native()
        self.daft = daft

    def _hashes(self, frame: Any) -> Any:
        clean = self.daft.col("text").normalize(remove_punct=True, lowercase=True, nfd_unicode=True, white_space=True)
        return frame.with_column(
            "hashes", clean.minhash(num_hashes=BANDS * ROWS, ngram_size=SHINGLE, seed=42, hash_function="xxhash64")
        )

    def signatures(self, texts: list[tuple[str, Any]]) -> None:
        for _, column in texts:
            self._hashes(self.daft.from_pydict({"text": column})).collect()

    def remove(self, folders: list[str], out: str) -> dict[str, str]:
        import numpy as np
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        col = self.daft.col
        frame = self._hashes(self.daft.read_parquet([f"{f}/*.parquet" for f in folders]).select("id", "text"))
        table = frame.select("id", "hashes").to_arrow()
        ids = table.column("id").to_pylist()
        numbered = self.daft.from_pydict({"row": list(range(len(ids))), "hashes": table.column("hashes")})
        bands = numbered.select(col("row"), col("hashes").chunk(ROWS).alias("keys"))
        bands = bands.with_column("band", self.daft.lit(list(range(BANDS)))).explode("keys", "band")
        groups = bands.groupby("band", "keys").agg(col("row").list_agg().alias("rows"))
        lists = groups.select("rows").to_pydict()["rows"]
        pairs = [(rows[0], other) for rows in lists for other in rows[1:]]
        left, right = np.array(pairs, np.int64).reshape(-1, 2).T
        links = coo_matrix((np.ones(len(left)), (left, right)), shape=(len(ids), len(ids)))
        labels = connected_components(links, directed=False)[1]
        first: dict[int, str] = {}
        for label, name in zip(labels.tolist(), ids, strict=True):
            first.setdefault(label, name)
        return {name: first[label] for label, name in zip(labels.tolist(), ids, strict=True)}


class Rensa:
    """Signatures alone: the user brings the shingles."""

    def __init__(self) -> None:
        import rensa

        self.rensa = rensa

    def signatures(self, texts: list[tuple[str, Any]]) -> None:
        for lang, column in texts:
            for text in column.to_pylist():
                words = list(text) if lang == "zh" else text.split()
                sketch = self.rensa.RMinHash(num_perm=BANDS * ROWS, seed=42)
                sketch.update([" ".join(words[k : k + SHINGLE]) for k in range(max(len(words) - SHINGLE + 1, 1))])
                sketch.digest()

    def remove(self, folders: list[str], out: str) -> dict[str, str]:
        raise NotImplementedError("only its signatures are measured")


TOOLS: dict[str, tuple[Callable[[], Tool], str]] = {
    "skyloom": (lambda: Skyloom(18, 6), "skyloom"),
    "skyloom 14 x 8": (lambda: Skyloom(BANDS, ROWS), "skyloom"),
    "datatrove": (Datatrove, "datatrove"),
    "daft": (Daft, "daft"),
    "rensa": (Rensa, "rensa"),
}  # name: how to make it, and the distribution whose version is reported


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def read(folders: Iterable[str]) -> list[tuple[str, Any]]:
    import pyarrow.parquet as pq

    return [(language(f), pq.read_table(f, columns=["text"]).column(0).combine_chunks()) for f in folders]


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what a peer prints must not mix with the answers
    make, distribution = TOOLS[sys.argv[1]]

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        tool = make()
    except ModuleNotFoundError as missing:
        answer({"not_installed": missing.name})
        return
    answer({"version": version(distribution)})
    folders: list[str] = []
    texts: list[tuple[str, Any]] = []
    for line in sys.stdin:
        order = json.loads(line)
        if order == "signatures":
            started = cpu()
            tool.signatures(texts)
            answer({"seconds": cpu() - started, "bytes": sum(len(t.encode()) for _, c in texts for t in c.to_pylist())})
        elif "documents" in order:
            folders = order["documents"]
            texts = read(folders)
            tool.signatures([(lang, column.slice(0, 100)) for lang, column in texts])
            answer({"documents": sum(len(column) for _, column in texts)})
        else:
            started, wall = cpu(), time.perf_counter()
            clusters = tool.remove(folders, order["remove"])
            seconds = {"wall": time.perf_counter() - wall, "cpu": cpu() - started}
            path = Path(order["remove"]) / "clusters.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(clusters), encoding="utf-8")
            answer({**seconds, "clusters": str(path)})


if __name__ == "__main__":
    main()
