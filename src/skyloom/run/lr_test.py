"""Learning rate test (`skyloom train lr-test`): short training runs at several constant rates, compared (report Fig. 4).

Input: a recipe and rates. Each rate is a content-addressed step of its own: it starts from the same checkpoint, reads the same
samples that the stage would read next, and is monitored on the same held-out texts. So a test that was killed continues, a rate
that is done is not done again, and rates can be added later. Once its held-out losses are written, a run's weights are removed:
the stage itself starts from the checkpoint again.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError
from skyloom.core.json_files import Figure, HeldoutEntry, MetricsEntry, PlanFile, Rows
from skyloom.core.progress import Progress
from skyloom.core.step import Step, StepContext
from skyloom.core.store import Store
from skyloom.report.rate_figure import MEAN, TRAINING, Curve, Points, figure
from skyloom.run import processes
from skyloom.run.recipe import Recipe, stage_of, stage_shape, stage_train, stages
from skyloom.run.run import ResolvedRun
from skyloom.run.stages import StageInputs, open_stage
from skyloom.score.nll import TextLosses
from skyloom.train import checkpoint as disk
from skyloom.train.config import StageConfig
from skyloom.train.distributed import Ranks
from skyloom.train.loop import train_stage
from skyloom.train.rates import FACTORS, Difference, PartOfStage, RateVerdict, Trial, judge, length, mean_loss, parse_rates
from skyloom.train.recover import NotFiniteError
from skyloom.train.stage_list import KEEP
from skyloom.train.step import settled
from skyloom.train.watch import Monitor

NAME = "lr-test"
LOSSES, NUMBERS, TABLE, FIGURE = "losses.json", "lr-test.json", "lr-test.csv", "lr-test.svg"


class RateInterval(TypedDict):
    """A difference of losses with its 95 % interval."""

    value: float
    low: float
    high: float


class SetLosses(TypedDict):
    """Loss on a held-out set before and after."""

    start: float
    end: float


class RateResult(TypedDict):
    """What `NUMBERS` says of one rate."""

    rate: float
    excluded: str
    training_loss: Figure
    heldout_loss: Figure
    to_best: RateInterval | None
    to_start: RateInterval | None
    sets: dict[str, SetLosses]


class RateResults(TypedDict):
    """What `NUMBERS` holds, as far as the table needs it."""

    recommended: Figure
    rates: list[RateResult]


@dataclass(frozen=True)
class RateTestPlan:
    """What is tried: a part of the stage `stage`, from its step `first` on, from the checkpoint `start` (None: its beginning)."""

    stage: str
    rates: tuple[float, ...]
    steps: int
    first: int
    start: Store | None
    identity: str
    origin: str

    def config(self, recipe: Recipe, rate: float) -> StageConfig:
        """How a run at `rate` learns: constantly; the stage's own warm-up is kept where the run begins with the stage."""
        own = stage_of(recipe, self.stage).rate
        return replace(own, schedule="constant", peak=rate, warmup_steps=0 if self.first else own.warmup_steps, releases=1)


def prepare(run: ResolvedRun, *, stage: str | None, rates: str | None, tokens: int | None, checkpoint: str | None) -> ResolvedRun:
    """The run with a step for each rate, and one, `NAME`, that compares them. ConfigError for what does not fit together."""
    steps, recipe = run.steps, run.recipe
    stage = stage or stages(recipe)[:2][-1]
    own = stage_of(recipe, stage).rate
    tried = parse_rates(rates if rates is not None else ",".join(f"{factor * own.peak:.3g}" for factor in FACTORS))
    start = _given(checkpoint) if checkpoint else _before(run, stage)
    first, identity, origin = 0, "", "the beginning of training"
    if start is not None:
        state = disk.read_state(start)
        _check(recipe, stage, start, state["stage"], state["model"])
        first = state["stage_step"] if state["stage"] == stage else 0
        identity = hashlib.sha256(start.read_bytes(disk.STATE)).hexdigest()
        origin = f"{state['stage']}, step {state['step']:,}"
    elif recipe.train.init_from:
        identity = steps[stages(recipe)[0]].identity
    whole = stage_of(recipe, stage).data.tokens
    plan = RateTestPlan(stage, tried, length(tokens, whole, _step_tokens(recipe, stage)), first, start, identity, origin)
    warmup = plan.config(recipe, tried[0]).warmup_steps
    if warmup >= plan.steps:
        raise ConfigError(
            f"a test of {plan.steps:,} steps from the beginning of {stage} would end in its warm-up of {warmup:,} steps: give "
            "more --tokens, or a checkpoint with --from"
        )
    run.progress.log(
        f"{plan.steps:,} steps of {stage} at each of {', '.join(f'{r:g}' for r in tried)}, from {origin}"
        + (f" ({start.root})" if start else "")
    )
    rates_steps = {step.name: step for step in (_rate_step(run, plan, rate) for rate in tried)}
    needs = tuple(rates_steps.values())
    compared = Step(NAME, _compare(recipe, plan, list(rates_steps)), {"rates": list(tried)}, needs=needs)
    return run.with_steps({**rates_steps, NAME: compared})


