"""Benchmark items in any texts: files of every kind in, matches and counts out; every row is a document or is counted with a reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import CliRunner
from tests.planted.decontamination import own_set
from tests.planted.edited_items import edited_set

from skyloom.cli import main
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError, IntegrityError, SkyloomError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.decontaminate import command
from skyloom.corpus.decontaminate.command import CorpusLeaks, CorpusSearch, search_corpus
from skyloom.corpus.decontaminate.config import DecontaminationConfig
from skyloom.corpus.decontaminate.item_index import build_index, count_documents, judge_contamination
from skyloom.corpus.decontaminate.item_sets import ITEMS, read_benchmarks
from skyloom.corpus.dedup import INPUTS

EN = "A train leaves the station at 9:40 and covers 126 kilometres in 1 hour and 45 minutes. What is its mean speed in metres per second?"
ZH = "芳芳买了一本书有99页，看了90页，她还剩多少页没有看？她每天看15页，看完这本书一共要用多少天？"
ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": "今天的练习：" + ZH.replace("99", "88") + "大家都会做。"},
    {"id": "b", "text": "The weather was fine, and nobody on the pier asked how fast the trains were that year.", "url": "x"},
    {"id": "c", "text": "Exercise. " + EN.upper() + " Think."},
    {"id": "d", "text": "昨天下过雨，路上没有人。" + ZH},
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        return str(path)
    data = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()
    packed = gzip.compress(data) if path.suffix == ".gz" else zstandard.compress(data) if path.suffix == ".zst" else data
    path.write_bytes(packed)
    return str(path)


@pytest.fixture
def exam(tmp_path: Path) -> str:
    return write(tmp_path / "exam.jsonl.gz", [{"question": EN, "answer": "20"}, {"id": "书", "question": ZH, "answer": "6"}])


def search(texts: str, exam: str, out: Path | None = None, **more: Any) -> tuple[CorpusLeaks, list[dict[str, Any]]]:
    engine, found = more.pop("engine", Engine()), list[dict[str, Any]]()
    asked = CorpusSearch((texts,), (exam,), **more)
    leaks = search_corpus(
        asked, out, DecontaminationConfig(), engine=engine, progress=Progress.silent(), sink=lambda t: found.extend(t.to_pylist())
    )
    return leaks, found


@pytest.mark.parametrize("suffix", INPUTS)
def test_every_format_in_and_out(tmp_path: Path, exam: str, suffix: str) -> None:
    source, out = write(tmp_path / f"texts{suffix}", ROWS), tmp_path / "deep" / f"out{suffix}"
    leaks, found = search(source, exam, out)
    assert [(r["document"], r["row"], r["benchmark"], r["item"], r["match"]) for r in found] == [
        ("a", 1, "exam", "书", "near"), ("c", 3, "exam", "1", "exact"), ("d", 4, "exam", "书", "exact"),
    ]  # fmt: skip
    text = {row["id"]: row["text"] for row in ROWS}
    assert [text[r["document"]][r["start"] : r["stop"]] for r in found][1:] == [EN.upper()[:-1], ZH[:-1]]
    assert all(r["file"] == source and 0.5 <= r["share"] <= 1 for r in found)
    assert (leaks.documents, leaks.rejected, leaks.matches) == (4, {}, 3)
    assert leaks.bytes == sum(len(t.encode()) for t in text.values())
    assert leaks.benchmarks == [
        {"benchmark": "exam", "items": 2, "searched": 2, "found": 2, "share": 1.0, "exact": 2, "near": 1, "documents": 3}
    ]
    again, _ = search(str(out), exam, text_field="item", id_field="document")  # what was written can be read
    assert again.documents == 3 and sorted(p.name for p in out.parent.iterdir()) == [out.name]


def test_the_verb_finds_what_the_step_finds(tmp_path: Path) -> None:
    """The same documents and items, the same common phrases: the same verdicts, however many files and workers there are."""
    items, plants = own_set(60, 3)
    edited, changed = edited_set(20, 4)
    items, plants = items + edited, plants + changed
    table = pa.table([["exam"] * len(items), [str(k) for k in range(len(items))], [i.text for i in items]], schema=ITEMS)
    index, config = build_index(table, DecontaminationConfig()), DecontaminationConfig()
    texts = pa.array([p.text for p in plants])
    ids = pa.array([f"文{k}" for k in range(len(plants))])
    spans = judge_contamination(ids, texts, index, config, count_documents(texts, index)).spans.to_pylist()
    exam = write(tmp_path / "exam.jsonl", [{"id": str(k), "text": item.text} for k, item in enumerate(items)])
    folder = tmp_path / "texts"
    folder.mkdir()
    for part in range(3):
        rows = [{"id": f"文{k}", "text": p.text} for k, p in enumerate(plants) if k * 3 // len(plants) == part]
        write(folder / f"{part}.jsonl", rows)
    for workers in (0, 2):
        engine = Engine(workers)
        _, found = search(str(folder), exam, tmp_path / f"{workers}.jsonl", engine=engine)
        engine.close()
        assert [tuple(r[k] for k in ("document", "start", "stop", "item", "share")) for r in found] == [
            tuple(r[k] for k in ("document", "start", "stop", "item", "share")) for r in spans
        ]
    assert (tmp_path / "0.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()
    assert len(spans) > 100


def test_rows_without_an_id_are_named_after_their_place(tmp_path: Path, exam: str) -> None:
    rows = [{"text": ROWS[1]["text"]}, {"text": EN}, {"id": {"not": "an id"}, "text": ZH}]
    _, found = search(write(tmp_path / "pages.jsonl", rows), exam)
    assert [(r["document"], r["row"]) for r in found] == [("pages.jsonl:2", 2), ("pages.jsonl:3", 3)]
    _, found = search(write(tmp_path / "网页.parquet", rows[:2]), exam)
    assert [(r["document"], r["row"]) for r in found] == [("网页.parquet:2", 2)]


def test_damaged_rows_are_counted_and_named(tmp_path: Path, exam: str) -> None:
    source, out = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    good = json.dumps(ROWS[3], ensure_ascii=False).encode()
    lines = [good, b'{"id": "x", "text": ', b'{"id": "y"}', b"[3]", b'{"id": "z", "text": "\xff"}', b'{"id": "e", "text": null}']
    source.write_bytes(b"\n".join(lines) + b"\n")
    leaks, found = search(str(source), exam, out)
    assert leaks.documents == 1 and len(found) == 1 and sum(leaks.rejected.values()) == len(lines) - 1
    beside = out.with_name("out.jsonl.rejected.jsonl")
    rejected = [json.loads(line) for line in beside.read_text("utf-8").splitlines()]
    assert rejected == leaks.examples and [r["row"] for r in rejected] == [2, 3, 4, 5, 6] and rejected[0]["file"] == str(source)
    told = CliRunner().invoke(main, ["leak", "corpus", str(source), "--benchmark", exam, "--workers", "0", "--summary"])
    assert told.exit_code == 0 and "5 and 0 more" not in told.output
    assert "2 rows rejected: no text" in told.output and f"{source} row 2" in told.output
    search(write(tmp_path / "texts.jsonl", ROWS), exam, out)
    assert not beside.exists()  # what an earlier search rejected is not told again


@pytest.mark.parametrize("name", ["texts.jsonl", "网页.jsonl"])
def test_the_matches_go_to_no_input(tmp_path: Path, name: str) -> None:
    texts, items = write(tmp_path / name, ROWS), write(tmp_path / "exam.jsonl", [{"question": EN}])
    for out, exam in ((texts, items), (items, items), (items, f"题={items}")):
        with pytest.raises(ConfigError, match="is one of the inputs"):
            search(texts, exam, Path(out))
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted([name, "exam.jsonl"])


def test_what_is_wrong_is_told(tmp_path: Path, exam: str) -> None:
    texts = write(tmp_path / "texts.jsonl", [{"id": "a", "内容": EN, "body": "x"}])
    columns = write(tmp_path / "texts.parquet", [{"id": "a", "内容": EN}])
    good = write(tmp_path / "good.jsonl", ROWS)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROWS[0]).encode() * 50)[:-20])
    (tmp_path / "empty.jsonl").write_bytes(b"")
    no_text = write(tmp_path / "blank.jsonl", [{"id": "a", "question": " "}])
    twice = write(tmp_path / "twice.jsonl", [{"id": "题", "question": EN}, {"id": "题", "question": ZH}])
    other = write(tmp_path / "other.jsonl", [{"id": "1", "stem": EN}])
    later = write(tmp_path / "later.jsonl", [{"id": "1", "question": EN}, {"id": "2", "text": ZH}])
    cases: list[tuple[str, str, dict[str, Any], type[SkyloomError], str]] = [
        (texts, exam, {}, DataError, r"no document with text in the field 'text'.*'id', '内容', 'body'"),
        (columns, exam, {}, DataError, r"no column 'text'; it has id, 内容"),
        (str(tmp_path / "cut.jsonl.gz"), exam, {}, DataError, "damaged or cut off"),
        (str(tmp_path / "absent.jsonl"), exam, {}, DataError, "does not exist"),
        (good, str(tmp_path / "absent.jsonl"), {}, ConfigError, "does not exist"),
        (good, str(tmp_path), {}, ConfigError, "is a folder"),
        (good, str(tmp_path / "empty.jsonl"), {}, DataError, r"empty\.jsonl has no item"),
        (good, no_text, {}, DataError, "only items without text"),
        (good, twice, {}, DataError, r"item 2: its id '题' is that of an item before it"),
        (good, other, {}, DataError, r"none of the fields question, text.*there are: id, stem.*--item-field"),
        (good, later, {}, DataError, r"item 2: it has none of the fields.*there are: id, text"),
        (good, exam, {"item_fields": ("stem",)}, DataError, r"no field 'stem' \(there are: question, answer\)"),
    ]
    for source, items, more, kind, match in cases:
        with pytest.raises(kind, match=match):
            search(source, items, **more)
    with pytest.raises(ConfigError, match=r"must end in \.jsonl"):
        search(good, exam, tmp_path / "out.csv")
    told = CliRunner().invoke(main, ["leak", "corpus", texts, "--benchmark", exam, "--workers", "0"])
    assert told.exit_code == 3 and "Traceback" not in told.output
    assert not list(tmp_path.glob("out*"))


def test_benchmark_files_are_told_apart(tmp_path: Path) -> None:
    for name in ("gsm8k", "cmath"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "test.jsonl", [{"question": EN, "choices": ["20 m/s", "二十"], "A": 7, "answer": "secret"}])
    files = [str(tmp_path / name / "test.jsonl") for name in ("gsm8k", "cmath")]
    table = read_benchmarks([*files, f"again={files[0]}"])
    assert table["benchmark"].to_pylist() == ["gsm8k/test", "cmath/test", "again"]
    assert table["item"].to_pylist() == ["1", "1", "1"] and set(table["text"].to_pylist()) == {f"{EN}\n20 m/s\n二十\n7"}
    assert read_benchmarks(files[:1])["benchmark"].to_pylist() == ["test"]
    assert read_benchmarks(files[:1], ["answer"])["text"].to_pylist() == ["secret"]
    with pytest.raises(ConfigError, match="2 benchmark files are named 'x'"):
        read_benchmarks([f"x={file}" for file in files])
    write(tmp_path / "a=b.jsonl", [{"question": EN}])
    assert read_benchmarks([str(tmp_path / "a=b.jsonl")])["benchmark"].to_pylist() == ["a=b"]


def test_an_interrupted_search_goes_on(tmp_path: Path, exam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "texts", tmp_path / "out.jsonl"
    folder.mkdir()
    for k, row in enumerate(ROWS):
        write(folder / f"{k}.jsonl", [row])
    seen, look = list[str](), command.look_at_file

    def stopped(task: Any, work: Any) -> Any:
        seen.append(task.key)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return look(task, work)

    monkeypatch.setattr(command, "look_at_file", stopped)
    with pytest.raises(KeyboardInterrupt):
        search(str(folder), exam, out)
    assert not out.exists() and len(list(tmp_path.glob(".skyloom-leak-*"))) == 1
    leaks, _ = search(str(folder), exam, out)
    assert seen == ["00000", "00001", "00002", "00002", "00003"]  # what was finished is not searched again
    assert leaks.matches == 3 and not list(tmp_path.glob(".skyloom-leak-*"))


def test_the_summary_and_the_json(tmp_path: Path, exam: str) -> None:
    source = write(tmp_path / "texts.jsonl", ROWS)
    call = ["leak", "corpus", source, "--benchmark", f"考试={exam}", "--workers", "0", "--quiet"]
    told = CliRunner().invoke(main, [*call, "--json"])
    found = json.loads(told.output)
    assert found["documents"] == 4 and found["rejected"] == {} and [m["benchmark"] for m in found["matches"]] == ["考试"] * 3
    assert "matches" not in json.loads(CliRunner().invoke(main, [*call, "--json", "--summary"]).output)
    told = CliRunner().invoke(main, [*call, "--summary"])
    assert told.exit_code == 0 and "考试" in told.output and "100.00%" in told.output and "4 documents" in told.output
    assert "书" not in told.output


def test_what_a_search_keeps_for_itself_comes_back_or_is_told(tmp_path: Path) -> None:
    work, index = (
        Store(tmp_path),
        build_index(pa.table([["exam"] * 2, ["1", "书"], [EN, ZH]], schema=ITEMS), DecontaminationConfig()),
    )
    counts = np.zeros(len(index.grams), np.int64)
    counts[[0, 5]] = 3, 2**40
    command._keep_counts(work, "counts.arrow", counts)
    assert (command._kept_counts(work, "counts.arrow", index) == counts).all()
    (tmp_path / "counts.arrow").write_bytes((tmp_path / "counts.arrow").read_bytes()[:-20])
    with pytest.raises(IntegrityError, match="is not what was written"):
        command._kept_counts(work, "counts.arrow", index)
