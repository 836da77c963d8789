"""The rule: which detectors count, fixed before the model is read, and the verdict that follows from those that do.

Input: what the user declares, the blind baselines, and then the findings. Output: a rule for each detector with its reason,
Holm's adjusted p-values, and one of four words. A gap of losses says something about leakage only if the model would have no gap
had it read neither set. That holds for a set that was held back by lot from the same makers' items (the user declares it; nothing
can check it), or once style and ability are taken off with a family of other models. In neither case does it hold for sets that
words alone tell apart. Whatever does not count is shown all the same. Published figures (the report's Table 8) go through the same
rule; they have no intervals, so one threshold stands in their place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from skyloom.leakage.blind import BlindBaseline
from skyloom.leakage.suspect.detectors import (
    CHOICE_ORDER,
    COMPLETION,
    DELTA1,
    DELTA2,
    FAMILY,
    ITEM_ORDER,
    MIN_K,
    PER_BYTE,
    PER_TOKEN,
    TWINS,
    ZLIB,
    DetectorFinding,
)
from skyloom.leakage.suspect.known_power import measured_power, quoted
from skyloom.leakage.suspect.suspect_json import GapRow, Said
from skyloom.leakage.verdict import NO_SIGN, POINT_THRESHOLD, UNKNOWN

LEAKED, OVERFITTED = "leaked", "train split overfitted"
LEVEL = 0.05
"""One-sided, over all detectors that count together (Holm)."""
REFERENCE, TRAIN = "reference", "train"
SUPPORTING = {
    MIN_K: (
        "shown beside Min-K%++, which is the stronger of the two and the one that was chosen in advance",
        "只作参考：事先选定的是更强的 Min-K%++",
    ),
    ZLIB: ("shown beside Δ1, which rests on the same losses and was chosen in advance", "只作参考：事先选定的是同一损失上的 Δ1"),
    TWINS: (
        "supporting evidence only: a twin of the same wording profits from a leak of its original too",
        "只作旁证：措辞相同的孪生题也会因原题泄漏而受益",
    ),
    ITEM_ORDER: (
        "supporting evidence only: a published order that has a meaning is preferred by any model",
        "只作旁证：有意义的发布顺序，任何模型都会偏好",
    ),
    CHOICE_ORDER: (
        "supporting evidence only: right answers need not be spread evenly over the choices",
        "只作旁证：正确答案在选项中的位置未必均匀",
    ),
    COMPLETION: (
        "supporting evidence only: items that read alike are completed alike without having been read",
        "只作旁证：写法雷同的题目，没读过也能续写出来",
    ),
}
"""Detectors that never count, and why."""
ABOUT_POWER = (
    "the share is derived: the one-sided test's error at this n, and a leaked item taken to move by one standard deviation of the "
    "items' scores"
)
ABOUT_POWER_ZH = "该比例由推算得出：取单侧检验在此题数下的误差，并设一道泄漏的题目使得分移动一个标准差"


@dataclass(frozen=True)
class Counting:
    """Whether a detector counts, and why: in English, and in Chinese."""

    counts: bool
    why: str
    zh: str


@dataclass(frozen=True)
class SuspectVerdict:
    """The word, what it says in both languages, and what it rests on. `gap`: the figure that it names."""

    word: str
    sentence: Said
    reasons: tuple[Said, ...]
    gap: GapRow | None = None
    share_seen: float | None = None


Key = tuple[str, str]
"""A detector's name and the set that it compares the benchmark with."""


def declared_sentence(exchangeable: str | None) -> str:
    """What the user has declared, as it is printed."""
    if exchangeable is None:
        return "Nothing was declared about how the sets came about."
    what = "reference set" if exchangeable == REFERENCE else "train split"
    return (
        f"Declared by the user, and not checked: the {what} and the benchmark are a random split of the same makers' items "
        f"(--exchangeable {exchangeable})."
    )


def rule_for(name: str, other: str, *, declared: str | None, blind: Mapping[str, BlindBaseline]) -> Counting:
    """Whether a detector counts; needs no model. `blind`: the baselines, by set."""
    if name in SUPPORTING:
        return Counting(False, *SUPPORTING[name])
    against = REFERENCE if name == FAMILY else other
    found = blind.get(against)
    if found is not None and found.vetoes:
        by_words = found.words.low >= found.length.low
        one, (en, zh) = (found.words, ("a bag of words", "仅凭词袋")) if by_words else (found.length, ("length alone", "仅凭长度"))
        area = f"AUC {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
        return Counting(
            False, f"{en} tells the {against} set from the benchmark ({area})", f"{zh}就能区分{_ZH[against]}与测试集（{area}）"
        )
    if name == FAMILY:
        return Counting(True, "the gap is judged beside those of a family of other models", "差距与一组其他模型的差距相比")
    if declared == other:
        return Counting(
            True,
            f"the user declares that the {other} set and the benchmark are a random split",
            f"用户声明{_ZH[other]}与测试集是随机划分",
        )
    return Counting(
        False,
        f"nobody declares that the {other} set and the benchmark are exchangeable",
        f"没有人声明{_ZH.get(other, other)}与测试集可互换",
    )


