"""One way to make batches out of token shards, in a process of its own: ours, or a peer that its interpreter has installed.

    python -m bench.data.loader_peers NAME

reads orders and writes answers, each one line of JSON. The first answer is {"version": text} or {"not_installed": module}.
{"open": folder, "shares": {domain: weight}, "context": c, "batch": b} opens Megatron shards and makes the first batch;
{"batches": n} makes the next n and answers {"cpu": seconds, "wall": seconds, "tokens": targets given out}. Everything runs in
one thread on one core. What each makes is what its users get: int64 rows of context + 1 ids from each of several sources by
their shares (skyloom, grain), a dictionary of four tensors from the same (megatron-core, without the attention mask, which
it can leave to the kernel), windows anywhere in one source (torch, and the loop that small trainers have: a random place in a
memory map for each row, once for inputs and once for targets).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

Batches = Iterator[Any]


def skyloom(folder: str, shares: Mapping[str, float], context: int, batch: int) -> Batches:
    from skyloom.core.progress import Progress
    from skyloom.core.store import Store
    from skyloom.data.config import Phase
    from skyloom.data.loader import Loader
    from skyloom.data.mixture import resolve

    store = Store(folder)
    sizes = store.read_json("tokens.json")
    tokens = 2 * sum(entry["tokens"] for entry in sizes["domains"].values())
    plan = resolve(Phase(tokens=tokens, shares=dict(shares), repeat_cap=1000.0), sizes, progress=Progress.silent())
    loader = Loader(store, plan, seed=1, batch=batch, context=context)
    while True:
        for step in range(loader.steps):
            yield loader.batch(step).tokens


def megatron(folder: str, shares: Mapping[str, float], context: int, batch: int) -> Batches:
    import torch
    from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

    class Words:
        """What the configuration asks of a tokenizer."""

        vocab_size, eod, pad = manifest(folder)["vocabulary"], 2, -1
        unique_identifiers = {"class": "bench"}  # noqa: RUF012 - as theirs

    cache = tempfile.mkdtemp()
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", init_method=f"file://{cache}/store", rank=0, world_size=1)
    config = GPTDatasetConfig(
        random_seed=1,
        sequence_length=context,
        blend=([f"{folder}/{domain}" for domain in shares], list(shares.values())),
        split="1",
        path_to_cache=cache,
        tokenizer=Words(),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
    samples = 1_000_000_000 // context
    data = BlendedMegatronDatasetBuilder(GPTDataset, [samples, 0, 0], lambda: True, config).build()[0]
    while True:
        yield from torch.utils.data.DataLoader(data, batch_size=batch, num_workers=0)


def torch_loader(folder: str, shares: Mapping[str, float], context: int, batch: int) -> Batches:
    import numpy as np
    import torch

    ids = np.memmap(f"{folder}/{next(iter(shares))}.bin", manifest(folder)["dtype"], "r")

    class Windows(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return (len(ids) - 1) // context

        def __getitem__(self, window: int) -> Any:
            return torch.from_numpy(ids[window * context : window * context + context + 1].astype(np.int64))

    while True:
        yield from torch.utils.data.DataLoader(Windows(), batch_size=batch, shuffle=True, num_workers=0)


def random_windows(folder: str, shares: Mapping[str, float], context: int, batch: int) -> Batches:
    import numpy as np
    import torch

    ids = np.memmap(f"{folder}/{next(iter(shares))}.bin", manifest(folder)["dtype"], "r")
    while True:
        places = torch.randint(len(ids) - context - 1, (batch,)).tolist()
        inputs = torch.stack([torch.from_numpy(ids[i : i + context].astype(np.int64)) for i in places])
        yield inputs, torch.stack([torch.from_numpy(ids[i + 1 : i + 1 + context].astype(np.int64)) for i in places])


def grain(folder: str, shares: Mapping[str, float], context: int, batch: int) -> Batches:
    import numpy as np
    from grain import MapDataset, ReadOptions

    class Windows:
        def __init__(self, domain: str) -> None:
            self.ids = np.memmap(f"{folder}/{domain}.bin", manifest(folder)["dtype"], "r")

        def __len__(self) -> int:
            return (len(self.ids) - 1) // context

        def __getitem__(self, window: int) -> Any:
            return self.ids[window * context : window * context + context + 1].astype(np.int64)

    parts = [MapDataset.source(Windows(domain)).shuffle(seed=n).repeat() for n, domain in enumerate(shares)]
    mixed = MapDataset.mix(parts, weights=list(shares.values())).batch(batch)
    yield from mixed.to_iter_dataset(ReadOptions(num_threads=0, prefetch_buffer_size=0))


def manifest(folder: str) -> dict[str, Any]:
    with open(f"{folder}/tokens.json", encoding="utf-8") as file:
        return dict(json.load(file))


WAYS: dict[str, tuple[str, Callable[[str, Mapping[str, float], int, int], Batches]]] = {
    "skyloom": ("skyloom", skyloom),
    "megatron-core": ("megatron-core", megatron),
    "grain": ("grain", grain),
    "torch DataLoader": ("torch", torch_loader),
    "random windows": ("torch", random_windows),
}


def main() -> int:
    package, way = WAYS[sys.argv[1]]
    answers, sys.stdout = sys.stdout, sys.stderr  # peers print

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        installed = version(package)
        if package != "skyloom":
            __import__("torch")
            __import__({"megatron-core": "megatron.core"}.get(package, package))
    except (ImportError, OSError, RuntimeError):
        answer({"not_installed": package})
        return 0
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    answer({"version": installed})
    batches: Batches = iter(())
    shape = (0, 0)
    for line in sys.stdin:
        order = json.loads(line)
        if "open" in order:
            shape = (order["context"], order["batch"])
            batches = way(order["open"], order["shares"], *shape)
            next(batches)
            answer({})
            continue
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(order["batches"]):
            next(batches)
        times = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        answer({**times, "tokens": order["batches"] * shape[0] * shape[1]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
