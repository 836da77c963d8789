"""The words of a leakage page, in English and Chinese.

English stands in the code where it is used, and a text that has no Chinese here is an error, so that no page is half translated.
Sentences of `leak.json` that come in both languages are taken as they are; those in one (what a family's rule says) stay in it.
"""

from __future__ import annotations

from collections.abc import Mapping

LEAK_CHINESE = {
    "Was {model} trained on {benchmark}?": "{model} 是否用 {benchmark} 训练过？",
    (
        "{items} items of the benchmark were read, {tokens} tokens. The verdict rests on what counts, which was "
        "fixed before the model was read."
    ): (
        "共读取基准的 {items} 道题，{tokens} 个词元。判定只依据事先（在读取模型之前）确定为有效的检验。"
    ),
    "Sections": "章节",
    "Skyloom leakage audit": "Skyloom 泄漏审计",
    "Data": "数据",
    "Print": "打印",
    "All detectors on one axis": "全部检验在同一坐标轴上",
    "each in half-widths of its own 95 % interval: beyond ±1 the interval excludes no effect; → and ←: farther than ±6": (
        "各以自身 95 % 区间的半宽为单位：超出 ±1 时，区间不含“无效应”；→ 与 ←：超出 ±6"
    ),
    "blind baseline, {by}, {set}": "盲基线，{by}，{set}",
    "Verdict": "判定",
    "Why": "理由",
    "Sets": "数据集",
    "Gaps": "差距",
    "Family": "同族模型",
    "Detectors": "检验",
    "Items": "题目",
    "Assumptions": "假设",
    "Command": "命令",
    "leaked": "泄漏",
    "train split overfitted": "对训练集过拟合",
    "no sign": "未见迹象",
    "cannot tell": "无法判断",
    "The sets, and whether they can be compared": "数据集，以及它们能否相互比较",
    (
        "The blind baseline asks whether words alone, or length alone, tell a set from the benchmark, before any "
        "model is read. An AUC of .5 means that they cannot. It can only forbid a comparison, never allow one."
    ): (
        "盲基线在读取任何模型之前，检查仅凭用词或仅凭长度能否把某个数据集与基准区分开。AUC 为 0.5 表示不能区分。"
        "盲基线只能否决一次比较，不能批准一次比较。"
    ),
    "set": "数据集",
    "items": "题数",
    "used": "使用",
    "tokens": "词元",
    "languages": "语言",
    "left out": "未使用",
    "none": "无",
    "{count} items": "{count} 道题",
    "and {count} more": "另有 {count} 道",
    "benchmark": "基准",
    "train": "训练集",
    "reference": "参考集",
    "twins": "孪生题",
    "Blind baseline": "盲基线",
    "benchmark against": "基准对比",
    "by": "依据",
    "words": "用词",
    "length": "长度",
    "95 % interval": "95 % 区间",
    "outcome": "结果",
    "forbids the comparison": "否决比较",
    "does not forbid it": "不否决",
    "not measured": "未测量",
    "Declared by the user: the {set} and the benchmark are one random split.": "用户声明：{set}与基准来自同一次随机划分。",
    "Nothing was declared: no set is known to be a random split of the benchmark's own items.": (
        "没有任何声明：没有数据集已知与基准来自同一次随机划分。"
    ),
    "Gaps around zero": "零附近的差距",
    (
        "Each gap with its 95 % interval, in groups of one unit. Filled circles count for the verdict; hollow "
        "ones are shown and do not count."
    ): (
        "各项差距及其 95 % 区间，按单位分组。实心圆计入判定；空心圆仅供查看，不计入判定。"
    ),
    "{name} against {set}": "{name}，对{set}",
    "below zero: the benchmark reads easier": "小于零：基准更容易读",
    "around .5: the two sets cannot be told apart": "约 0.5：两个数据集无法区分",
    "around zero: no difference": "约为零：没有差别",
    "nats per token": "纳特每词元",
    "nats per item": "纳特每题",
    "bits per byte": "比特每字节",
    "AUC": "AUC",
    "share": "比例",
    "{low} to {high}": "{low} 至 {high}",
    "The model among its family": "该模型在同族模型中的位置",
    (
        "Reference models that were released before the benchmark, or are known to be clean: how large the gap is "
        "for a model of this ability. The line is the regression over the family; the band is the 95 % prediction "
        "interval for one more model."
    ): (
        "参考模型发布于基准之前，或已知未受污染：它们显示具有这种能力的模型通常有多大的差距。"
        "直线是对同族模型的回归；色带是对再来一个模型的 95 % 预测区间。"
    ),
    "residual {residual}, interval {low} to {high}, p {p}": "残差 {residual}，区间 {low} 至 {high}，p {p}",
    "reference models": "参考模型",
    "the model": "该模型",
    "The models of the family": "同族模型列表",
    "model": "模型",
    "lineage": "谱系",
    "released": "发布日期",
    "ability": "能力",
    "gap": "差距",
    "ability: bits per byte on a third text set (fewer is more able)": "能力：第三个文本集上的比特每字节（越少越强）",
    "gap, bits per byte": "差距（比特每字节）",
    "The model lies outside the abilities of the family.": "该模型的能力超出同族模型的范围。",
    "No family was given: how the gap of a clean model depends on its ability is not known.": (
        "没有给出同族模型：不知道未受污染的模型的差距如何随能力变化。"
    ),
    (
        "What counts was fixed before the model was read. p-values of those that count are adjusted together "
        "(Holm). Known power: the share of leaked items that is seen four times in five with so many items."
    ): (
        "哪些检验有效，在读取模型之前已经确定。有效检验的 p 值"
        "一起校正（Holm）。已知功效：在这样多的题目下，五次中有四次能发现的泄漏比例。"
    ),
    "detector": "检验",
    "against": "对比",
    "value": "数值",
    "adjusted": "校正后",
    "counts": "是否有效",
    "known power": "已知功效",
    "yes": "是",
    "no": "否",
    "flagged": "已标记",
    "not flagged": "未标记",
    "not known": "未知",
    "{share} of the items leaked": "{share} 的题目泄漏",
    "What each detector needs, and why it counts or not": "各项检验需要什么，以及为何有效或无效",
    "needs": "需要",
    "{count} tokens": "{count} 个词元",
    "Items that read easiest": "读来最容易的题目",
    "At most {count} items, compared with the family where there is one. A single item proves nothing.": (
        "至多 {count} 道题；有同族模型时与其比较。单独一道题不能证明任何事情。"
    ),
    "Their text is left out; --show-items shows it.": "未显示题目文本；加 --show-items 可显示。",
    "item": "题目",
    "language": "语言",
    "family": "同族模型",
    "difference": "差",
    "What would change the verdict": "什么会改变判定",
    "none was written down": "没有记录",
    "The command": "所用命令",
    "The files, with their SHA-256": "文件及其 SHA-256",
    "Written by Skyloom from leak.json alone. This page loads nothing from the network.": (
        "由 Skyloom 仅根据 leak.json 生成。本页不从网络加载任何内容。"
    ),
    "items used": "使用的题目",
    "of {count} in the file": "文件中共 {count} 道",
    "gap that decides": "起决定作用的差距",
    "no gap counts": "没有有效的差距",
    "would have been seen": "本可发现",
    "of items leaked, four times in five": "的题目泄漏（五次中有四次）",
    "detectors flagged": "标记的检验",
    "of {count} that count": "有效的共 {count} 项",
    "Δ1 (benchmark − reference)": "Δ1（基准 − 参考集）",
    "Δ2 (benchmark − train)": "Δ2（基准 − 训练集）",
    "Min-K%": "Min-K%",
    "Min-K%++": "Min-K%++",
    "zlib ratio": "zlib 比值",
    "residual in the family": "同族模型中的残差",
    "against twins, item by item": "与孪生题逐题比较",
    "order of items": "题目顺序",
    "order of choices": "选项顺序",
    "verbatim completion": "逐字续写",
    "English": "英文",
    "Chinese": "中文",
    "Code": "代码",
}  # fmt: skip

