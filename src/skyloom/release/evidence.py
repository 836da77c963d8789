"""What a run measured, read once for the cards and the report: its folders enter, one `Evidence` leaves.

A part that a run did not do is None, and its section says "not measured". A file that is there but cannot be read is an
error that names it: nobody must pass quietly over broken evidence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skyloom.core.errors import DataError
from skyloom.core.ledger import Ledger
from skyloom.core.store import TELEMETRY, Store
from skyloom.data.config import CANARY
from skyloom.train.config import STAGES

Rows = list[dict[str, Any]]
STAGES = STAGES


@dataclass(frozen=True)
class Evidence:
    """The parsed files of docs/design.md by the step that wrote them; None where a run has no such file."""

    sources: Rows | None
    extraction: Ledger | None
    cleaning: Ledger | None
    mixture: dict[str, Any] | None
    examples: dict[str, Rows] | None
    redaction: dict[str, int] | None
    measure: dict[str, Any] | None
    tokens: dict[str, Any] | None
    plans: dict[str, dict[str, Any]]
    metrics: Rows | None
    heldout: Rows | None
    speed: Rows | None
    perplexity: dict[str, Any] | None
    choice: dict[str, Any] | None
    samples: Rows | None
    leakage: dict[str, Any] | None
    alarms: Rows | None = None
    skips: Rows | None = None
    scores: Rows | None = None
    references: Rows | None = None

    @property
    def canaries_read(self) -> bool:
        """Whether a stage read the planted exercises, by the shares that it realised; if not known, whether they were packed."""
        if self.metrics is None:
            return bool((self.tokens or {}).get("canary_copies", 1))
        return any((row.get("shares") or {}).get(CANARY, 0) > 0 for row in self.metrics)


def read(inputs: Mapping[str, Store]) -> Evidence:
    """Read what is there. DataError names a file that is not what docs/design.md says."""
    metrics, heldout, speed = (_lines(inputs, name) for name in ("metrics.jsonl", "heldout.jsonl", f"{TELEMETRY}speed.jsonl"))
    return Evidence(
        sources=_json(inputs, "pages", "sources.json"),
        extraction=_ledger(inputs, "extract"),
        cleaning=_ledger(inputs, "corpus"),
        mixture=_json(inputs, "corpus", "mixture.json"),
        examples=_json(inputs, "corpus", "examples.json"),
        redaction=_json(inputs, "corpus", "redaction.json"),
        measure=_json(inputs, "tokenizer", "measure.json"),
        tokens=_json(inputs, "tokens", "tokens.json"),
        plans={stage: plan for stage in STAGES if (plan := _json(inputs, stage, "plan.json")) is not None},
        metrics=metrics,
        heldout=heldout,
        speed=speed,
        perplexity=_json(inputs, "evaluate", "perplexity.json"),
        choice=_json(inputs, "evaluate", "choice.json"),
        samples=_json(inputs, "evaluate", "samples.json"),
        leakage=_json(inputs, "leakage", "leakage.json"),
        alarms=_lines(inputs, "alarms.jsonl"),
        skips=_lines(inputs, "skips.jsonl"),
        scores=_lines(inputs, "scores.jsonl"),
        references=_json(inputs, "references", "references.json"),
    )


def _json(inputs: Mapping[str, Store], step: str, name: str) -> Any:
    store = inputs.get(step)
    if store is None or not store.exists(name):
        return None
    try:
        return store.read_json(name)
    except ValueError as problem:
        raise DataError(f"{store.url(name)} is not JSON ({problem}); run the step {step} again") from problem


def _ledger(inputs: Mapping[str, Store], step: str) -> Ledger | None:
    value = _json(inputs, step, "ledger.json")
    if value is None:
        return None
    try:
        return Ledger.from_json(value)
    except (KeyError, TypeError, ValueError) as problem:
        raise DataError(f"{inputs[step].url('ledger.json')} is not a ledger ({problem!r}); run the step {step} again") from problem


def _lines(inputs: Mapping[str, Store], name: str) -> Rows | None:
    """The JSON lines of both stages, one after the other; None if neither stage has the file."""
    rows: Rows = []
    found = False
    for stage in STAGES:
        store = inputs.get(stage)
        if store is None or not store.exists(name):
            continue
        found = True
        for number, line in enumerate(store.read_bytes(name).splitlines(), 1):
            try:
                rows.append({"stage": stage, **json.loads(line)})
            except (ValueError, TypeError) as problem:
                raise DataError(f"{store.url(name)}, line {number}: not a JSON object ({problem})") from problem
    return rows if found else None
