"""Recurring blocks: what goes, what stays, in both languages."""

from __future__ import annotations

import pyarrow as pa

from skyloom.corpus.distribution.config import DistributionConfig
from skyloom.corpus.distribution.wording import BlockVerdict, recurring_blocks, without

CONFIG = DistributionConfig(short_units=8, short_share=0.1, long_share=0.1, minimum_documents=4)
LICENCE = "This manual may be copied and changed by anyone under the terms of the licence that stands in its last chapter."
LICENCE_ZH = "本手册可以由任何人按照最后一章所载许可证的条款自由复制、修改和再次发布，但须保留原作者姓名。"


def judge(documents: list[list[tuple[str, str]]], sources: list[str] | None = None) -> tuple[BlockVerdict, list[list[str]]]:
    blocks = pa.array([[text for text, _ in d] for d in documents], pa.list_(pa.string()))
    tags = pa.array([[tag for _, tag in d] for d in documents], pa.list_(pa.string()))
    verdict = recurring_blocks(blocks, tags, pa.array(sources or ["site"] * len(documents)), CONFIG)
    return verdict, without(blocks, verdict.remove).to_pylist()


def page(k: int, *, zh: bool = False) -> list[tuple[str, str]]:
    if zh:
        return [
            ("首页 > 文档", "li"),
            (f"第{k}章讲的是{'风花雪月山水云雨雷电'[k]}和它的来历，与别的章节都不相同。", "p"),
            (f"第 {k} 页，共 10 页", "p"),
        ]
    return [("Home | Docs", "li"), (f"Chapter {'abcdefghij'[k]} tells of {'abcdefghij'[k] * 3} and how it came to be what it is.", "p"),
            (f"Page {k} of 10", "p")]  # fmt: skip


def test_furniture_goes_and_text_stays_in_both_languages() -> None:
    for zh in (False, True):
        documents = [page(k, zh=zh) for k in range(10)]
        _, left = judge(documents)
        assert left == [[d[1][0]] for d in documents], "digits are alike: 'Page 3 of 10' recurs"


def test_a_source_without_recurrence_loses_nothing() -> None:
    documents = [[(f"{a}{b} 一段独有的文字 unlike any other {a}", "p")] for a in "abcd" for b in "wxyz"]
    verdict, _ = judge(documents)
    assert not verdict.remove.any()


def test_counts_are_per_source_and_per_document() -> None:
    repeated_in_one = [[("Share this", "p")] * 9 + [("A story that nobody else tells at all.", "p")]]
    others = [[(f"Text number {a}{a}{a} of this site stands alone.", "p")] for a in "abcdefgh"]
    assert not judge(repeated_in_one + others)[0].remove.any()
    spread = [[("Share this", "p"), (f"Own words {a}{a}", "p")] for a in "abcdefgh"]
    assert not judge(spread, ["one", "two", "three", "four"] * 2)[0].remove.any()


def test_long_passages_need_more_and_stay_once() -> None:
    for passage in (LICENCE, LICENCE_ZH):
        documents = [[(f"Own text {a}{a}{a}.", "p"), (passage, "p")] for a in "abcdefghij"]
        _, left = judge(documents)
        assert [passage in d for d in left] == [True] + [False] * 9


def test_a_heading_goes_only_with_what_it_heads() -> None:
    documents = [
        [("Examples", "h2"), (f"Type {a}{a} and press the key.", "p"), ("Related topics", "h2"), ("Home", "li"), ("相关主题", "h2")]
        for a in "abcdefghij"
    ]
    _, left = judge(documents)
    assert left == [[d[0][0], d[1][0]] for d in documents]


def test_plain_text_keeps_short_lines_above_own_text() -> None:
    blocks = pa.array([["第一章 总则", f"本条例适用于{a}类事项的管理。", "附则"] for a in "甲乙丙丁戊己庚辛"])
    tags = pa.array([["p"] * 3] * 8)
    sources = pa.array(["laws"] * 8)
    plain = recurring_blocks(blocks, tags, sources, CONFIG, pa.array([True] * 8).to_numpy(zero_copy_only=False))
    assert plain.remove.reshape(8, 3).tolist() == [[False, False, True]] * 8
    tagged = recurring_blocks(blocks, tags, sources, CONFIG)
    assert tagged.remove.reshape(8, 3).tolist() == [[True, False, True]] * 8


def test_no_documents() -> None:
    verdict = recurring_blocks(
        pa.array([], pa.list_(pa.string())), pa.array([], pa.list_(pa.string())), pa.array([], pa.string()), CONFIG
    )
    assert len(verdict.remove) == 0
    assert without(pa.array([[]], pa.list_(pa.string())), verdict.remove).to_pylist() == [[]]
