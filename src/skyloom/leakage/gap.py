"""The leakage audit of report 5.2, with uncertainty and with a positive control.

Input: models, the exercise splits and the tokenizer; output: `leakage.json`. For each model, the mean
token loss on the train, test and reference splits and the gaps between them, as in Table 8. The report's reference set
was written by another model in the test's style, so a gap may also be a difference of style. Ours is drawn from the same
generator as the test split and is exchangeable with it: for a clean model the expected gap is 0.

The control shows that the audit can see: canaries, planted in the tokens of Stage 2, are put where the test split was.
They must be found in the final model and not in the model at the end of Stage 1, before they were planted, and the clean
test split must not be found. Each canary also has a twin of the same family with other numbers; comparing the two item by
item removes the spread between families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skyloom.core.progress import Progress
from skyloom.core.records import Json
from skyloom.core.store import Store
from skyloom.evaluate.intervals import Estimate, figure
from skyloom.evaluate.models import LoadedModel, Models, as_tokenizer, load
from skyloom.leakage.audit_items import SPLITS, Items, pairs, read_split
from skyloom.leakage.config import LeakageConfig
from skyloom.leakage.contrast import Mix, Scored, gap, mix, paired, reference_mean, suspect_mean
from skyloom.leakage.corpus_overlap import corpus_overlap
from skyloom.leakage.verdict import UNKNOWN, WORDS, LeakageVerdict, below_zero, detectable, judge
from skyloom.tokenizer import Tokenizer


@dataclass(frozen=True)
class Audited:
    """A model's row in `leakage.json`, and the verdict in it."""

    model: str
    row: dict[str, Json]
    verdict: LeakageVerdict


@dataclass(frozen=True)
class Control:
    """The control's row for a model, and whether the canaries were found (None: no interval)."""

    row: dict[str, Json]
    flagged: bool | None


CLEAN, PLANTED = "stage1", "final"
"""The models before and after the canaries were planted. The name "stage1" is published and stands for the end of Stage 1: the
model of step `stage1b` where the recipe has that step."""

CONTROL_WORDS = (
    "canaries, which were planted in the second stage, stand in for the test split: delta1 = L_canary - L_ref; paired = "
    "L_canary - L_twin, item by item, where a twin is the same family, names and wording with other numbers; each is flagged "
    "if its interval lies below 0. The control holds if delta1, the rule that the test split is judged by, finds the "
    "canaries in the final model and not in the first stage, and does not flag the clean test split"
)
_FOUND = {True: "found", False: "not found", None: UNKNOWN}
NO_CONTROL_WORDS = "no canaries were planted: nothing shows that this audit would have found a leak"


def audit(
    models: Models,
    exercises: Store,
    tokenizer: Tokenizer | Store,
    out: Store,
    config: LeakageConfig,
    *,
    corpus: Store | None = None,
    planted: bool = True,
    progress: Progress,
) -> None:
    """Write `leakage.json`: `{"rows", "control", "corpus", "words"}`.

    `exercises`, `tokenizer` and `corpus` are the folders of the steps of those names. `planted`: whether training read the
    canaries that there are. "control" is null if it did not or if there are none, "corpus" if none is given. DataError if
    a split is too small to be compared.
    """
    vocabulary = as_tokenizer(tokenizer)
    splits = {name: read_split(exercises, name, config.items if name == "train" else 0) for name in SPLITS}
    matched = pairs(splits["canary"], splits["twin"]) if planted else []
    rows, control = list[Audited](), dict[str, Control]()
    with progress.task("leakage", len(models), "models") as bar:
        for name, source in models.items():
            bar.note(name)
            scored = _score(load(source), vocabulary, splits, config)
            rows.append(_row(name, scored, config))
            if matched:
                control[name] = _control(scored, matched, config)
            bar.advance()
    out.write_json(
        "leakage.json",
        {
            "rows": [found.row for found in rows],
            "control": {"models": {n: found.row for n, found in control.items()}, **_holds(rows, control)} if matched else None,
            "corpus": corpus_overlap(splits, corpus, progress) if corpus is not None else None,
            "words": _words(rows, control),
        },
    )


