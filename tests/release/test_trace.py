"""A trace finds the longest n-grams of a text, and all documents that have them, as a search of every document does."""

from __future__ import annotations

import json
import threading
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zstandard
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.cli import main
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.step import Step, StepContext, run_steps
from skyloom.core.store import Store
from skyloom.core.units import unit_bounds, units
from skyloom.release import sums
from skyloom.release.corpus_shards import FIELDS
from skyloom.release.trace import TraceIndex, build_index, index_of, open_corpus, trace
from skyloom.release.trace.suffixes import sort_suffixes
from tests.release import demo_run

SILENT = Progress.silent()
ENGLISH = ["the", "Loom", "weaves", "a", "é", "sky"]
CHINESE = ["天", "空", "织", "布", "机", "，"]
EN = "The loom weaves a sky of rain, and the rain falls on the roof of the old mill."
ZH = "天空是一台织布机，雨水落在老磨坊的屋顶上，一直下到星期天的晚上。"


def write_release(folder: Path, texts: Sequence[str], shards: int = 1) -> Path:
    """The corpus of a release of these documents, without anything else."""
    store, records = Store(folder, sync=False), []
    for shard in range(shards):
        rows = []
        for number in range(shard, len(texts), shards):
            known = {"text": texts[number], "id": f"d{number}", "lang": "en", "source": f"源{number % 3}", "domain": "web_en"}
            row = {**known, "url": f"https://example.org/{number}", "date": None, "license": "CC0-1.0" if number % 2 else None}
            rows.append(json.dumps({key: row[key] for key in FIELDS}, ensure_ascii=False).encode() + b"\n")
        data = zstandard.ZstdCompressor().compress(b"".join(rows))
        records.append(store.write_bytes(f"corpus/train-{shard:05d}.jsonl.zst", data))
    sums.write(records, store)
    return folder


def indexed(folder: Path, texts: Sequence[str], part_units: int, shards: int = 1) -> TraceIndex:
    corpus = open_corpus(write_release(folder / "release", texts, shards))
    return build_index(corpus, folder / "index", part_units=part_units, progress=SILENT)


def brute(documents: Sequence[list[str]], query: list[str], least: int) -> dict[tuple[int, int], dict[int, int]]:
    """(first, length) of each maximal n-gram of a query, with the occurrences by document."""

    def counts(gram: list[str]) -> dict[int, int]:
        found = {n: sum(d[i : i + len(gram)] == gram for i in range(len(d))) for n, d in enumerate(documents)}
        return {n: count for n, count in found.items() if count}

    result, reached = {}, 0
    for first in range(len(query)):
        length = max((k for k in range(1, len(query) - first + 1) if counts(query[first : first + k])), default=0)
        if length >= least and first + length > reached:
            result[first, length] = counts(query[first : first + length])
        reached = max(reached, first + length)
    return result


@st.composite
def corpora(draw: st.DrawFn) -> tuple[list[str], str, int, int, int]:
    words = draw(st.sampled_from([ENGLISH, CHINESE, ENGLISH + CHINESE]))
    gap = draw(st.sampled_from([" ", "", ", "])) if words is CHINESE else " "
    text = st.lists(st.sampled_from(words), max_size=14).map(gap.join)
    query = st.lists(st.sampled_from([*words, "unseen", "没"]), min_size=1, max_size=12).map(gap.join)
    texts = draw(st.lists(text, min_size=1, max_size=8))
    return texts, draw(query), draw(st.integers(1, 3)), draw(st.integers(15, 60)), draw(st.integers(1, 3))


