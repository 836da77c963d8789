"""Telemetry of training: rates in `telemetry/speed.jsonl`, curves for TensorBoard and trackers.

Every N steps (`train.log_every`) a line says tokens per second, of the run and of one accelerator; the utilisation (MFU) by
6·(N − input embedding) + 12·L·h·s FLOPs a token, which is as close to the report's (3.5) as a stated formula gets, and
`mfu_causal` beside it, which counts half of the attention scores; memory; and the share of time spent waiting for data. On an
accelerator the memory is its own: the most that tensors took since the last line, and what torch reserved for them. A line names
the peak that its MFU is of; on a processor, which has none, both are null. `telemetry/scoring.jsonl` says how long the scores of
released checkpoints took, and what share of the training time between two of them that is. `telemetry/energy.json` has the energy
that the machine's counters gave (`energy`), or why there is none. All of it is written by rank 0, and memory is that of rank 0.
What watches a run that goes on reads `live`.

Nothing here is part of a run's content: the figures differ from one run to the next.
"""

from __future__ import annotations

import json
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType

import torch

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.train.step import peak_memory
from skyloom.train.watch.alarms import ALARMS, AlarmLine
from skyloom.train.watch.energy import ENERGY, EnergyMeter, read_energy
from skyloom.train.watch.journal import (
    HELDOUT,
    METRICS,
    SCORES,
    SCORING,
    SKIPS,
    SPEED,
    CausalRate,
    DeviceMemory,
    HeldOutLine,
    Journal,
    MetricsLine,
    ScoreLine,
    ScoringLine,
    SkipLine,
    SpeedLine,
)
from skyloom.train.watch.live import Live
from skyloom.train.watch.trackers import BOARD, SENT, Board, Remote, Settings, Tracker, connect

EVERY = 10
"""Steps of one line of `speed.jsonl` unless told."""


RECENT = 1000
"""Steps of this process whose time is remembered."""


