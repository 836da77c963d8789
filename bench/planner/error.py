"""The planner's own error: on the report's Table 10, and on short runs of this CPU.

Input: Table 10 (`skyloom.planner.table10`, facts of the report); the constants are fitted anew on its LLaMA2-13B rows
and the Skywork-13B rows are predicted. Output: the tables of docs/11-planner.md and the bars.

    python -m bench.planner.error                      # the tables; --write docs/11-planner.md puts them between the marks
    python -m bench.planner.error --cpu                # minutes: demo-3m and small-13m trained for a few seconds beside their plans
    python -m bench.planner.error --json all           # the bars

`--cpu` measures the machine's rates and the training in turn and wants an idle machine; `--busy` is for one that is not: one
thread, and CPU seconds instead of the wall's.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import astuple
from pathlib import Path
from statistics import median

from bench.answers import answer, offer
from skyloom.model.presets import preset
from skyloom.planner import table10 as table
from skyloom.planner.machines import TABLE10, Calibration

BEGIN, END = "<!-- planner: begin -->", "<!-- planner: end -->"
BARS = {
    "throughput-mean": lambda found: 100 * found.tokens_mean,
    "throughput-most": lambda found: 100 * found.tokens_most,
    "memory-mean": lambda found: 100 * found.memory_mean,
    "memory-most": lambda found: 100 * found.memory_most,
    "days": lambda found: found.days,
}
SHAPES = {"demo-3m": (8, 256), "small-13m": (8, 256)}
"""Sequences and context of the CPU runs."""
TURNS, STEPS = 5, 8


def value(name: str) -> float:
    """A bar, of the constants fitted now."""
    fitted = table.fit()
    if name == "constants":
        return float(len(astuple(fitted)))
    if name == "wrong-kinds":  # of the twelve rows, told wrong whether they run out of memory
        found = [table.predict(row, fitted) for row in table.ROWS]
        return float(sum(p.fits != p.row.ran for p in found))
    found = table.validate(fitted)
    if name == "ranking":
        return float(found.ranked)
    return float(BARS[name](found))


def rows_table(achieved: Calibration) -> str:
    lines = [
        "| model | layout | tokens/GPU/s | predicted | off | GiB | predicted | off |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.ROWS:
        found = table.predict(row, achieved)
        name = f"| {row.model} | {row.layout}"
        if not row.ran:
            lines.append(f"{name} | out of memory | {'fits' if found.fits else 'out of memory'} | | > 80 | {found.gib:.1f} | |")
            continue
        lines.append(
            f"{name} | {row.tokens:,.0f} | {found.tokens:,.0f} | {100 * found.tokens_error:+.1f} % "
            f"| {row.gib:.1f} | {found.gib:.1f} | {100 * found.gib_error:+.1f} % |"
        )
    return "\n".join(lines)


def contradictions_table() -> str:
    lines = [
        "| model | layout | GFLOP per token | off the median | tokens/GPU/s printed | by TFLOP/s |",
        "|---|---|---|---|---|---|",
    ]
    for model in (table.FITTED, table.PREDICTED):
        lines += [
            f"| {model} | {c.row.layout} | {c.row.flops_per_token / 1e9:.2f} | {100 * c.off:+.1f} % | {c.row.tokens:,.0f} "
            f"| {c.implied:,.0f} |"
            for c in table.contradictions(model)
        ]
    return "\n".join(lines)


def treatments_table() -> str:
    head = "| LLaMA2 DP128+TP4 | matmul | link | network | throughput mean | at most | ranking | days |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for name, treat in table.TREATMENTS.items():
        fitted = table.fit(treat(table.FITTED))
        found = table.validate(fitted)
        lines.append(
            f"| {name} | {fitted.matmul:.3f} | {fitted.link:.3f} | {fitted.network:.3f} | {100 * found.tokens_mean:.1f} % "
            f"| {100 * found.tokens_most:.1f} % | {'right' if found.ranked else 'wrong'} | {found.days:.1f} |"
        )
    return "\n".join(lines)


def spread_table() -> str:
    """What each constant and the errors become if one fitted row is left out: how well the rows determine them."""
    lines = [
        "| left out | matmul | link | network | fixed GiB | throughput mean | at most | memory mean | at most |",
        "|" + "---|" * 9,
    ]
    ran = [row for row in table.TREATMENTS["from TFLOP/s"](table.FITTED) if row.ran]
    for gone in (None, *ran):
        fitted = table.fit([row for row in ran if row is not gone])
        found = table.validate(fitted)
        errors = (found.tokens_mean, found.tokens_most, found.memory_mean, found.memory_most)
        lines.append(
            f"| {gone.layout if gone else 'none'} | {fitted.matmul:.3f} | {fitted.link:.3f} | {fitted.network:.3f} "
            f"| {fitted.fixed_gib:.1f} | " + " | ".join(f"{100 * e:.1f} %" for e in errors) + " |"
        )
    return "\n".join(lines)


def units_table() -> str:
    """Two stages against four: activations in flight and what is fixed cancel, 6 bytes of each parameter stay."""
    lines = ["| model | PP2 less PP4, table | counted, GiB | counted, 10^9 bytes |", "|---|---|---|---|"]
    for model in (table.FITTED, table.PREDICTED):
        printed, size = table.stage_difference(model)
        lines.append(f"| {model} | {printed:.1f} | {size / 2**30:.1f} | {size / 1e9:.1f} |")
    return "\n".join(lines)


def page() -> str:
    """All tables, as docs/11-planner.md quotes them."""
    found = table.validate(TABLE10)
    facts = (
        f"Skywork-13B: throughput off by {100 * found.tokens_mean:.1f} % on average and {100 * found.tokens_most:.1f} % at most, "
        f"memory by {100 * found.memory_mean:.1f} % and {100 * found.memory_most:.1f} %; out of memory told "
        f"{'right' if found.memory_kinds else 'wrong'}, ranking {'right' if found.ranked else 'wrong'}; "
        f"{found.days:.1f} days for 3.2 T tokens (the report: 39)."
    )
    parts = (
        (facts, rows_table(TABLE10)),
        ("Rows that contradict themselves: TFLOP/s over tokens/s, against the median of the model's rows.", contradictions_table()),
        ("What comes of it, on Skywork-13B:", treatments_table()),
        ("GB or GiB: two stages against four, where only parameters' bytes differ.", units_table()),
        ("Each fitted row left out in turn, on Skywork-13B:", spread_table()),
    )
    return "\n\n".join(text for part in parts for text in part)


def cpu_table(threads: int) -> str:
    lines = [
        "| model | predicted tokens/s | measured | off | spread of the measured |",
        "|---|---|---|---|---|",
    ]
    for name in SHAPES:
        told, ran = cpu_run(name, threads)
        off = median(told) / median(ran) - 1
        spread = (max(ran) - min(ran)) / median(ran)
        lines.append(f"| {name} | {median(told):,.0f} | {median(ran):,.0f} | {100 * off:+.0f} % | {100 * spread:.0f} % |")
    return "\n".join(lines)


def cpu_run(name: str, threads: int) -> tuple[list[float], list[float]]:
    """Tokens per second, predicted and measured in turn, of a compiled single process in bf16; 0 threads: physical cores."""
    import torch

    from skyloom.core.progress import Progress
    from skyloom.model.init import first_weights
    from skyloom.planner.layout import Layout
    from skyloom.planner.search import TrainingJob, predict
    from skyloom.planner.time import Cluster
    from skyloom.train.config import TrainConfig
    from skyloom.train.step.cpu_speed import measure_cpu
    from skyloom.train.step.learner import SingleLearner
    from skyloom.train.step.machine import choose_compile, settled

    model, (batch, context) = preset(name), SHAPES[name]
    told, ran = [], []
    with settled(threads):
        compiled = choose_compile("auto", None, Progress())
        learner = SingleLearner(TrainConfig(batch=batch, context=context), model, compiled=compiled, bos_id=1)
        learner.begin(first_weights(model, 1))
        generator = torch.Generator().manual_seed(1)
        tokens = torch.randint(0, model.vocabulary, (batch, context + 1), generator=generator)
        learner.measure(tokens, 0)
        learner.apply(1e-4)
        for turn in range(TURNS):
            machine, achieved = measure_cpu(model, batch, context, threads)
            job = TrainingJob(model, Cluster(machine, achieved, 1, 1), batch, context, 1e9)
            told.append(predict(job, Layout(micro_batch=batch)).tokens_per_gpu_per_s)
            started = time.perf_counter()
            for step in range(STEPS):
                learner.measure(tokens, 1 + turn * STEPS + step)
                learner.apply(1e-4)
            ran.append(STEPS * batch * context / (time.perf_counter() - started))
    return told, ran


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the planner's error.")
    parser.add_argument("--cpu", action="store_true", help="short runs of small models on this CPU beside their plans")
    parser.add_argument("--busy", action="store_true", help="with --cpu: one thread, in CPU seconds")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks of this page")
    offer(parser, (*BARS, "constants", "wrong-kinds", "ranking"))
    options = parser.parse_args()

    def tables() -> None:
        if options.cpu:
            if options.busy:
                time.perf_counter = time.process_time  # type: ignore[assignment] # for this program, ours and the planner's
            print(cpu_table(int(options.busy)))
        elif options.write is None:
            print(page())
        else:
            text = options.write.read_text(encoding="utf-8")
            head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
            options.write.write_text(f"{head}{BEGIN}\n\n{page()}\n\n{END}{tail}", encoding="utf-8")

    return answer(options.json, value, tables)


if __name__ == "__main__":
    sys.exit(main())