@settings(max_examples=40, deadline=None)
@given(corpora())
def test_a_trace_finds_what_a_search_of_all_documents_finds(tmp_path_factory: pytest.TempPathFactory, case: tuple) -> None:
    texts, query, least, part_units, shards = case
    index = indexed(tmp_path_factory.mktemp("trace"), texts, part_units, shards)
    asked, documents = units(query), [units(text) for text in texts]
    assert index.units == sum(map(len, documents)) and index.documents == len(texts)
    if len(asked) < least:
        with pytest.raises(DataError):
            trace(index, query, least=least)
        return
    found = trace(index, query, least=least, spans=100, documents=100)
    wished = brute(documents, asked, least)
    starts, stops = unit_bounds(found.text.encode())
    places = [
        (len(found.text.encode()[:a].decode()), len(found.text.encode()[:b].decode())) for a, b in zip(starts, stops, strict=True)
    ]
    shown = {}
    for span in found.spans:
        first = [start for start, _ in places].index(span.start)
        assert span.text == found.text[span.start : span.stop] and places[first + span.units - 1][1] == span.stop
        shown[first, span.units] = {int(d.id[1:]): d.occurrences for d in span.documents}
        assert span.occurrences == sum(d.occurrences for d in span.documents)
        for document in span.documents:
            assert units(document.matched) == units(span.text)
            whole = unicodedata.normalize("NFC", texts[int(document.id[1:])])
            assert document.before + document.matched + document.after == whole
    assert shown == wished
    lengths = [span.units for span in found.spans]
    assert lengths == sorted(lengths, reverse=True)
    assert found.traced == len({first + k for first, length in wished for k in range(length)})


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4).flatmap(lambda k: st.lists(st.integers(0, k), min_size=1, max_size=60)))
def test_suffixes_are_sorted(numbers: list[int]) -> None:
    given_units = np.array(numbers, np.int32)
    order = sort_suffixes(given_units, 5)
    assert given_units.tolist() == numbers
    assert order.tolist() == sorted(range(len(numbers)), key=lambda i: numbers[i:])


def test_suffixes_of_a_text_that_repeats_itself() -> None:
    """Several levels of the sort: Fibonacci words, and a passage that stands many times."""
    a, b = [1], [1, 2]
    for _ in range(14):
        a, b = b, b + a
    for numbers in (b, ([3, 1, 2] * 200 + [0]) * 3, [1] * 2000):
        order = sort_suffixes(np.array(numbers, np.int32), 4).tolist()
        ranks = {position: rank for rank, position in enumerate(order)}
        assert sorted(order) == list(range(len(numbers)))
        for one, two in pairwise(order):  # x + X < y + Y where x < y, or x == y and X < Y
            assert (numbers[one], ranks.get(one + 1, -1)) < (numbers[two], ranks.get(two + 1, -1))


def test_a_document_is_shown_as_it_is_written(tmp_path: Path) -> None:
    index = indexed(tmp_path, ["Nothing of it. 别的。", f"Before. {EN} After.", f"前面。{ZH}后面。", f"{EN} {ZH}"], 1000)
    found = trace(index, f"He said: the LOOM weaves – a sky of rain. {ZH[:12]}!", least=4, documents=1)
    assert [(span.text, span.units, span.occurrences) for span in found.spans] == [
        (ZH[:12], 11, 2),
        ("the LOOM weaves – a sky of rain", 7, 2),
    ]
    (chinese,), (english,) = (span.documents for span in found.spans)
    assert (chinese.id, chinese.source, chinese.url, chinese.license) == ("d2", "源2", "https://example.org/2", None)
    assert (chinese.before, chinese.matched) == ("前面。", ZH[:12]) and chinese.after.endswith("后面。")
    assert (english.id, english.before, english.matched) == ("d1", "Before. ", EN[:29]) and english.license == "CC0-1.0"


