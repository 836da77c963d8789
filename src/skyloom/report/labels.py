"""The texts around figures, in English and Chinese.

All pages are in both. English stands in the code where it is used, and a text that has no Chinese here or in
`words/page_words.py` is an error, so that no page is half translated. Sentences that a run wrote down (reasons for a skipped
batch) stay as they are; alarms, verdicts and checks are told again from their figures.
"""

from __future__ import annotations

from skyloom.core.json_files import AlarmEntry, ControlEntry, LeakageControl, LeakageEntry, SanityEntry
from skyloom.leakage.control_words import outcome, reason, sentence
from skyloom.release.formats import decimal, percent
from skyloom.release.tables import domain_name, language_name, model_name
from skyloom.report.words.evaluation_words import EVALUATION_CHINESE
from skyloom.report.words.page_words import PAGE_CHINESE
from skyloom.report.words.reason_words import CHECKS, gate_zh, reason_zh
from skyloom.report.words.verdict_words import control_zh, outcome_zh, verdict_zh
from skyloom.train.watch import ALL, REPEATS

LANGUAGES = ("en", "zh")

CHINESE = {
    "tokens read": "已读词元",
    "nats per token": "纳特每词元",
    "learning rate": "学习率",
    "tokens per second": "词元每秒",
    "step": "步",
    "Held-out loss on {name}": "保留集损失：{name}",
    "Training loss": "训练损失",
    "Training loss, nats per token": "训练损失（纳特每词元）",
    (
        "The training loss is in nats per token in the files; here it is divided by ln 2 and by the mean bytes per token of the"
        " held-out sets at their last measurement, so that all curves have one unit. The run page weights the domains by what was"
        " read, so its figures differ a little."
    ): (
        "文件中的训练损失以纳特每词元计；这里除以 ln 2 与各保留集最近一次测量的平均每词元字节数，使所有曲线单位一致。"
        "运行页按所读领域加权，因此数字略有不同。"
    ),
    "Learning rate": "学习率",
    "Throughput": "吞吐量",
    "{y} over {x}": "{y}，横轴为{x}",
    "{name} ends at {value}": "{name}止于 {value}",
    "{name} lies at {value}": "{name}位于 {value}",
    "{low} to {high}": "{low} 至 {high}",
    "not measured": "未测量",
    "{accuracy}, 95 % {low} to {high}; chance {chance}": "{accuracy}，95 % 区间 {low} 至 {high}；随机水平 {chance}",
    "English": "英文",
    "Chinese": "中文",
    "Code": "代码",
    "Parallel text": "平行文本",
    "Other": "其他",
    "Training, live": "训练实况",
    "Now": "现在",
    "Alarms": "警报",
    "Held-out loss": "保留集损失",
    "On the training text": "训练文本",
    "Benchmark scores": "基准得分",
    "Skipped batches": "跳过的批次",
    "Loss on text that was set aside, by set, as training reads more tokens; bands are 95 % intervals over documents.": (
        "各保留集的损失随训练读过的词元而变；色带为按文档重抽样的 95 % 区间。"
    ),
    "Dashed horizontal lines are other models on the same texts: ": "水平虚线为其他模型在相同文本上的结果：",
    "dashed: where stage 2 begins": "竖直虚线：第二阶段开始处",
    "dashed: where a stage begins": "竖直虚线：各阶段开始处",
    "{value} bits per byte": "{value} 比特每字节",
    "averaged over neighbouring steps": "相邻各步的平均",
    "each stage has its own schedule": "每个阶段有自己的调度",
    "one machine, one run: timings differ from run to run": "一台机器的一次运行，各次运行的计时不同",
    "median": "中位数",
    "tokens/s": "词元/秒",
    "waiting for data": "等待数据",
    "MFU": "MFU",
    "its peak": "其峰值",
    "An MFU is given where its peak is known; a processor has none.": "仅在已知峰值时给出 MFU；处理器没有这样的峰值。",
    "memory": "内存",
    "stage": "阶段",
    "checkpoint, step": "检查点，步",
    "benchmark": "基准",
    "language": "语言",
    "accuracy": "准确率",
    "items": "题数",
    "reason": "原因",
    "documents": "文档数",
    "No alarm.": "没有警报。",
    "None so far.": "至今没有。",
    "Left out: {count}; the last {shown}:": "共跳过 {count} 个；最近 {shown} 个：",
    "Few items: intervals are wide, and held-out losses say more about a checkpoint.": (
        "题目不多，区间较宽；检查点的好坏主要看保留集损失。"
    ),
    "tick: chance": "刻度：随机水平",
    "{accuracy}, 95 % {low} to {high}": "{accuracy}，95 % 区间 {low} 至 {high}",
    "{shots}-shot": "{shots} 个示例",
    "bits per byte, right answer": "正确答案的比特每字节",
    "95 % interval": "95 % 区间",
    "of {steps} steps": "步，共 {steps} 步",
    "over {time}": "最近 {time} 内",
    "{stage}, step {step}:": "{stage}，第 {step} 步：",
    "Tokens read": "已读词元",
    "by {parameters} parameters": "参数量 {parameters}",
    "rate {rate}, gradient {norm}": "学习率 {rate}，梯度范数 {norm}",
    "Tokens per second": "每秒词元",
    "of {peak} FLOP/s; causal {causal}": "峰值 {peak} FLOP/s；按因果计 {causal}",
    "Waiting for data": "等待数据",
    "of the time": "占时间的比例",
    "Memory": "内存",
    "of rank 0": "0 号进程（rank 0）",
    "exercises": "习题",
    "The training has not started yet; this page begins to draw as soon as it does.": "训练尚未开始；一旦开始，本页就会画出曲线。",
    "Running: {stage}, step {step} of {steps}; the last line is {age} old.": (
        "运行中：{stage}，第 {step} 步，共 {steps} 步；最后一行写于 {age} 前。"
    ),
    "Running: {stage}, step {step} of {steps} at the last checkpoint.": (
        "运行中：{stage}，上个检查点在第 {step} 步，共 {steps} 步。"
    ),
    "{stage} is done; the next stage has not begun.": "{stage}已完成；下一阶段尚未开始。",
    "All stages are trained.": "所有阶段都已训练完毕。",
    "The program that serves this page does not answer.": "提供本页的程序没有应答。",
    "A file could not be read: {problem}": "有文件无法读取：{problem}",
    "This page reads what the run writes and loads nothing from the network.": "本页只读取运行所写的文件，不从网络加载任何内容。",
    **PAGE_CHINESE,
    **EVALUATION_CHINESE,
}

