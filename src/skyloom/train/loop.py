"""A stage of pre-training: batches enter, checkpoints and curves leave. Report 2.1, 2.2 and 3.6.

Stage 1 begins from seeded weights, or from those of a model that is continued; each later session begins from the `final/` of
the one before with its weights, its AdamW moments and its count of steps, so that nothing but the data and the learning rate
changes at the boundary.

The run is a pure function of settings and batches: the loader gives batch k of a stage without history, random numbers are
keyed by the step, what is skipped follows from the losses, and all journals are sealed by the checkpoints. So a run that was
killed anywhere goes on from its last whole checkpoint and writes, bit for bit, what an undisturbed run writes (on the same
machine, torch and layout).

The loop is the same for one process and for many: a `Learner` does the step, a `Ranks` agrees on what is no function of the
run, and the process that leads writes the journals.
"""

from __future__ import annotations

import contextlib
import gc
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.progress import Progress, ProgressTask
from skyloom.core.store import TELEMETRY, Store
from skyloom.model.config import ModelConfig
from skyloom.model.init import first_weights
from skyloom.train import checkpoint as disk
from skyloom.train import recover
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.distributed import Ranks
from skyloom.train.inputs import Batches, Vocabulary
from skyloom.train.memory_check import check_fits
from skyloom.train.rate_schedule import Calendar
from skyloom.train.step import Learner, SingleLearner, Weights, choose_compile, settled
from skyloom.train.watch import (
    ALARMS,
    EVERY,
    HELDOUT,
    METRICS,
    SCORES,
    SKIPS,
    Alarms,
    HeldOutSet,
    Journal,
    Monitor,
    Scores,
    Telemetry,
    check_trackers,
    heldout_line,
    peak_flops,
    score_line,
)

MakeLearner = Callable[[TrainConfig, ModelConfig, bool, int], Learner]
"""From settings, shape, whether to compile, and the id of BOS."""