def _score(model: LoadedModel, tokenizer: Tokenizer, splits: Mapping[str, Items], config: LeakageConfig) -> dict[str, Scored]:
    """All splits under one model, in one pass."""
    losses = model.score(tokenizer, [text for items in splits.values() for text in items.texts], config.batch_tokens)
    result, start = {}, 0
    for name, items in splits.items():
        rows = slice(start, start + len(items))
        result[name] = Scored(losses.nats[rows], losses.tokens[rows], items.kinds)
        start += len(items)
    return result


def _row(model: str, scored: Mapping[str, Scored], config: LeakageConfig) -> Audited:
    """One line of Table 8, with intervals."""
    others = {name: scored[name] for name in ("train", "ref")}
    mixed = mix(scored["test"], others)
    made = _made(config)
    delta1, delta2 = (gap(mixed, scored[name], name=f"test-{name}", **made) for name in ("ref", "train"))
    verdict = judge(delta1, delta2)
    row: dict[str, Json] = {
        "model": model,
        **_figures("L_test", suspect_mean(mixed, name="test", **made)),
        **_figures("L_train", reference_mean(mixed, scored["train"], name="train", **made)),
        **_figures("L_ref", reference_mean(mixed, scored["ref"], name="ref", **made)),
        **_figures("delta1", delta1),
        **_figures("delta2", delta2),
        "detectable1": figure(detectable(delta1)),
        "detectable2": figure(detectable(delta2)),
        "n": {"test": len(mixed.of), **{name: _counted(mixed, other) for name, other in others.items()}},
        "strata": {"by": mixed.by, "count": len(mixed.names)},
        "leaked": verdict.leaked,
        "overfitted": verdict.overfitted,
        "verdict": verdict.words,
    }
    return Audited(model, row, verdict)


def _control(scored: Mapping[str, Scored], matched: list[tuple[int, int]], config: LeakageConfig) -> Control:
    """The canaries as the suspect: against the reference split, and each against its twin."""
    canary, twin = (scored[name].pick(rows) for name, rows in zip(("canary", "twin"), zip(*matched, strict=True), strict=True))
    made = _made(config)
    mixed = mix(canary, {"ref": scored["ref"]})
    delta1 = gap(mixed, scored["ref"], name="canary-ref", **made)
    one_by_one = paired(canary, twin, name="canary-twin", **made)
    row: dict[str, Json] = {
        **_figures("L_canary", suspect_mean(mixed, name="canary", **made)),
        **_figures("L_ref", reference_mean(mixed, scored["ref"], name="ref", **made)),
        **_figures("delta1", delta1),
        **_figures("paired", one_by_one),
        "n": {"canary": len(mixed.of), "ref": _counted(mixed, scored["ref"]), "pairs": len(matched)},
        "strata": {"by": mixed.by, "count": len(mixed.names)},
        "flagged": below_zero(delta1),
        "flagged_paired": below_zero(one_by_one),
    }
    return Control(row, below_zero(delta1))


def _holds(rows: Sequence[Audited], control: Mapping[str, Control]) -> dict[str, bool | None]:
    """What the control is expected to show, and whether it did; None where a model is missing or has no interval."""

    def flags(model: str) -> bool | None:
        seen = control.get(model)
        return None if seen is None else seen.flagged

    leaked = {row.model: row.verdict.leaked for row in rows}
    before, after, clean = flags(CLEAN), flags(PLANTED), leaked.get(PLANTED)
    checks = {
        "canaries_flagged_in_final": after,
        "canaries_flagged_in_stage1": before,
        "clean_test_flagged_in_final": clean,
    }
    known = None not in checks.values()
    return {**checks, "holds": bool(after and not before and not clean) if known else None}


def _words(rows: Sequence[Audited], control: Mapping[str, Control]) -> dict[str, str]:
    """What the figures mean, and one sentence for each model."""
    told = {}
    for row in rows:
        seen = control.get(row.model)
        found = "" if seen is None else "; planted canaries: " + _FOUND[seen.flagged]
        told[row.model] = row.verdict.words + found
    return {**WORDS, "control": CONTROL_WORDS if control else NO_CONTROL_WORDS, **told}


def _made(config: LeakageConfig) -> dict[str, int]:
    return {"seed": config.seed, "resamples": config.resamples}


def _counted(mixed: Mix, reference: Scored) -> int:
    """Items of a reference that were compared."""
    return sum(map(len, mixed.rows(reference)))


def _figures(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: figure(found.value), f"{name}_low": figure(found.low), f"{name}_high": figure(found.high)}
