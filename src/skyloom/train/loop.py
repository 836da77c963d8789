"""The training loop of one stage: steps, bad batches, stops and checkpoints. Report 2.1, 2.2 and 3.6.

Input: settings, batches, held-out sets, and where the stage begins; output: checkpoints and journals in the stage's folder. Stage 1
begins from seeded weights, or from those of a model that is continued; each later stage begins from the `final/` of the one before
with its weights, its AdamW moments (unless it asks for new ones) and its count of steps, so that nothing but the data, the learning
rate and what the stage sets itself (context, RoPE base, optimizer) changes at the boundary.

The run is a pure function of settings and batches: the loader gives batch k of a stage without history, random numbers are
keyed by the step, what is skipped follows from the losses, and all journals are sealed by the checkpoints. So a run that was
killed anywhere goes on from its last whole checkpoint and writes, bit for bit, what an undisturbed run writes (on the same
machine, torch and layout).

The loop is the same for one process and for many: a `Learner` does the step, `Ranks` makes the processes agree on signals and
timers, and rank 0 writes the journals. How a stage is found on disk is in `opening`, what it writes down in `recording`.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress, ProgressTask
from skyloom.core.store import TELEMETRY, Store
from skyloom.model.config import ModelConfig
from skyloom.model.init import first_weights
from skyloom.train import checkpoint as disk
from skyloom.train import recover
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.distributed import Ranks
from skyloom.train.inputs import Batches, Vocabulary
from skyloom.train.memory_check import check_memory
from skyloom.train.opening import Opening, StageSpec
from skyloom.train.rate_schedule import Calendar
from skyloom.train.recording import Recorder, journals_of
from skyloom.train.stage_list import KEEP
from skyloom.train.step import Learner, SingleLearner, Weights, settled
from skyloom.train.watch import EVERY, HeldOutSet, Monitor, Scores, check_trackers

MakeLearner = Callable[[TrainConfig, ModelConfig, bool, int], Learner]
"""From settings, shape, whether to compile, and the id of BOS."""


def one_process(config: TrainConfig, model: ModelConfig, compiled: bool, bos_id: int) -> Learner:
    """The learner of a run without torch.distributed, on the accelerator if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return SingleLearner(config, model, compiled=compiled, bos_id=bos_id, device=device)


class GoBack(Exception):  # noqa: N818 - an order to the loop, not a fault
    """The weights are suspected: resume from a checkpoint before the steps that are now left out."""


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
    scores: Mapping[str, Scores] = MappingProxyType({}),
    moments: str = KEEP,
) -> None:
    """Train one stage into `out`, going on where an earlier, stopped run of the same settings left it.

    `start`: a checkpoint, or the folder of the stage before with its `final/`, or None. `weights`: what the first stage begins
    with, seeded weights if None. `make`: how a step is done; all processes call this function alike. `scores`: benchmark scores
    of the released checkpoints, by kind. `moments`: whether those of `start` are kept or begin at zero.

    Raises `Interrupted` after SIGINT or SIGTERM (a checkpoint is written first), `NotFiniteError` where the loss stays bad,
    ConfigError for settings that do not fit together, IntegrityError if `start` or `out` holds something else than these settings
    write.
    """
    if config.context > model_config.context:
        raise ConfigError(
            f"the context of {stage.name} is {config.context}, but the model is made for at most {model_config.context} tokens"
        )
    if tokenizer.vocab_size > model_config.vocabulary:
        raise ConfigError(f"the tokenizer has {tokenizer.vocab_size} tokens, the model only {model_config.vocabulary}")
    config.layout.check(model_config, config.batch, config.context)
    check_memory(config, model_config)
    check_trackers(config.trackers)
    before = None if start is None else disk.read_state(disk.beginning(start))
    first_step, first_tokens = (before["step"], before["tokens"]) if before else (0, 0)
    spec = StageSpec(config, Calendar(stage, loader.steps, first_step, first_tokens, config.batch * config.context), model_config)
    calendar, ranks = spec.calendar, Ranks.here()
    with settled(config.threads) as threads:
        first = weights or first_weights(model_config, config.seed)
        opening = Opening(spec, loader, start, out, first, ranks, progress, moments)
        rollbacks = recover.read_rollbacks(out)
        found = opening.find(rollbacks)
        compiled = opening.choose_compile(found, threads)
        learner = None
        if found is None or found.state["stage_step"] < calendar.steps:
            gc.collect()  # the learner of a stage before is a cycle (fully_shard's hooks), and as large as the one that is made now
            learner = make(config, model_config, compiled, tokenizer.bos_id)
            opening.fill(learner, found)
            if found is not None and found.state["stage_step"]:
                progress.log(f"{spec.name}: going on after step {calendar.total_step(found.state['stage_step'])}")
        if ranks.is_main:
            out.write_json("plan.json", spec.plan())
        if learner is not None:
            monitor = Monitor(heldout, tokenizer.encode_column, tokenizer.bos_id, config, progress)
            StageRun(opening, learner, monitor, scores, compiled, threads, rollbacks).run(found)
        if ranks.is_main:
            disk.prune(out, {calendar.total_step(s) for s in calendar.released[:-1]})


