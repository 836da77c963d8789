"""What a stage of training records while it runs: journals, held-out losses, alarms, benchmark scores and telemetry.

The loop tells the `Recorder` of each step. Journals are part of the run's content: all processes keep the same lines, rank 0
writes them with each checkpoint, and the checkpoint seals them. Speed, live lines and the curves of trackers are telemetry: only
rank 0 keeps them, and they differ from one run to the next.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.train import checkpoint as disk
from skyloom.train import recover
from skyloom.train.distributed import Ranks
from skyloom.train.inputs import SeenRow
from skyloom.train.opening import StageSpec
from skyloom.train.step import Learner, emulates_bf16
from skyloom.train.watch import (
    ALARMS,
    HELDOUT,
    METRICS,
    SCORES,
    SKIPS,
    Alarms,
    HeldOutLine,
    Journal,
    MetricsLine,
    Monitor,
    Scores,
    Seal,
    SkipLine,
    Telemetry,
    heldout_line,
    peak_flops,
    score_line,
)

TASKS = "tasks"
"""The name of the scores of `train.score_tasks`."""
JOURNALS = (METRICS, HELDOUT, SKIPS, ALARMS, SCORES)


def journals_of(found: disk.Found | None) -> disk.Journals:
    """The journals that a checkpoint sealed, or empty ones."""
    return {name: found.journals[name] if found else Journal() for name in JOURNALS}


@dataclass(frozen=True)
class Recorder:
    """The records of a stage from one checkpoint on. `telemetry`: of rank 0, None elsewhere."""

    spec: StageSpec
    out: Store
    ranks: Ranks
    progress: Progress
    monitor: Monitor
    scores: Mapping[str, Scores]
    journals: disk.Journals
    alarms: Alarms
    telemetry: Telemetry | None

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        spec: StageSpec,
        out: Store,
        ranks: Ranks,
        progress: Progress,
        monitor: Monitor,
        scores: Mapping[str, Scores],
        journals: disk.Journals,
        *,
        first_step: int,
        device: torch.device,
    ) -> Iterator[Recorder]:
        """A recorder that goes on with `journals` after `first_step` of the run; closed after the block."""
        alarms = Alarms(journals[METRICS].records(MetricsLine), journals[HELDOUT].records(HeldOutLine))
        with contextlib.ExitStack() as stack:
            telemetry = None
            if ranks.is_main:
                flops, causal = (spec.model.flops_per_token(spec.config.context, causal=causal) for causal in (False, True))
                peak = peak_flops(device, spec.config.precision) if device.type == "cuda" else None
                if peak is not None:
                    progress.log(f"a utilisation (MFU) of 100 % is {peak.flops / 1e12:,.3g} TFLOP/s a process: {peak.source}")
                if device.type == "cpu" and spec.config.precision == "bf16" and emulates_bf16():
                    progress.log(
                        "warning: this processor has no instructions for bf16 and emulates it, many times slower than fp32: "
                        "stop with Ctrl-C and train with --set train.precision=fp32"
                    )
                telemetry = stack.enter_context(Telemetry(
                    out, first_step, flops, peak.flops if peak else None, causal_flops_per_token=causal, world=ranks.world,
                    every=spec.config.log_every, device=device, trackers=spec.config.trackers, progress=progress,
                    settings=spec.plan(), journals=journals,
                ))  # fmt: skip
            yield cls(spec, out, ranks, progress, monitor, scores, journals, alarms, telemetry)

    def losses(self) -> list[float]:
        """Training losses of the updates so far."""
        return [line["loss"] for line in self.journals[METRICS].records(MetricsLine)]

    def skipped(self) -> list[int]:
        """Steps of the stage (from 0) that had no update so far."""
        return [line["stage_step"] for line in self.journals[SKIPS].records(SkipLine)]

    def step(
        self, done: int, loss: float, rate: float, norm: float, shares: Mapping[str, float], took: float, waited: float
    ) -> None:
        """An update, the `done`-th of the stage's steps. `took`: its seconds, of which it waited `waited` for data."""
        calendar = self.spec.calendar
        line: MetricsLine = {
            "stage": self.spec.name,
            "step": calendar.total_step(done),
            "tokens": calendar.total_tokens(done),
            "loss": loss,
            "lr": rate,
            "grad_norm": norm,
            "shares": {k: float(v) for k, v in shares.items()},
        }
        self.journals[METRICS].add(line)
        self.alarms.step(line)
        if self.telemetry is not None and self.telemetry.step(line, calendar.tokens_per_step, took, waited):
            said = f"{self.spec.name}, step {line['step']:,}: loss {loss:.3f}, rate {rate:.2e}, {self.telemetry.note()}"
            self.progress.log(said)

    def skip(self, step: int, reason: str, loss: float | None, norm: float | None, rows: Sequence[SeenRow]) -> None:
        """Step `step` (from 0) of the stage has no update; `rows` says which documents were in its batch. Written at once."""
        documents: dict[str, list[str]] = {}
        for row in rows:
            documents.setdefault(row.domain, []).extend(row.ids)
        line: SkipLine = {
            "stage": self.spec.name,
            "step": self.spec.calendar.total_step(step + 1),
            "stage_step": step,
            "reason": reason,
            "loss": _finite(loss),
            "grad_norm": _finite(norm),
            "documents": {domain: list(dict.fromkeys(ids)) for domain, ids in sorted(documents.items())},
        }
        self.journals[SKIPS].add(line)
        if self.telemetry is not None:
            self.telemetry.skip(line)
        if self.ranks.is_main:
            self.journals[SKIPS].write(self.out, SKIPS)

    def watch(self, done: int, learner: Learner) -> None:
        """Score the held-out sets if this is a monitoring point, and the benchmarks if the checkpoint is one to release.

        NotFiniteError if a held-out loss is not a number."""
        calendar = self.spec.calendar
        where = (self.spec.name, calendar.total_step(done), calendar.total_tokens(done))
        if done in calendar.monitored:
            lines = []
            for name, losses in self.monitor.score(learner).items():
                if not math.isfinite(losses.loss):
                    raise recover.NotFiniteError(
                        f"{where[0]}, step {where[1]}: the loss on the held-out set {name} is {losses.loss}; lower the stage's "
                        "peak or lengthen its warm-up"
                    )
                line = heldout_line(*where, name, losses)
                lines.append(line)
                self.journals[HELDOUT].add(line)
                if self.telemetry is not None:
                    self.telemetry.heldout(line)
            for alarm in self.alarms.point(lines):
                self.progress.log(f"warning: {where[0]}, step {where[1]:,}: alarm: {alarm['sentence']}")
                self.journals[ALARMS].add(alarm)
                if self.telemetry is not None:
                    self.telemetry.alarm(alarm)
        if done in calendar.released:
            self._score(where, learner)

    def _score(self, where: tuple[str, int, int], learner: Learner) -> None:
        """The benchmark scores of a checkpoint, and the time that each kind of them takes."""
        released = self.spec.calendar.released
        between = min(b - a for a, b in pairwise([0, *released]))
        for name, scores in self.scores.items():
            started = time.perf_counter()
            for scored in (score_line(*where, score) for score in scores(learner)):
                self.journals[SCORES].add(scored)
                if self.telemetry is not None:
                    self.telemetry.score(scored)
            if self.telemetry is not None:
                took = time.perf_counter() - started
                share = self.telemetry.scored(where[0], where[1], name, took, between)
                if name == TASKS and share is not None and share > self.spec.config.score_share:
                    self.progress.log(
                        f"warning: {where[0]}, step {where[1]:,}: scoring train.score_tasks took {took:.1f} s, "
                        f"{100 * share:.1f} % of the training time between two released checkpoints (train.score_share: "
                        f"{100 * self.spec.config.score_share:g} %): give it fewer items"
                    )

    def name_stragglers(self, busy: float, waited: float, took: float) -> None:
        """Name ranks that compute slowly, and ranks that wait long for data. The two times are compared separately."""
        if self.ranks.world == 1:
            return
        times = self.ranks.gather((busy, waited, took))
        factor = self.spec.config.recover.straggler
        for rank, slower in recover.stragglers([(rank, own) for rank, (own, _, _) in enumerate(times)], factor):
            self.progress.log(f"warning: rank {rank} is slow: {slower:.1f} times the median of the others")
        for rank, seconds in recover.waiting([(wait, step) for _, wait, step in times], factor):
            self.progress.log(
                f"warning: rank {rank} is slow to get its data: {seconds:.2g} s in a step more than the median of the others"
            )

    def write(self) -> None:
        """All records so far to disk, before the checkpoint that seals them."""
        if self.ranks.is_main:
            for name, journal in self.journals.items():
                journal.write(self.out, name)
        if self.telemetry is not None:
            self.telemetry.write()

    def seals(self) -> dict[str, Seal]:
        return {name: journal.seal() for name, journal in self.journals.items()}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
