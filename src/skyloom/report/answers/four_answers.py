"""The four answers at the top of the run page: what went in, what it learnt, was it contaminated, can I check it.

Input: what the steps measured and what the run says of itself. Output: for each question a sentence with its number, its
interval and a link to the section that shows more, and every check that failed. Nothing here is a fixed text: a sentence says
"not measured" where the figure is missing, and a failed check stands under the question that it is about.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.errors import IntegrityError
from skyloom.core.json_files import Figure, LeakageControl, RunFacts
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, decimal, known, percent, short, size
from skyloom.report.figures.evaluation_forest import average_bits, pairs
from skyloom.report.figures.flow import flow
from skyloom.report.labels import Say
from skyloom.report.results import control_failed
from skyloom.train.stage_list import FINAL

BASELINES = ("unigram", "xz")


@dataclass(frozen=True)
class ShortAnswer:
    """A question with its answer; `section`: where more stands; `more`: the words of that link; `failed`: checks that failed."""

    question: str
    sentence: str
    section: str
    more: str
    failed: tuple[str, ...] = ()


def answers(found: Evidence, run: RunFacts, say: Say, *, has_release: bool) -> list[ShortAnswer]:
    """The four answers in order."""
    return [_went_in(found, say), _learnt(found, say), _contaminated(found, say), _checkable(run, say, has_release)]


def _went_in(found: Evidence, say: Say) -> ShortAnswer:
    stages = flow(found)
    told: list[str] = []
    if stages:
        came = [a for stage in stages for a in stage.inflows.values()]
        documents, kept = sum(a.documents for a in came), stages[-1].total
        told.append(
            say(
                "{kept} documents ({kept_size}) of {came} that came in ({came_size}) went on to training: {share}, "
                "counted one by one.",
                kept=count(kept.documents),
                kept_size=size(kept.bytes),
                came=count(documents),
                came_size=size(sum(a.bytes for a in came)),
                share=percent(kept.documents / documents if documents else None),
            )
        )
    elif found.mixture is not None:
        rows = found.mixture["rows"]
        told.append(
            say(
                "{kept} documents ({kept_size}) went on to training.",
                kept=count(sum(r["documents"] for r in rows)),
                kept_size=size(sum(r["bytes"] for r in rows)),
            )
        )
    read = found.metrics[-1].get("tokens") if found.metrics else None
    if known(read):
        parameters = next((plan.get("parameters") for plan in found.plans.values()), None)
        told.append(
            say("A model of {parameters} parameters read {tokens} tokens.", parameters=short(parameters), tokens=short(read))
        )
    failed = []
    for ledger in (found.extraction, found.cleaning):
        try:
            if ledger is not None:
                ledger.check()
        except IntegrityError as problem:
            failed.append(say("The ledger does not balance: {problem}", problem=str(problem)))
    return ShortAnswer(say("What went in?"), _joined(told, say), "corpus", say("sources, drops and their reasons"), tuple(failed))


def _learnt(found: Evidence, say: Say) -> ShortAnswer:
    told, average = [], average_bits(found, FINAL)
    if average is not None:
        value, low, high = average
        sets = len({row["set"] for row in found.loss_rows})
        told.append(
            say(
                "On {sets} held-out sets it needs {value} bits per byte on average ({interval}; fewer is better).",
                sets=sets,
                value=decimal(value),
                interval=_interval(low, high, say),
            )
        )
    for row in pairs(found):
        if row["set"] is None and row["other"] in BASELINES and known(row["bits_per_byte"]):
            interval = _interval(row["bits_per_byte_low"], row["bits_per_byte_high"], say)
            told.append(
                say(
                    "Against {other} that is {value} ({interval}).",
                    other=say.model(row["other"]),
                    value=decimal(row["bits_per_byte"]),
                    interval=interval,
                )
            )
    final = [row for row in (found.choice["rows"] if found.choice else []) if row["model"] == FINAL]
    both = [row for row in final if row["lang"] == "both"] or final
    told += [
        say(
            "Multiple choice ({language}): {value} right (95 % {low} to {high}; chance {chance}).",
            language=say.language(row["lang"]),
            value=percent(row["accuracy"]),
            low=percent(row["low"]),
            high=percent(row["high"]),
            chance=percent(row["chance"]),
        )
        for row in both
    ]
    failed = [say("A check of the evaluation fails: {check}.", check=say.sanity(row)) for row in found.checks if not row["ok"]]
    if found.metrics and not known(found.metrics[-1].get("loss")):
        failed.append(say("The training loss is not finite at the end."))
    alarms = found.alarms or []
    if alarms:
        failed.append(say("{count} alarms while it trained; the first: {first}", count=len(alarms), first=say.alarm(alarms[0])))
    return ShortAnswer(
        say("What did it learn?"), _joined(told, say), "evaluation", say("all models, sets and differences"), tuple(failed)
    )


def _contaminated(found: Evidence, say: Say) -> ShortAnswer:
    audit = found.leakage
    told, failed = [], []
    for row in audit["rows"] if audit else []:
        sentence = say("{model}: {verdict}.", model=say.model(row["model"]), verdict=say.verdict(row))
        if row.get("leaked") or row.get("overfitted"):
            failed.append(sentence)
        if row["model"] == FINAL:
            interval = say(
                "Test items read {value} nats per token from reference items that nobody trained on (95 % {low} to {high}).",
                value=decimal(row["delta1"]),
                low=decimal(row["delta1_low"]),
                high=decimal(row["delta1_high"]),
            )
            told += [sentence, interval] if sentence not in failed else [interval]
    control: LeakageControl | None = audit.get("control") if audit else None
    if control:
        (failed if control_failed(found) else told).append(say.control(control))
    elif audit:
        told.append(say("No exercises were planted, so nothing shows that this audit would have found a leak."))
    return ShortAnswer(
        say("Was it contaminated?"), _joined(told, say), "leakage", say("gaps, controls and what they mean"), tuple(failed)
    )


def _checkable(run: RunFacts, say: Say, has_release: bool) -> ShortAnswer:
    steps = run.get("steps") or []
    told = []
    if steps:
        hashed = [step for step in steps if step.get("content")]
        told.append(
            say(
                "{hashed} of {steps} steps ({bytes}) have a SHA-256 of their content: the same recipe on the same inputs gives "
                "the same.",
                hashed=len(hashed),
                steps=len(steps),
                bytes=size(sum(step["bytes"] for step in steps)),
            )
        )
    commit = run.get("commit") or ""
    if commit:
        told.append(say("The program is commit {commit}.", commit=commit.removesuffix("-dirty")[:12]))
    if has_release:
        told.append(say("skyloom release check --recompute proves the files and figures of the release beside this page."))
    elif steps:
        told.append(say("skyloom release check --recompute proves the files and figures of the release."))
    failed = []
    if commit.endswith("-dirty"):
        failed.append(say("The program had changes that are in no commit: this run cannot be made again from the commit alone."))
    unfinished = [step["name"] for step in steps if step["status"] != "done"]
    if unfinished:
        failed.append(say("Steps that are not finished: {names}.", names=say.comma.join(unfinished)))
    return ShortAnswer(say("Can I check it?"), _joined(told, say), "steps", say("every step, file and version"), tuple(failed))


def _interval(low: Figure, high: Figure, say: Say) -> str:
    """The interval, or why there is none: an average has one only if each set has two texts or more."""
    if not (known(low) and known(high)):
        return say("no interval: a set has too few texts")
    return say("95 % {low} to {high}", low=decimal(low), high=decimal(high))


def _joined(told: list[str], say: Say) -> str:
    return ("" if say.lang == "zh" else " ").join(told) if told else say("not measured")
