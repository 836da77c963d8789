"""Reads what a run measured, once for the cards and the run page: the folders of its steps become one `Evidence`.

A part that a run did not do is None, and its section says "not measured". A file that is there but cannot be read is an
error that names it, so that broken results are never left out without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skyloom.core.errors import DataError
from skyloom.core.json_files import (
    AlarmEntry,
    ChoiceTable,
    Excerpts,
    HeldoutEntry,
    LeakageReport,
    Measure,
    MetricsEntry,
    Mixture,
    PackageEntry,
    PairedEntry,
    PerplexityEntry,
    PerplexityTable,
    PlanFile,
    ReferenceEntry,
    RemovedEntry,
    SampleEntry,
    SanityEntry,
    ScoreEntry,
    SkipEntry,
    SourceEntry,
    SpeedEntry,
    TokensManifest,
)
from skyloom.core.ledger import Ledger
from skyloom.core.store import TELEMETRY, Store
from skyloom.data.config import CANARY

PUBLISHED = "published"
"""The name of a release's own corpus among the folders of steps."""


@dataclass(frozen=True)
class Evidence:
    """The parsed files of docs/design.md by the step that wrote them; None where a run has no such file."""

    sources: list[SourceEntry] | None = None
    extraction: Ledger | None = None
    cleaning: Ledger | None = None
    mixture: Mixture | None = None
    examples: Excerpts | None = None
    redaction: dict[str, int] | None = None
    measure: Measure | None = None
    tokens: TokensManifest | None = None
    plans: dict[str, PlanFile] = field(default_factory=dict)
    metrics: list[MetricsEntry] | None = None
    heldout: list[HeldoutEntry] | None = None
    speed: list[SpeedEntry] | None = None
    perplexity: PerplexityTable | None = None
    choice: ChoiceTable | None = None
    samples: list[SampleEntry] | None = None
    leakage: LeakageReport | None = None
    alarms: list[AlarmEntry] | None = None
    skips: list[SkipEntry] | None = None
    scores: list[ScoreEntry] | None = None
    references: list[ReferenceEntry] | None = None
    packages: list[PackageEntry] | None = None
    removed: list[RemovedEntry] = field(default_factory=list)
    named: tuple[str, ...] = ()

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the training stages in order: `named` if they are given, else those that wrote something down."""
        if self.named:
            return self.named
        rows = (row["stage"] for lines in (self.metrics, self.heldout, self.speed, self.scores) for row in lines or [])
        return tuple(dict.fromkeys([*self.plans, *rows]))

    @property
    def loss_rows(self) -> list[PerplexityEntry]:
        """The rows of `perplexity.json`; none without one."""
        return self.perplexity["rows"] if self.perplexity else []

    @property
    def paired(self) -> list[PairedEntry]:
        """The paired differences of `perplexity.json`; none without one."""
        return self.perplexity.get("paired", []) if self.perplexity else []

    @property
    def checks(self) -> list[SanityEntry]:
        """The checks of `perplexity.json`; none without one."""
        return self.perplexity.get("sanity", []) if self.perplexity else []

    @property
    def canaries_read(self) -> bool:
        """Whether a stage read the planted exercises, by the shares that it realised; if not known, whether they were packed."""
        if self.metrics is None:
            return bool(self.tokens.get("canary_copies", 1)) if self.tokens else True
        return any((row.get("shares") or {}).get(CANARY, 0) > 0 for row in self.metrics)


def read(inputs: Mapping[str, Store]) -> Evidence:
    """Read what is there. DataError names a file that is not what docs/design.md says."""
    stages = stages_of(inputs)
    return Evidence(
        sources=_json(inputs, "pages", "sources.json"),
        extraction=_ledger(inputs, "extract"),
        cleaning=_ledger(inputs, "corpus"),
        mixture=_json(inputs, "corpus", "mixture.json"),
        examples=_json(inputs, "corpus", "examples.json"),
        redaction=_json(inputs, "corpus", "redaction.json"),
        measure=_json(inputs, "tokenizer", "measure.json"),
        tokens=_json(inputs, "tokens", "tokens.json"),
        plans={stage: plan for stage in stages if (plan := _json(inputs, stage, "plan.json")) is not None},
        metrics=_lines(inputs, "metrics.jsonl"),
        heldout=_lines(inputs, "heldout.jsonl"),
        speed=_telemetry(inputs, f"{TELEMETRY}speed.jsonl"),
        perplexity=_json(inputs, "evaluate", "perplexity.json"),
        choice=_json(inputs, "evaluate", "choice.json"),
        samples=_json(inputs, "evaluate", "samples.json"),
        leakage=_json(inputs, "leakage", "leakage.json"),
        alarms=_lines(inputs, "alarms.jsonl"),
        skips=_lines(inputs, "skips.jsonl"),
        scores=_lines(inputs, "scores.jsonl"),
        references=_json(inputs, "references", "references.json"),
        packages=_json(inputs, "pages", "copyright/packages.json"),
        removed=_json(inputs, PUBLISHED, "removed.json") or [],
        named=tuple(stages),
    )


def stages_of(inputs: Mapping[str, Store]) -> list[str]:
    """The training stages among the folders of steps, in the order in which they were trained: those with `plan.json`, or, where
    that was not kept, with one of the journals."""
    begun: dict[str, int] = {}
    for name, store in inputs.items():
        if store.exists("plan.json"):
            plan: PlanFile = _json(inputs, name, "plan.json")
            begun[name] = (plan.get("calendar") or {}).get("first_step") or 0
        elif any(store.exists(journal) for journal in ("metrics.jsonl", "heldout.jsonl")):
            begun[name] = max(begun.values(), default=0)
    return sorted(begun, key=lambda name: begun[name])


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


def _telemetry(inputs: Mapping[str, Store], name: str) -> list[Any] | None:
    """The same of a file that is no part of a step's content: a damaged one is as good as none."""
    try:
        return _lines(inputs, name)
    except DataError:
        return None


def _lines(inputs: Mapping[str, Store], name: str) -> list[Any] | None:
    """The JSON lines of all stages, one after the other; None if no stage has the file."""
    rows = []
    found = False
    for stage in stages_of(inputs):
        store = inputs.get(stage)
        if store is None or not store.exists(name):
            continue
        found = True
        for number, line in enumerate(store.read_json_lines(name), 1):
            if not isinstance(line, dict):
                raise DataError(f"{store.url(name)}, line {number}: not a JSON object")
            rows.append({"stage": stage, **line})
    return rows if found else None
