"""The planner against the report's Table 10: fitted constants and the planner's error. Report 3.5, appendix B.

The rows are facts. 64 nodes of 8 A800, 4,096 sequences of 4,096 tokens a step, micro-batches of one sequence, Megatron-LM with
ZeRO-1. `fit` sees the six LLaMA2-13B rows only; `validate` predicts the six Skywork-13B rows with what it found.

**Rows that contradict themselves.** TFLOP/s over tokens/s are the FLOPs that the authors count for a token: one number for a
model, whatever the layout. `contradictions` compares each row with the median of its model's rows. LLaMA2 DP128+TP4 is 11 % off:
its TFLOP/s and MFU agree with each other and would be 1,551 tokens/s, not the printed 1,744. Two figures against one, so we
fit 1,551; `TREATMENTS` says what comes out otherwise. Skywork DP128+TP4 is 1 % off and stays as printed.

**Units.** The table says GB and means GiB (2^30 bytes): from DP256+PP2 to DP128+PP4 nothing changes but the bytes of
parameters, and their difference is the printed one in GiB only (`stage_difference`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from skyloom.model.config import ModelConfig
from skyloom.model.presets import preset
from skyloom.planner.layout import Layout
from skyloom.planner.machines import GIB, MACHINES, TABLE10, Calibration, Machine
from skyloom.planner.memory import FUSED, memory
from skyloom.planner.time import Cluster, step_seconds

BATCH, CONTEXT, NODES, PER_NODE = 4096, 4096, 64, 8
MACHINE: Machine = MACHINES["a800-80g"]
FITTED, PREDICTED = "llama2-13b", "skywork-13b"
DAYS, DAYS_TOKENS = 39.0, 3.2e12
"""What the report says its run takes."""
CONTRADICTION = 0.03
"""A row whose FLOPs per token are so far from its model's median contradicts itself; the others stay within 1 %."""


@dataclass(frozen=True)
class Row:
    """A row of Table 10. Zeros: it ran out of memory."""

    model: str
    layout: Layout
    tokens: float = 0.0
    mfu: float = 0.0
    tflops: float = 0.0
    gib: float = 0.0

    @property
    def ran(self) -> bool:
        return self.gib > 0

    @property
    def flops_per_token(self) -> float:
        """What the authors must have counted."""
        return self.tflops * 1e12 / self.tokens


def _row(model: str, data: int, tensor: int, pipeline: int, *figures: float) -> Row:
    return Row(model, Layout(data=data, tensor=tensor, pipeline=pipeline, micro_batch=1), *figures)


ROWS = (
    _row(FITTED, 512, 1, 1),
    _row(FITTED, 256, 1, 2, 2045, 58.5, 182.6, 70.7),
    _row(FITTED, 256, 2, 1, 1928, 55.2, 172.2, 65.5),
    _row(FITTED, 128, 2, 2, 1936, 55.4, 172.9, 39.4),
    _row(FITTED, 128, 1, 4, 1964, 56.2, 175.4, 53.4),
    _row(FITTED, 128, 4, 1, 1744, 44.4, 138.5, 35.4),
    _row(PREDICTED, 512, 1, 1),
    _row(PREDICTED, 256, 1, 2, 1873, 56.5, 176.2, 77.1),
    _row(PREDICTED, 256, 2, 1, 1775, 53.5, 167.0, 67.9),
    _row(PREDICTED, 128, 2, 2, 1776, 53.5, 167.0, 42.5),
    _row(PREDICTED, 128, 1, 4, 1828, 55.1, 171.9, 58.7),
    _row(PREDICTED, 128, 4, 1, 1417, 43.1, 134.6, 36.6),
)


def rows(model: str) -> list[Row]:
    return [row for row in ROWS if row.model == model]


@dataclass(frozen=True)
class Contradiction:
    """How far a row is from the FLOPs per token of its model, and the throughput that its TFLOP/s would mean."""

    row: Row
    off: float
    implied: float


def contradictions(model: str) -> list[Contradiction]:
    """All rows that ran, in the order of the table; `off` is the relative difference from the median."""
    ran = [row for row in rows(model) if row.ran]
    usual = median(row.flops_per_token for row in ran)
    return [Contradiction(row, row.flops_per_token / usual - 1, row.tflops * 1e12 / usual) for row in ran]


def stage_difference(model: str) -> tuple[float, float]:
    """DP256+PP2 against DP128+PP4: the printed difference, and the bytes that no constant enters.

    Both keep the activations of as many blocks and micro-batches, and the same that is fixed.
    """
    two, four = (next(row for row in rows(model) if str(row.layout) == name) for name in ("DP256+PP2", "DP128+PP4"))
    size = [memory(preset(model), row.layout, BATCH, CONTEXT, FUSED, 0.0).total for row in (two, four)]
    return two.gib - four.gib, size[0] - size[1]