def _step_tokens(recipe: Recipe, stage: str) -> int:
    train = stage_train(recipe, stage)
    return train.batch * train.context


def _given(path: str) -> Store:
    """The checkpoint that `--from` names: one itself, or the last whole one of a stage's folder."""
    found = _last(Store(Path(path).absolute()))
    if found is None:
        raise ConfigError(f"--from {path}: there is no checkpoint; give the folder of a checkpoint or of a training stage")
    return found


def _before(run: ResolvedRun, stage: str) -> Store | None:
    """The last whole checkpoint of the stage before `stage`, or None if it is the first."""
    place = stages(run.recipe).index(stage)
    if not place:
        return None
    name = stages(run.recipe)[place - 1]
    found = _last(run.folder(name))
    if found is None:
        raise ConfigError(
            f"{stage} begins where {name} ends, and {name} has no checkpoint yet in {run.folder(name).root}: train it first "
            "(skyloom train), or give a checkpoint with --from"
        )
    return found


def _last(folder: Store) -> Store | None:
    """`folder` if it is a checkpoint, else the newest in it that has its `state.json` (training checks the rest)."""
    names = ["", disk.FINAL, *(disk.folder_of(step) for step in reversed(disk.steps(folder)))]
    there = [folder.child(name) if name else folder for name in names]
    return next((found for found in there if found.exists(disk.STATE)), None)


def _check(recipe: Recipe, stage: str, start: Store, trained: str, there: Mapping[str, object]) -> None:
    """ConfigError if a checkpoint is of another model or of a later stage."""
    names = stages(recipe)
    if trained not in names or names.index(trained) > names.index(stage):
        raise ConfigError(f"{start.root} is of {trained}, which comes after {stage}; give another --stage or --from")
    shape = plain(stage_shape(recipe, trained), identity_only=True)  # as checkpoints have it; the vocabulary is the tokenizer's
    differing = sorted(k for k in {*shape, *there} - {"vocabulary"} if shape.get(k) != there.get(k))
    if differing:
        key = differing[0]
        raise ConfigError(
            f"{start.root} is a checkpoint of another model: model.{key} is {there.get(key)!r} there and "
            f"{shape.get(key)!r} in the recipe"
        )


def _rate_step(run: ResolvedRun, plan: RateTestPlan, rate: float) -> Step:
    """The step of one rate."""
    recipe, name = run.recipe, f"lr-{rate:g}"

    def learn(ctx: StepContext) -> None:
        processes.call(recipe, name)
        _learn(recipe, plan, rate, ctx)

    settings = {
        "train": stage_train(recipe, plan.stage),
        "model": stage_shape(recipe, plan.stage),
        "heldout": recipe.heldout_sets,
        "data": [stage_of(recipe, name).data for name in stages(recipe)],
        "stage": plan.stage,
        "rate": plan.config(recipe, rate),
        "first": plan.first,
        "steps": plan.steps,
    }
    needs = tuple(run.steps[n] for n in ("corpus", "exercises", "tokenizer", "tokens"))
    return Step(name, learn, settings, needs=needs, identity=plan.identity)


def _learn(recipe: Recipe, plan: RateTestPlan, rate: float, ctx: StepContext) -> None:
    """Train at one rate, score the held-out documents one by one, write that down, remove the weights. All processes alike."""
    here = Ranks.here()
    if not here.share(ctx.out.exists(LOSSES)):  # else it was killed between its last file and its manifest
        _train_and_score(recipe, plan, rate, ctx, here)
    if here.is_main:
        for left in (disk.FINAL, disk.FOLDER):
            ctx.out.remove(left)
    here.wait()


