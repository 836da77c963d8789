"""The 512-rank dry run: every layout of Table 10 built on fake processes, beside the planner.

Input: Skywork-13B with the report's batch and the layouts of Table 10. Output: the tables of docs/11-planner.md and
the bars: how many layouts are built, how far the planner is from what the trainer asks for, and how long it takes. Needs no GPU.

    python -m bench.train.dry_run                      # the tables; --write docs/11-planner.md puts them between the marks
    python -m bench.train.dry_run --every              # every micro-batch of each step, instead of reckoning the later ones
    python -m bench.train.dry_run --json all           # the bars
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.answers import answer, offer
from skyloom.model.presets import preset
from skyloom.planner import table10 as table
from skyloom.planner.machines import TABLE10
from skyloom.planner.memory import FUSED, memory
from skyloom.run.doctor import usable_cores
from skyloom.train.config import TrainConfig
from skyloom.train.dryrun.comparison import Compared, compare
from skyloom.train.dryrun.simulate import DryRun, dry_run
from skyloom.train.dryrun.traffic import RECEIVE, REDUCE

BEGIN, END = "<!-- dry run: begin -->", "<!-- dry run: end -->"
BARS = ("layouts", "memory", "sent", "minutes")
GIB, GB = 2**30, 1e9


@dataclass(frozen=True)
class Found:
    """All dry runs, and the minutes that they took together."""

    runs: list[DryRun]
    minutes: float

    def compared(self) -> list[Compared]:
        return [row for run in self.runs for rank in run.ranks for row in compare(run, rank)]


@cache
def found(every: bool = False) -> Found:
    config = TrainConfig(batch=table.BATCH, context=table.CONTEXT)
    started = time.monotonic()
    layouts = [row.layout for row in table.rows(table.PREDICTED)]
    runs = dry_run(config, preset(table.PREDICTED), layouts, workers=usable_cores(), every=every)
    return Found(runs, (time.monotonic() - started) / 60)


def value(name: str) -> float:
    """A bar."""
    if name == "layouts":
        return float(len(found().runs))
    if name == "minutes":
        return found().minutes
    rows = [row for row in found().compared() if row.what == "memory" or row.what.startswith("sent")]
    ratios = [row.ratio for row in rows if (row.what == "memory") == (name == "memory")]
    return max(100 * abs(ratio - 1) for ratio in ratios if ratio is not None)


def memory_table(runs: list[DryRun]) -> str:
    kinds = list(runs[0].ranks[0].memory)
    lines = [f"| layout | rank | {' | '.join(kinds)} | peak, GiB | planned | ratio |", "|---|" + "---|" * (len(kinds) + 4)]
    for run in runs:
        for rank in run.ranks:
            told = next(row for row in compare(run, rank) if row.what == "memory")
            cells = " | ".join(f"{rank.memory[kind] / GIB:.1f}" for kind in kinds)
            lines.append(
                f"| {run.layout} | {rank.rank} | {cells} | {rank.peak / GIB:.2f} | {told.planned / GIB:.2f} | {told.ratio:.4f} |"
            )
    return "\n".join(lines)


def traffic_table(runs: list[DryRun]) -> str:
    lines = ["| layout | rank | along | what | count | GB | GB sent | planned | ratio |", "|" + "---|" * 9]
    for run in runs:
        for rank in run.ranks:
            told = {row.what.split()[-1]: row for row in compare(run, rank) if row.what.startswith("sent")}
            for row in rank.traffic:
                if row.size <= 16:
                    continue
                plan = told.pop(row.dimension, None) if row.kind not in (REDUCE, RECEIVE) else None
                beside = f"{plan.planned / GB:.2f} | {plan.ratio:.4f}" if plan else "|"
                lines.append(
                    f"| {run.layout} | {rank.rank} | {row.dimension} | {row.kind} | {row.count:,} | {row.size / GB:.2f} "
                    f"| {row.sent / GB:.2f} | {beside} |"
                )
    return "\n".join(lines)


def systems_table(runs: list[DryRun]) -> str:
    """What the fullest process holds: in the report, in the planner's Megatron-LM, and in our trainer, uncompiled."""
    rows = {str(row.layout): row for row in table.rows(table.PREDICTED)}
    lines = ["| layout | Table 10 | planned for Megatron-LM | of it fixed | our trainer, nothing fixed |", "|" + "---|" * 5]
    for run in runs:
        row, fixed = rows[str(run.layout)], TABLE10.fixed_gib
        plan = memory(run.model, run.layout, table.BATCH, table.CONTEXT, FUSED, fixed * GIB).total / GIB
        printed = f"{row.gib:.1f}" if row.ran else "out of memory"
        lines.append(f"| {run.layout} | {printed} | {plan:.1f} | {fixed:.1f} | {run.fullest.peak / GIB:.1f} |")
    return "\n".join(lines)


def page(every: bool) -> str:
    """All tables, as docs/11-planner.md quotes them."""
    runs = found(every).runs
    ranks = sum(len(run.ranks) for run in runs)
    largest = {
        what: max(100 * abs((row.ratio or 1) - 1) for row in found(every).compared() if row.what.startswith(what))
        for what in ("memory", "sent")
    }
    head = (
        f"{len(runs)} layouts, {ranks} ranks in {found(every).minutes:.1f} minutes on {usable_cores()} cores. Planner against "
        f"trainer: memory within {largest['memory']:.1f} %, bytes sent within {largest['sent']:.2f} %."
    )
    parts = (
        head,
        "Memory at the peak of a step, GiB:",
        memory_table(runs),
        "Exchanges of one step. GB is the whole tensor, sent what a ring puts on the wire; the plan is for all of a dimension "
        "(along pp: both ways over each border):",
        traffic_table(runs),
        "Three systems, GiB on the fullest process:",
        systems_table(runs),
    )
    return "\n\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Dry-run every layout of Table 10.")
    parser.add_argument("--every", action="store_true", help="make every micro-batch")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks of this page")
    offer(parser, BARS)
    options = parser.parse_args()

    def tables() -> None:
        if options.write is None:
            print(page(options.every))
            return
        text = options.write.read_text(encoding="utf-8")
        head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
        options.write.write_text(f"{head}{BEGIN}\n\n{page(options.every)}\n\n{END}{tail}", encoding="utf-8")

    return answer(options.json, value, tables)


if __name__ == "__main__":
    sys.exit(main())