def _as_tflops(model: str) -> list[Row]:
    """The rows, with the throughput that TFLOP/s and MFU mean where they contradict the printed one."""
    found = contradictions(model)
    mended = [replace(c.row, tokens=c.implied) if abs(c.off) > CONTRADICTION else c.row for c in found]
    return [*(row for row in rows(model) if not row.ran), *mended]


def _without(model: str) -> list[Row]:
    """The rows without those that contradict themselves; their memory is kept."""
    return [replace(row, tokens=0.0) if row.ran and row.tokens != printed.tokens else row
            for row, printed in zip(_as_tflops(model), rows(model), strict=True)]  # fmt: skip


TREATMENTS = {
    "from TFLOP/s": _as_tflops,
    "left out": _without,
    "as printed": rows,
}
"""What to do with contradicting rows of the fitted half; the first is ours."""


@dataclass(frozen=True)
class Prediction:
    """What the planner says of a row."""

    row: Row
    fits: bool
    tokens: float
    gib: float

    @property
    def tokens_error(self) -> float:
        """Relative."""
        return self.tokens / self.row.tokens - 1

    @property
    def gib_error(self) -> float:
        return self.gib / self.row.gib - 1


def predict(row: Row, achieved: Calibration = TABLE10) -> Prediction:
    """Tokens per GPU and second, and GiB on the process that needs most."""
    model = preset(row.model)
    needed = memory(model, row.layout, BATCH, CONTEXT, FUSED, achieved.fixed_gib * GIB).total / GIB
    return Prediction(row, needed <= MACHINE.memory_gib, _tokens(model, row.layout, achieved), needed)


def _tokens(model: ModelConfig, layout: Layout, achieved: Calibration) -> float:
    cluster = Cluster(MACHINE, achieved, NODES, PER_NODE)
    return BATCH * CONTEXT / cluster.world / step_seconds(model, layout, BATCH, CONTEXT, FUSED, cluster).total


def fit(seen: Sequence[Row] | None = None) -> Calibration:
    """The four constants by least squares of relative errors: three on throughputs, then the fixed memory. Takes 0.1 s.

    `seen`: the LLaMA2 rows in our treatment unless given. Rows that ran out of memory are not fitted; a test sees that they
    still do.
    """
    from scipy.optimize import least_squares

    seen = _as_tflops(FITTED) if seen is None else seen
    timed, held = [row for row in seen if row.tokens], [row for row in seen if row.gib]

    def speeds(shares: Sequence[float]) -> list[float]:
        achieved = Calibration(float(shares[0]), float(shares[1]), float(shares[2]), 0.0)
        return [_tokens(preset(row.model), row.layout, achieved) / row.tokens - 1 for row in timed]

    def sizes(fixed: Sequence[float]) -> list[float]:
        achieved = replace(TABLE10, fixed_gib=float(fixed[0]))
        return [predict(row, achieved).gib_error for row in held]

    shares = least_squares(speeds, [0.6, 0.4, 0.6], bounds=([0.05] * 3, [1.0] * 3), xtol=1e-12, ftol=1e-12).x
    fixed = least_squares(sizes, [8.0], xtol=1e-12, ftol=1e-12).x
    return Calibration(float(shares[0]), float(shares[1]), float(shares[2]), float(fixed[0]))


@dataclass(frozen=True)
class Errors:
    """Of the predicted half, relative; `memory_kinds`: rows that ran out of memory and those that did not, told right."""

    tokens_mean: float
    tokens_most: float
    memory_mean: float
    memory_most: float
    memory_kinds: bool
    ranked: bool
    days: float


def validate(achieved: Calibration = TABLE10, model: str = PREDICTED, seen: Sequence[Row] | None = None) -> Errors:
    """The planner's error on the rows of one model."""
    found = [predict(row, achieved) for row in seen or rows(model)]
    timed, held = [p for p in found if p.row.tokens], [p for p in found if p.row.ran]
    best = max(timed, key=lambda p: p.row.tokens)
    return Errors(
        tokens_mean=sum(abs(p.tokens_error) for p in timed) / len(timed),
        tokens_most=max(abs(p.tokens_error) for p in timed),
        memory_mean=sum(abs(p.gib_error) for p in held) / len(held),
        memory_most=max(abs(p.gib_error) for p in held),
        memory_kinds=all(p.fits == p.row.ran for p in found),
        ranked=_ranked(timed),
        days=DAYS_TOKENS / (best.tokens * NODES * PER_NODE) / 86400,
    )


def _ranked(found: Sequence[Prediction], tie: float = 0.01) -> bool:
    """Whether each pair stands in the table's order; a pair within `tie` in the table may stand in either."""
    return all(
        a.tokens > b.tokens or a.row.tokens < b.row.tokens * (1 + tie) for a in found for b in found if a.row.tokens > b.row.tokens
    )
