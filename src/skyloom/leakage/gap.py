"""The leakage audit of report 5.2, with uncertainty and with a positive and a negative control.

Input: models, the exercise splits and the tokenizer; output: `leakage.json`. For each model, the mean
token loss on the train, test and reference splits and the gaps between them, as in Table 8. The report's reference set
was written by another model in the test's style, so a gap may also be a difference of style. Ours is drawn from the same
generator as the test split and is exchangeable with it: for a clean model the expected gap is 0.

The control shows whether the audit can see. A pool of exercises is split by lot: one half, the canaries, is planted in the tokens
of a stage (Stage 2 in the report), the other is held back and read by no stage. Each half is put where the test split was. The
planted half must be found in the final model and not in the last one before it was planted (the end of Stage 1); the held-back
half and the clean test split must be flagged in neither. The two halves are also compared with each other, in pairs of one family
and language, which removes the spread between families; in the final model the interval of this difference must exclude zero as
well, because "one is flagged and the other is not" does not show that the two differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skyloom.core.json_files import ControlEntry
from skyloom.core.progress import Progress
from skyloom.core.records import Json
from skyloom.core.store import Store
from skyloom.evaluate.models import LoadedModel, Models, as_tokenizer, load
from skyloom.leakage.audit_items import SPLITS, Items, pairs, read_split
from skyloom.leakage.config import LeakageConfig
from skyloom.leakage.contrast import Mix, Scored, gap, mix, paired, reference_mean, suspect_mean
from skyloom.leakage.control_words import PLANTED, CleanTest, flags, holds, outcome, reason
from skyloom.leakage.corpus_overlap import corpus_overlap
from skyloom.leakage.verdict import WORDS, LeakageVerdict, below_zero, detectable, judge
from skyloom.score.intervals import Estimate, figure
from skyloom.tokenizer import Tokenizer
from skyloom.train.stage_list import Planting

_REPORT = Planting()
"""The report's two stages."""


@dataclass(frozen=True)
class Audited:
    """A model's row in `leakage.json`, and the verdict in it."""

    model: str
    row: dict[str, Json]
    verdict: LeakageVerdict


CONTROL_WORDS = (
    "a pool of exercises was split by lot: one half, the canaries, was planted in {planted}, the other was held back and "
    "read by no stage. Both stand in for the test split: delta1 = L_canary - L_ref, and heldback_delta1 = L_heldback - L_ref, the "
    "negative control. paired = L_canary - L_heldback, in pairs of one family and language. Each is flagged if its interval lies "
    "below 0. The control holds if the rule that the test split is judged by flags the canaries in the final model, if paired is "
    "flagged there too, and if the rule flags nothing else: neither the held-back half nor the clean test split in {models}"
    "{clean}. If the canaries are flagged and so is the other half, or paired is not, it cannot tell"
)
NO_CONTROL_WORDS = "no canaries were planted: nothing shows that this audit would have found a leak"


def audit(
    models: Models,
    exercises: Store,
    tokenizer: Tokenizer | Store,
    out: Store,
    config: LeakageConfig,
    *,
    corpus: Store | None = None,
    planted: Planting | None = _REPORT,
    progress: Progress,
) -> None:
    """Write `leakage.json`: `{"rows", "control", "corpus", "words"}`.

    `exercises`, `tokenizer` and `corpus` are the folders of the steps of those names. `planted`: which stage read the
    canaries that there are, None if none did. "control" is null then or if there are none, "corpus" if none is given. DataError if
    a split is too small to be compared.
    """
    vocabulary = as_tokenizer(tokenizer)
    splits = {name: read_split(exercises, name, config.items if name == "train" else 0) for name in SPLITS}
    matched = pairs(splits["canary"], splits["heldback"]) if planted is not None else []
    rows, control = list[Audited](), dict[str, ControlEntry]()
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
            "control": {"models": control, **_holds(rows, control, planted.before)} if matched and planted else None,
            "corpus": corpus_overlap(splits, corpus, progress) if corpus is not None else None,
            "words": _words(rows, control, planted),
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


