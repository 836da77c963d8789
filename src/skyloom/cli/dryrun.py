"""`skyloom train RECIPE --dry-run`: memory and communication of each rank of a layout, without the processes (report 3.5).

Input: a recipe's model and batch, and some layouts. Output: tables for people or one JSON list for scripts. No step of the recipe
is run, no data and no accelerator is needed. See `train.dryrun` for how, and docs/11-planner.md for what it cannot see.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence

import click

from skyloom.cli.common import make_progress, show
from skyloom.core.errors import ConfigError
from skyloom.core.json_files import PlainTable, Row, Rows
from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout
from skyloom.planner.layout_text import layout_text, parse_layout
from skyloom.planner.table10 import PREDICTED, rows
from skyloom.run.recipe import Recipe, given, stage_shape, stage_train, stages
from skyloom.train.config import TrainConfig
from skyloom.train.dryrun import DryRun, Rank, compare, dry_run

GIB, GB = 2**30, 1e9


def chosen(train: TrainConfig, world: int, texts: Sequence[str], table10: bool) -> list[Layout]:
    """The layouts of the command line, else the recipe's. ConfigError for one that does not have `world` processes (0: any)."""
    own = train.layout
    layouts = [parse_layout(text, world, own.micro_batch) for text in texts]
    if table10:
        layouts += [row.layout for row in rows(PREDICTED)]
    if not layouts:
        layouts = [own]
    for layout in layouts:
        if world and layout.world != world:
            fewer = layout.tensor * layout.pipeline
            ways = (
                f"data = {world // fewer} would make it so"
                if world % fewer == 0
                else f"tensor x pipeline = {fewer} does not divide {world}, change one of the three"
            )
            raise ConfigError(
                f"the layout {layout} is {layout.data} x {layout.tensor} x {layout.pipeline} = {layout.world} processes, not "
                f"{world}; {ways} (--layout dp=…,tp=…,pp=… or --set train.layout.data=…)"
            )
    return layouts


def forms(recipe: Recipe, until: str | None = None) -> list[tuple[str, TrainConfig, ModelConfig]]:
    """The steps of different form that the stages of a recipe have: names of the stages, settings and shape."""
    if not recipe.stages:
        return [("", recipe.train, given(recipe.model, "model"))]
    names = stages(recipe)
    found: dict[tuple[int, int, str], tuple[list[str], TrainConfig, ModelConfig]] = {}
    for name in names[: names.index(until) + 1] if until else names:
        train = stage_train(recipe, name)
        key = (train.batch, train.context, str(train.layout))
        found.setdefault(key, ([], train, stage_shape(recipe, name)))[0].append(name)
    return [(", ".join(same), train, shape) for same, train, shape in found.values()]


def run_dry(
    recipe: Recipe, world: int, texts: Sequence[str], table10: bool, *, until: str | None, workers: int, every: bool, as_json: bool
) -> None:
    """Build each layout, for each form of a step that the stages have, and show it."""
    parts = forms(recipe, until)
    done = [
        (name, run)
        for name, train, shape in parts
        for run in dry_run(
            train, shape, chosen(train, world, texts, table10), workers=workers, every=every, progress=make_progress()
        )
    ]
    if as_json:
        click.echo(json.dumps([{"stages": name, **as_object(run)} for name, run in done], ensure_ascii=False, indent=1))
        return
    for name, run in done:
        if len(parts) > 1:
            click.secho(f"\n{name}", bold=True)
        _show(run)
    if len(done) > 1:
        rows = [{**({"stages": name} if len(parts) > 1 else {}), **_summary(run)} for name, run in done]
        show(rows, False, "the rank that needs most memory, for each layout")
    click.echo(
        "Counted on fake tensors, uncompiled. Not counted: CUDA's context, the buffers of NCCL and cuBLAS, the allocator's slack. "
        "Never run on NCCL with several GPUs."
    )


