"""Benchmark files: what is read, and one sentence with the item's id for each thing that cannot be scored."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from skyloom.core.errors import ConfigError, DataError
from skyloom.leakage.benchmark_sets import read_benchmark

Row = Mapping[str, object]


def lines(path: Path, rows: Sequence[Row]) -> Path:
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def items(count: int = 20) -> list[Row]:
    both = (
        {"question": "Tom has {n} melons. How many?", "answer": "{n}"},
        {"question": "小明有{n}个瓜，一共几个？", "answer": "{n}"},
    )
    return [{k: v.format(n=n) for k, v in both[n % 2].items()} for n in range(count)]


def test_items_have_ids_languages_and_texts(tmp_path: Path) -> None:
    rows = [{**row, "id": f"题{n}", "order": n, "choices": ["a", "乙"]} for n, row in enumerate(items())]
    found = read_benchmark(lines(tmp_path / "测试.jsonl.gz", rows))
    assert found.name == "测试" and len(found.sha256) == 64 and len(found.items) == 20
    first, second = found.items[:2]
    assert (first.id, first.lang, first.text) == ("题0", "en", "Tom has 0 melons. How many?\n0")
    assert (second.lang, second.text, second.choices, second.order) == ("zh", "小明有1个瓜，一共几个？\n1", ("a", "乙"), 1.0)
    plain = read_benchmark(lines(tmp_path / "a.jsonl", items()), "{question}")
    assert plain.ids[:3] == ("1", "2", "3") and plain.items[1].text == "小明有1个瓜，一共几个？"


def test_text_alone_is_scored_whole(tmp_path: Path) -> None:
    rows = [{"text": f"第{n}题：文本" if n % 2 else f"The text {n}"} for n in range(20)]
    found = read_benchmark(lines(tmp_path / "ref.jsonl", rows))
    assert found.items[0].text == "The text 0" and found.items[0].question == "" and found.items[1].lang == "zh"
    questions = [{"question": f"问题{n}"} for n in range(20)]
    assert read_benchmark(lines(tmp_path / "q.jsonl", questions), "{question}").items[0].answer == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"question": None}, ("item 题3", "no 'question'", "answer, id, question")),
        ({"answer": None}, ("item 题3", "no 'answer'", "answer, id, question")),
        ({"answer": ["a"]}, ("item 题3", "'answer' is no text")),
        ({"question": " ", "answer": "\n"}, ("item 题3", "empty after the template")),
        ({"id": "题2"}, ("题2", "id of its own")),
        ({"choices": "abc"}, ("item 题3", "no list of texts")),
        ({"order": "first"}, ("item 题3", "'order' is no number")),
    ],
)
def test_a_bad_item_is_named(change: Row, told: tuple[str, ...], tmp_path: Path) -> None:
    rows = [{"id": f"题{n}", **row} for n, row in enumerate(items())]
    rows[3] = {**rows[3], **change}
    with pytest.raises(DataError) as caught:
        read_benchmark(lines(tmp_path / "测试.jsonl", rows))
    assert all(part in str(caught.value) for part in told) and "测试.jsonl" in str(caught.value), caught.value


def test_an_id_may_not_be_the_number_of_another_line(tmp_path: Path) -> None:
    rows = [{**row, **({"id": "7"} if n == 2 else {})} for n, row in enumerate(items())]
    with pytest.raises(DataError, match="'7' stands more than once"):
        read_benchmark(lines(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "holds no item"),
        (b"\n \n", "holds no item"),
        (b'{"question": "a"\n', "line 1: not JSON"),
        (b'["a"]', "not a JSON object"),
        ('{"question": "瓜"}'.encode("gbk"), "not UTF-8"),
        (b'{"text": "\\ud800"}\n', "item 1: its text is not Unicode"),
        (b'{"text": "alone"}\n', "holds 1 items; a set needs at least 20"),
    ],
)
def test_a_bad_file_is_one_sentence(data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "坏.jsonl").write_bytes(data)
    with pytest.raises(DataError, match=told):
        read_benchmark(tmp_path / "坏.jsonl")


@pytest.mark.parametrize(
    "template", ["{frage}", "{question", "no field", "{question!r}", "{question:>99999}", "{0}", "{question.a}"]
)
def test_a_template_that_cannot_be_used_is_told(template: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--template"):
        read_benchmark(lines(tmp_path / "a.jsonl", items()), template)