_CATEGORIES = {
    "web": "网页", "stem": "习题", "code": "代码", "parallel": "平行文本", "canary": "金丝雀", "books": "书籍", "papers": "论文",
    "encyclopedia": "百科", "social": "社区", "miscellany": "杂项",
}  # fmt: skip
_SCRIPTS = {
    "en": "英文",
    "zh": "中文",
    "zh-Hans": "中文",
    "zh-Hant": "繁体中文",
    "other": "其他语言",
    "both": "全部",
    "code": "代码",
}
_STAGES = {"stage1": "第一阶段", "stage1b": "第一阶段 b", "stage2": "第二阶段"}
_SPLITS = {"train": "train", "test": "test", "ref": "reference", "canary": "canary", "heldback": "held back"}
_MODELS = {**_STAGES, "final": "最终模型", "unigram": "单词元频率", "xz": "xz"}


class Say:
    """Texts of one of LANGUAGES."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.html = "zh-Hans" if lang == "zh" else "en"
        self.colon, self.comma, self.stop = ("：", "，", "") if lang == "zh" else (": ", ", ", " ")

    def __call__(self, text: str, **values: str | int) -> str:
        return (text if self.lang == "en" else CHINESE[text]).format(**values)

    def domain(self, name: str) -> str:
        """A held-out set or domain by its tag; what is not known stays readable."""
        if self.lang == "en":
            return domain_name(name)
        category, _, script = name.rpartition("_")
        if category in _CATEGORIES and script in _SCRIPTS:
            return f"{_CATEGORIES[category]}，{_SCRIPTS[script]}"
        return _CATEGORIES.get(name, name)

    def stage(self, name: str) -> str:
        return model_name(name) if self.lang == "en" else _STAGES.get(name, name)

    def language(self, lang: str) -> str:
        if self.lang == "en":
            return "both" if lang == "both" else language_name(lang)
        return _SCRIPTS.get(lang, lang)

    def model(self, name: str) -> str:
        """A model of a table: a stage's, the last one, or a baseline."""
        return model_name(name) if self.lang == "en" else _MODELS.get(name, name)

    def split(self, name: str) -> str:
        """A split of the exercises."""
        return self(_SPLITS[name]) if name in _SPLITS else name

    def gate(self, stage: str) -> str:
        """A stage of the corpus."""
        return stage.replace("_", " ").replace("-", " ").capitalize() if self.lang == "en" else gate_zh(stage)

    def reason(self, text: str) -> str:
        """Why something was dropped."""
        return text.replace("_", " ") if self.lang == "en" else reason_zh(text)

    def verdict(self, row: LeakageEntry) -> str:
        """The verdict on a model."""
        return row["verdict"] if self.lang == "en" else verdict_zh(row)

    def control(self, control: LeakageControl | None) -> str:
        """What the control of the leakage audit showed; empty if there was none."""
        return sentence(control) if self.lang == "en" else control_zh(control)

    def outcome(self, row: ControlEntry) -> str:
        """Whether the planted exercises are found in a model, and why that cannot be told."""
        if self.lang == "zh":
            return outcome_zh(row)
        return f"{outcome(row)}: {why}" if (why := reason(row)) else outcome(row)

    def sanity(self, row: SanityEntry) -> str:
        """A check of the evaluation with its figures."""
        check, values = row["check"], {"value": decimal(row["value"]), "bound": decimal(row["bound"])}
        if self.lang == "zh":
            for english, chinese in CHECKS.items():
                check = check.replace(english, chinese)
            return f"{check}，{self.domain(row['set'])}：{values['value']}，界限 {values['bound']}"
        return f"{check} on {domain_name(row['set'])}: {values['value']}, bound {values['bound']}"

    def reference(self, told: str) -> str:
        """What reference tokens are, as `perplexity.json` has it; what names a model stays as it is."""
        return CHINESE.get(told, told) if self.lang == "zh" else told

    def benchmark(self, name: str) -> str:
        return CHINESE.get(name, name) if self.lang == "zh" else name

    def alarm(self, record: AlarmEntry) -> str:
        """The sentence of an alarm."""
        return str(record["sentence"]) if self.lang == "en" else _alarm(self, record)