def test_texts_that_cannot_be_traced(tmp_path: Path) -> None:
    index = indexed(tmp_path, [EN, ZH], 1000)
    for text, said in (
        ("", "nothing to trace"), ("，。 …!", "nothing to trace"), ("天空是", "has 3 units"), ("too short", "has 2 units"),
        (b"\xff\xfe the loom weaves a sky", "not UTF-8"), ("\udcff the loom", "not UTF-8"), ("字" * 10_001, "10,001 units"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=said):
            trace(index, text)
    assert trace(index, "nothing here stands in any document 无此句话也").spans == ()


def test_an_index_is_kept_and_made_again_when_the_corpus_changes(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release", [EN, ZH])
    first = index_of(open_corpus(release), tmp_path / "index", progress=SILENT)
    made = (tmp_path / "index" / "index.json").stat().st_mtime_ns
    assert index_of(open_corpus(release), tmp_path / "index", verify=True, progress=SILENT).corpus == first.corpus
    assert (tmp_path / "index" / "index.json").stat().st_mtime_ns == made
    write_release(release, [EN, "另一个文档说了别的话。"])
    again = index_of(open_corpus(release), tmp_path / "index", progress=SILENT)
    assert again.corpus != first.corpus
    assert trace(again, "另一个文档说了别的话").spans[0].units == 10 and trace(again, ZH).spans == ()


def test_an_interrupted_build_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{EN} {n} {ZH}" for n in range(30)]
    whole = indexed(tmp_path / "whole", texts, 200, shards=3)
    release, out = tmp_path / "whole" / "release", tmp_path / "index"
    names: list[str] = []
    stop = 0
    real = Store.writing

    def counted(self: Store, name: str):
        names.append(name)
        if stop and len(names) > stop:
            raise KeyboardInterrupt
        return real(self, name)

    monkeypatch.setattr(Store, "writing", counted)
    for most in (1, 3, 12, 22, 40):
        stop = most
        names.clear()
        with pytest.raises(KeyboardInterrupt):
            build_index(open_corpus(release), out, part_units=200, progress=SILENT)
        assert not list(out.glob(".tmp-*")) and not (out / "index.json").exists()
        with pytest.raises(StorageError):
            TraceIndex.open(out)
    stop = 0
    names.clear()
    build_index(open_corpus(release), out, part_units=200, progress=SILENT)
    assert len(whole.parts) > 5 and not any(name.startswith("part-00000") for name in names)
    for path in (tmp_path / "whole" / "index").iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name


def test_two_processes_build_one_index(tmp_path: Path) -> None:
    corpus, made = open_corpus(write_release(tmp_path / "release", [EN, ZH] * 20)), []
    threads = [
        threading.Thread(target=lambda: made.append(build_index(corpus, tmp_path / "index", part_units=300, progress=SILENT)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2 and all(trace(index, EN).spans[0].occurrences == 20 for index in made)


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    indexed(tmp_path, [EN, ZH], 1000)
    path = tmp_path / "index" / "part-00000.order.npy"
    good = path.read_bytes()
    path.write_bytes(good[:-4])
    with pytest.raises(IntegrityError, match=r"part-00000\.order\.npy differ"):
        TraceIndex.open(tmp_path / "index")
    path.write_bytes(good[:-120] + b"\x7f" * 120)  # positions far outside: no fault, and a full check finds it
    trace(TraceIndex.open(tmp_path / "index"), EN, least=1, spans=50)
    with pytest.raises(IntegrityError, match="differ"):
        TraceIndex.open(tmp_path / "index", verify=True)
    path.write_bytes(good)
    texts = tmp_path / "index" / "part-00000.texts.zst"
    texts.write_bytes(texts.read_bytes()[:20] + bytes(len(texts.read_bytes()) - 20))
    with pytest.raises(IntegrityError, match=r"texts\.zst is damaged"):
        trace(TraceIndex.open(tmp_path / "index"), EN)
    shard = next((tmp_path / "release" / "corpus").iterdir())
    shard.write_bytes(shard.read_bytes() + b"\0")
    with pytest.raises(IntegrityError, match="not the file that was listed"):
        build_index(open_corpus(tmp_path / "release"), tmp_path / "other", progress=SILENT)


def test_corpora_that_cannot_be_indexed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a release"):
        open_corpus(tmp_path)
    corpus = open_corpus(write_release(tmp_path / "release", [EN * 10]))
    with pytest.raises(ConfigError, match="the document d0 has 180 units"):
        build_index(corpus, tmp_path / "index", part_units=100, progress=SILENT)
    with pytest.raises(ConfigError, match="at least 14 MB"):
        build_index(corpus, tmp_path / "index", memory=1000, progress=SILENT)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="--index"):
        build_index(corpus, tmp_path / "file" / "index", progress=SILENT)
    with pytest.raises(DataError, match="no training documents"):
        build_index(open_corpus(write_release(tmp_path / "empty", [])), tmp_path / "none", progress=SILENT)
    store = Store(tmp_path / "release")
    name = "corpus/train-00000.jsonl.zst"
    sums.write([store.write_bytes(name, zstandard.ZstdCompressor().compress(b'{"text": 3}\n'))], store)
    with pytest.raises(DataError, match="lines 1 to 1: not documents"):
        build_index(open_corpus(store.root), tmp_path / "index", progress=SILENT)


def test_a_run_and_its_corpus_step(tmp_path: Path) -> None:
    """The newest corpus of a run without a release; held-out documents are not looked through, wherever they stand."""
    rows = [
        demo_run.document(f"{text} {n}", lang, "web", "valid" if n % 3 == 0 else "train", "书" if lang != "en" else "book", f"u{n}")
        for n, (text, lang) in enumerate([(EN, "en"), (ZH, "zh-Hans")] * 9)
    ]
    rows.append(demo_run.document("只有验证集才有的一句话，训练时没有读过。", "zh-Hans", "web", "valid", "书", "u99"))

    def write(context: StepContext) -> None:
        context.out.write_table("documents-00000.parquet", demo_run.table(rows[:7]))
        context.out.write_table("documents-00001.parquet", demo_run.table(rows[7:]))
        context.out.write_json("ledger.json", {})

    run_steps([Step("corpus", write)], Store(tmp_path), Engine(), SILENT)
    corpus = open_corpus(tmp_path)
    assert list(corpus.files) == ["documents-00000.parquet", "documents-00001.parquet"]
    one, many = (build_index(corpus, tmp_path / f"index-{size}", part_units=size, progress=SILENT) for size in (10_000, 64))
    assert one.documents == many.documents == 12 and len(many.parts) > 3
    for index in (one, many):
        found = trace(index, f"{ZH} {EN}", spans=2, documents=20)
        assert {(d.id, d.occurrences) for s in found.spans for d in s.documents} == {
            (r["id"], 1) for r in rows if r["split"] == "train"
        }
        assert [span.occurrences for span in found.spans] == [6, 6] and found.spans[0].documents[0].source == "书"
        assert trace(index, "只有验证集才有的一句话", least=4).spans == ()


def test_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "release-1"
    write_release(folder, [EN, ZH])
    runner = CliRunner()
    done = runner.invoke(main, ["release", "trace", str(tmp_path / "runs"), ZH[:10], "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    span = json.loads(done.stdout)["spans"][0]
    assert (span["units"], span["occurrences"], span["documents"][0]["id"]) == (9, 1, "d1")
    assert (tmp_path / "runs" / "release-1.trace" / "index.json").is_file()
    many = tmp_path / "many.txt"
    many.write_text(f"{EN}\n\n{ZH}\n", encoding="utf-8")
    done = runner.invoke(main, ["release", "trace", str(folder), "--file", str(many), "--json", "--verify"])
    assert [json.loads(line)["spans"][0]["documents"][0]["id"] for line in done.stdout.splitlines()] == ["d0", "d1"]
    done = runner.invoke(main, ["release", "trace", str(folder), "-", "--index", str(tmp_path / "elsewhere")], input=EN)
    assert "of at least 6" in done.stdout and "https://example.org/0" in done.stdout and (tmp_path / "elsewhere").is_dir()
    many.write_bytes(EN.encode() + b"\n\xff\xff\xff\n")
    for given_text, said, code in (
        (["--file", str(many)], "line 2: the text is not UTF-8", 3), (["天"], "has 1 units", 3), ([], "Usage", 2),
        ([EN, "--memory", "many"], "--memory is 'many'", 2),
    ):  # fmt: skip
        done = runner.invoke(main, ["release", "trace", str(folder), *given_text])
        assert done.exit_code == code and said in done.output, done.output