@dataclass(frozen=True)
class StageRun:
    """The training of one stage to its end, over as many attempts as there are rollbacks."""

    opening: Opening
    learner: Learner
    monitor: Monitor
    scores: Mapping[str, Scores]
    compiled: bool
    threads: int
    rollbacks: list[recover.Rollback]

    def run(self, found: disk.Found | None) -> None:
        """All steps after the checkpoint `found`, which the learner was filled with; going back where batches stay bad."""
        opening, spec, out, ranks, progress = self.opening, self.opening.spec, self.opening.out, self.opening.ranks, self.progress
        if self.compiled:
            progress.log("compiling the training step: 10 to 20 seconds, a few where it was compiled before")
        opening.warn_of_space()
        stacks = out.path(f"{TELEMETRY}stacks-rank-{ranks.rank}.txt") if out.local else None
        device = next(iter(self.learner.state().values())).device
        with (
            recover.StopRequest(progress) as stop,
            recover.Watchdog(spec.config.recover.hang_seconds, stacks) as watchdog,
            contextlib.closing(disk.Saver(ranks)) as saver,
        ):
            self._rehearse(found.state["stage_step"] if found else 0)
            while True:
                watchdog.beat()
                done = found.state["stage_step"] if found else 0
                try:
                    with (
                        Recorder.open(
                            spec, out, ranks, progress, self.monitor, self.scores, journals_of(found),
                            first_step=spec.calendar.total_step(done), device=device,
                        ) as recorder,
                        progress.task(spec.name, spec.calendar.steps * spec.calendar.tokens_per_step, "tokens") as bar,
                    ):  # fmt: skip
                        Attempt(self, recorder, bar, saver, stop, watchdog, done).train()
                    return
                except GoBack:
                    saver.settle()
                    found = opening.find(self.rollbacks)
                    opening.fill(self.learner, found)

    @property
    def progress(self) -> Progress:
        return self.opening.progress

    def _rehearse(self, step: int) -> None:
        """A step of full size that is thrown away: what does not fit or does not compile shows now, and not in an hour."""
        try:
            self.learner.measure(self.tokens(step), 0)
        except torch.OutOfMemoryError as problem:
            raise ConfigError(
                f"a step does not fit into memory ({str(problem).splitlines()[0]}): make train.layout.micro_batch smaller, set "
                "train.layout.recompute, or use more processes (skyloom plan says which layouts fit)"
            ) from problem
        self.learner.discard()

    def tokens(self, step: int) -> Tensor:
        """This process's rows of a global batch. The next one's are read from disk meanwhile."""
        loader, learner, config = self.opening.loader, self.learner, self.opening.spec.config
        tokens = torch.as_tensor(loader.batch(step, rank=learner.replica, world=learner.replicas).tokens)
        expected = (config.batch // learner.replicas, config.context + 1)
        if tuple(tokens.shape) != expected or tokens.dtype != torch.int64:
            raise ConfigError(f"the loader gives {tokens.dtype} {tuple(tokens.shape)}, training needs int64 {expected}")
        if step + 1 < self.opening.spec.calendar.steps:
            loader.prefetch(step + 1, rank=learner.replica, world=learner.replicas)
        return tokens


class Attempt:
    """The steps from one checkpoint to the end of the stage, or until training goes back. `done` steps are finished."""

    def __init__(
        self,
        run: StageRun,
        recorder: Recorder,
        bar: ProgressTask,
        saver: disk.Saver,
        stop: recover.StopRequest,
        watchdog: recover.Watchdog,
        done: int,
    ) -> None:
        self.run, self.recorder, self.bar, self.saver, self.stop, self.watchdog = run, recorder, bar, saver, stop, watchdog
        self.spec, self.out, self.ranks, self.loader = run.opening.spec, run.opening.out, run.opening.ranks, run.opening.loader
        self.calendar, self.config, self.learner = self.spec.calendar, self.spec.config, run.learner
        self.done = done
        self.losses = recorder.losses()
        self.bad = recover.bad_in_a_row(recorder.skipped(), done, run.rollbacks)
        """Steps just before this one that were skipped one after the other."""

    @property
    def finished(self) -> bool:
        return self.done == self.calendar.steps

    def train(self) -> None:
        """Steps with their monitoring points and checkpoints until the stage is done. `GoBack` if it must be opened again."""
        self.bar.resume(self.done * self.calendar.tokens_per_step)
        if self.done == 0:
            self.recorder.watch(self.done, self.learner)
        since = time.monotonic()
        while not self.finished:
            self._step()
            self.recorder.watch(self.done, self.learner)
            self.watchdog.beat()
            wait = self.config.checkpoint_seconds  # at 0 every step waits for its checkpoint, else a slow disk only delays one
            due = self.ranks.is_main and time.monotonic() - since >= wait and not (wait and self.saver.pending)
            ending, due, busy = self.ranks.any(bool(self.stop.asked), due, self.saver.busy)
            if self.saver.pending and not busy:
                self.saver.settle()
            if (due or ending or self.done in self.calendar.released) and not self.finished:
                self._save()
                since = time.monotonic()
            if ending and not self.finished:
                self.saver.settle()
                raise recover.Interrupted(
                    f"{self.spec.name} stopped after step {self.done:,} of {self.calendar.steps:,}, with a checkpoint in "
                    f"{self.out.root}; give the same command again to go on from there",
                    max(self.ranks.gather(self.stop.asked)),
                )
        self._write(self.out.child(disk.FINAL), lambda: None)
        self.saver.settle()
        if self.ranks.any(bool(self.stop.asked))[0]:  # in the last step or while that was written: no other stage may begin
            raise recover.Interrupted(
                f"{self.spec.name} is trained, and the run was stopped after it; give the same command again to go on from there",
                max(self.ranks.gather(self.stop.asked)),
            )

    def _step(self) -> None:
        """One update and its line of metrics; or the record of a batch that is left out."""
        reason = recover.left_out(self.run.rollbacks).get(self.done)
        if reason is not None:
            self._skip(f"left out: {reason}", None, None)
            self.bar.advance(self.calendar.tokens_per_step)
            return
        started = time.perf_counter()
        tokens = self.run.tokens(self.done)
        waited = time.perf_counter() - started
        loss, norm = self.learner.measure(tokens, self.calendar.total_step(self.done + 1))
        bad = recover.verdict(self.config.recover, loss, norm, self.losses)
        if bad:
            self.learner.discard()
            self.bad.append(self.done)
            self._suspect(bad, loss, norm)
            self.bar.advance(self.calendar.tokens_per_step)
            return
        rate = self.calendar.rate(self.done)
        self.learner.apply(rate)
        self.bad.clear()
        self.losses.append(loss)
        self.done += 1
        shares = self.loader.realised(self.done)
        took = time.perf_counter() - started
        self.recorder.step(self.done, loss, rate, norm, shares, took, waited)
        if self.done % EVERY == 0:
            self.recorder.name_stragglers(self.learner.busy, waited, took)
        self.bar.note(f"loss {loss:.3f}")
        self.bar.advance(self.calendar.tokens_per_step)

    def _suspect(self, reason: str, loss: float, norm: float) -> None:
        """Leave out a bad batch; go back if there were too many in a row."""
        recovery, rollbacks, progress = self.config.recover, self.run.rollbacks, self.run.progress
        told = f"{self.spec.name}, step {self.calendar.total_step(self.done + 1)}: {reason}"
        progress.log(f"warning: {told}; the batch is skipped")
        self._skip(reason, loss, norm)
        if len(self.bad) < recovery.skips:
            return
        told = f"{told}, {len(self.bad)} bad batches in a row"
        rollbacks.append(recover.next_rollback(recovery, self.bad, told, rollbacks))
        if self.ranks.is_main:
            recover.write_rollbacks(self.out, rollbacks)
        self.ranks.wait()
        last = rollbacks[-1]
        progress.log(f"warning: going back; steps {last.first + 1} to {last.last + 1} of the stage are left out")
        raise GoBack

    def _skip(self, reason: str, loss: float | None, norm: float | None) -> None:
        """A step without an update."""
        self.recorder.skip(self.done, reason, loss, norm, self.loader.documents(self.done))
        self.done += 1

    def _save(self) -> None:
        """A checkpoint to go on from, and the ones that are no longer needed removed once it is whole."""
        released = {self.calendar.total_step(s) for s in self.calendar.released}

        def prune() -> None:
            disk.prune(self.out, released | disk.retained(disk.steps(self.out), self.config.recover.back))

        self._write(self.out.child(disk.folder_of(self.calendar.total_step(self.done))), prune)

    def _write(self, folder: Store, then: Callable[[], None]) -> None:
        """Begin a checkpoint. Journals first: a run that resumes cuts lines after a checkpoint, but needs all lines before it."""
        self.saver.settle()
        self.recorder.write()
        self.saver.save(folder, self.learner.state(), self.state(), then)

    def state(self) -> disk.StageState:
        """What `state.json` holds, besides the checksums. `step` and `tokens` count from the start of the first stage."""
        return {
            **self.spec.settings(),
            "step": self.calendar.total_step(self.done),
            "stage_step": self.done,
            "tokens": self.calendar.total_tokens(self.done),
            "updates": self.learner.updates,
            "rollbacks": len(self.run.rollbacks),
            "compiled": self.run.compiled,
            "threads": self.run.threads,
            "torch": torch.__version__,
            "layout": plain(self.config.layout),
            "stream": dict(self.loader.identity),
            "journals": self.recorder.seals(),
        }
