"""The datasheet of the corpus: the seven groups of questions of "Datasheets for Datasets" (Gebru et al., arXiv 1803.09010).

Input: what a release says of itself and what its run measured. Output: rows for the corpus card, in English and Chinese; what only
people know is said to be for people.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.release import sentences, tables
from skyloom.release.formats import count, size
from skyloom.release.statements.transparency import Told


@dataclass(frozen=True)
class DatasheetSection:
    """A group of questions, by its names, with an answer in each language."""

    name: str
    chinese_name: str
    en: str
    zh: str


def datasheet(told: Told) -> list[DatasheetSection]:
    """The seven sections in their order."""
    facts, published, evidence = told.facts, told.published, told.evidence
    config = facts.config
    by = ", ".join(config.authors)
    documents, text = count(sum(published.documents.values())), size(sum(published.bytes.values()))
    unknown = count(published.unknown)
    names = ", ".join(row["name"] for row in tables.sources(evidence)) or "not recorded"
    stages = len(tables.funnel(evidence))
    personal = count(sum((evidence.redaction or {}).values()))
    redacted = (
        (f"{personal} personal data were replaced", f"{personal} 处个人信息被替换")
        if evidence.redaction is not None
        else ("nothing was redacted", "没有做脱敏")
    )
    return [
        DatasheetSection(
            "Motivation",
            "动机",
            f"To train and measure {config.name}. {f'Made by {by}.' if by else 'The authors are not named.'} Who paid "
            "for it is for people to say.",
            f"用于训练和评测 {config.name}。{f'由 {by} 制作。' if by else '未署名。'}由谁资助，须由人说明。",
        ),
        DatasheetSection(
            "Composition",
            "构成",
            f"{documents} documents, {text} of text; {unknown} without a licence. Splits, mixture and fields stand above.",
            f"{documents} 篇文档，{text} 文本；其中 {unknown} 篇没有许可证。划分、混合比例和字段见上文。",
        ),
        DatasheetSection(
            "Collection",
            "收集",
            f"From these sources: {names}. Whether people were asked for consent is for people to say.",
            f"来自这些来源：{names}。是否征得有关人员同意，须由人说明。",
        ),
        DatasheetSection(
            "Preprocessing",
            "预处理",
            f"{stages} stages with their losses, in the funnel above; {redacted[0]}. The raw sources are not part of the release."
            if stages
            else f"The stages were not recorded; {redacted[0]}.",
            f"共 {stages} 个阶段，其损失见上文；{redacted[1]}。原始来源不在发布之中。"
            if stages
            else f"各阶段未记录；{redacted[1]}。",
        ),
        DatasheetSection(
            "Uses",
            "用途",
            "Training of language models, and study of filters. Not for facts about persons.",
            "训练语言模型，研究过滤器。不得用于查询个人的信息。",
        ),
        DatasheetSection(
            "Distribution",
            "分发",
            f"{facts.corpus_place}; each document keeps the licence of its source.",
            f"{facts.corpus_place}；每篇文档保留其来源的许可证。",
        ),
        DatasheetSection(
            "Maintenance",
            "维护",
            (f"Write to {config.contact} to have a document removed. " if config.contact else "No contact is named. ")
            + (sentences.removed(evidence) or "Nothing was removed so far."),
            (f"要求去除文档，请联系 {config.contact}。" if config.contact else "没有联系方式。")
            + (f"发布之后去除了 {len(evidence.removed)} 篇文档。" if evidence.removed else "至今没有去除过文档。"),
        ),
    ]