def holm(findings: Sequence[DetectorFinding], rules: Mapping[Key, Counting]) -> dict[Key, float]:
    """Adjusted p-values of the detectors that count and could be judged."""
    judged = sorted((f.p, (f.name, f.set)) for f in findings if rules[f.name, f.set].counts and not math.isnan(f.p))
    adjusted: dict[Key, float] = {}
    least = 0.0
    for place, (p, key) in enumerate(judged):
        least = max(least, min(1.0, p * (len(judged) - place)))
        adjusted[key] = least
    return adjusted


def decide(
    findings: Sequence[DetectorFinding],
    rules: Mapping[Key, Counting],
    adjusted: Mapping[Key, float],
    langs: Mapping[str, int] | None = None,
) -> SuspectVerdict:
    """The verdict on a model. `langs`: the benchmark's items by language, for the power that was measured."""
    flagged = [f for f in findings if adjusted.get((f.name, f.set), 1.0) <= LEVEL]
    leaks, overfits = [f for f in flagged if f.name != DELTA2], [f for f in flagged if f.name == DELTA2]
    shown = [_shown(f, rules[f.name, f.set]) for f in findings]
    if leaks or overfits:
        best = min(leaks or overfits, key=lambda f: (adjusted[f.name, f.set], f.name))
        p = adjusted[best.name, best.set]
        en, zh = (
            ("The benchmark was leaked to this model", "该模型训练时见过这个测试集")
            if leaks
            else ("The model is overfitted on the train split", "该模型对训练集过拟合")
        )
        tail_en, tail_zh = (
            (" It is also overfitted on the train split.", "它对训练集也过拟合。") if leaks and overfits else ("", "")
        )
        said = both(
            f"{en}: {_figure(best)}, adjusted p = {p:.2g}.{tail_en}", f"{zh}：{_figure(best)}，校正后 p = {p:.2g}。{tail_zh}"
        )
        return SuspectVerdict(LEAKED if leaks else OVERFITTED, said, tuple(shown), _gap(best))
    judged = [f for f in findings if (f.name, f.set) in adjusted and f.name != DELTA2]
    if not judged:
        return SuspectVerdict(UNKNOWN, _nothing_counts(findings, rules), tuple(shown))
    return _no_sign(judged, len(adjusted), [*shown, *_measured(judged, langs or {})])


def _no_sign(judged: Sequence[DetectorFinding], tests: int, shown: list[Said]) -> SuspectVerdict:
    """No detector that counts is flagged: what it would have seen, with the level that Holm leaves to the first."""
    level = LEVEL / tests
    shares = [(share, f) for f in judged if (share := f.share_seen(level)) is not None]
    gaps = [f for f in judged if f.unit in (PER_TOKEN, PER_BYTE)] or list(judged)
    if not shares:
        said = both(
            f"Cannot tell: {_figure(gaps[0])}, and with so few items not even a leak of all would be seen four times in five.",
            f"无法判断：{_figure(gaps[0])}；题目太少，即使全部泄漏，也没有五分之四的把握看出来。",
        )
        return SuspectVerdict(UNKNOWN, said, tuple(shown), _gap(gaps[0]))
    share, best = min(shares, key=lambda pair: (pair[0], pair[1].name))
    said = both(
        f"No sign of a leak: {_figure(gaps[0])}. If {share:.0%} of the items had been leaked, each with a score that moves by one "
        f"standard deviation of the items' scores, it would have been seen four times in five ({best.name}, {best.items} items).",
        f"没有泄漏的迹象：{_figure(gaps[0])}。假如有 {share:.0%} 的题目泄漏，且每题得分变化一个标准差，"
        f"则有五分之四的把握看出来（{best.name}，{best.items} 题）。",
    )
    reasons = list(shown)
    if all(f.set == TRAIN for f in judged):
        reasons.append(both(
            "It was compared with the train split, which a model may have read too: a smaller leak than that cannot be seen.",
            "测试集是与训练集比较的，而模型可能也读过训练集：不比它更大的泄漏看不出来。",
        ))  # fmt: skip
    return SuspectVerdict(NO_SIGN, said, tuple(reasons), _gap(gaps[0]), share)


def _measured(judged: Sequence[DetectorFinding], langs: Mapping[str, int]) -> list[Said]:
    """The measured power of the detectors that count, where the table has any."""
    found = [(f.name, quoted(rows)) for f in judged if (rows := measured_power(f.name, langs, f.items))]
    return [both(f"Known power of {name}: {said['en']}.", f"{name} 的已知把握：{said['zh']}。") for name, said in found]


