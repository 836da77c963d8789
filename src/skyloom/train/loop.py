"""A stage of pre-training: batches enter, checkpoints and curves leave. Report 2.1, 2.2 and 3.6.

Stage 1 begins from seeded weights; stage 2 begins from stage 1's `final/` with its weights, its AdamW moments and its
count of steps, so that nothing but the data and the learning rate changes at the boundary.

The run is a pure function of settings and batches: the loader gives batch k of a stage without history, the model draws
no random numbers, and all journals are sealed by the checkpoints. So a run that was killed anywhere goes on from its
last whole checkpoint and writes, bit for bit, what an undisturbed run writes (on the same machine and torch).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.progress import Progress, Task
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.score.nll import Encode
from skyloom.train import checkpoint as disk
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.journal import Journal
from skyloom.train.machine import Loss, choose_compile, loss_function, matmul_flops, settled
from skyloom.train.monitor import HeldOutSet, Monitor, line
from skyloom.train.optim import MasterAdamW, to_precision
from skyloom.train.recover import Interrupted, NotFiniteError, StopRequest
from skyloom.train.schedule import Calendar
from skyloom.train.telemetry import Telemetry

METRICS, HELDOUT = "metrics.jsonl", "heldout.jsonl"
KEPT = 2
"""Checkpoints kept for going on: the newest, and one before it in case the newest is damaged."""


class Batch(Protocol):
    """What a loader gives for a step: `tokens` int64[batch, context + 1]."""

    @property
    def tokens(self) -> Any: ...


class Batches(Protocol):
    """What the loop needs of `data.loader.Loader`."""

    @property
    def steps(self) -> int: ...
    def batch(self, step: int) -> Batch: ...
    def realised(self, step: int) -> Mapping[str, float]: ...


class Vocabulary(Protocol):
    """What the loop needs of `tokenizer.Tokenizer`."""

    @property
    def bos_id(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def encode_column(self) -> Encode: ...


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
) -> None:
    """Train one stage into `out`, going on where an earlier, stopped run of the same settings left it.

    `start`: folder of the stage before, whose `final/` is the beginning, or None. Raises `Interrupted` after SIGINT or
    SIGTERM (a checkpoint is written first), `NotFiniteError` where the loss is not a number, ConfigError for settings
    that do not fit together, IntegrityError if `start` or `out` holds something else than these settings write.
    """
    if config.context > model_config.context:
        raise ConfigError(f"train.context is {config.context}, but the model is made for at most {model_config.context} tokens")
    if tokenizer.vocab_size > model_config.vocabulary:
        raise ConfigError(f"the tokenizer has {tokenizer.vocab_size} tokens, the model only {model_config.vocabulary}")
    before = None if start is None else disk.read_state(start.child(disk.FINAL))
    first_step, first_tokens = (before["step"], before["tokens"]) if before else (0, 0)
    calendar = Calendar(stage, loader.steps, first_step, first_tokens, config.batch * config.context)
    with settled(config.threads) as threads:
        run = Run.open(config, calendar, model_config, start, out, threads, progress)
        out.write_json("plan.json", _plan(config, calendar, model_config))
        if not run.finished:
            monitor = Monitor(heldout, tokenizer.encode_column, tokenizer.bos_id, config, progress)
            run.train(loader, monitor)
        disk.prune(out, {calendar.total_step(s) for s in calendar.released[:-1]})


@dataclass
class Run:
    """A stage in progress: `done` steps of it are finished, and the journals say what happened in them."""

    config: TrainConfig
    calendar: Calendar
    model: Decoder
    optimiser: MasterAdamW
    journals: dict[str, Journal]
    done: int
    compiled: bool
    threads: int
    out: Store
    progress: Progress

    @classmethod
    def open(
        cls,
        config: TrainConfig,
        calendar: Calendar,
        model_config: ModelConfig,
        start: Store | None,
        out: Store,
        threads: int,
        progress: Progress,
    ) -> Run:
        """The run as its last whole checkpoint in `out` left it, else the beginning of the stage."""
        found = _finished(out, progress) or disk.latest(out, progress)
        recorded = found[0].state if found else None
        if recorded is not None:
            _check_settings(recorded, config, calendar, model_config, out)
            for what, now in (("threads", threads), ("torch", torch.__version__)):
                if recorded[what] != now:
                    progress.log(f"this run began with {what} {recorded[what]} and goes on with {now}: the last bits may differ")
        done = recorded["stage_step"] if recorded else 0
        if done == calendar.steps:
            compiled = bool(recorded and recorded["compiled"])
        else:
            compiled = choose_compile(config.compile, recorded["compiled"] if recorded else None, progress)
        model = Decoder(model_config)
        if found is not None:
            began, journals = found
        else:
            began, journals = _beginning(start, model, config.seed), {METRICS: Journal(), HELDOUT: Journal()}
        optimiser = MasterAdamW(to_precision(model, config.precision), began.weights, config)
        if began.moments:
            optimiser.load_moments(began.moments, calendar.total_step(done))
        if done and done < calendar.steps:
            progress.log(f"{calendar.stage.name}: going on after step {calendar.total_step(done)}")
        return cls(config, calendar, model, optimiser, journals, done, compiled, threads, out, progress)

    @property
    def finished(self) -> bool:
        return self.done == self.calendar.steps

    def train(self, loader: Batches, monitor: Monitor) -> None:
        """All steps that are left, with their monitoring points and checkpoints, and the final checkpoint."""
        if self.compiled:
            self.progress.log("compiling the training step: 10 to 20 seconds, a few where it was compiled before")
        loss = loss_function(self.compiled)
        flops = self.model.config.flops_per_token(self.config.context)
        first = self.calendar.total_step(self.done)
        name, total = self.calendar.stage.name, self.calendar.steps * self.calendar.tokens_per_step
        with (
            StopRequest(self.progress) as stop,
            Telemetry(self.out, first, flops, matmul_flops(self.config.precision)) as telemetry,
            self.progress.task(name, total, "tokens") as bar,
        ):
            bar.resume(self.done * self.calendar.tokens_per_step)
            if self.done == 0:
                self._watch(monitor, telemetry)
            since = time.monotonic()
            while not self.finished:
                self._step(loader, loss, telemetry, bar)
                self._watch(monitor, telemetry)
                due = time.monotonic() - since >= self.config.checkpoint_seconds or self.done in self.calendar.released
                if (due or stop.asked) and not self.finished:
                    self._save(telemetry)
                    since = time.monotonic()
                if stop.asked and not self.finished:
                    raise Interrupted(
                        f"{name} stopped after step {self.done:,} of {self.calendar.steps:,}, with a checkpoint in "
                        f"{self.out.root}; give the same command again to go on from there"
                    )
            self._write(self.out.child(disk.FINAL), telemetry)

    def _step(self, loader: Batches, loss: Loss, telemetry: Telemetry, bar: Task) -> None:
        """One update and its line of metrics."""
        started = time.perf_counter()
        tokens = self._tokens(loader)
        waited = time.perf_counter() - started
        rate = self.calendar.rate(self.done)
        value_tensor = loss(self.model, tokens)
        value_tensor.backward()  # type: ignore[no-untyped-call]
        norm, value = self.optimiser.step(rate), float(value_tensor.detach())
        step = self.calendar.total_step(self.done + 1)
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise NotFiniteError(
                f"{self.calendar.stage.name}, step {step}: the loss is {value} and its gradient's norm {norm} at a learning "
                f"rate of {rate:.2e}; lower the stage's peak or lengthen its warm-up"
            )
        self.done += 1
        record = {
            "stage": self.calendar.stage.name,
            "step": step,
            "tokens": self.calendar.total_tokens(self.done),
            "loss": value,
            "lr": rate,
            "grad_norm": norm,
            "shares": {k: float(v) for k, v in loader.realised(self.done).items()},
        }
        self.journals[METRICS].add(record)
        telemetry.step(record, self.calendar.tokens_per_step, time.perf_counter() - started, waited)
        bar.note(f"loss {value:.3f}")
        bar.advance(self.calendar.tokens_per_step)

    def _tokens(self, loader: Batches) -> Tensor:
        tokens = torch.as_tensor(loader.batch(self.done).tokens)
        expected = (self.config.batch, self.config.context + 1)
        if tuple(tokens.shape) != expected or tokens.dtype != torch.int64:
            raise ConfigError(f"the loader gives {tokens.dtype} {tuple(tokens.shape)}, training needs int64 {expected}")
        return tokens

    def _watch(self, monitor: Monitor, telemetry: Telemetry) -> None:
        """Score the held-out sets if this is a monitoring point."""
        if self.done not in self.calendar.monitored:
            return
        step, tokens = self.calendar.total_step(self.done), self.calendar.total_tokens(self.done)
        for name, losses in monitor.score(self.model, self.optimiser.weights()).items():
            if not math.isfinite(losses.loss):
                raise NotFiniteError(
                    f"{self.calendar.stage.name}, step {step}: the loss on the held-out set {name} is {losses.loss}; lower the "
                    "stage's peak or lengthen its warm-up"
                )
            record = line(self.calendar.stage.name, step, tokens, name, losses)
            self.journals[HELDOUT].add(record)
            telemetry.heldout(record)

    def _save(self, telemetry: Telemetry) -> None:
        """A checkpoint to go on from. Journals first: those behind the checkpoint are cut, those before it must be there."""
        self._write(self.out.child(disk.folder_of(self.calendar.total_step(self.done))), telemetry)
        released = {self.calendar.total_step(s) for s in self.calendar.released}
        disk.prune(self.out, released | set(disk.steps(self.out)[-KEPT:]))

    def _write(self, folder: Store, telemetry: Telemetry) -> None:
        for name, journal in self.journals.items():
            journal.write(self.out, name)
        telemetry.write()
        disk.write(folder, disk.Checkpoint(self.optimiser.weights(), self.optimiser.moments(), self.state()))

    def state(self) -> dict[str, Any]:
        """What `state.json` holds, besides the checksums. `step` and `tokens` count from the start of stage 1."""
        return {
            **_settings(self.config, self.calendar, self.model.config),
            "step": self.calendar.total_step(self.done),
            "stage_step": self.done,
            "tokens": self.calendar.total_tokens(self.done),
            "compiled": self.compiled,
            "threads": self.threads,
            "torch": torch.__version__,
            "journals": {name: journal.seal() for name, journal in self.journals.items()},
        }


def _beginning(start: Store | None, model: Decoder, seed: int) -> disk.Checkpoint:
    """The final checkpoint of the stage before, or seeded weights without moments."""
    if start is None:
        return disk.Checkpoint({n: w.detach().clone() for n, w in initialise(model, seed).named_parameters()}, {}, {})
    checkpoint = disk.read(start.child(disk.FINAL))
    if checkpoint.state["model"] != plain(model.config):
        raise ConfigError(f"{start.root} trained a model of another shape: {checkpoint.state['model']}")
    return checkpoint


def _finished(out: Store, progress: Progress) -> tuple[disk.Checkpoint, dict[str, Journal]] | None:
    """The final checkpoint and its journals if the stage was finished and all of it is whole."""
    folder = out.child(disk.FINAL)
    if not folder.exists(disk.STATE):
        return None
    try:
        checkpoint = disk.read(folder)
        return checkpoint, {name: Journal.restore(out, name, seal) for name, seal in checkpoint.state["journals"].items()}
    except IntegrityError as problem:
        progress.log(f"the final checkpoint cannot be used ({problem}); doing its last steps again")
        out.remove(disk.FINAL)
        return None


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
