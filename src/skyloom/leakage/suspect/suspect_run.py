"""`skyloom leak model`: a model and the sets to `leak.json`. Report 5.2, on any model.

Input: a `LeakRequest`. Output: a `LeakJson`, also written to the folder. The order is that of the argument: files are checked, the
blind baseline is computed and the rule is fixed and told before the model is opened; each text is then read once, and all detectors
take their figures from that pass (the permutation tests read other orders too).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.benchmarks import AnswerJournal
from skyloom.evaluate.opened import OpeningOptions, OpenModel, open_model
from skyloom.leakage.benchmark_sets import FEWEST, TEMPLATE, BenchmarkSet, read_benchmark
from skyloom.leakage.blind import Auc, BlindBaseline, blind_baseline
from skyloom.leakage.family import NOT_KNOWN, FamilyRow, ModelFamily, judge_family, read_family
from skyloom.leakage.suspect.completion import beginning, completed, completion
from skyloom.leakage.suspect.detectors import (
    CHOICE_ORDER,
    COMPLETION,
    DELTA1,
    DELTA2,
    FAMILY,
    ITEM_ORDER,
    MIN_K,
    MIN_K_PLUS,
    PER_BYTE,
    TWINS,
    ZLIB,
    DetectorFinding,
    loss_gap,
    score_test,
    twin_gap,
)
from skyloom.leakage.suspect.item_order import SHUFFLES, choice_shards, choice_text, item_shards, order_test, shard_text
from skyloom.leakage.suspect.known_power import measured_power, quoted
from skyloom.leakage.suspect.suspect_json import AucRow, BlindRow, BudgetRow, DetectorRow, EasiestRow, LeakJson, LeakSetRow
from skyloom.leakage.suspect.suspect_scoring import ReadySuspectSet, SuspectScorer, ready
from skyloom.leakage.suspect.suspect_verdict import (
    ABOUT_POWER,
    ABOUT_POWER_ZH,
    LEVEL,
    REFERENCE,
    TRAIN,
    Counting,
    Key,
    assumptions,
    decide,
    declared_sentence,
    holm,
    rule_for,
    would_change,
)
from skyloom.leakage.suspect.token_scores import ItemScores
from skyloom.score.intervals import Z, figure

FILE = "leak.json"
BENCHMARK, ABILITY = "benchmark", "ability"
SETS = (BENCHMARK, TRAIN, REFERENCE, TWINS)
EASIEST = 20
UNREAD = "a set of the same makers that the model has not read"
NEEDS = {
    DELTA1: UNREAD, MIN_K: UNREAD, MIN_K_PLUS: UNREAD, ZLIB: UNREAD, DELTA2: "the train split",
    FAMILY: "a family file of other models, and a text set for ability",
    TWINS: "twins of the items", ITEM_ORDER: "items with their published order; other orders are read too",
    CHOICE_ORDER: "items with choices; other orders are read too", COMPLETION: "a set to compare with",
}  # fmt: skip
NEEDS_ZH = {
    UNREAD: "同一批作者所出、模型没有读过的一组题目",
    "the train split": "训练集",
    "a family file of other models, and a text set for ability": "其他模型的得分文件，以及测能力的文本",
    "twins of the items": "题目的改写题",
    "items with their published order; other orders are read too": "按发布次序排列的题目；也读其他次序",
    "items with choices; other orders are read too": "有选项的题目；也读选项的其他次序",
    "a set to compare with": "一组用来比较的题目",
}


class FamilyResult(Protocol):
    """What the family's rule says (`leakage.family`); fields as "family" in `leak.json`."""

    @property
    def models(self) -> Sequence[object]: ...
    @property
    def suspect(self) -> object: ...
    @property
    def slope(self) -> float | None: ...
    @property
    def intercept(self) -> float | None: ...
    @property
    def residual(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def p(self) -> float | None: ...
    @property
    def inside(self) -> bool: ...
    @property
    def why(self) -> str: ...


FamilyJudge = Callable[[Path, Sequence[FamilyRow]], FamilyResult]
"""A family file and the suspect's rows (model, set, item, nats, tokens, bytes) to what the family's rule says."""


@dataclass(frozen=True)
class LeakRequest:
    """What the command line asked for. `exchangeable`: the set that the user declares a random split with the benchmark; `budget`:
    seconds; `ability`: the third text set of the family; `date`: written as it is given."""

    model: str
    benchmark: Path
    train: Path | None = None
    reference: Path | None = None
    twins: Path | None = None
    family: Path | None = None
    ability: Path | None = None
    template: str = TEMPLATE
    exchangeable: str | None = None
    budget: float | None = None
    opening: OpeningOptions = field(default_factory=OpeningOptions)
    batch_tokens: int = 2048
    seed: int = 1
    date: str | None = None
    show_items: bool = False
    command: str = ""


def audit_model(asked: LeakRequest, out: Path, *, progress: Progress, judge: FamilyJudge | None = None) -> LeakJson:
    """Audit a model, write `leak.json` into `out`, and return its content. `judge`: the family's rule, if not this program's own.

    ConfigError, DataError, StorageError: see `read_benchmark`, `open_model`, `token_scores`; also two sets of one file, and fewer
    than FEWEST items that fit the context.
    """
    sets = _read(asked)
    blind = {name: blind_baseline(sets[BENCHMARK], sets[name], seed=asked.seed) for name in (TRAIN, REFERENCE) if name in sets}
    rules = {key: rule_for(*key, declared=asked.exchangeable, blind=blind) for key in _planned(asked, sets)}
    _tell(asked, sets, blind, rules, progress)
    model = open_model(asked.model, asked.opening)
    prepared = _prepared(sets, model)
    with AnswerJournal(out) as journal:
        scorer = SuspectScorer(model, journal, asked.batch_tokens)
        used, budget = _budgeted(asked, prepared, scorer, rules, progress)
        scores = {
            name: scorer.score(one.rows, [i.text for i in one.items], [i.id for i in one.items], progress, name)
            for name, one in used.items()
        }
        findings = _findings(used, prepared, scores, scorer, rules, asked, progress)
    family, members = None, None
    if asked.family is not None:
        rows = _suspect_rows(model.name, used, scores)
        if judge is None:
            members = _family_of(asked.family, asked.template, used)
            found: FamilyResult = judge_family(members, rows)
        else:
            found = judge(asked.family, rows)
        finding, rules[FAMILY, BENCHMARK] = _of_family(found, scores, rules[FAMILY, BENCHMARK])
        findings.append(finding)
        family = {name: getattr(found, name) for name in _FAMILY_KEYS}
    adjusted = holm(findings, rules)
    langs = Counter(item.lang for item in used[BENCHMARK].items)
    verdict = decide(findings, rules, adjusted, langs)
    report: LeakJson = {
        "format": 1, "command": asked.command, "versions": {"skyloom": version("skyloom")}, "date": asked.date,
        "model": model.describe(), "template": asked.template,
        "sets": {name: _set_row(used[name], scores[name]) if name in used else None for name in SETS},
        "declared": {"exchangeable": asked.exchangeable, "sentence": declared_sentence(asked.exchangeable)},
        "blind": [_blind_row(name, one) for name, one in blind.items()],
        "detectors": [_detector_row(f, rules[f.name, f.set], adjusted, langs) for f in findings],
        "family": family,
        "easiest": _easiest(used[BENCHMARK], scores[BENCHMARK], members, asked.show_items),
        "verdict": {
            "word": verdict.word, "sentence": verdict.sentence, "reasons": list(verdict.reasons), "gap": verdict.gap,
            "share_seen": None if verdict.share_seen is None else figure(verdict.share_seen),
        },
        "assumptions": assumptions(asked.exchangeable, sets, budget=budget is not None),
        "would_change": would_change(asked.exchangeable, family=asked.family is not None, blind=blind),
        "budget": budget,
    }  # fmt: skip
    Store(out).write_json(FILE, report)
    return report


def _read(asked: LeakRequest) -> dict[str, BenchmarkSet]:
    paths = {BENCHMARK: asked.benchmark, TRAIN: asked.train, REFERENCE: asked.reference, TWINS: asked.twins, ABILITY: asked.ability}
    given = {name: path for name, path in paths.items() if path is not None}
    if asked.exchangeable is not None and asked.exchangeable not in given:
        raise ConfigError(f"--exchangeable {asked.exchangeable} needs --{asked.exchangeable} FILE")
    if asked.family is not None and (REFERENCE not in given or ABILITY not in given):
        raise ConfigError("--family needs --reference FILE and --ability FILE: the gap that is judged, and a third set for ability")
    sets = {name: read_benchmark(path, asked.template) for name, path in given.items()}
    names = list(sets)
    for place, name in enumerate(names):
        for other in names[:place]:
            if sets[name].sha256 == sets[other].sha256:
                raise ConfigError(
                    f"--{other} and --{name} are the same file ({sets[name].path}); a set is not compared with itself"
                )
    return sets


def _planned(asked: LeakRequest, sets: Mapping[str, BenchmarkSet]) -> list[Key]:
    """The detectors that will run, known before the model is read."""
    keys: list[Key] = [(name, other) for other in (REFERENCE, TRAIN) if other in sets for name in (DELTA1, MIN_K, MIN_K_PLUS, ZLIB)]
    keys += [(DELTA2, TRAIN)] if TRAIN in sets else []
    keys += [(COMPLETION, other) for other in (REFERENCE, TRAIN) if other in sets]
    keys += [(TWINS, TWINS)] if TWINS in sets else []
    items = sets[BENCHMARK].items
    keys += [(ITEM_ORDER, BENCHMARK)] if sum(item.order is not None for item in items) >= 2 else []
    keys += [(CHOICE_ORDER, BENCHMARK)] if any(len(item.choices) > 1 for item in items) else []
    return [*keys, (FAMILY, BENCHMARK)] if asked.family is not None else keys


def _tell(
    asked: LeakRequest,
    sets: Mapping[str, BenchmarkSet],
    blind: Mapping[str, BlindBaseline],
    rules: Mapping[Key, Counting],
    progress: Progress,
) -> None:
    """What is known before the model is read, for the person who waits."""
    progress.log(declared_sentence(asked.exchangeable))
    for name, one in blind.items():
        by = one.words
        veto = "; gaps against it do not count" if one.vetoes else ""
        progress.log(
            f"blind baseline, {name}: words tell it from the benchmark with AUC {by.value:.3f} [{by.low:.3f}, {by.high:.3f}]{veto}"
        )
    counted = [f"{name} ({other})" for (name, other), rule in rules.items() if rule.counts]
    progress.log(f"detectors that count: {', '.join(counted) or 'none, so the verdict will be: cannot tell'}")
    kinds = {name: any(item.question for item in one.items) for name, one in sets.items()}
    for name, asks in kinds.items():
        if asks != kinds[BENCHMARK]:
            alone, other = (BENCHMARK, name) if asks else (name, BENCHMARK)
            progress.log(
                f"warning: the {alone} file has text alone: --template must join the fields of the {other} file in the same way"
            )


def _prepared(sets: Mapping[str, BenchmarkSet], model: OpenModel) -> dict[str, ReadySuspectSet]:
    found: dict[str, ReadySuspectSet] = {}
    seen: dict[str, str] = {}
    for name, one in sets.items():
        found[name] = ready(one, model, {} if name in (BENCHMARK, TWINS, ABILITY) else seen)
        if len(found[name].items) < FEWEST:
            out = found[name].left_out
            raise DataError(
                f"{one.path}: {len(found[name].items)} of {len(one.items)} items can be scored, and {FEWEST} are the least; "
                f"the first that is left out is item {out[0]['id']} ({out[0]['reason']})"
            )
        if name == BENCHMARK:
            seen = {item.text: name for item in one.items}
    return found


def _budgeted(
    asked: LeakRequest,
    sets: Mapping[str, ReadySuspectSet],
    scorer: SuspectScorer,
    rules: Mapping[Key, Counting],
    progress: Progress,
) -> tuple[dict[str, ReadySuspectSet], BudgetRow | None]:
    """The items that are scored, and what the budget allowed. Of twins those whose originals are scored."""
    main = {name: one for name, one in sets.items() if name != TWINS}
    budget: BudgetRow | None = None
    if asked.budget is not None:
        mine = sets[BENCHMARK]
        orders = ((ITEM_ORDER, BENCHMARK) in rules) + ((CHOICE_ORDER, BENCHMARK) in rules)
        each = sum(map(len, mine.rows)) / len(mine.rows)
        twins = sum(map(len, sets[TWINS].rows)) / len(mine.rows) if TWINS in sets else 0.0
        digests = [one.whole.sha256 for one in sets.values()]
        budget = scorer.fit(
            list(main.values()), asked.budget, (1 + SHUFFLES) * orders * each + twins, (asked.template, *digests), progress
        )
        main = {name: one.first(budget["items"]) for name, one in main.items()}
        _tell_power(main, scorer, budget, progress)
    if TWINS in sets:
        pairs = {item.pair for item in main[BENCHMARK].items}
        main[TWINS] = sets[TWINS].kept([n for n, item in enumerate(sets[TWINS].items) if item.pair in pairs])
    return main, budget


def _tell_power(sets: Mapping[str, ReadySuspectSet], scorer: SuspectScorer, budget: BudgetRow, progress: Progress) -> None:
    """What so many items would show, by the spread of the first ones."""
    mine = sets[BENCHMARK].first(8)
    first = scorer.score(mine.rows, [i.text for i in mine.items], [i.id for i in mine.items], progress, "first items")
    spread, count = float(np.std([s.loss for s in first], ddof=1)), budget["items"]
    error = spread * math.sqrt(2 / count)
    trial = DetectorFinding(DELTA1, "", 0, 0, 0, "", 0.5, count, 0, error, spread)
    share = trial.share_seen(LEVEL)
    told = "not even a leak of all of them" if share is None else f"a leak of {share:.0%} of them"
    progress.log(
        f"{count} items of each set fit into {budget['seconds']:g} s at {budget['tokens_per_s']:,.0f} tokens/s; with so many, "
        f"{told} (each easier by one standard deviation) or a gap of {trial.gap_seen(LEVEL):.2g} nats per token is seen four times "
        "in five"
    )


def _findings(
    used: Mapping[str, ReadySuspectSet],
    whole: Mapping[str, ReadySuspectSet],
    scores: Mapping[str, Sequence[ItemScores]],
    scorer: SuspectScorer,
    rules: Mapping[Key, Counting],
    asked: LeakRequest,
    progress: Progress,
) -> list[DetectorFinding]:
    """What all detectors but the family say, in the order of the rules."""
    mine = scores[BENCHMARK]
    found: list[DetectorFinding] = []
    for name, other in rules:
        if name in (DELTA1, DELTA2):
            found.append(loss_gap(name, other, mine, scores[other], low=name == DELTA1))
        elif name in (MIN_K, MIN_K_PLUS, ZLIB):
            found.append(score_test(name, other, mine, scores[other]))
        elif name == COMPLETION:
            asks = all(item.question for key in (BENCHMARK, other) for item in used[key].items)
            parts = [_completed(used[key], scores[key], scorer.model, questions=asks) for key in (BENCHMARK, other)]
            found.append(completion(other, *parts))
        elif name == TWINS:
            place = {item.pair: s for item, s in zip(used[BENCHMARK].items, mine, strict=True)}
            pairs = [(place[item.pair], s) for item, s in zip(used[TWINS].items, scores[TWINS], strict=True)]
            found.append(twin_gap(other, pairs))
        elif name == ITEM_ORDER:
            found.append(_item_order(whole[BENCHMARK], len(used[BENCHMARK].items), scorer, asked.seed, progress))
        elif name == CHOICE_ORDER:
            found.append(_choice_order(used[BENCHMARK], scorer, asked.seed, progress))
    return found


def _completed(one: ReadySuspectSet, scores: Sequence[ItemScores], model: OpenModel, *, questions: bool) -> list[bool | None]:
    given = model.encode([beginning(item, questions=questions) for item in one.items])
    return [completed(s, len(row)) for s, row in zip(scores, given, strict=True)]


def _item_order(one: ReadySuspectSet, most: int, scorer: SuspectScorer, seed: int, progress: Progress) -> DetectorFinding:
    """Runs of neighbours in the published order, of at most about `most` items together."""
    shards = item_shards(one.items, [len(row) for row in one.rows], scorer.model.context, seed=seed)
    picked, items = [], 0
    for place in np.random.default_rng(seed).permutation(len(shards)):
        if items < most:
            picked.append([shard_text(one.items, order) for order in shards[place]])
            items += len(shards[place][0])
    nats, tokens, kept = _orders(picked, scorer, progress, ITEM_ORDER)
    each = items / max(len(picked), 1)
    return order_test(ITEM_ORDER, BENCHMARK, nats, tokens=tokens, items=max(round(each * kept), 1), seed=seed)


def _choice_order(one: ReadySuspectSet, scorer: SuspectScorer, seed: int, progress: Progress) -> DetectorFinding:
    texts = [[choice_text(item, order) for order in choice_shards(item, seed=seed)] for item in one.items]
    nats, tokens, kept = _orders([orders for orders in texts if orders], scorer, progress, CHOICE_ORDER)
    return order_test(CHOICE_ORDER, BENCHMARK, nats, tokens=tokens, items=max(kept, 1), seed=seed)


def _orders(
    texts: Sequence[Sequence[str]], scorer: SuspectScorer, progress: Progress, label: str
) -> tuple[list[np.ndarray[tuple[int], np.dtype[np.float64]]], int, int]:
    """Nats of each order of each shard, the tokens that were read, and how many shards fitted the context in all orders."""
    encoded = [scorer.model.encode(orders) for orders in texts]
    fits = [n for n, rows in enumerate(encoded) if all(0 < len(row) <= scorer.model.context for row in rows)]
    rows = [row for n in fits for row in encoded[n]]
    flat = [text for n in fits for text in texts[n]]
    found = iter(scorer.score(rows, flat, [f"{label} {n}" for n in range(len(rows))], progress, label))
    nats = [np.array([next(found).nats for _ in encoded[n]], np.float64) for n in fits]
    return nats, sum(map(len, rows)), len(fits)


_FAMILY_KEYS = ("models", "suspect", "slope", "intercept", "residual", "low", "high", "p", "inside", "why")


def _family_of(path: Path, template: str, used: Mapping[str, ReadySuspectSet]) -> ModelFamily:
    """The family's costs of the items that the suspect was asked. DataError if the file was made of other sets, or another
    template."""
    family = read_family(path)
    if family.head["template"] != template:
        raise DataError(f"{path} was made with --template {family.head['template']!r}, this audit has {template!r}")
    for name in (BENCHMARK, REFERENCE, ABILITY):
        if family.head["sha256"].get(name) != used[name].whole.sha256:
            raise DataError(f"{path} was made of another {name} file than {used[name].whole.path}")
    return family.only({name: [item.id for item in used[name].items] for name in (BENCHMARK, REFERENCE, ABILITY)})


def _suspect_rows(model: str, sets: Mapping[str, ReadySuspectSet], scores: Mapping[str, Sequence[ItemScores]]) -> list[FamilyRow]:
    return [
        {
            "model": model, "lineage": model, "released": None, "clean": NOT_KNOWN, "set": name, "item": item.id, "nats": s.nats,
            "tokens": s.tokens, "bytes": s.bytes,
        }
        for name in (BENCHMARK, REFERENCE, ABILITY)
        for item, s in zip(sets[name].items, scores[name], strict=True)
    ]  # fmt: skip


def _of_family(found: FamilyResult, scores: Mapping[str, Sequence[ItemScores]], rule: Counting) -> tuple[DetectorFinding, Counting]:
    """The residual as a finding; it does not count where the family cannot judge this suspect."""
    value, low, high, p = (math.nan if v is None else float(v) for v in (found.residual, found.low, found.high, found.p))
    if rule.counts and (not found.inside or math.isnan(p)):
        rule, p = Counting(False, found.why, f"对照组无法判断该模型（{found.why}）"), math.nan
    mine = [s.bits_per_byte for s in scores[BENCHMARK]]
    tokens = sum(s.tokens for name in (BENCHMARK, REFERENCE, ABILITY) for s in scores[name])
    items = min(len(mine), len(scores[REFERENCE]))
    spread = float(np.std(mine, ddof=1))
    return DetectorFinding(FAMILY, BENCHMARK, value, low, high, PER_BYTE, p, items, tokens, (high - low) / 2 / Z, spread), rule


def _set_row(one: ReadySuspectSet, scores: Sequence[ItemScores]) -> LeakSetRow:
    return {
        "name": one.whole.name, "path": one.whole.path, "sha256": one.whole.sha256,
        "items": len(one.whole.items), "used": len(one.items), "left_out": list(one.left_out),
        "langs": dict(sorted(Counter(item.lang for item in one.items).items())),
        "tokens": sum(s.tokens for s in scores), "bytes": sum(s.bytes for s in scores),
    }  # fmt: skip


def _blind_row(name: str, found: BlindBaseline) -> BlindRow:
    def row(one: Auc) -> AucRow:
        return {"auc": figure(one.value), "low": figure(one.low), "high": figure(one.high)}

    return {"set": name, "words": row(found.words), "length": row(found.length), "n": found.n, "vetoes": found.vetoes}


def _detector_row(found: DetectorFinding, rule: Counting, adjusted: Mapping[Key, float], langs: Mapping[str, int]) -> DetectorRow:
    measured = measured_power(found.name, langs, found.items)
    told = [quoted(measured)] if measured else []
    told += [{"en": ABOUT_POWER, "zh": ABOUT_POWER_ZH}] if found.effect > 0 else []
    p = adjusted.get((found.name, found.set))
    share = found.share_seen(LEVEL / max(len(adjusted), 1) if rule.counts else LEVEL)
    return {
        "name": found.name, "set": found.set, "value": figure(found.value), "low": figure(found.low), "high": figure(found.high),
        "unit": found.unit, "p": figure(found.p), "adjusted": None if p is None else figure(p), "counts": rule.counts,
        "flagged": p is not None and p <= LEVEL, "why": rule.why, "why_zh": rule.zh,
        "needs": NEEDS[found.name], "needs_zh": NEEDS_ZH[NEEDS[found.name]], "tokens": found.tokens,
        "power": {
            "items": found.items, "share_seen": None if share is None else figure(share), "measured": measured,
            "source": "; ".join(one["en"] for one in told) or "not known",
            "source_zh": "；".join(one["zh"] for one in told) or "不详",
        },
    }  # fmt: skip


def _easiest(one: ReadySuspectSet, scores: Sequence[ItemScores], family: ModelFamily | None, shown: bool) -> list[EasiestRow]:
    """The items that read easiest, compared with the family's mean where there is one."""
    usual: dict[str, float] = {} if family is None else dict(zip(family.items[BENCHMARK], family.mean_bits(BENCHMARK), strict=True))
    own = [s.bits_per_byte - usual.get(item.id, 0.0) for item, s in zip(one.items, scores, strict=True)]
    order = sorted(range(len(own)), key=lambda n: (own[n], one.items[n].id))[:EASIEST]
    return [
        {
            "id": one.items[n].id, "lang": one.items[n].lang, "bits_per_byte": float(f"{scores[n].bits_per_byte:.7g}"),
            "family_bits_per_byte": float(f"{usual[one.items[n].id]:.7g}") if usual else None,
            "difference": float(f"{own[n]:.7g}") if usual else None, "text": one.items[n].text if shown else None,
        }
        for n in order
    ]  # fmt: skip