def _alarm(say: Say, record: AlarmEntry) -> str:
    figures = record["figures"]
    if record["kind"] == REPEATS:
        what = "（按数据配比加权的）平均保留集损失" if record["set"] == ALL else f"{say.domain(record['set'])}的保留集损失"
        return (
            f"最近 {figures['points']} 个监测点上，{what}上升了 {decimal(figures['heldout_change'])} 纳特，而训练损失下降了 "
            f"{decimal(-figures['training_change'])}：数据可能重复出现或含有重复文本；请查看各来源的遍数（skyloom data show）"
            "与语料账本"
        )
    departure, limit = percent(abs(figures["departure"])), percent(figures["limit"])
    if record["set"] == ALL:
        return f"保留集损失（取中位的集合）高出其趋势 {departure}（偶然波动约 {limit}）：请查看学习率、梯度范数与所读数据"
    above = figures["departure"] > 0
    cause = (
        "请查看此后读了什么，配比中是否仍有这一分布" if above else "其文本可能进入了训练；请查看语料账本并审计泄漏（skyloom leak）"
    )
    return (
        f"{say.domain(record['set'])}的保留集损失为 {decimal(figures['loss'])}，{'高于' if above else '低于'}其自身趋势 "
        f"{decimal(figures['expected'])} 达 {departure}（偶然波动约 {limit}），其他集合并未如此：{cause}"
    )


ENGLISH = Say("en")
