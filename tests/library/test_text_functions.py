"""The functions of texts and pages: one text, lists, Arrow columns, files; nothing, None, and what is wrong."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import skyloom
from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError, SkyloomError

pytestmark = pytest.mark.xdist_group("library")

ENGLISH = (
    "The printer is on the second floor, next to the stairs. Turn it on first, and wait until the light is green before you send "
    "a file from your computer. If the paper is used up, ask for some at the desk on the first floor; there is ink, too."
)
CHINESE = "打印机在二楼的楼梯旁边。请先打开电源，等到绿灯亮了，再从电脑上发送文件。纸用完了，可以到一楼前台去领，那里也有墨盒。"
TEXTS = [ENGLISH, None, CHINESE, "", "Buy now!"]
FUNCTIONS = {
    "identify": skyloom.identify,
    "quality": skyloom.quality,
    "redact": skyloom.redact,
    "near_duplicates": skyloom.near_duplicates,
}
FORMS = {
    "list": lambda rows: rows,
    "tuple": tuple,
    "array": lambda rows: pa.array(rows, pa.string()),
    "large": lambda rows: pa.array(rows, pa.large_string()),
    "dictionary": lambda rows: pa.array(rows, pa.string()).dictionary_encode(),
    "chunked": lambda rows: pa.chunked_array([rows[:2], rows[2:]], pa.string()),
    "sliced": lambda rows: pa.array(["前", *rows], pa.string()).slice(1),
    "table": lambda rows: pa.table({"text": pa.array(rows, pa.string())}),
    "batch": lambda rows: pa.record_batch({"text": pa.array(rows, pa.string())}),
}


def page(body: str) -> str:
    return f"<html><head><title>说明 Manual</title></head><body><nav>Home</nav><article><p>{body}</p></article></body></html>"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_forms_of_input_give_one_table(name, form):
    expected = FUNCTIONS[name](TEXTS)
    assert len(expected) == len(TEXTS) and expected["id"].to_pylist() == ["0", "1", "2", "3", "4"]
    assert FUNCTIONS[name](FORMS[form](TEXTS)).equals(expected)


def test_columns_of_pandas_are_taken_as_they_are():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": TEXTS})
    expected = skyloom.identify(TEXTS)
    assert skyloom.identify(frame["text"]).equals(expected) and skyloom.identify(pa.table(frame)).equals(expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_gives_an_empty_table_of_the_same_columns(name):
    assert FUNCTIONS[name]([]).schema == FUNCTIONS[name](TEXTS).schema == FUNCTIONS[name](pa.nulls(0)).schema
    assert len(FUNCTIONS[name]([])) == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_none_has_null_and_keeps_its_row(name):
    for rows in ([None], [None, ENGLISH]):
        row = FUNCTIONS[name](rows).to_pylist()[0]
        assert row.pop("id") == "0" and row.pop("reason", "no text") == "no text" and set(row.values()) == {None}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([ENGLISH, 7], "row 1 is int, not text"),
        ([b"bytes"], "row 0 is bytes, not text"),
        (pa.array([1, 2]), "the column holds int64, not text"),
        (pa.table({"body": ["甲"]}), "the table has no column 'text'; it has body"),
        (pa.table({"id": ["a", "a"], "text": ["甲", "乙"]}), "the id 'a' stands more than once"),
        (7, "not as int"),
    ],
)
def test_what_is_no_text_is_told(name, wrong, said):
    with pytest.raises(DataError, match=said):
        FUNCTIONS[name](wrong)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_ids_and_names_of_columns_are_the_callers(name):
    table = pa.table({"编号": pa.array([7, None, 9]), "正文": [ENGLISH, CHINESE, None]})
    assert FUNCTIONS[name](table, columns=("编号", "正文"))["id"].to_pylist() == ["7", "1", "9"]


def test_one_text_gives_a_dataclass_with_the_figures_of_its_row():
    for text in (ENGLISH, CHINESE, "", "Buy now!"):
        lang, good, clean = skyloom.identify(text), skyloom.quality(text), skyloom.redact(text)
        assert [lang.lang, lang.score] == list(skyloom.identify([text]).to_pylist()[0].values())[1:]
        assert [good.lang, good.score, good.reason] == list(skyloom.quality([text]).to_pylist()[0].values())[1:]
        assert clean.text == text and set(clean.counts.values()) == {0}
    assert skyloom.quality(ENGLISH).keep and skyloom.quality(CHINESE).keep and not skyloom.quality("Buy now!").keep


def test_a_lone_surrogate_is_no_character():
    assert skyloom.redact(["a\ud800b", None])["text"].to_pylist() == ["a\ufffdb", None]


def test_redaction_counts_what_it_replaced():
    found = skyloom.redact("Write to mary.jones@lumen-press.com，或拨打13812345678。")
    assert found.text == "Write to <EMAIL>，或拨打<PHONE>。" and found.counts["email"] == found.counts["phone"] == 1
    assert "13812345678" in skyloom.redact("拨打13812345678", kinds=["email"]).text


def test_near_duplicates_are_found_across_rows_and_the_best_stays():
    texts = [ENGLISH, None, CHINESE, ENGLISH.replace("green", "blue"), CHINESE + "谢谢。"]
    found = skyloom.near_duplicates(texts).to_pylist()
    assert [row["keep"] for row in found].count(True) == 2 and found[1]["cluster"] is None
    assert found[0]["cluster"] == found[3]["cluster"] and found[2]["cluster"] == found[4]["cluster"]
    best = skyloom.near_duplicates(texts, best=[0.1, None, 0.9, 0.8, 0.2])
    assert best["keep"].to_pylist() == [False, None, True, True, False] and best["cluster"].to_pylist() == [
        "3",
        None,
        "2",
        "3",
        "2",
    ]
    assert skyloom.near_duplicates(texts, threshold=1.0)["keep"].to_pylist() == [True, None, True, True, True]
    with pytest.raises(DataError, match="best has 1 numbers for 5 texts"):
        skyloom.near_duplicates(texts, best=[1])


def test_items_of_benchmarks_are_found(tmp_path):
    item = "小明家有十七个苹果，妈妈又从市场买回来二十五个，请问现在一共有多少个苹果？"
    other = "A train leaves the station at nine in the morning and travels for three hours at eighty kilometres an hour. How far?"
    texts = [ENGLISH, None, f"答案在书后。{item}", "", f"Exercise: {other.upper()}"]
    found = skyloom.decontaminate(texts, {"sums": [item, None], "trains": [other]})
    assert found.keep.to_pylist() == [True, True, False, True, False]
    assert found.matches.select(["benchmark", "item", "document", "row", "match"]).to_pylist() == [
        {"benchmark": "sums", "item": "1", "document": "2", "row": 2, "match": "exact"},
        {"benchmark": "trains", "item": "1", "document": "4", "row": 4, "match": "exact"},
    ]
    assert found.benchmarks["found"].to_pylist() == [1, 1] and found.benchmarks["items"].to_pylist() == [2, 1]
    file = tmp_path / "题目.jsonl"
    file.write_text(json.dumps({"question": item}, ensure_ascii=False), encoding="utf-8")
    documents = tmp_path / "documents.jsonl"
    documents.write_text("".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts if t), encoding="utf-8")
    for benchmarks in (file, [file], f"sums={file}", {"sums": file}):
        again = skyloom.decontaminate(documents, benchmarks)
        assert again.keep is None and again.matches["row"].to_pylist() == [2] and again.matches["match"].to_pylist() == ["exact"]
        assert skyloom.decontaminate(texts, benchmarks).keep.to_pylist() == [True, True, False, True, True]
    assert skyloom.decontaminate(documents, {"sums": [item]}).benchmarks["found"].to_pylist() == [1]
    assert skyloom.decontaminate([], {"sums": [item]}).keep.to_pylist() == []


def test_pages_of_all_forms(tmp_path):
    pages = [page(ENGLISH), page(CHINESE), "<html></html>"]
    one = skyloom.extract_html(pages[0])
    assert (one.text, one.title, one.date, one.reason) == (ENGLISH, "说明 Manual", None, None)
    found = skyloom.extract_html([*pages, None])
    assert found["text"].to_pylist() == [ENGLISH, CHINESE, "", ""] and found["reason"].to_pylist() == [
        None,
        None,
        "empty",
        "broken: no html",
    ]
    bodies = [p.encode() for p in pages]
    for given in (
        bodies,
        pa.array(pages),
        pa.array(bodies, pa.binary()),
        pa.chunked_array([bodies[:1], bodies[1:]]),
        pa.table({"html": pages}),
    ):
        assert skyloom.extract_html(given).equals(found.slice(0, 3))
    assert skyloom.extract_html(CHINESE.encode("gbk") and page(CHINESE).encode("gbk"), charset="gbk").text == CHINESE
    assert skyloom.extract_html(pa.table({"id": ["甲"], "html": [bodies[1]]}))["id"].to_pylist() == ["甲"]
    assert skyloom.extract_html([]).schema == found.schema and len(skyloom.extract_html([])) == 0
    for number, body in enumerate(bodies):
        (tmp_path / f"{number}.html").write_bytes(body)
    assert skyloom.extract_html(tmp_path)["text"].to_pylist() == [ENGLISH, CHINESE, ""]
    with pytest.raises(DataError, match="row 0 is int, not a page"):
        skyloom.extract_html([1])
    with pytest.raises(DataError, match="the table has no column 'html'; it has text"):
        skyloom.extract_html(pa.table({"text": pages}))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    lines = [*({"id": f"文{n}", "text": t} for n, t in enumerate((ENGLISH, CHINESE))), {"id": "x", "text": None}]
    found = {
        "jsonl": tmp_path / "a.jsonl",
        "parquet": tmp_path / "b.parquet",
        "empty": tmp_path / "空.jsonl",
        "gone": tmp_path / "没有.jsonl",
    }
    found["jsonl"].write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(lines), found["parquet"])
    found["empty"].write_text("")
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_files_give_what_their_rows_give(name, files, caplog):
    rows = FUNCTIONS[name](pa.table({"id": ["文0", "文1"], "text": [ENGLISH, CHINESE]}))
    for kind in ("jsonl", "parquet"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "skyloom"):
            assert FUNCTIONS[name](files[kind]).equals(rows)
        assert [r.getMessage() for r in caplog.records] == [f"{files[kind]}: 1 rows left out: no text"]


VERBS = {"identify": "language", "quality": "quality", "redact": "redact", "near_duplicates": "dedup"}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", ["gone", "empty"])
def test_errors_of_files_are_those_of_the_command_line(name, kind, files, tmp_path):
    shown = CliRunner().invoke(
        main,
        [
            "corpus",
            VERBS[name],
            str(files[kind]),
            "-o",
            str(tmp_path / "out.jsonl"),
            "--quiet",
            *("--workers", "0")[: 2 * (name != "near_duplicates")],
        ],
    )
    with pytest.raises(SkyloomError) as raised:
        FUNCTIONS[name](files[kind])
    assert shown.exit_code == raised.value.exit_code != 0 and f"skyloom: {raised.value}" == shown.output.strip()


def test_wrong_settings_are_named():
    for call, said in (
        (lambda: skyloom.redact("甲", kinds=["name"]), "kinds"),
        (lambda: skyloom.quality("甲", web_en=["c5"]), "web_en"),
        (lambda: skyloom.near_duplicates(["甲"], threshold=2), "threshold"),
        (lambda: skyloom.near_duplicates("甲"), "Path for files"),
        (lambda: skyloom.decontaminate("甲", {"a": ["乙"]}), "Path for files"),
        (lambda: skyloom.decontaminate(["甲"], []), "needs a benchmark"),
        (lambda: skyloom.decontaminate(["甲"], "没有.jsonl"), "the benchmark file 没有.jsonl does not exist"),
    ):
        with pytest.raises(ConfigError, match=said):
            call()
    for empty, said in (([], "no item"), ([None, " "], "only items without text")):
        with pytest.raises(DataError, match=f"题目 has {said}: there is nothing to search for"):
            skyloom.decontaminate(["甲"], {"题目": empty})


def test_nothing_is_printed_and_progress_is_logged(files, capfd, caplog):
    with caplog.at_level(logging.INFO, "skyloom"):
        skyloom.identify(TEXTS)
        skyloom.redact(files["jsonl"])
        skyloom.near_duplicates(files["jsonl"])
        skyloom.extract_html([page(ENGLISH)])
    assert capfd.readouterr() == ("", "")
    assert all(record.name == "skyloom" for record in caplog.records) and caplog.records