def _train_and_score(recipe: Recipe, plan: RateTestPlan, rate: float, ctx: StepContext, here: Ranks) -> None:
    """Write `LOSSES`."""
    inputs = open_stage(recipe, plan.stage, ctx, begins=plan.start is None)
    feed = PartOfStage(inputs.feed, plan.first, plan.steps)
    diverged, start, end = "", {}, {}
    try:
        train_stage(
            stage_train(recipe, plan.stage), plan.config(recipe, rate), inputs.shape, feed, inputs.heldout, inputs.tokenizer,
            plan.start, ctx.out, progress=ctx.progress, make=inputs.make, weights=inputs.weights,
            moments=KEEP if plan.first else stage_of(recipe, plan.stage).moments,
        )  # fmt: skip
    except NotFiniteError as problem:
        ctx.progress.log(f"a rate of {rate:g} diverged: {problem}")
        diverged = str(problem)
    else:
        start = _score(recipe, plan, inputs, plan.start, here)
        end = _score(recipe, plan, inputs, ctx.out.child(disk.FINAL), here)
    if here.is_main:
        skips = list(_lines(ctx.out, "skips.jsonl"))
        sets = {name: {"start": _row(start[name]), "end": _row(end[name])} for name in end}
        ctx.out.write_json(LOSSES, {"rate": rate, "diverged": diverged, "skipped": len(skips), "sets": sets})


def _score(recipe: Recipe, plan: RateTestPlan, inputs: StageInputs, folder: Store | None, here: Ranks) -> dict[str, TextLosses]:
    """Losses of the watched texts, document by document, with a checkpoint's weights or those that training begins with."""
    from skyloom.model.init import first_weights

    gc.collect()  # the learner before this one is a cycle under many processes, and as large as this one
    train = stage_train(recipe, plan.stage)
    learner = inputs.make(train, inputs.shape, False, inputs.tokenizer.bos_id)
    if folder is None:
        learner.begin(inputs.weights or first_weights(inputs.shape, train.seed))
    else:
        state = disk.read_state(folder)
        disk.verify(folder, state, here)
        disk.fill(folder, state, learner.state(), here)
        learner.load(state["updates"])
    texts = inputs.tokenizer
    with settled(train.threads):
        return Monitor(inputs.heldout, texts.encode_column, texts.bos_id, train, Progress.silent()).score(learner)


def _row(losses: TextLosses) -> dict[str, list[float]]:
    return {"nats": losses.nats.tolist(), "tokens": losses.tokens.tolist(), "bytes": losses.bytes.tolist()}


def _compare(recipe: Recipe, plan: RateTestPlan, names: Sequence[str]) -> Callable[[StepContext], None]:
    """The step that reads all runs and writes numbers, table and figure."""

    def compare(ctx: StepContext) -> None:
        folders = [ctx.need(name) for name in names]
        trials = [_trial(folder) for folder in folders]
        found = judge(trials)
        tokens = _step_tokens(recipe, plan.stage)
        curves = [_curve(folder, trial, plan, tokens) for folder, trial in zip(folders, trials, strict=True)]
        facts = {"stage": plan.stage, "from": plan.origin, "steps": plan.steps, "tokens": plan.steps * tokens, "first": plan.first}
        rows = [_numbers(trial, curve, found) for trial, curve in zip(trials, curves, strict=True)]
        ctx.out.write_json(
            NUMBERS,
            {
                **facts,
                "recommended": found.rate,
                "lowest_loss": found.best,
                "reason": found.reason,
                "reason_zh": found.reason_zh,
                "rates": rows,
            },
        )
        ctx.out.write_text(TABLE, _table(trials, curves))
        shown = _fitting(curves, trials)
        title = f"{plan.stage} at constant learning rates, {plan.steps * tokens:,} tokens each, from {plan.origin}"
        title_zh = f"{plan.stage}：不同的恒定学习率，各训练 {plan.steps * tokens:,} 个词元"
        ctx.out.write_text(FIGURE, figure(title, title_zh, shown, found.reason, found.reason_zh))

    return compare


def _trial(folder: Store) -> Trial:
    told = folder.read_json(LOSSES)

    def losses(when: str) -> dict[str, TextLosses]:
        made = {name: {k: np.array(v) for k, v in both[when].items()} for name, both in told["sets"].items()}
        return {n: TextLosses(r["nats"].astype(np.float64), r["tokens"], r["bytes"], r["bytes"]) for n, r in made.items()}

    return Trial(told["rate"], losses("start"), losses("end"), told["skipped"], told["diverged"])