DETECTORS = {
    "delta1": "Δ1 (benchmark − reference)", "delta2": "Δ2 (benchmark − train)", "min_k": "Min-K%", "min_k_plus": "Min-K%++",
    "zlib": "zlib ratio", "family": "residual in the family", "twins": "against twins, item by item", "item_order": (
        "order of items"
    ),
    "choice_order": "order of choices", "completion": "verbatim completion",
}  # fmt: skip
UNITS = {
    "nats/token": "nats per token", "nats/item": "nats per item", "bits/byte": "bits per byte", "auc": "AUC", "share": "share",
}  # fmt: skip
_LANGUAGES = {"en": "English", "zh": "Chinese", "code": "Code"}


class LeakSay:
    """The words of one language, "en" or "zh"."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.html = "zh-Hans" if lang == "zh" else "en"
        self.colon, self.comma = ("：", "，") if lang == "zh" else (": ", ", ")

    def __call__(self, text: str, **values: str | int) -> str:
        return (text if self.lang == "en" else LEAK_CHINESE[text]).format(**values)

    def known(self, text: str, names: Mapping[str, str]) -> str:
        """The words of a name by its key; a key that is not known stays as it is."""
        return self(names[text]) if text in names else text

    def set(self, name: str) -> str:
        """A set by its key: benchmark, train, reference or twins."""
        return self(name) if name in ("benchmark", "train", "reference", "twins") else name

    def language(self, lang: str) -> str:
        return self.known(lang, _LANGUAGES)