def _nothing_counts(findings: Sequence[DetectorFinding], rules: Mapping[Key, Counting]) -> Said:
    """Why there is nothing to judge by."""
    if not any(f.set in (REFERENCE, TRAIN) or f.name == FAMILY for f in findings):
        return both(
            "Cannot tell: there is neither a reference set nor a family of other models to compare with.",
            "无法判断：既没有参照集，也没有可比较的其他模型。",
        )
    asked = dict.fromkeys(rules[f.name, f.set] for f in findings if f.name in (DELTA1, DELTA2, FAMILY))
    idle = [rule for rule in asked if not rule.counts]
    whys, zh = [rule.why for rule in idle], [rule.zh for rule in idle]
    if len(idle) < len(asked):
        whys.append("what would count could not be computed, or says nothing about a leak")
        zh.append("可以算数的检测无法计算，或与泄漏无关")
    return both(f"Cannot tell: {'; '.join(whys)}.", f"无法判断：{'；'.join(zh)}。")


def judge_published(
    test: float, train: float, reference: float, *, declared: str | None, blind: Mapping[str, BlindBaseline]
) -> SuspectVerdict:
    """The verdict on published mean losses in nats per token, without intervals: a gap counts from POINT_THRESHOLD on, by the same
    rule. The sentence quotes both gaps."""
    gap1, gap2 = test - reference, test - train
    first, second = (rule_for(name, s, declared=declared, blind=blind) for name, s in ((DELTA1, REFERENCE), (DELTA2, TRAIN)))
    leaked = first.counts and gap1 <= -POINT_THRESHOLD
    overfitted = second.counts and gap2 >= POINT_THRESHOLD
    word = LEAKED if leaked else OVERFITTED if overfitted else UNKNOWN
    half1 = f"Δ1 = {gap1:+.2f}: {'counts' if first.counts else UNKNOWN}, {first.why}"
    half2 = f"Δ2 = {gap2:+.2f}: {OVERFITTED if overfitted else 'below the threshold' if second.counts else UNKNOWN}, {second.why}"
    said1, said2 = "算数" if first.counts else "无法判断", "训练集过拟合" if overfitted else "未见异常"
    zh = f"Δ1 = {gap1:+.2f}（{said1}），Δ2 = {gap2:+.2f}（{said2}）"
    name, value = (DELTA1, gap1) if leaked or not overfitted else (DELTA2, gap2)
    return SuspectVerdict(
        word,
        both(f"{word}. {half2}. {half1}. Published figures, no intervals; gaps count from {POINT_THRESHOLD:g} on.", f"{zh}。"),
        (both(half1, f"Δ1：{first.zh}"), both(half2, f"Δ2：{second.zh}")),
        {"detector": name, "value": round(value, 4), "low": None, "high": None},
    )


def assumptions(declared: str | None, sets: Iterable[str], *, budget: bool) -> list[Said]:
    """What the verdict takes for granted."""
    said = [
        both(
            "Items are independent of each other; what is said holds for items like these.", "各题相互独立；结论只适用于同类题目。"
        )
    ]
    if declared:
        said.append(both(declared_sentence(declared), f"用户声明（未经核实）：{_ZH[declared]}与测试集是同一来源的随机划分。"))
    if TRAIN in sets:
        said.append(both("A train split may be read by a model without fault.", "模型读过训练集并无不当。"))
    if budget:
        said.append(
            both("Items that fitted into the budget are a random sample of each set.", "限时内所用的题目是各集的随机样本。")
        )
    return said


def would_change(declared: str | None, *, family: bool, blind: Mapping[str, BlindBaseline]) -> list[Said]:
    """What would make a verdict possible, or overturn it."""
    said = []
    if declared is None or any(one.vetoes for one in blind.values()):
        said.append(both(
            "A held-back split of the same makers' items (--reference FILE --exchangeable reference).",
            "由同一作者随机留出的一份题目（--reference 文件 --exchangeable reference）。",
        ))  # fmt: skip
    if not family:
        said.append(
            both("A family of at least eight other models (--family FILE).", "至少八个其他模型组成的对照组（--family 文件）。")
        )
    return [*said, both("More items: the share of leaked items that can be seen falls with the square root of n.", "更多题目。")]


_ZH = {REFERENCE: "参照集", TRAIN: "训练集"}


def both(en: str, zh: str) -> Said:
    return {"en": en, "zh": zh}


def _figure(found: DetectorFinding) -> str:
    against = "" if found.set == "benchmark" else f" ({found.set})"
    return f"{found.name}{against} {found.value:+.3f} [{found.low:.3f}, {found.high:.3f}] {found.unit}"


def _gap(found: DetectorFinding) -> GapRow:
    def known(value: float) -> float | None:
        return float(f"{value:.7g}") if math.isfinite(value) else None

    return {"detector": found.name, "value": known(found.value), "low": known(found.low), "high": known(found.high)}


def _shown(found: DetectorFinding, rule: Counting) -> Said:
    counts_en, counts_zh = ("counts", "算数") if rule.counts else ("does not count", "不算数")
    if math.isnan(found.value):
        return both(f"{found.name} ({found.set}) could not be computed.", f"{found.name}（{found.set}）无法计算。")
    return both(f"{_figure(found)} {counts_en}: {rule.why}.", f"{_figure(found)} {counts_zh}：{rule.zh}。")