def _control(scored: Mapping[str, Scored], matched: list[tuple[int, int]], config: LeakageConfig) -> ControlEntry:
    """Both halves of the pool as the suspect: each against the reference split, and the planted against the held-back ones."""
    canary, heldback, reference = scored["canary"], scored["heldback"], scored["ref"]
    made = _made(config)
    mixed, other = mix(canary, {"ref": reference}), mix(heldback, {"ref": reference})
    canary_loss, heldback_loss = suspect_mean(mixed, name="canary", **made), suspect_mean(other, name="heldback", **made)
    ref_loss = reference_mean(mixed, reference, name="ref", **made)
    planted, clean = gap(mixed, reference, name="canary-ref", **made), gap(other, reference, name="heldback-ref", **made)
    one, two = (split.pick(rows) for split, rows in zip((canary, heldback), zip(*matched, strict=True), strict=True))
    difference = paired(one, two, name="canary-heldback", **made)
    return {
        "L_canary": figure(canary_loss.value), "L_canary_low": figure(canary_loss.low), "L_canary_high": figure(canary_loss.high),
        "L_heldback": figure(heldback_loss.value), "L_heldback_low": figure(heldback_loss.low),
        "L_heldback_high": figure(heldback_loss.high),
        "L_ref": figure(ref_loss.value), "L_ref_low": figure(ref_loss.low), "L_ref_high": figure(ref_loss.high),
        "delta1": figure(planted.value), "delta1_low": figure(planted.low), "delta1_high": figure(planted.high),
        "heldback_delta1": figure(clean.value), "heldback_delta1_low": figure(clean.low),
        "heldback_delta1_high": figure(clean.high),
        "paired": figure(difference.value), "paired_low": figure(difference.low), "paired_high": figure(difference.high),
        "n": {"canary": len(mixed.of), "heldback": len(other.of), "ref": _counted(mixed, reference), "pairs": len(matched)},
        "strata": {"by": mixed.by, "count": len(mixed.names)},
        "flagged": below_zero(planted), "heldback_flagged": below_zero(clean), "flagged_paired": below_zero(difference),
    }  # fmt: skip


def _holds(rows: Sequence[Audited], control: Mapping[str, ControlEntry], before: str) -> dict[str, bool | None]:
    """What the control is expected to show, and whether it did; None where a model is missing or has no interval."""
    leaked = {row.model: row.verdict.leaked for row in rows}
    clean = CleanTest(leaked.get(before), leaked.get(PLANTED))
    seen = {f"clean_test_flagged_in_{PLANTED}": clean.final}
    seen |= {f"clean_test_flagged_in_{before}": clean.before} if before else {}
    return {**flags(control, before), **seen, "holds": holds(control, clean, before)}


def _words(rows: Sequence[Audited], control: Mapping[str, ControlEntry], planted: Planting | None = _REPORT) -> dict[str, str]:
    """What the figures mean, and one sentence for each model."""
    told = {row.model: row.verdict.words + (_planted(control[row.model]) if row.model in control else "") for row in rows}
    return {**WORDS, "control": _control_words(planted) if control and planted else NO_CONTROL_WORDS, **told}


def _control_words(planted: Planting) -> str:
    clean = f", nor the canaries in {planted.place(planted.before)}" if planted.before else ""
    return CONTROL_WORDS.format(
        planted=planted.place(planted.planted), models="either model" if planted.before else "it", clean=clean
    )


def _planted(row: ControlEntry) -> str:
    why = reason(row)
    return f"; planted canaries: {outcome(row)}" + (f" ({why})" if why else "")


def _made(config: LeakageConfig) -> dict[str, int]:
    return {"seed": config.seed, "resamples": config.resamples}


def _counted(mixed: Mix, reference: Scored) -> int:
    """Items of a reference that were compared."""
    return sum(map(len, mixed.rows(reference)))


def _figures(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: figure(found.value), f"{name}_low": figure(found.low), f"{name}_high": figure(found.high)}
