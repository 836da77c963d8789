"""What a run costs and how it looks while it runs: rates in `telemetry/speed.jsonl`, curves for TensorBoard.

Nothing here is part of a run's content: the figures differ from one run to the next.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from skyloom.core.store import TELEMETRY, Store
from skyloom.train.journal import Journal
from skyloom.train.machine import peak_memory

SPEED = f"{TELEMETRY}speed.jsonl"
BOARD = f"{TELEMETRY}tensorboard"
EVERY = 10
"""Steps of one line of `speed.jsonl`."""


class Telemetry:
    """Times steps and writes curves. `peak_flops`: FLOP/s that a utilisation (mfu) of 1 would be."""

    def __init__(self, out: Store, first_step: int, flops_per_token: int, peak_flops: float) -> None:
        self._out, self._flops, self._peak = out, flops_per_token, peak_flops
        lines = out.read_text(SPEED).splitlines(keepends=True) if out.exists(SPEED) else []
        self._journal = Journal([line for line in lines if json.loads(line)["step"] <= first_step])
        self._board = SummaryWriter(str(out.path(BOARD)), purge_step=first_step) if out.local else None
        self._restart()

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.write()
        if self._board is not None:
            self._board.close()

    def _restart(self) -> None:
        self._seconds = self._waited = 0.0
        self._tokens = self._steps = 0

    def step(self, record: Mapping[str, Any], tokens: int, seconds: float, waited: float) -> None:
        """A finished step: its line of `metrics.jsonl`, its tokens, its seconds, and how many of them it waited for data."""
        self._steps += 1
        self._tokens += tokens
        self._seconds += seconds
        self._waited += waited
        if self._board is not None:
            for name in ("loss", "lr", "grad_norm"):
                self._board.add_scalar(f"train/{name}", record[name], record["step"])
        if self._steps == EVERY:
            self._flush(record["step"])

    def _flush(self, step: int) -> None:
        rate = self._tokens / self._seconds
        speed = {
            "step": step,
            "tokens_per_s": rate,
            "data_wait_share": self._waited / self._seconds,
            "mfu": rate * self._flops / self._peak,
            "memory_bytes": peak_memory(),
            "seconds": self._seconds,
        }
        self._journal.add(speed)
        if self._board is not None:
            self._board.add_scalar("speed/tokens_per_s", rate, step, walltime=time.time())
        self._restart()

    def heldout(self, record: Mapping[str, Any]) -> None:
        """A line of `heldout.jsonl`."""
        if self._board is not None:
            self._board.add_scalar(f"heldout_loss/{record['set']}", record["loss"], record["step"])
            self._board.add_scalar(f"heldout_bits_per_byte/{record['set']}", record["bits_per_byte"], record["step"])

    def write(self) -> None:
        self._journal.write(self._out, SPEED)
        if self._board is not None:
            self._board.flush()
