"""The verdicts of a run's leakage audit in Chinese, told again from flags and figures.

Input: rows of `leakage.json`, whose own sentences are English. Output: Chinese sentences that say the same: the rules are those
of `leakage/verdict.py` and `leakage/control_words.py`, and the figures are those of the file.
"""

from __future__ import annotations

from skyloom.core.json_files import ControlEntry, Figure, LeakageControl, LeakageEntry
from skyloom.leakage.control_words import FOUND, PLANTED, before_planting, clean_test, holds, outcome
from skyloom.leakage.verdict import UNKNOWN
from skyloom.release.formats import decimal, known


def verdict_zh(row: LeakageEntry) -> str:
    """The verdict on a model."""
    found = []
    if row.get("leaked"):
        found.append(f"测试数据泄漏（差 {decimal(_minus(row.get('delta1')), 2)}）")
    if row.get("overfitted"):
        found.append(f"对训练集过拟合（差 {decimal(row.get('delta2'), 2)}）")
    if found:
        return "；".join(found)
    if row.get("leaked") is None or row.get("overfitted") is None:
        return "无法判断：题目太少，没有区间"
    one, two = decimal(row.get("detectable1"), 2), decimal(row.get("detectable2"), 2)
    return f"未见迹象（若有每词元 {one} 纳特的泄漏或 {two} 纳特的过拟合，五次中有四次能发现）"


def outcome_zh(row: ControlEntry) -> str:
    """Whether the planted exercises are found in a model."""
    told = outcome(row)
    if told != UNKNOWN:
        return "找到" if told == FOUND else "未找到"
    if not row.get("flagged"):
        return "无法判断：题目太少，没有区间"
    if row.get("heldback_flagged"):
        return "无法判断：已标记，但保留的一半也被标记"
    if row.get("heldback_flagged") is None:
        return "无法判断：已标记，但没有检验保留的一半"
    return "无法判断：已标记，但" + ("可比较的题对太少" if row.get("flagged_paired") is None else "与保留的一半区分不开")


def control_zh(control: LeakageControl | None) -> str:
    """What the control showed, with its figures; empty if there was none."""
    if not control:
        return ""
    models = control.get("models") or {}
    clean, final, name = clean_test(control), models.get(PLANTED), before_planting(control)
    if final is None or final.get("flagged") is None:
        return "本次运行无法检验对照。"
    if not name:
        return "本次运行无法检验对照：植入之前没有发布模型，因此不能说明这些习题并非一直被标记。"
    if any("twin_flagged" in row for row in models.values()):
        return "对照无法说明本审计能否发现泄漏：它由早期版本生成，用措辞相同的孪生题作比较。请重新审计。"
    if holds(models, clean, name):
        return (
            f"对照成立：植入的习题在最终模型中被找到（Δ1 {_interval(final, 'delta1')}），在植入之前没有被标记；同一题库中保留的一半"
            f"没有任何阶段读过，未被标记（Δ1 {_interval(final, 'heldback_delta1')}），干净的测试集也未被标记。{_pairs(final)}"
        )
    before = models.get(name)
    wrong = []
    if before and before.get("flagged"):
        wrong.append(f"植入的习题在植入之前就被标记（Δ1 {_interval(before, 'delta1')}）")
    if before and before.get("heldback_flagged"):
        wrong.append(f"保留的习题在植入之前就被标记（Δ1 {_interval(before, 'heldback_delta1')}）")
    wrong += ["干净的测试题在植入之前就被标记"] if clean.before else []
    wrong += ["干净的测试题在最终模型中被标记"] if clean.final else []
    if final.get("flagged") and outcome(final) == UNKNOWN:
        told = {True: "也被标记", False: "未被标记", None: "没有检验"}[final.get("heldback_flagged")]
        also = f"此外，{'；'.join(wrong)}。" if wrong else ""
        return (
            f"对照无法说明本审计能否发现泄漏：植入的习题在最终模型中被标记（Δ1 {_interval(final, 'delta1')}），而没有任何阶段读过的"
            f"保留习题{told}（Δ1 {_interval(final, 'heldback_delta1')}）。{_pairs(final)}{also}没有迹象的判定在此说明不了什么。"
        )
    if final.get("heldback_flagged"):
        wrong.insert(0, f"没有任何阶段读过的保留习题在最终模型中被标记（Δ1 {_interval(final, 'heldback_delta1')}）")
    if not final.get("flagged"):
        wrong.insert(0, f"植入的习题在最终模型中没有被找到（Δ1 {_interval(final, 'delta1')}）")
    if not wrong:
        return "本次运行无法检验对照。"
    return f"对照不成立：{'；'.join(wrong)}。{_pairs(final)}没有迹象的判定在此说明不了什么。"


def _pairs(row: ControlEntry) -> str:
    if row.get("flagged_paired") is None:
        return "可比较的题对太少，无法比较植入与保留的习题。"
    told = "的损失低于保留的习题" if row["flagged_paired"] else "与保留的习题区分不开"
    return f"植入的习题{told}（{_interval(row, 'paired')}）。"


def _interval(row: ControlEntry, key: str) -> str:
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if not known(value):
        return "未测量"
    return decimal(value) + (f" [{decimal(low)}, {decimal(high)}]" if known(low) and known(high) else "")


def _minus(value: Figure) -> Figure:
    return -value if known(value) else None