def _lines(folder: Store, name: str) -> Iterator[Any]:
    return folder.read_json_lines(name) if folder.exists(name) else iter(())


def _curve(folder: Store, trial: Trial, plan: RateTestPlan, tokens: int) -> Curve:
    """Losses over the tokens since the checkpoint; of a run that diverged, as far as they were written."""
    plan_of: PlanFile = folder.read_json("plan.json")
    begun = plan_of["calendar"]["first_tokens"]
    metrics: list[MetricsEntry] = list(_lines(folder, "metrics.jsonl"))
    heldout: list[HeldoutEntry] = list(_lines(folder, "heldout.jsonl"))
    points: dict[str, list[tuple[float, float]]] = {TRAINING: [(row["tokens"] - begun, row["loss"]) for row in metrics]}
    if trial.start:
        points[MEAN] = [(0.0, mean_loss(trial.start))]
        points |= {name: [(0.0, losses.loss)] for name, losses in trial.start.items()}
    by_tokens: dict[int, list[float]] = {}
    for row in heldout:
        if row["tokens"] > begun:
            points.setdefault(row["set"], []).append((row["tokens"] - begun, row["loss"]))
            by_tokens.setdefault(row["tokens"] - begun, []).append(row["loss"])
    points.setdefault(MEAN, []).extend((at, float(np.mean(losses))) for at, losses in sorted(by_tokens.items()))
    return Curve(f"{trial.rate:g}", points)


def _fitting(curves: Sequence[Curve], trials: Sequence[Trial]) -> list[Curve]:
    """The curves as they are drawn: one of an excluded rate says so, and ends where it leaves the range of the others."""
    fit = [curve for curve, trial in zip(curves, trials, strict=True) if not trial.excluded]
    shown = []
    for curve, trial in zip(curves, trials, strict=True):
        if not trial.excluded:
            shown.append(curve)
            continue
        cut: dict[str, Points] = {}
        for name, points in curve.points.items():
            known = [loss for other in fit for _, loss in other.points.get(name, ())]
            most = max(known) + 0.25 * (max(known) - min(known)) if known else math.inf
            end = next((k for k, (_, loss) in enumerate(points) if loss > most), len(points))
            cut[name] = points[:end]
        shown.append(Curve(f"{curve.name} ({'diverged 发散' if trial.excluded.startswith('diverged') else 'spiked 尖峰'})", cut))
    return shown


def _last_training(points: Points) -> float | None:
    """Mean training loss over the last tenth of the steps."""
    losses = [loss for _, loss in points]
    return float(np.mean(losses[-max(1, len(losses) // 10) :])) if losses else None


def _numbers(trial: Trial, curve: Curve, found: RateVerdict) -> RateResult:
    def told(difference: Difference | None) -> RateInterval | None:
        if difference is None:
            return None
        return {"value": difference.value, "low": difference.low, "high": difference.high}

    return {
        "rate": trial.rate,
        "excluded": trial.excluded,
        "training_loss": _last_training(curve.points[TRAINING]),
        "heldout_loss": trial.loss,
        "to_best": told(found.to_best.get(trial.rate)),
        "to_start": told(found.to_start.get(trial.rate)),
        "sets": {name: {"start": trial.start[name].loss, "end": end.loss} for name, end in trial.end.items()},
    }


def _table(trials: Sequence[Trial], curves: Sequence[Curve]) -> str:
    """The curves as CSV: a line for each rate, panel and point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rate", "loss_of", "tokens", "nats_per_token"])
    for trial, curve in zip(trials, curves, strict=True):
        for name, points in curve.points.items():
            writer.writerows([f"{trial.rate:g}", name, f"{at:.0f}", f"{loss:.6f}"] for at, loss in points)
    return text.getvalue()


def table(numbers: RateResults) -> Rows:
    """Rows for people, of what `NUMBERS` holds."""
    rows: Rows = []
    for row in numbers["rates"]:
        to_best, to_start = row["to_best"], row["to_start"]
        rows.append(
            {
                "rate": f"{row['rate']:g}",
                "training loss": row["training_loss"],
                "held-out loss": row["heldout_loss"],
                "above the best": _interval(to_best),
                "above the checkpoint": _interval(to_start),
                "": row["excluded"] or ("recommended" if row["rate"] == numbers["recommended"] else ""),
            }
        )
    return rows


def _interval(found: RateInterval | None) -> str | None:
    return None if found is None else f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