class Telemetry:
    """Times steps and writes curves. See `__init__` for the figures behind a utilisation."""

    def __init__(
        self,
        out: Store,
        first_step: int,
        flops_per_token: int,
        peak_flops: float | None,
        *,
        causal_flops_per_token: int = 0,
        world: int = 1,
        every: int = EVERY,
        device: torch.device | str = "cpu",
        trackers: Sequence[str] = (),
        settings: Settings | None = None,
        progress: Progress | None = None,
        journals: Mapping[str, Journal] | None = None,
    ) -> None:
        """`peak_flops`: FLOP/s of one of `world` accelerators at a utilisation of 1 (`peak.peak_flops`), None on processors, whose
        utilisation is not told; `device`: of this process; `settings`: what the trackers should know of the run; `journals`: the
        lines that it goes on with, by file.
        ConfigError if a tracker's package is not installed."""
        self._out, self._flops, self._causal, self._peak = out, flops_per_token, causal_flops_per_token, peak_flops
        self._world, self._every, self._device = world, every, torch.device(device)
        shown = progress or Progress.silent()
        self._journal, self._scoring = (_resumed(out, name, first_step, shown) for name in (SPEED, SCORING))
        self._remotes: list[Remote] = connect(trackers, out, settings or {}, shown)
        self._live = Live(out, {**(journals or {}), SPEED: self._journal}, shown)
        self._trackers: list[Tracker] = [*self._remotes, *([Board(out.path(BOARD), first_step)] if out.local else [])]
        self._meter = EnergyMeter(self._device, first_step, world, before=read_energy(out))
        self._step = first_step
        self._last: SpeedLine | None = None
        self._step_seconds: deque[float] = deque(maxlen=RECENT)
        self._restart()

    def __enter__(self) -> Telemetry:
        self._meter.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._meter.__exit__(kind, error, trace)
        self.write()
        self._live.close()
        for tracker in self._trackers:
            tracker.close()
        self._write_sent()

    def _restart(self) -> None:
        self._seconds = self._waited = 0.0
        self._tokens = self._steps = 0
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)

    def step(self, record: MetricsLine, tokens: int, seconds: float, waited: float) -> bool:
        """A finished step: its line of `metrics.jsonl`, its tokens, its seconds, and how many of them it waited for data.

        Returns whether it ended a line of `speed.jsonl`, which `note` then tells.
        """
        self._steps += 1
        self._step = record["step"]
        self._step_seconds.append(seconds)
        self._tokens += tokens
        self._seconds += seconds
        self._waited += waited
        self._live.add(METRICS, record)
        self._add({f"train/{name}": record[name] for name in ("loss", "lr", "grad_norm", "tokens")}, record["step"])
        if self._steps < self._every:
            return False
        self._flush(record["step"], record["tokens"])
        return True

    def _flush(self, step: int, tokens: int) -> None:
        rate = self._tokens / self._seconds
        causal: CausalRate = {"mfu_causal": self._share(rate * self._causal)} if self._causal else {}
        speed: SpeedLine = {
            "step": step,
            "tokens": tokens,
            "tokens_per_s": rate,
            "tokens_per_s_per_device": rate / self._world,
            "data_wait_share": self._waited / self._seconds,
            "mfu": self._share(rate * self._flops),
            **causal,
            "memory_bytes": peak_memory(),
            **self._device_memory(),
            "peak_flops": self._peak,
            "seconds": self._seconds,
        }
        self._journal.add(speed)
        self._live.add(SPEED, speed)
        figures = {
            name: value for name, value in speed.items() if isinstance(value, int | float) and name not in ("step", "tokens")
        }
        self._add({f"speed/{name}": value for name, value in figures.items()}, step)
        self._last = speed
        self._restart()

    def _share(self, flops: float) -> float | None:
        """FLOP/s of the run as a share of what its accelerators could reach."""
        return None if self._peak is None else flops / (self._peak * self._world)

    def _device_memory(self) -> DeviceMemory:
        if self._device.type != "cuda":
            return {}
        return {
            "device_memory_bytes": torch.cuda.max_memory_allocated(self._device),
            "device_reserved_bytes": torch.cuda.max_memory_reserved(self._device),
        }

    def note(self) -> str:
        """The last line in words, for whoever watches the log; empty before the first."""
        if self._last is None:
            return ""
        held, mfu = self._last.get("device_memory_bytes", self._last["memory_bytes"]), self._last["mfu"]
        return (
            f"{self._last['tokens_per_s']:,.0f} tokens/s, {'' if mfu is None else f'MFU {100 * mfu:.1f} %, '}"
            f"waiting {100 * self._last['data_wait_share']:.1f} %, {held / 1e9:.1f} GB"
        )

    def heldout(self, line: HeldOutLine) -> None:
        """A line of `heldout.jsonl`."""
        self._live.add(HELDOUT, line)
        name = line["set"]
        self._add({f"heldout_loss/{name}": line["loss"], f"heldout_bits_per_byte/{name}": line["bits_per_byte"]}, line["step"])

    def score(self, line: ScoreLine) -> None:
        """A line of `scores.jsonl`."""
        self._live.add(SCORES, line)
        of = "/".join((line["benchmark"], *filter(None, (line["lang"], line.get("metric"), line.get("filter")))))
        figures = {f"score/{of}": line.get("value", line["accuracy"]), f"score_bits_per_byte/{of}": line.get("bits_per_byte")}
        self._add({name: value for name, value in figures.items() if value is not None}, line["step"])

    def scored(self, stage: str, step: int, kind: str, seconds: float, between: int) -> float | None:
        """The scoring of a checkpoint took so long. Its share of the training time of `between` steps, the fewest between two
        released checkpoints of the stage, by the median of this process's steps; None before there was one."""
        training = statistics.median(self._step_seconds) * between if self._step_seconds else None
        share = None if not training else seconds / training
        line: ScoringLine = {
            "stage": stage,
            "step": step,
            "kind": kind,
            "seconds": seconds,
            "between_seconds": training,
            "share": share,
        }
        self._scoring.add(line)
        return share

    def alarm(self, line: AlarmLine) -> None:
        """A line of `alarms.jsonl`: a mark on the curves."""
        self._live.add(ALARMS, line)
        self._add({f"alarm/{line['kind']}/{line['set']}": 1.0}, line["step"])

    def skip(self, line: SkipLine) -> None:
        """A line of `skips.jsonl`, which has no curve."""
        self._step = line["step"]
        self._live.add(SKIPS, line)

    def write(self) -> None:
        self._journal.write(self._out, SPEED)
        self._out.write_json(ENERGY, self._meter.file(self._step))
        if len(self._scoring):
            self._scoring.write(self._out, SCORING)
        for tracker in self._trackers:
            tracker.flush()
        self._write_sent()

    def _write_sent(self) -> None:
        if self._remotes:
            self._out.write_json(SENT, {remote.name: remote.told() for remote in self._remotes})

    def _add(self, figures: Mapping[str, float], step: int) -> None:
        for tracker in self._trackers:
            tracker.add(figures, step)


def _resumed(out: Store, name: str, step: int, progress: Progress) -> Journal:
    """The lines of a file of telemetry up to a step. A damaged one begins anew: it is no part of the run."""
    try:
        read = out.read_text(name).splitlines(keepends=True) if out.exists(name) else []
        return Journal([line for line in read if json.loads(line)["step"] <= step])
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        progress.log(f"{out.url(name)} is damaged and begins anew ({problem})")
        return Journal()
