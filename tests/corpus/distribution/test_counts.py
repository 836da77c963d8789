"""Counting blocks shard by shard: sums are exact in any split, sketches err to the safe side, edits still count."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import DataError
from skyloom.core.units import units
from skyloom.corpus.distribution.arrays import pack, unpack
from skyloom.corpus.distribution.config import DistributionConfig
from skyloom.corpus.distribution.counts import BlockCounts, block_keys
from skyloom.corpus.distribution.wording import (
    REASONS,
    frequent_blocks,
    judge_blocks,
    merge_sketches,
    recurring_blocks,
    sketch_blocks,
)
from skyloom.corpus.text.columns import string_hashes

CONFIG = DistributionConfig(
    short_units=8, short_share=0.1, long_share=0.1, minimum_documents=4, near_units=12, corpus_documents=12, corpus_sources=2
)
LICENCE = (
    "This manual may be copied, changed and given away by anyone under the terms of the public licence that stands in its last "
    "chapter, as long as the names of all earlier authors are kept and every change is marked with its date. No warranty of any "
    "kind comes with it."
)
LICENCE_ZH = (
    "本手册可以由任何人按照最后一章所载许可证的条款自由复制、修改和再次发布，但须保留原作者姓名，并为每一处改动注明日期。"
    "作者不对其内容提供任何形式的担保。"
)
PIECES = st.sampled_from(
    ["首页", "Home", "关于我们 about", "第3页", "Page 4", "版权所有 ©", "🙂", "", "\ufffd", LICENCE, LICENCE_ZH]
)


def shard(documents: list[list[str]], sources: list[str], start: int = 0) -> pa.Table:
    return pa.table(
        {
            "id": [f"{start + k:032x}" for k in range(len(documents))],
            "source": pa.array(sources, pa.string()),
            "blocks": pa.array(documents, pa.list_(pa.string())),
            "tags": pa.array([["p"] * len(d) for d in documents], pa.list_(pa.string())),
        }
    )


def same(one: BlockCounts, other: BlockCounts) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(BlockCounts))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.lists(PIECES, max_size=5), st.sampled_from(["a", "b", "丙"])), max_size=24),
    st.integers(1, 5),
    st.randoms(),
)
def test_any_split_into_shards_gives_the_same_counts(rows: list[tuple[list[str], str]], size: int, random: object) -> None:
    documents, sources = [d for d, _ in rows], [s for _, s in rows]
    whole = merge_sketches([sketch_blocks(shard(documents, sources), CONFIG)], CONFIG)
    parts = [
        sketch_blocks(shard(documents[k : k + size], sources[k : k + size], k), CONFIG) for k in range(0, len(documents), size)
    ]
    random.shuffle(parts)  # type: ignore[attr-defined]
    assert same(merge_sketches(parts, CONFIG), whole)
    halves = [merge_sketches(parts[: len(parts) // 2], CONFIG), merge_sketches(parts[len(parts) // 2 :], CONFIG)]
    assert same(merge_sketches(halves, CONFIG), whole)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.lists(PIECES, max_size=5), st.sampled_from(["a", "乙"])), min_size=1, max_size=24))
def test_counts_are_those_of_a_plain_loop(rows: list[tuple[list[str], str]]) -> None:
    import re

    documents, sources = [d for d, _ in rows], [s for _, s in rows]
    counts = sketch_blocks(shard(documents, sources), CONFIG)
    having: dict[tuple[str, tuple[str, ...]], set[int]] = {}
    for number, (blocks, source) in enumerate(rows):
        for block in blocks:
            having.setdefault((source, tuple(units(re.sub(r"\d+", "0", block)))), set()).add(number)
    for blocks, source in rows:
        for block in blocks:
            read = units(re.sub(r"\d+", "0", block))
            if read:
                key = block_keys(pa.array([block]), CONFIG.near_units).exact
                found, _ = counts.of_source(key, string_hashes(pa.array([source])))
                assert found[0] == len(having[source, tuple(read)])


@pytest.mark.parametrize("licence", [LICENCE, LICENCE_ZH])
def test_judging_by_shards_is_judging_at_once(licence: str) -> None:
    documents = [[f"只此一处 own words {a}{b}", licence, "Home 首页"] for a in "abcdef" for b in "甲乙丙丁"]
    sources = ["one", "two"] * 12
    at_once = judge_blocks(shard(documents, sources), sketch_blocks(shard(documents, sources), CONFIG), CONFIG)
    tables = [shard(documents[k : k + 5], sources[k : k + 5], k) for k in range(0, 24, 5)]
    merged = merge_sketches([sketch_blocks(t, CONFIG) for t in tables], CONFIG)
    verdicts = [judge_blocks(t, frequent_blocks(merged, CONFIG), CONFIG) for t in tables]
    assert np.array_equal(np.concatenate([v.remove for v in verdicts]), at_once.remove)
    assert np.array_equal(np.concatenate([v.reason for v in verdicts]), at_once.reason)
    kept = (~at_once.remove).reshape(24, 3).sum(axis=0).tolist()
    assert kept[0] == 24 and kept[1] == 1 and kept[2] == 0, "a long passage stays once in the corpus, furniture nowhere"


@pytest.mark.parametrize("notice", [LICENCE.replace("date", "{}"), LICENCE_ZH.replace("自由复制", "{}复制")], ids=["en", "zh"])
def test_small_edits_do_not_hide_a_block(notice: str) -> None:
    names = (
        "Ada Bo Cyd Dee Eve Fay Gil Hal Ian Joy Kit Lee".split()
        if "{}" in notice and "manual" in notice
        else list("赵钱孙李周吴郑王冯陈褚卫")
    )
    documents = [[notice.format(name), f"正文 text {name}{name}{name}"] for name in names]
    blocks = pa.array(documents)
    verdict = recurring_blocks(blocks, pa.array([["p", "p"]] * 12), pa.array(["s"] * 12), CONFIG)
    judged = verdict.remove.reshape(12, 2)
    assert judged[:, 0].sum() >= 8 and not judged[0, 0], "most go, the first stays"
    assert not judged[:, 1].any()
    assert {REASONS[c] for c in verdict.reason[verdict.remove]} == {"nearly recurring block"}


def test_prose_on_one_subject_is_no_near_recurrence() -> None:
    openings = ["The harbour was quiet", "雨下了整整一夜", "No train came", "灯塔在雾里", "They sold the boat", "村里没有钟"]
    documents = [[f"{a}, and {b}; {c} was what everybody remembered of that {d} year by the old sea wall, 人们说起{e}。"]
                 for a, b, c, d, e in zip(openings * 2, "ropes nets gulls oars sails tides kelp crabs salt pitch tar mist".split(),
                                          "hunger song frost war plague gold flood fire drought harvest debt feast".split(),
                                          "first second third fourth fifth sixth seventh eighth ninth tenth last lost".split(),
                                          ["外婆", "渔夫", "校长", "船长", "木匠", "铁匠", "医生", "邮差", "厨子", "店主", "牧羊人", "守夜人"], strict=True)]  # fmt: skip
    verdict = recurring_blocks(pa.array(documents), pa.array([["p"]] * 12), pa.array(["s"] * 12), CONFIG)
    assert not verdict.remove.any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 27), max_size=6), min_size=1, max_size=40), st.integers(3, 12))
def test_heavy_hitters_never_count_too_much_and_state_their_error(numbers: list[list[int]], capacity: int) -> None:
    words = "风花雪月山水云雨雷电天地玄黄宇宙洪荒日月盈昃辰宿列张寒来"
    documents = [[words[n] for n in document] for document in numbers]
    tables = [shard(documents[k : k + 3], ["s"] * len(documents[k : k + 3]), k) for k in range(0, len(documents), 3)]
    parts = [sketch_blocks(t, CONFIG) for t in tables]
    exact = merge_sketches(parts, CONFIG)
    small = merge_sketches(parts, dataclasses.replace(CONFIG, capacity=100))
    assert same(exact, small), "everything fits"
    from skyloom.corpus.distribution.counts import merge_blocks

    bounded = merge_blocks(parts, capacity=capacity)
    found, _ = bounded.of_source(exact.keys, exact.sources)
    assert len(bounded.keys) <= capacity
    assert (found <= exact.documents).all() and (found >= exact.documents - bounded.error).all()
    assert bounded.error * (capacity + 1) <= exact.documents.sum()


def test_pruned_counts_give_the_same_verdicts() -> None:
    documents = [[LICENCE, f"own {k}", "Home"] for k in range(14)] + [
        [LICENCE_ZH, "首页", f"自己的第{'甲乙丙丁戊己庚辛壬癸子丑'[k]}"] for k in range(12)
    ]
    table = shard(documents, ["one"] * 13 + ["two"] * 13)
    counts = sketch_blocks(table, CONFIG)
    fewer = frequent_blocks(counts, CONFIG)
    assert len(fewer.keys) < len(counts.keys)
    assert np.array_equal(judge_blocks(table, fewer, CONFIG).reason, judge_blocks(table, counts, CONFIG).reason)


def test_counts_come_back_from_their_file() -> None:
    counts = sketch_blocks(shard([["Home", "首页"], ["Home"]], ["s", "s"]), CONFIG)
    assert same(unpack(BlockCounts, pack(counts), origin="x"), counts)
    assert pack(counts) == pack(counts)
    for broken in (b"", b"PK\x03\x04 no archive", pack(counts)[:-30]):
        with pytest.raises(DataError, match=r"counts\.npz"):
            unpack(BlockCounts, broken, origin="counts.npz")


def test_nothing_to_count() -> None:
    empty = shard([], [])
    counts = merge_sketches([sketch_blocks(empty, CONFIG)], CONFIG)
    assert not len(counts.keys) and not counts.error
    verdict = judge_blocks(empty, merge_sketches([], CONFIG), CONFIG)
    assert not len(verdict.remove)
    bare = shard([[], [""]], ["s", "s"])
    assert not judge_blocks(bare, sketch_blocks(bare, CONFIG), CONFIG).remove.any()
    assert pc.sum(pc.list_value_length(bare.column("blocks"))).as_py() == 1
