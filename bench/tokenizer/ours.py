"""Encoding of our own in a process of its own, so that versions of it can take turns, see `versions.py`.

    python -m bench.tokenizer.ours FOLDER

reads orders and writes answers, each one line of JSON. FOLDER holds a trained tokenizer. The first answer is {"version": text}.
Orders: {"texts": file} names a Parquet file whose column `text` is encoded from now on; "encode" encodes it on one thread and
answers {"rate": MB per CPU-second}. Nothing else of the bench is imported, because the code may be that of another version.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any


def main() -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from skyloom.tokenizer import Tokenizer

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), flush=True)

    tokenizer, column, size = Tokenizer.load(sys.argv[1]), None, 0
    answer({"version": version("skyloom")})
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, dict):
            column = pq.read_table(order["texts"]).column("text").combine_chunks()
            size = pc.sum(pc.binary_length(column)).as_py()
            answer({"texts": len(column)})
            continue
        assert column is not None
        begun = time.process_time()
        tokenizer.encode_column(column, threads=1)
        answer({"rate": size / 1e6 / (time.process_time() - begun)})


if __name__ == "__main__":
    main()