def one_process(config: TrainConfig, model: ModelConfig, compiled: bool, bos_id: int) -> Learner:
    """The learner of a run without torch.distributed, on the accelerator if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return SingleLearner(config, model, compiled=compiled, bos_id=bos_id, device=device)


class GoBack(Exception):  # noqa: N818 - an order to the loop, not a fault
    """The weights are suspected: open the run again before the steps that are now left out."""


@recover.lost_processes()
def train_stage(
    config: TrainConfig,
    stage: StageConfig,
    model_config: ModelConfig,
    loader: Batches,
    heldout: Mapping[str, HeldOutSet],
    tokenizer: Vocabulary,
    start: Store | None,
    out: Store,
    *,
    progress: Progress,
    make: MakeLearner = one_process,
    weights: Weights | None = None,
    scores: Scores | None = None,
) -> None:
    """Train one stage into `out`, going on where an earlier, stopped run of the same settings left it.

    `start`: a checkpoint, or the folder of the stage before with its `final/`, or None. `weights`: what the first stage begins
    with, seeded weights if None. `make`: how a step is done; all processes call this function alike. `scores`: benchmark scores
    of the released checkpoints. Raises `Interrupted` after SIGINT or SIGTERM (a checkpoint is written first), `NotFiniteError`
    where the loss stays bad, ConfigError for settings that do not fit together, IntegrityError if `start` or `out` holds
    something else than these settings write.
    """
    if config.context > model_config.context:
        raise ConfigError(f"train.context is {config.context}, but the model is made for at most {model_config.context} tokens")
    if tokenizer.vocab_size > model_config.vocabulary:
        raise ConfigError(f"the tokenizer has {tokenizer.vocab_size} tokens, the model only {model_config.vocabulary}")
    config.layout.check(model_config, config.batch, config.context)
    check_fits(config, model_config)
    check_trackers(config.trackers)
    before = None if start is None else disk.read_state(disk.beginning(start))
    first_step, first_tokens = (before["step"], before["tokens"]) if before else (0, 0)
    calendar = Calendar(stage, loader.steps, first_step, first_tokens, config.batch * config.context)
    with settled(config.threads) as threads:
        job = Job(config, calendar, model_config, loader, start, out, threads, progress, Ranks.here(), scores)
        job.open(make, tokenizer.bos_id, weights or first_weights(model_config, config.seed))
        if job.crew.leads:
            out.write_json("plan.json", _plan(config, calendar, model_config))
        if not job.finished:
            monitor = Monitor(heldout, tokenizer.encode_column, tokenizer.bos_id, config, progress)
            job.run(monitor)
        if job.crew.leads:
            disk.prune(out, {calendar.total_step(s) for s in calendar.released[:-1]})


@dataclass
class Job:
    """A stage in progress: `done` steps of it are finished, and the journals say what happened in them."""

    config: TrainConfig
    calendar: Calendar
    model: ModelConfig
    loader: Batches
    start: Store | None
    out: Store
    threads: int
    progress: Progress
    crew: Ranks
    scores: Scores | None = None
    done: int = 0
    compiled: bool = False
    journals: dict[str, Journal] = field(default_factory=dict)
    rollbacks: list[recover.Rollback] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    alarms: Alarms = field(default_factory=Alarms)

    def open(self, make: MakeLearner, bos_id: int, weights: Weights) -> None:
        """Make the learner and set it as the last whole checkpoint in `out` left it, else as the stage begins."""
        self.rollbacks = recover.read_rollbacks(self.out)
        found = self._find()
        recorded = found.state if found else None
        if recorded is not None:
            for what, now in (("threads", self.threads), ("torch", torch.__version__), ("layout", plain(self.config.layout))):
                if recorded[what] != now:
                    self.progress.log(
                        f"this run began with {what} {recorded[what]} and goes on with {now}: the last bits may differ"
                    )
        self.compiled = bool(recorded and recorded["compiled"])
        if recorded is None or recorded["stage_step"] < self.calendar.steps:
            self.compiled = choose_compile(self.config.compile, recorded["compiled"] if recorded else None, self.progress)
        self._weights = weights
        self.done = recorded["stage_step"] if recorded else 0
        if self.finished:
            return
        gc.collect()  # the learner of a session before is a cycle (fully_shard's hooks), and as large as the one that is made now
        self.learner = make(self.config, self.model, self.compiled, bos_id)
        self._restore(found)
        if self.done:
            self.progress.log(f"{self.calendar.stage.name}: going on after step {self.calendar.total_step(self.done)}")

    def _find(self) -> disk.Found | None:
        found = disk.find(self.out, self.progress, self.crew, self._valid)
        if found is not None:
            _check_settings(found.state, self.config, self.calendar, self.model, self.out)
            self.loader.check_identity(found.state.get("stream", {}))
        return found

    def _valid(self, state: Mapping[str, Any]) -> bool:
        """Whether a checkpoint is of this run as it now is: not of steps that a later rollback did again."""
        return all(state["stage_step"] <= later.first for later in self.rollbacks[state["rollbacks"] :])

    def _restore(self, found: disk.Found | None) -> None:
        """Set the learner, the journals and the count of steps as a checkpoint says, or as the stage begins."""
        names = (METRICS, HELDOUT, SKIPS, ALARMS, SCORES)
        self.journals = {name: found.journals[name] if found else Journal() for name in names}
        self.done = found.state["stage_step"] if found else 0
        if found is not None:
            disk.fill(found.folder, found.state, self.learner.state(), self.crew)
            self.learner.load(found.state["updates"])
        elif self.start is None:
            self.learner.begin(self._weights)
        else:
            folder = disk.beginning(self.start)
            state = disk.read_state(folder)
            if state["model"] != plain(self.model):
                raise ConfigError(f"{self.start.root} trained a model of another shape: {state['model']}")
            disk.verify(folder, state, self.crew)
            disk.fill(folder, state, self.learner.state(), self.crew)
            self.learner.load(state["updates"])
        metrics = self.journals[METRICS].records()
        self.losses = [record["loss"] for record in metrics]
        self.alarms = Alarms(metrics, self.journals[HELDOUT].records())
        skipped = [record["stage_step"] for record in self.journals[SKIPS].records()]
        self.bad = []
        while skipped and skipped[-1] == self.done - 1 - len(self.bad) and skipped[-1] not in recover.left_out(self.rollbacks):
            self.bad.insert(0, skipped.pop())

    @property
    def finished(self) -> bool:
        return self.done == self.calendar.steps

    def run(self, monitor: Monitor) -> None:
        """All steps that are left, going back where batches stay bad."""
        if self.compiled:
            self.progress.log("compiling the training step: 10 to 20 seconds, a few where it was compiled before")
        self._warn_of_space()
        stacks = self.out.path(f"{TELEMETRY}stacks-rank-{self.crew.rank}.txt") if self.out.local else None
        with (
            recover.StopRequest(self.progress) as stop,
            recover.Watchdog(self.config.recover.hang_seconds, stacks) as watchdog,
            contextlib.closing(disk.Saver(self.crew)) as saver,
        ):
            self._rehearse()
            while not self.finished:
                watchdog.beat()
                try:
                    self._train(monitor, saver, stop, watchdog)
                except GoBack:
                    saver.settle()
                    self._restore(self._find())

    def _rehearse(self) -> None:
        """A step of full size that is thrown away: what does not fit or does not compile shows now, and not in an hour."""
        try:
            self.learner.measure(self._tokens(self.done), 0)
        except torch.OutOfMemoryError as problem:
            raise ConfigError(
                f"a step does not fit into memory ({str(problem).splitlines()[0]}): make train.layout.micro_batch smaller, set "
                "train.layout.recompute, or use more processes (skyloom plan says which layouts fit)"
            ) from problem
        self.learner.discard()

    def _train(self, monitor: Monitor, saver: disk.Saver, stop: recover.StopRequest, watchdog: recover.Watchdog) -> None:
        """Steps with their monitoring points and checkpoints until the stage is done. `GoBack` if it must be opened again."""
        first, name = self.calendar.total_step(self.done), self.calendar.stage.name
        with (
            self._telemetry(first) as telemetry,
            self.progress.task(name, self.calendar.steps * self.calendar.tokens_per_step, "tokens") as bar,
        ):
            bar.resume(self.done * self.calendar.tokens_per_step)
            if self.done == 0:
                self._watch(monitor, telemetry)
            since = time.monotonic()
            while not self.finished:
                self._step(telemetry, bar)
                self._watch(monitor, telemetry)
                watchdog.beat()
                wait = self.config.checkpoint_seconds  # at 0 every step waits for its checkpoint, else a slow disk only delays one
                due = self.crew.leads and time.monotonic() - since >= wait and not (wait and saver.pending)
                ending, due, busy = self.crew.any(bool(stop.asked), due, saver.busy)
                if saver.pending and not busy:
                    saver.settle()
                if (due or ending or self.done in self.calendar.released) and not self.finished:
                    self._save(saver, telemetry)
                    since = time.monotonic()
                if ending and not self.finished:
                    saver.settle()
                    raise recover.Interrupted(
                        f"{name} stopped after step {self.done:,} of {self.calendar.steps:,}, with a checkpoint in "
                        f"{self.out.root}; give the same command again to go on from there",
                        max(self.crew.gather(stop.asked)),
                    )
            self._write(self.out.child(disk.FINAL), saver, telemetry, lambda: None)
            saver.settle()
            if self.crew.any(bool(stop.asked))[0]:  # in the last step or while that was written: no other session may begin
                raise recover.Interrupted(
                    f"{name} is trained, and the run was stopped behind it; give the same command again to go on from there",
                    max(self.crew.gather(stop.asked)),
                )

    @contextlib.contextmanager
    def _telemetry(self, first_step: int) -> Iterator[Telemetry | None]:
        """Speed and curves, kept by the process that leads."""
        if not self.crew.leads:
            yield None
            return
        flops, causal = (self.model.flops_per_token(self.config.context, causal=causal) for causal in (False, True))
        device = next(iter(self.learner.state().values())).device
        peak = peak_flops(device, self.config.precision)
        self.progress.log(f"a utilisation (MFU) of 100 % is {peak.flops / 1e12:,.3g} TFLOP/s a process: {peak.source}")
        with Telemetry(
            self.out, first_step, flops, peak.flops, causal_flops_per_token=causal, world=self.crew.world,
            every=self.config.log_every, device=device, trackers=self.config.trackers, progress=self.progress,
            settings=_plan(self.config, self.calendar, self.model), journals=self.journals,
        ) as telemetry:  # fmt: skip
            yield telemetry

    def _step(self, telemetry: Telemetry | None, bar: ProgressTask) -> None:
        """One update and its line of metrics; or the record of a batch that is left out."""
        reason = recover.left_out(self.rollbacks).get(self.done)
        if reason is not None:
            self._skip(f"left out: {reason}", None, None, telemetry)
            bar.advance(self.calendar.tokens_per_step)
            return
        started = time.perf_counter()
        tokens = self._tokens(self.done)
        waited = time.perf_counter() - started
        step = self.calendar.total_step(self.done + 1)
        loss, norm = self.learner.measure(tokens, step)
        bad = recover.verdict(self.config.recover, loss, norm, self.losses)
        if bad:
            self.learner.discard()
            self.bad.append(self.done)
            self._suspect(bad, loss, norm, telemetry)
            bar.advance(self.calendar.tokens_per_step)
            return
        rate = self.calendar.rate(self.done)
        self.learner.apply(rate)
        self.bad.clear()
        self.losses.append(loss)
        self.done += 1
        record = {
            "stage": self.calendar.stage.name,
            "step": step,
            "tokens": self.calendar.total_tokens(self.done),
            "loss": loss,
            "lr": rate,
            "grad_norm": norm,
            "shares": {k: float(v) for k, v in self.loader.realised(self.done).items()},
        }
        self.journals[METRICS].add(record)
        self.alarms.step(record)
        took = time.perf_counter() - started
        if telemetry is not None and telemetry.step(record, self.calendar.tokens_per_step, took, waited):
            self.progress.log(f"{self.calendar.stage.name}, step {step:,}: loss {loss:.3f}, rate {rate:.2e}, {telemetry.note()}")
        if self.done % EVERY == 0:
            self._name_stragglers(self.learner.busy, waited, took)
        bar.note(f"loss {loss:.3f}")
        bar.advance(self.calendar.tokens_per_step)

    def _suspect(self, reason: str, loss: float, norm: float, telemetry: Telemetry | None) -> None:
        """Leave out a bad batch; go back if there were too many in a row."""
        recovery = self.config.recover
        told = f"{self.calendar.stage.name}, step {self.calendar.total_step(self.done + 1)}: {reason}"
        self.progress.log(f"{told}; the batch is skipped")
        self._skip(reason, loss, norm, telemetry)
        if len(self.bad) < recovery.skips:
            return
        told = f"{told}, {len(self.bad)} bad batches in a row"
        self.rollbacks.append(recover.next_rollback(recovery, self.bad, told, self.rollbacks))
        if self.crew.leads:
            recover.write_rollbacks(self.out, self.rollbacks)
        self.crew.wait()
        last = self.rollbacks[-1]
        self.progress.log(f"going back; steps {last.first + 1} to {last.last + 1} of the stage are left out")
        raise GoBack

    def _skip(self, reason: str, loss: float | None, norm: float | None, telemetry: Telemetry | None) -> None:
        """Record a step without an update, with the documents that were in its batch."""
        documents: dict[str, list[str]] = {}
        for row in self.loader.documents(self.done):
            documents.setdefault(row.domain, []).extend(row.ids)
        self.done += 1
        finite = {k: v if v is not None and math.isfinite(v) else None for k, v in (("loss", loss), ("grad_norm", norm))}
        told = {domain: list(dict.fromkeys(ids)) for domain, ids in sorted(documents.items())}
        where = {"stage": self.calendar.stage.name, "step": self.calendar.total_step(self.done), "stage_step": self.done - 1}
        self._add(SKIPS, {**where, "reason": reason, **finite, "documents": told}, telemetry)
        if self.crew.leads:
            self.journals[SKIPS].write(self.out, SKIPS)

    def _tokens(self, step: int) -> Tensor:
        """This process's rows of a global batch. The next one's are asked of the disk meanwhile."""
        tokens = torch.as_tensor(self.loader.batch(step, rank=self.learner.replica, world=self.learner.replicas).tokens)
        expected = (self.config.batch // self.learner.replicas, self.config.context + 1)
        if tuple(tokens.shape) != expected or tokens.dtype != torch.int64:
            raise ConfigError(f"the loader gives {tokens.dtype} {tuple(tokens.shape)}, training needs int64 {expected}")
        if step + 1 < self.calendar.steps:
            self.loader.prefetch(step + 1, rank=self.learner.replica, world=self.learner.replicas)
        return tokens

    def _name_stragglers(self, busy: float, waited: float, took: float) -> None:
        """Name ranks that compute slowly, and those that wait for data: each by its own measure, which a card's are not to add."""
        if self.crew.world == 1:
            return
        times = self.crew.gather((busy, waited, took))
        factor = self.config.recover.straggler
        for rank, slower in recover.stragglers([(rank, own) for rank, (own, _, _) in enumerate(times)], factor):
            self.progress.log(f"rank {rank} is slow: {slower:.1f} times the median of the others")
        for rank, seconds in recover.waiting([(wait, step) for _, wait, step in times], factor):
            self.progress.log(f"rank {rank} is slow to get its data: {seconds:.2g} s in a step more than the median of the others")

    def _watch(self, monitor: Monitor, telemetry: Telemetry | None) -> None:
        """Score the held-out sets if this is a monitoring point, and the benchmarks if the checkpoint is one to release."""
        where = (self.calendar.stage.name, self.calendar.total_step(self.done), self.calendar.total_tokens(self.done))
        if self.done in self.calendar.monitored:
            lines = []
            for name, losses in monitor.score(self.learner).items():
                if not math.isfinite(losses.loss):
                    raise recover.NotFiniteError(
                        f"{where[0]}, step {where[1]}: the loss on the held-out set {name} is {losses.loss}; lower the stage's "
                        "peak or lengthen its warm-up"
                    )
                lines.append(heldout_line(*where, name, losses))
                self._add(HELDOUT, lines[-1], telemetry)
            for alarm in self.alarms.point(lines):
                self.progress.log(f"{where[0]}, step {where[1]:,}: alarm: {alarm['sentence']}")
                self._add(ALARMS, alarm, telemetry)
        if self.scores is not None and self.done in self.calendar.released:
            for score in self.scores(self.learner):
                self._add(SCORES, score_line(*where, score), telemetry)

    def _add(self, name: str, record: Mapping[str, Any], telemetry: Telemetry | None) -> None:
        self.journals[name].add(record)
        if telemetry is not None:
            telemetry.line(name, record)

    def _save(self, saver: disk.Saver, telemetry: Telemetry | None) -> None:
        """A checkpoint to go on from, and the ones that are no longer needed removed once it is whole."""
        released = {self.calendar.total_step(s) for s in self.calendar.released}

        def prune() -> None:
            disk.prune(self.out, released | disk.retained(disk.steps(self.out), self.config.recover.back))

        self._write(self.out.child(disk.folder_of(self.calendar.total_step(self.done))), saver, telemetry, prune)

    def _write(self, folder: Store, saver: disk.Saver, telemetry: Telemetry | None, then: Callable[[], None]) -> None:
        """Begin a checkpoint. Journals first: lines behind a checkpoint are cut, those before it must be there."""
        saver.settle()
        if self.crew.leads:
            for name, journal in self.journals.items():
                journal.write(self.out, name)
        if telemetry is not None:
            telemetry.write()
        saver.save(folder, self.learner.state(), self.state(), then)

    def state(self) -> dict[str, Any]:
        """What `state.json` holds, besides the checksums. `step` and `tokens` count from the start of stage 1."""
        return {
            **_settings(self.config, self.calendar, self.model),
            "step": self.calendar.total_step(self.done),
            "stage_step": self.done,
            "tokens": self.calendar.total_tokens(self.done),
            "updates": self.learner.updates,
            "rollbacks": len(self.rollbacks),
            "compiled": self.compiled,
            "threads": self.threads,
            "torch": torch.__version__,
            "layout": plain(self.config.layout),
            "stream": dict(self.loader.identity),
            "journals": {name: journal.seal() for name, journal in self.journals.items()},
        }

    def _warn_of_space(self) -> None:
        """Say so at once if the checkpoints of the stage will not fit on the disk."""
        if not self.out.local or not self.crew.leads:
            return
        one = 12 * self.model.parameters
        wanted = one * (4 + self.calendar.stage.releases)
        free = shutil.disk_usage(self.out.path()).free
        if free < wanted:
            self.progress.log(
                f"the checkpoints of this stage may take {wanted / 1e9:,.1f} GB, the disk has {free / 1e9:,.1f} GB left"
            )


def _settings(config: TrainConfig, calendar: Calendar, model_config: ModelConfig) -> dict[str, Any]:
    return {
        "stage": calendar.stage.name,
        "train": plain(config, identity_only=True),
        "calendar": calendar.to_json(),
        "model": plain(model_config),
    }


def _check_settings(state: Mapping[str, Any], config: TrainConfig, calendar: Calendar, model: ModelConfig, out: Store) -> None:
    for name, value in _settings(config, calendar, model).items():
        if state[name] != value:
            raise IntegrityError(f"{out.root} holds a run of other {name} settings; give this run a folder of its own")


def _plan(config: TrainConfig, calendar: Calendar, model: ModelConfig) -> dict[str, Any]:
    """`plan.json`: what this stage will do, before it does it."""
    per_token = model.flops_per_token(config.context)
    return {
        **_settings(config, calendar, model),
        "parameters": model.parameters,
        "flops_per_token": per_token,
        "flops": per_token * calendar.steps * calendar.tokens_per_step,
    }