def as_object(run: DryRun) -> PlainTable:
    """A layout for scripts; bytes are bytes."""
    layout = run.layout
    return {
        "layout": layout_text(layout),
        "name": str(layout),
        "world": layout.world,
        "mesh": {"pp": layout.pipeline, "dp": layout.data, "tp": layout.tensor},
        "micro_batches": layout.micro_batches(run.config.batch),
        "fullest": run.fullest.rank,
        "ranks": [
            {
                "rank": rank.rank,
                "place": rank.place,
                "blocks": list(rank.blocks),
                "peak_bytes": rank.peak,
                "memory": dict(rank.memory),
                "states_bytes": rank.states,
                "traffic": [dataclasses.asdict(row) for row in rank.traffic],
                "shards": [dataclasses.asdict(shard) for shard in rank.shards],
                "planner": [{**dataclasses.asdict(row), "ratio": row.ratio} for row in compare(run, rank)],
                "seconds": round(rank.seconds, 1),
            }
            for rank in run.ranks
        ],
    }


def _show(run: DryRun) -> None:
    layout, config = run.layout, run.config
    stand = ", ".join(str(rank.rank) for rank in run.ranks)
    click.secho(
        f"\n{layout}: {layout.world} processes, mesh pp {layout.pipeline} x dp {layout.data} x tp {layout.tensor}; "
        f"{config.batch:,} sequences of {config.context:,} tokens a step, {layout.micro_batches(config.batch)} micro-batches of "
        f"{layout.micro(config.batch)} in each replica",
        bold=True,
    )
    click.echo(
        f"Built: rank {stand}. Data-parallel ranks differ only in their data, tensor ranks only in their columns; rank 0 of both "
        "has the largest shards."
    )
    show([_held(rank) for rank in run.ranks], False, "GiB at the peak of a step")
    show(_shards(run.fullest), False, f"what rank {run.fullest.rank} holds of each weight")
    show([row for rank in run.ranks for row in _traffic(rank)], False, "collectives and transfers of one step")
    if compared := [row for rank in run.ranks for row in _compared(run, rank)]:
        show(compared, False, "against the planner (our trainer, uncompiled, without the fixed memory)")


def _held(rank: Rank) -> Row:
    kinds = {kind: size / GIB for kind, size in rank.memory.items()}
    blocks = f"{rank.blocks[0]}–{rank.blocks[-1]} ({len(rank.blocks)})"
    return {"rank": rank.rank, "stage": rank.place, "blocks": blocks, **kinds, "peak": rank.peak / GIB}


def _shards(rank: Rank) -> Rows:
    """Weights that are equal in all blocks share one row."""
    found: dict[tuple[str, tuple[int, ...], str, tuple[int, ...]], int] = {}
    for shard in rank.shards:
        key = re.sub(r"^blocks\.\d+\.", "blocks.*.", shard.name), shard.whole, shard.placement, shard.local
        found[key] = found.get(key, 0) + 1
    return [
        {"weight": name, "times": times, "whole": _shape(whole), "placement": placement, "here": _shape(local)}
        for (name, whole, placement, local), times in found.items()
    ]


def _shape(sizes: Sequence[int]) -> str:
    return " x ".join(f"{size:,}" for size in sizes)


def _traffic(rank: Rank) -> Rows:
    return [
        {
            "rank": rank.rank,
            "along": row.dimension,
            "processes": row.processes,
            "what": row.kind,
            "count": row.count,
            "GB": row.size / GB,
            "GB sent by a ring": row.sent / GB,
        }
        for row in rank.traffic
    ]


def _compared(run: DryRun, rank: Rank) -> Rows:
    return [
        {
            "rank": rank.rank,
            "what": row.what,
            "planned, GB": row.planned / GB,
            "counted, GB": row.counted / GB,
            "counted / planned": row.ratio,
        }
        for row in compare(run, rank)
    ]


def _summary(run: DryRun) -> Row:
    rank = run.fullest
    ratios = {row.what: row.ratio for row in compare(run, rank) if row.what == "memory" or row.what.startswith("sent")}
    dims = dict.fromkeys(("dp", "tp", "pp"), 0.0)
    for row in rank.traffic:
        if row.dimension in dims:
            dims[row.dimension] += row.sent / GB
    sent = {f"{name}, GB sent": size for name, size in dims.items()}
    return {"layout": str(run.layout), "rank": rank.rank, "peak, GiB": rank.peak / GIB, **sent,
            **{f"{what}: counted / planned": ratio for what, ratio in ratios.items()}}  # fmt: skip
