"""`skyloom plan`: predict the cost of a training run on machines that you need not have (report 3.5, appendix B).

Input: options for model, machine and batch. Output: a table for people or one JSON object for scripts. See `train.plan` for how
it is predicted and docs/11-planner.md for its error.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TypedDict, Unpack

import click

from skyloom.cli.common import FiniteRange, example, show
from skyloom.core.errors import ConfigError
from skyloom.core.json_files import PlainTable, Row
from skyloom.planner.layout_text import layout_text, parse_layout
from skyloom.planner.machines import CPU, MACHINES, TABLE10, changed, machine_of
from skyloom.planner.memory import KERNELS
from skyloom.planner.muon_cost import OPTIMIZERS
from skyloom.planner.search import LayoutPlan, Search, TrainingJob, error_note, predict, search
from skyloom.planner.time import Cluster
from skyloom.run.subject import Subject, parse_count, read_subject

_HELP = {
    "model": "A preset (skywork-13b, llama2-13b, …) or a TOML file with a [model] table, such as a recipe.",
    "gpu": "A machine's name (see --machines), a TOML file with a [machine] table, or cpu: this machine, measured now.",
    "sequences": "Sequences of a step over all replicas. [default: the recipe's, else 4096; cpu: 8]",
    "context": "Tokens of a sequence. [default: the recipe's, else the model's]",
    "micro": "Sequences of a micro-batch. [default: try several]",
    "layout": "Predict this layout instead of searching: dp=256,pp=2, also tp, micro, schedule, chunks, recompute, zero.",
    "tokens": "Tokens of the whole run: 3.2T, 130B. [default: the recipe's, else 3.2T]",
    "stage": "Plan this stage of a recipe alone. [default: all of them; a row for each where context or batch differ]",
    "optimizer": "adamw, or muon for the matrices of the blocks. [default: the recipe's, else adamw]",
    "kernels": "fused: Megatron's kernels, close to compiled blocks; eager: our decoder, uncompiled.",
}


class PlanOptions(TypedDict):
    """The options of `skyloom plan` that describe the job."""

    nodes: int
    gpus_per_node: int | None
    sequences: int | None
    context: int | None
    micro_batch: int | None
    layout: str | None
    tokens: str | None
    kernels: str
    optimizer: str | None
    link: float | None
    network: float | None
    memory: float | None
    watts: float | None
    matmul: float | None
    fixed: float | None
    threads: int


@click.command(
    "plan",
    epilog=example(
        "skyloom plan --model skywork-13b --gpu a800-80g --nodes 64 --sequences 4096",
        "skyloom plan --model skywork-13b --gpu a800-80g --nodes 64 --sequences 4096 --micro-batch 1 --layout dp=256,pp=2 --json",
        "skyloom plan --model demo --gpu cpu",
        "skyloom plan --machines",
    ),
)
@click.option("--model", default=None, metavar="NAME|FILE", help=_HELP["model"])
@click.option("--gpu", default=None, metavar="NAME|FILE", help=_HELP["gpu"])
@click.option("--nodes", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Number of nodes.")
@click.option(
    "--gpus-per-node", type=click.IntRange(1, 1024), default=None, help="Accelerators of a node. [default: the machine's, mostly 8]"
)
@click.option("--sequences", type=click.IntRange(1, 2**31), default=None, help=_HELP["sequences"])
@click.option("--context", type=click.IntRange(1, 2**31), default=None, help=_HELP["context"])
@click.option("--micro-batch", type=click.IntRange(1, 2**31), default=None, help=_HELP["micro"])
@click.option("--layout", default=None, metavar="TEXT", help=_HELP["layout"])
@click.option("--tokens", default=None, metavar="COUNT", help=_HELP["tokens"])
@click.option("--stage", default=None, metavar="NAME", help=_HELP["stage"])
@click.option("--kernels", type=click.Choice(["fused", "eager"]), default="fused", show_default=True, help=_HELP["kernels"])
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default=None, help=_HELP["optimizer"])
@click.option(
    "--link", type=FiniteRange(0, min_open=True), default=None, help="GB/s between accelerators of a node, each direction."
)
@click.option("--network", type=FiniteRange(0, min_open=True), default=None, help="Gb/s of a node's network cards, each direction.")
@click.option("--memory", type=FiniteRange(0, min_open=True), default=None, help="Memory of one accelerator in GiB.")
@click.option("--watts", type=FiniteRange(0), default=None, help="Watts of one accelerator with its share of the node.")
@click.option(
    "--matmul", type=FiniteRange(0, 1, min_open=True), default=None, help="Share of the bf16 peak that matrix products reach."
)
@click.option("--fixed", type=FiniteRange(0), default=None, help="GiB that are not counted separately. [default: 10.19, as fitted]")
@click.option("--threads", type=click.IntRange(0), default=0, help="Threads of the CPU. [default: physical cores]")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="Number of layouts that a search shows.")
@click.option("--machines", is_flag=True, help="List the known machines with their figures and sources.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    model: str | None, gpu: str | None, stage: str | None, as_json: bool, machines: bool, top: int, **options: Unpack[PlanOptions]
) -> None:
    """Predict memory, speed and time of a training run. Also MFU and kWh; for one layout or for the best of all.

    A layout that does not fit also gives exit code 0: see `fits` and `reason`. A layout that is not possible gives 2.
    """

    if machines:
        show([dataclasses.asdict(machine) for machine in MACHINES.values()], as_json)
        return
    if model is None or gpu is None:
        raise ConfigError(
            "give the model with --model and the machine with --gpu (skyloom plan --machines lists the known machines)"
        )

    subject = read_subject(model)
    if stage is not None:
        subject = subject.only(stage)
    elif subject.differ and not (options["sequences"] or options["context"] or options["tokens"]):
        _show_stages(subject, gpu, options, as_json)
        return
    job, micro = _job(subject, gpu, options)
    title = _title(subject.name, job)
    if options["layout"] is not None or gpu.lower() == "cpu":
        layout = parse_layout(options["layout"] or "", job.cluster.world, micro)
        _show_one(predict(job, layout), title, as_json)
    else:
        _show_search(search(job, micro), title, top, as_json)


def _job(subject: Subject, gpu: str, options: PlanOptions) -> tuple[TrainingJob, int]:
    """The `TrainingJob` of these options, and the micro-batch (0: free)."""
    on_cpu = gpu.lower() == CPU
    batch = options["sequences"] or subject.batch or (8 if on_cpu else 4096)
    context = options["context"] or subject.context or subject.model.context
    micro = options["micro_batch"] or 0
    if on_cpu:
        if options["nodes"] > 1 or (options["gpus_per_node"] or 1) > 1:
            raise ConfigError("a plan for the CPU is for one process on this machine; leave out --nodes and --gpus-per-node")
        from skyloom.train.step import measure_cpu

        rows = max(1, parse_layout(options["layout"] or "", 1, micro).micro(batch))
        machine, achieved = measure_cpu(subject.model, min(rows, batch), min(context, subject.model.context), options["threads"])
    else:
        machine, achieved = machine_of(gpu), TABLE10
    machine = changed(machine, memory=options["memory"], link=options["link"], network=options["network"], watts=options["watts"])
    if options["matmul"] is not None:
        achieved = dataclasses.replace(achieved, matmul=options["matmul"])
    if options["fixed"] is not None:
        achieved = dataclasses.replace(achieved, fixed_gib=options["fixed"])
    cluster = Cluster(machine, achieved, options["nodes"], options["gpus_per_node"] or machine.per_node)
    tokens = parse_count(options["tokens"]) if options["tokens"] is not None else subject.tokens or 3.2e12
    optimizer = options["optimizer"] or subject.optimizer or "adamw"
    return TrainingJob(subject.model, cluster, batch, context, tokens, KERNELS[options["kernels"]], optimizer), micro


def _title(name: str, job: TrainingJob) -> str:
    machine, nodes, each = job.cluster.machine.name, job.cluster.nodes, job.cluster.per_node
    where = machine if nodes * each == 1 else f"{nodes} x {each} {machine}"
    return f"{name} on {where}: {job.batch:,} sequences of {job.context:,} tokens a step, {_count(job.tokens)} tokens in all"


def _count(number: float) -> str:
    for scale, letter in ((1e12, " T"), (1e9, " B"), (1e6, " M")):
        if number >= scale:
            return f"{number / scale:.4g}{letter}"
    return f"{number:,.0f}"


def _assumptions(job: TrainingJob) -> PlainTable:
    """The assumptions of a plan, for the JSON."""
    return {
        "sequences": job.batch,
        "context": job.context,
        "tokens": job.tokens,
        "parameters": job.model.parameters,
        "flops_per_token": job.model.flops_per_token(job.context),
        "nodes": job.cluster.nodes,
        "gpus_per_node": job.cluster.per_node,
        "kernels": job.kernels.name,
        "machine": dataclasses.asdict(job.cluster.machine),
        "achieved": dataclasses.asdict(job.cluster.achieved),
    }


def _row(found: LayoutPlan) -> Row:
    """A plan as a row of a table; without speed where it does not fit."""
    ran: Row = {
        "tokens/GPU/s": round(found.tokens_per_gpu_per_s),
        "MFU %": 100 * found.mfu,
        "TFLOP/s": found.tflops,
        "days": found.days,
        "kWh": round(found.kwh),
    }
    row: Row = {"layout": layout_text(found.layout), "fits": "yes" if found.fits else "no", "GiB": found.memory_gib}
    return {**row, **(ran if found.fits else dict.fromkeys(ran))}


def _show_one(found: LayoutPlan, title: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**found.to_json(), "assumptions": _assumptions(found.job)}, ensure_ascii=False, indent=1))
        return
    show([_row(found)], False, title)
    show([found.memory.gib()], False, "memory of the rank that needs most, GiB")
    if found.fits:
        show([vars(found.seconds)], False, f"seconds of a step, {found.seconds.total:,.3f} in all")
    else:
        click.secho(found.reason, fg="red")
    _notes(found)


def _show_search(found: Search, title: str, top: int, as_json: bool) -> None:
    first = found.best[0] if found.best else found.nearest
    if as_json:
        answer = _nothing(found) if first is None else {**first.to_json(), "assumptions": _assumptions(first.job)}
        others = [plan.to_json() for plan in found.best[1:top]]
        answer |= {"alternatives": others, "failed": found.failed, "tried": found.tried}
        click.echo(json.dumps(answer, ensure_ascii=False, indent=1))
        return
    if found.best:
        show([_row(plan) for plan in found.best[:top]], False, title)
    if found.failed:
        failed = [{name: value for name, value in row.items() if isinstance(value, str | int | float)} for row in found.failed]
        show(failed, False, f"{sum(row['layouts'] for row in found.failed):,} of {found.tried:,} layouts fail: reasons")
    if not found.best:
        click.secho(first.reason if first else _nothing(found)["reason"], fg="red")
    if first is not None:
        _notes(first)


def _nothing(found: Search) -> Row:
    """The answer if no layout is possible."""
    numbers = ("tokens_per_gpu_per_s", "mfu", "tflops", "memory_gib", "days")
    why = (
        f"no layout is possible for this batch and model: {found.failed[0]['reason']}"
        if found.failed
        else "there is no layout to try"
    )
    return {"layout": None, "fits": False, **dict.fromkeys(numbers), "reason": why}


def _show_stages(subject: Subject, gpu: str, options: PlanOptions, as_json: bool) -> None:
    """Each stage with the layout that is asked for, or with its best one, and the sums of those that fit."""
    rows, objects, days, energy = list[Row](), list[dict[str, object]](), 0.0, 0.0
    last: LayoutPlan | None = None
    for stage in subject.stages:
        job, micro = _job(subject.only(stage.name), gpu, options)
        if options["layout"] is not None or gpu.lower() == CPU:
            found: LayoutPlan | None = predict(job, parse_layout(options["layout"] or "", job.cluster.world, micro))
        else:
            tried = search(job, micro)
            found = tried.best[0] if tried.best else tried.nearest
        what: Row = {"stage": stage.name, "sequences": job.batch, "context": job.context, "tokens": _count(job.tokens)}
        if found is None:
            rows.append({**what, "layout": "none is possible"})
            objects.append({**what, "tokens": job.tokens, "layout": None, "fits": False})
            continue
        rows.append({**what, **_row(found)})
        objects.append({**dict(found.to_json()), "stage": stage.name, "assumptions": _assumptions(job)})
        last = found
        if found.fits:
            days, energy = days + found.days, energy + found.kwh
    fits = all(one["fits"] for one in objects)
    if as_json:
        total = {"days": round(days, 4) if fits else None, "kwh": round(energy) if fits else None}
        click.echo(json.dumps({"stages": objects, "fits": fits, **total}, ensure_ascii=False, indent=1))
        return
    show(rows, False, f"{subject.name}: each stage with its own step")
    if fits:
        click.echo(f"All stages together: {days:,.3g} days" + (f", {energy:,.0f} kWh" if energy else ""))
    if last is not None:
        _notes(last)


def _notes(found: LayoutPlan) -> None:

    click.echo(f"Error: {error_note(found)['note']}.")
    if found.kwh:
        click.echo(
            f"Energy: {found.job.cluster.machine.watts:,.0f} W for each accelerator with its share of the node, without cooling."
        )
