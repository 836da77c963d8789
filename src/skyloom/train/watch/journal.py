"""JSON-lines files that agree with the checkpoints, and the records in their lines.

The lines of a file are kept in memory and written at each checkpoint as a whole file, so that no half line is ever seen. A
checkpoint holds the journal's seal (how many lines, and their SHA-256); a run that resumes from the checkpoint drops the lines
after it and writes the same ones again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypeAlias, TypedDict, TypeVar

from skyloom.core.errors import IntegrityError
from skyloom.core.store import TELEMETRY, Store

METRICS, HELDOUT, SKIPS, SCORES = "metrics.jsonl", "heldout.jsonl", "skips.jsonl", "scores.jsonl"
SPEED = f"{TELEMETRY}speed.jsonl"
SCORING = f"{TELEMETRY}scoring.jsonl"
"""Rates, and the time of scoring; no part of a run's content."""


Line: TypeAlias = Mapping[str, object]
"""A record of any journal; JSON can hold its values."""
L = TypeVar("L")


class MetricsLine(TypedDict):
    """A line of `metrics.jsonl`: an update."""

    stage: str
    step: int
    tokens: int
    loss: float
    lr: float
    grad_norm: float
    shares: dict[str, float]
    losses_by_domain: NotRequired[dict[str, float]]


class HeldOutLine(TypedDict):
    """A line of `heldout.jsonl`; the ends of the interval are null where one document gives none."""

    stage: str
    step: int
    tokens: int
    set: str
    lang: str
    domain: str
    kind: str
    loss: float
    bits_per_byte: float
    low: float | None
    high: float | None
    scored_tokens: int
    scored_bytes: int


class SkipLine(TypedDict):
    """A line of `skips.jsonl`: a step without an update, and the documents of its batch by domain."""

    stage: str
    step: int
    stage_step: int
    reason: str
    loss: float | None
    grad_norm: float | None
    documents: dict[str, list[str]]


class CausalRate(TypedDict, total=False):
    """Utilisation that counts half of the attention scores."""

    mfu_causal: float | None


class DeviceMemory(TypedDict, total=False):
    """An accelerator's memory: the most that tensors took, and what torch reserved."""

    device_memory_bytes: int
    device_reserved_bytes: int


class SpeedLine(CausalRate, DeviceMemory):
    """A line of `speed.jsonl`. `peak_flops`: FLOP/s of one accelerator, which `mfu` is a share of; all null on processors."""

    step: int
    tokens: int
    tokens_per_s: float
    tokens_per_s_per_device: float
    data_wait_share: float
    mfu: float | None
    memory_bytes: int
    peak_flops: float | None
    seconds: float


class ScoringLine(TypedDict):
    """A line of `telemetry/scoring.jsonl`: how long one kind of scores of a checkpoint took, beside the training time of the steps
    between two released checkpoints."""

    stage: str
    step: int
    kind: str
    seconds: float
    between_seconds: float | None
    share: float | None


class Score(TypedDict):
    """One benchmark score. What follows `chance` stands at those of `train.score_tasks` only: `accuracy` is null where `metric` is
    none, `low` and `high` are of `value`; `bits_per_byte`: of the right answers; `of`: items of the task's split, of which the
    first `items` are scored; `prompts`: SHA-256 of all that was asked."""

    benchmark: str
    lang: str
    items: int
    accuracy: float | None
    low: float | None
    high: float | None
    chance: float | None
    metric: NotRequired[str]
    filter: NotRequired[str]
    value: NotRequired[float | None]
    bits_per_byte: NotRequired[float | None]
    bits_low: NotRequired[float | None]
    bits_high: NotRequired[float | None]
    shots: NotRequired[int]
    of: NotRequired[int]
    prompts: NotRequired[str]


class ScoreLine(Score):
    """A line of `scores.jsonl`: one benchmark score of a named checkpoint."""

    stage: str
    step: int
    tokens: int


class Seal(TypedDict):
    """What a checkpoint holds of a journal."""

    lines: int
    sha256: str


class Journal:
    """Lines of one file, in order."""

    def __init__(self, lines: list[str] | None = None) -> None:
        self._lines = lines or []

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, record: Line) -> None:
        self._lines.append(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def lines(self) -> Sequence[str]:
        """As they stand in the file, each with its newline."""
        return self._lines

    def records(self, kind: type[L]) -> list[L]:
        """The lines as records of `kind`, which is what this journal holds."""
        return [json.loads(line) for line in self._lines]

    def write(self, out: Store, name: str) -> None:
        out.write_text(name, "".join(self._lines))

    def seal(self) -> Seal:
        return {"lines": len(self._lines), "sha256": hashlib.sha256("".join(self._lines).encode()).hexdigest()}

    @classmethod
    def restore(cls, out: Store, name: str, seal: Seal) -> Journal:
        """The sealed lines of a file that may have more. IntegrityError if it has fewer or others."""
        try:
            text = out.read_text(name) if out.exists(name) else ""
        except UnicodeDecodeError as problem:
            raise IntegrityError(f"{out.url(name)} is not text any more: {problem}") from problem
        # At newlines only: `splitlines` also cuts at U+2028 and the like, which stand in a JSON string as they are.
        journal = cls([f"{line}\n" for line in text.split("\n")[:-1]][: seal["lines"]])
        if journal.seal() != dict(seal):
            raise IntegrityError(f"{out.url(name)} does not hold the lines that its checkpoint sealed")
        return journal
