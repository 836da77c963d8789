"""Leaked test items: found in disguise in both languages, with their places; phrases that many share are not."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planted.decontamination import DISGUISES, own_set
from tests.planted.edited_items import edited_set

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.store import Store
from skyloom.core.units import hash_units, units
from skyloom.corpus.decontaminate import edited
from skyloom.corpus.decontaminate import match as matching
from skyloom.corpus.decontaminate.config import DecontaminationConfig, ItemSet
from skyloom.corpus.decontaminate.edited import SeedIndex, find_edited
from skyloom.corpus.decontaminate.item_index import ItemIndex, build_index, count_documents, judge_contamination, merge_counts
from skyloom.corpus.decontaminate.item_sets import ITEMS, read_items
from skyloom.corpus.decontaminate.match import Lookup, find_grams, grams_of, narrow, unit_places

CONFIG = DecontaminationConfig()
ZH = "下列关于细胞结构与功能的叙述，错误的是（　）A．线粒体是有氧呼吸的主要场所 B．叶绿体存在于一切植物细胞中 C．核糖体由RNA和蛋白质构成"
EN = "A train leaves the station at 9:40 and covers 126 kilometres in 1 hour and 45 minutes. What is its mean speed in metres per second?"


def table(texts: list[str], name: str = "exam") -> pa.Table:
    return pa.table([[name] * len(texts), [f"{name}/{k}" for k in range(len(texts))], texts], schema=ITEMS)


def judge(texts: list[str], index: ItemIndex, config: DecontaminationConfig = CONFIG, counts: np.ndarray | None = None):
    return judge_contamination(pa.array([f"doc{k}" for k in range(len(texts))]), pa.array(texts), index, config, counts)


def test_an_exam_question_in_a_chinese_paragraph_without_spaces_is_found() -> None:
    leak = "下列关于细胞结构与功能的叙述,错误的是()Ａ.线粒体是有氧呼吸的主要场所Ｂ.叶绿体存在于一切植物细胞中Ｃ.核糖体由ｒｎａ和蛋白质构成"
    text = "昨天的练习里有这样一道题我觉得很有意思" + leak + "大家都说第二个选项太绝对了因为根尖细胞里就没有它"
    found = judge([text, "昨天的练习很有意思，大家都这么说，细胞的结构与功能确实复杂。"], build_index(table([ZH, EN]), CONFIG))
    assert found.reason.to_pylist() == ["contaminated: exam", None]
    (span,) = found.spans.to_pylist()
    assert (span["document"], span["benchmark"], span["item"], span["share"]) == ("doc0", "exam", "exam/0", 1.0)
    assert units(
        text[span["start"] : span["stop"]].replace("Ａ", "A").replace("Ｂ", "B").replace("Ｃ", "C").replace("ｒｎａ", "rna")
    ) == units(ZH)
    assert span["ngrams"] == len(units(ZH)) - CONFIG.n + 1


def test_spans_cut_the_leak_out_of_the_text() -> None:
    text = "😀 Notes of the week.\n" + EN.upper() + "\nAnd another matter.\n" + EN
    found = judge([text], build_index(table([ZH, EN]), CONFIG)).spans.to_pylist()
    assert [text[s["start"] : s["stop"]] for s in found] == [EN.upper()[:-1], EN[:-1]]


def test_generated_leaks_in_every_disguise() -> None:
    items, plants = own_set(140, 3)
    index = build_index(table([i.text for i in items]), CONFIG)
    found = judge([p.text for p in plants], index)
    items_of: dict[int, set[str]] = {}
    for row in found.spans.to_pylist():
        items_of.setdefault(int(row["document"][3:]), set()).add(items[int(row["item"][5:])].id)
    for kind in (*DISGUISES, "paraphrase", "plain", "instruction", "sibling"):
        of_kind = [k for k, p in enumerate(plants) if p.kind == kind]
        if kind in DISGUISES:
            right = [plants[k].item.id in items_of.get(k, ()) for k in of_kind]
            assert np.mean(right) >= (0.9 if kind in ("noisy", "truncated") else 1.0), kind
        else:
            accused = [found.reason[k].is_valid for k in of_kind]
            assert np.mean(accused) <= (0.1 if kind == "sibling" else 0.0), kind


def test_short_items_are_found_as_a_whole_and_very_short_ones_not_at_all() -> None:
    index = build_index(
        table(["函数在该区间上单调递增", "What rises every morning but never learns to walk?", "下列正确的是", EN]), CONFIG
    )
    assert index.unsearchable == [("exam", "exam/2")]
    texts = [
        "可知函数在该区间上单调递增。",
        "可知函数在该区间上单调。",
        "He asked: what rises every morning, but never learns to walk",
        "下列正确的是",
    ]
    assert judge(texts, index).reason.is_valid().to_pylist() == [True, False, True, False]


def test_what_many_items_share_proves_nothing() -> None:
    frame = "请仔细阅读下面的材料，然后从给出的四个选项中选出唯一正确的一项并说明理由"
    many = [frame + chr(0x4E00 + 50 * k) * 9 + chr(0x5E00 + 50 * k) * 9 for k in range(20)]
    assert judge([frame + "。今天天气很好。"], build_index(table(many), CONFIG)).reason.null_count == 1
    few = build_index(table(many[:5]), CONFIG)
    assert judge([frame + many[3][-18:]], few).reason.to_pylist() == ["contaminated: exam"]


def test_what_many_documents_share_counts_only_with_nearly_all_of_the_item() -> None:
    law = "用人单位与劳动者协商一致可以解除劳动合同并应当依法向劳动者支付经济补偿"
    item = law + "，试问上述规定在试用期内如何适用，请结合具体案例加以说明"
    index, config = build_index(table([item]), CONFIG), DecontaminationConfig(common_documents=5)
    documents = [f"第{k}号文件。{law}。" for k in range(8)] + [item]
    assert judge(documents, index, config).reason.null_count == 0
    counts = merge_counts([count_documents(pa.array(documents[:4]), index), count_documents(pa.array(documents[4:]), index)])
    assert np.array_equal(counts, count_documents(pa.array(documents), index))
    assert judge(documents, index, config, counts).reason.is_valid().to_pylist() == [False] * 8 + [True]


def test_a_passage_counts_whatever_the_length_of_the_item() -> None:
    book = " ".join(f"word{k}" for k in range(2000))
    quotes = [" ".join(f"word{k}" for k in range(300, 300 + size)) for size in (59, 60)]
    assert judge(quotes, build_index(table([book]), CONFIG)).reason.is_valid().to_pylist() == [False, True]


@pytest.mark.parametrize("text", [ZH, EN])
def test_an_index_from_files_needs_no_kernel_compiled_anew(tmp_path: Path, text: str) -> None:
    made = build_index(table([ZH, EN]), CONFIG)
    first = judge([f"x {text} y"], made)
    kernels = (matching._search, matching._fill, edited._compare)
    before = [len(kernel.signatures) for kernel in kernels]
    made.save(Store(tmp_path))
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = judge([f"x {text} y"], ItemIndex.load(Store(tmp_path)))
    assert again.reason.equals(first.reason) and again.spans.equals(first.spans)
    assert [len(kernel.signatures) for kernel in kernels] == before and {path: path.read_bytes() for path in files} == files


def test_verdicts_do_not_depend_on_shards_or_on_how_the_index_came(tmp_path: Path) -> None:
    items, plants = own_set(30, 4)
    index = build_index(table([i.text for i in items]), CONFIG)
    index.save(Store(tmp_path))
    mapped = ItemIndex.load(Store(tmp_path))
    texts = [p.text for p in plants] + ["", None]
    whole = judge(texts, index)
    for other in (mapped, pickle.loads(pickle.dumps(index))):
        assert judge(texts, other).spans.equals(whole.spans)
    parts = [judge_contamination(pa.array([f"doc{k}"]), pa.array([t], pa.string()), index, CONFIG) for k, t in enumerate(texts)]
    assert [p.reason[0].as_py() for p in parts] == whole.reason.to_pylist()
    assert pa.concat_tables([p.spans for p in parts]).equals(whole.spans)


LETTERS = st.text(st.sampled_from("ab 中文Ａ１,。"), max_size=20)


@settings(deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=5), st.lists(LETTERS, max_size=5), st.integers(1, 4))
def test_the_search_finds_what_tuples_of_units_find(items: list[str], texts: list[str], n: int) -> None:
    known, column = hash_units(narrow(pa.array(items))), hash_units(narrow(pa.array(texts, pa.string())))
    rows, places, grams = grams_of(known, np.arange(len(items)), n)
    wide = str.maketrans("Ａ１", "A1")
    of = [units(t.translate(wide)) for t in items]
    tuples = [tuple(of[r][p : p + n]) for r, p in zip(rows.tolist(), places.tolist(), strict=True)]
    assert tuples == [tuple(u[k : k + n]) for u in of for k in range(len(u) - n + 1)]
    index = np.unique(grams)
    assert len(index) == len(set(tuples))
    if not len(index):
        return
    found = find_grams(column, n, Lookup.by_length(index, np.full(len(index), n, np.uint8))[n])
    name = {int(g): t for g, t in zip(grams, tuples, strict=True)}
    seen = [(r, p, name[int(index[g])]) for r, p, g in zip(*(c.tolist() for c in found), strict=True)]
    own = [units(t.translate(wide)) for t in texts]
    assert seen == [
        (r, k, tuple(u[k : k + n])) for r, u in enumerate(own) for k in range(len(u) - n + 1) if tuple(u[k : k + n]) in tuples
    ]


@given(st.text(st.sampled_from("ab 中文Ａ１,。é\u0301😀\n"), max_size=20))
def test_places_are_those_of_the_hashed_units(text: str) -> None:
    starts, stops = unit_places(text)
    assert len(starts) == hash_units(narrow(pa.array([text]))).counts[0]
    assert all(a < b for a, b in zip(starts, stops, strict=True))


def test_items_are_read_from_every_format(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": EN, "choices": ["20 m/s", "72 m/s"]}, {"question": ZH, "choices": None}]
    lines = "\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
    (tmp_path / "one.jsonl").write_text(lines + "\n\n", encoding="utf-8")
    with gzip.open(tmp_path / "two.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(lines)
    pq.write_table(pa.Table.from_pylist([{"key": 7, "text": EN}]), tmp_path / "three.parquet")
    found = read_items(
        [
            ItemSet("lines", str(tmp_path / "one.jsonl"), "id", ("question", "choices")),
            ItemSet("zipped", str(tmp_path / "t*.jsonl.gz"), "id", ("question", "choices")),
            ItemSet("columns", str(tmp_path / "three.parquet"), "key"),
        ]
    )
    assert found.schema.equals(ITEMS)
    assert found["item"].to_pylist() == ["a", "one.jsonl/1", "a", "two.jsonl.gz/1", "7"]
    assert found["text"].to_pylist()[:2] == [EN + "\n20 m/s\n72 m/s", ZH]


def test_what_is_wrong_with_an_item_set_is_told(tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    good.write_text('{"id": 1, "text": "x"}\n')
    for name, content, match in (
        ("broken.jsonl", '{"text": "x"}\n{"text"', r"broken\.jsonl.*line 2\b.*JSON"),
        ("list.jsonl", "[1]\n", r"line 1\b.*JSON object"),
        ("number.jsonl", '{"text": "文", "id": ' + "9" * 10_000 + "}\n", r"line 1\b.*not JSON Lines"),
        ("deep.jsonl", '{"text": ' + "[" * 100_000 + "\n", r"line 1\b.*not JSON Lines"),
        ("field.jsonl", '{"question": "x"}\n', r"item 1\b.*'text'.*question"),
        ("cut.jsonl.gz", "not gzip", r"cut\.jsonl\.gz.*line 0\b"),
        ("no.parquet", "x", r"no\.parquet.*Parquet"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=match):
            read_items([ItemSet("set", str(tmp_path / name))])
    for sets, match in (
        ([ItemSet("set", str(tmp_path / "absent*.jsonl"))], "no file is"),
        ([ItemSet("set", str(good)), ItemSet("set", str(good))], r"two .*'set'"),
        ([ItemSet("set", str(Path(__file__)))], "convert it"),
    ):
        with pytest.raises(ConfigError, match=match):
            read_items(sets)
    with pytest.raises(DataError, match=r"none of 1 item"):
        build_index(read_items([ItemSet("set", str(good))]), CONFIG)


def test_more_ngrams_than_the_index_can_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    distinct = len(build_index(table([ZH, EN]), CONFIG).grams)
    monkeypatch.setattr("skyloom.corpus.decontaminate.item_index.MOST", distinct)
    assert len(build_index(table([ZH, EN]), CONFIG).grams) == distinct
    monkeypatch.setattr("skyloom.corpus.decontaminate.item_index.MOST", distinct - 1)
    with pytest.raises(DataError, match=f"2 benchmark items have {distinct} different n-grams"):
        build_index(table([ZH, EN]), CONFIG)


@pytest.mark.parametrize(
    ("item", "leak"),
    [
        ("芳芳买了一本书有99页，看了90页，她还剩多少页没有看？", "芳芳买了一本书有99页，看了75页，她还剩多少页没有看？"),
        ("小红写了8个字，还差5个字，小红一共要写多少个字？", "小红军写了８个字，还差5个字，小红军一共要写多少个字？"),
        ("Ali had $21. Leila gave him half of her $100. How much does Ali have now?",) * 2,
        (
            "Ali had $21. Leila gave him half of her $100. How much does Ali have now?",
            "ALI HAD $21. LEILA GAVE HIM HALF OF HER $478. HOW MUCH DOES ALI HAVE NOW?",
        ),
        (
            "Tim eats as many figs as Amir eats. If Amir eats 5 figs, how many figs do Tim and he eat?",
            "Tim eats as many figs as Mary Ann eats. If Mary Ann eats 5 figs, how many figs do Tim and he eat?",
        ),
        (
            "def cut(rows, size=3):\n    for row in rows:\n        yield row[:size] if row else None\n    return 7",
            "def cut(data, size=3):\n    for row in data:\n        yield row[:size] if row else None\n    return 7",
        ),
    ],
)
def test_an_item_with_another_number_or_name_is_found_with_its_place(item: str, leak: str) -> None:
    text = "前面的话。Something before: " + leak + " 后面的话, and something after."
    index = build_index(table([ZH, item, EN]), CONFIG)
    found = judge([text, "前面的话。Something before. 后面的话, and something after."], index)
    assert found.reason.to_pylist() == ["contaminated: exam", None]
    (span,) = found.spans.to_pylist()
    assert (span["item"], units(text[span["start"] : span["stop"]])) == (
        "exam/1",
        units(leak),
    )
    assert (span["share"] == 1.0) == (item.lower() == leak.lower()) and span["share"] >= 0.8


def test_half_of_the_words_of_a_short_item_are_not_the_item() -> None:
    texts = [
        "芳芳买了一本书有99页，她很喜欢，每天晚上都要看上一会儿才睡觉。",
        "Ali had $21. Leila gave him half an hour to think about what he wanted to buy with it.",
        "def cut(rows, size=3):\n    raise NotImplementedError",
    ]
    items = [
        "芳芳买了一本书有99页，看了90页，她还剩多少页没有看？",
        "Ali had $21. Leila gave him half of her $100. How much does Ali have now?",
        "def cut(rows, size=3):\n    left = rows[size:]\n    rows = rows[:size]\n    return rows, left",
    ]
    assert judge(texts, build_index(table(items), CONFIG)).reason.null_count == 3


def test_edited_items_are_found_in_each_language() -> None:
    items, plants = edited_set(60, 5)
    found = judge([p.text for p in plants], build_index(table([i.text for i in items]), CONFIG))
    items_of: dict[int, set[str]] = {}
    for row in found.spans.to_pylist():
        items_of.setdefault(int(row["document"][3:]), set()).add(items[int(row["item"][5:])].id)
    for lang in ("en", "zh", "code"):
        right = [p.item is not None and p.item.id in items_of.get(k, ()) for k, p in enumerate(plants) if p.lang == lang]
        assert len(right) == 60 and np.mean(right) >= 0.9, lang


def _distance(item: list[str], text: list[str]) -> int:
    """Fewest units to change, put in or leave out so that the item stands somewhere in the text."""
    row = [0] * (len(text) + 1)
    for i, unit in enumerate(item, 1):
        last, row = row, [i]
        for j, other in enumerate(text, 1):
            row.append(min(last[j - 1] + (unit != other), last[j] + 1, row[j - 1] + 1))
    return min(row)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from("甲乙丙丁戊"), min_size=13, max_size=30),
    st.lists(st.sampled_from("甲乙丙丁戊"), max_size=60),
    st.data(),
)
def test_the_units_that_differ_are_counted_as_an_edit_distance_counts_them(
    item: list[str], host: list[str], data: st.DataObject
) -> None:
    at, place = data.draw(st.integers(0, len(item) - 1)), data.draw(st.integers(0, len(host)))
    changed = item[:at] + data.draw(st.sampled_from([[], ["己"], ["己", "己"]])) + item[at + 1 :]
    text = host[:place] + changed + host[place:]
    index = SeedIndex.of(hash_units(pa.array(["".join(item)])), 10)
    found = find_edited(hash_units(pa.array(["".join(text)])), index)
    least = _distance(item, text)
    for start, stop, differ in zip(found.starts.tolist(), found.stops.tolist(), found.differ.tolist(), strict=True):
        assert least <= differ <= len(item) * 0.2 and 0 <= start < stop <= len(text)
    if at >= 7 or len(item) - at - 1 >= 7:  # a seed is left
        assert len(found.rows) and (differ_least := min(found.differ.tolist())) <= 2 and differ_least >= least


def test_text_of_one_unit_over_and_over_is_no_trouble() -> None:
    index = build_index(table(["零" * 40, "0 " * 40]), CONFIG)
    found = judge(["零" * 5000 + "一", "0 " * 5000], index)
    assert found.reason.is_valid().to_pylist() == [True, True]
