"""One way to compute the loss from features in a process of its own: ours, or one that torch has.

    python -m bench.train.loss_peers NAME

reads orders and writes answers, each one line of JSON. The first answer is {"version": text} or {"not_installed": module}.
{"rows": n, "hidden": n, "vocabulary": n, "threads": n} makes bf16 features and an output matrix from a seed, and warms up (the
first passes compile); it answers {"loss": nats, "apart": largest difference of a gradient to the one of fp32, as a share of the
largest gradient}. {"passes": n} runs the loss forward and backward n times and answers {"seconds": [n numbers], "mib": the most
memory that a pass added, NaN where there is no Linux}.

"skyloom" is `linear_loss`, compiled, as the training step calls it. "torch" is what most training programs write: the logits,
then `cross_entropy` in fp32, compiled. "torch-chunked" is torch's own `linear_cross_entropy` with its chunks as they come, not
compiled: at the demo's shape that took longer.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LINUX = sys.platform == "linux"
WARM = 3


def contender(name: str) -> Callable[[Any, Any, Any], Any]:
    """The function of that name: mean loss of bf16 features [rows, hidden], matrix [vocabulary, hidden] and int64[rows] targets.

    ModuleNotFoundError or AttributeError where it is not installed.
    """
    import torch
    from torch.nn import functional

    if name == "skyloom":
        from skyloom.score.linear_loss import linear_loss

        return torch.compile(linear_loss, dynamic=False, fullgraph=True)
    if name == "torch":
        return torch.compile(lambda x, w, y: functional.cross_entropy((x @ w.T).float(), y), dynamic=False, fullgraph=True)
    options = torch.nn.LinearCrossEntropyOptions()

    def chunked(x: Any, w: Any, y: Any) -> Any:
        return functional.linear_cross_entropy(x, w, y, options=options)

    return chunked


def memory(of: str) -> float:
    """KiB that the kernel counts for this process: "VmRSS" now, "VmHWM" the most since `clear_refs`."""
    if not LINUX:
        return float("nan")
    found = re.search(rf"{of}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return float(found[1])


class Inputs:
    """Features, matrix and targets, and passes over them."""

    def __init__(self, loss: Callable[[Any, Any, Any], Any], rows: int, hidden: int, vocabulary: int) -> None:
        import torch

        draw = torch.Generator().manual_seed(1)
        self.loss = loss
        self.features = torch.randn(rows, hidden, generator=draw).bfloat16().requires_grad_()
        self.matrix = (torch.randn(vocabulary, hidden, generator=draw) * hidden**-0.5).bfloat16().requires_grad_()
        self.targets = torch.randint(vocabulary, (rows,), generator=draw)

    def run(self) -> Any:
        """One pass, whose gradients lie in `features` and `matrix` after it."""
        self.features.grad = self.matrix.grad = None
        value = self.loss(self.features, self.matrix, self.targets)
        value.backward()
        return value

    def warm(self) -> dict[str, float]:
        import torch
        from torch.nn import functional

        for _ in range(WARM):
            value = self.run()
        wide = [part.detach().float().requires_grad_() for part in (self.features, self.matrix)]
        functional.cross_entropy(wide[0] @ wide[1].T, self.targets).backward()
        apart = max(
            float((own.grad.float() - exact.grad).abs().max() / exact.grad.abs().max())
            for own, exact in zip((self.features, self.matrix), wide, strict=True)
        )
        del wide
        assert torch.isfinite(value)
        return {"loss": float(value), "apart": apart}

    def measure(self, passes: int) -> dict[str, Any]:
        self.features.grad = self.matrix.grad = None
        if LINUX:
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")
        seconds = []
        for _ in range(passes):
            begun = time.perf_counter()
            self.run()
            seconds.append(time.perf_counter() - begun)
        return {"seconds": seconds, "mib": (memory("VmHWM") - before) / 1024}


def main() -> None:
    name = sys.argv[1]
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        import torch

        loss = contender(name)
    except (ModuleNotFoundError, AttributeError) as missing:
        print(json.dumps({"not_installed": missing.name}), file=answers, flush=True)
        return
    print(json.dumps({"version": torch.__version__}), file=answers, flush=True)
    inputs: Inputs | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if "rows" in order:
            torch.set_num_threads(order["threads"])
            inputs = Inputs(loss, order["rows"], order["hidden"], order["vocabulary"])
            print(json.dumps(inputs.warm()), file=answers, flush=True)
        else:
            assert inputs is not None
            print(json.dumps(inputs.measure(order["passes"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
