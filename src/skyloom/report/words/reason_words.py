"""The stages of the corpus and the reasons for which it drops documents, in Chinese.

English names are those of the ledger. A filter of one's own, or a rule with a name that is not here, keeps its name: it is what
the ledger and the recipe call it.
"""

GATES = {
    "source": "来源",
    "extract": "正文抽取",
    "language": "语言识别",
    "lists": "网址名单",
    "rules": "基本规则",
    "duplicates": "去重",
    "exact-duplicates": "精确去重",
    "near-duplicates": "近似去重",
    "exercises": "习题拆分",
    "distribution": "重复段落",
    "quality": "质量",
    "repeats": "重复文本",
    "groups": "质量分组",
    "decontamination": "去除基准题",
    "redaction": "隐私信息",
    "held-out": "留出文档",
    "held_out": "留出文档",
    "parallel": "平行文本",
}
REASONS = {
    "markup, scripts, navigation": "标签、脚本与导航",
    "left between the stages": "在阶段之间移出",
    "exempt from this stage": "不受此阶段检查",
    "no passages": "没有正文段落",
    "no passage": "没有正文段落",
    "empty": "空白",
    "too many tags": "标签过多",
    "too much work": "耗时过长",
    "charset": "字符编码",
    "too large": "过大",
    "too_large": "过大",
    "not HTML": "不是 HTML",
    "other language": "其他语言",
    "too short": "过短",
    "broken characters": "损坏的字符",
    "exact copy": "完全相同",
    "near copy": "近似相同",
    "exact duplicate": "完全重复",
    "near-duplicate": "近似重复",
    "split off as exercises": "拆分为习题",
    "near a held-out document": "与留出文档近似",
    "near copy of a held-out document": "与留出文档近似",
    "personal data": "隐私信息",
    "recurring block": "重复段落",
    "recurring blocks": "重复段落",
    "nearly recurring block": "近似重复段落",
    "block recurs across sources": "跨来源重复段落",
    "recurs in meaning": "语义重复",
    "repeated text": "重复文本",
    "too short without its recurring blocks": "去掉重复段落后过短",
    "too short without its repeated text": "去掉重复文本后过短",
    "low score": "得分低",
    "advertising": "广告",
    "blocked URL": "被屏蔽的网址",
    "blocked host": "被屏蔽的主机",
    "a list": "只是列表",
    "cookie policy": "Cookie 声明",
    "curly bracket": "花括号",
    "javascript": "JavaScript",
    "lines cut off": "行被截断",
    "lines without closing marks": "行尾无标点",
    "lorem ipsum": "占位文本",
    "privacy policy": "隐私声明",
    "terms of use": "使用条款",
    "repeated 5-grams": "重复 5 元组",
    "repeated 6-grams": "重复 6 元组",
    "repeated 7-grams": "重复 7 元组",
    "repeated 8-grams": "重复 8 元组",
    "repeated 9-grams": "重复 9 元组",
    "repeated 10-grams": "重复 10 元组",
    "repeated characters": "重复字符",
    "short lines": "短行",
    "too few sentences": "句子过少",
    "too few stop words": "虚词过少",
    "too few words with letters": "含字母的词过少",
    "too few words": "词数过少",
    "too many bullets": "项目符号过多",
    "too many ellipses": "省略号过多",
    "too many hashes": "井号过多",
    "too many words": "词数过多",
    "top 2-gram": "高频 2 元组",
    "top 3-gram": "高频 3 元组",
    "top 4-gram": "高频 4 元组",
    "words too long": "词过长",
    "words too short": "词过短",
    "hardly any Chinese": "几乎没有中文",
    "hardly any function words": "几乎没有虚词",
    "documents with benchmark items": "含基准题",
    "code: a line too long": "代码：行过长",
    "code: encoded data": "代码：编码数据",
    "code: generated": "代码：自动生成",
    "code: lines too long on average": "代码：平均行过长",
    "code: minified": "代码：已压缩",
    "code: more numbers than words": "代码：数字多于词",
    "code: more of a data format than its share": "代码：数据格式超出份额",
    "code: too few letters and digits": "代码：字母与数字过少",
    "an error page": "错误页面",
    "symbols": "符号过多",
    "digits": "数字过多",
    "bullets": "项目符号过多",
    "ellipses": "省略号过多",
}
PREFIXES = {"language: ": "语言：", "broken: ": "损坏：", "not HTML: ": "不是 HTML："}
"""Reasons that go on with a value of the document."""
CHECKS = {" is below ": "低于", "'s loss is finite": "的损失是有限数"}
"""Checks of the evaluation: what stands between or behind the names of models."""


def reason_zh(reason: str) -> str:
    """A reason of the ledger."""
    for prefix, told in PREFIXES.items():
        if reason.startswith(prefix):
            return told + reason.removeprefix(prefix)
    return REASONS.get(reason, reason.replace("_", " "))


def gate_zh(stage: str) -> str:
    """A stage of the ledger."""
    return GATES.get(stage, stage)
