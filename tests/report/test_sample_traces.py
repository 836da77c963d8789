"""Samples of the run page lead to the training documents that hold their longest n-grams, or to the command that finds them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.core.errors import IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release.trace import TraceIndex, index_folder, index_of, open_corpus
from skyloom.report.config import ReportConfig
from skyloom.report.figures.sample_traces import SPANS, index_beside, sample_traces
from skyloom.report.page import write
from tests.release.test_trace import EN, ZH, write_release
from tests.report import demo_run
from tests.report.test_page import Outline, chinese, english

SILENT = Progress.silent()
SAMPLES = [
    {"model": "final", "lang": "en", "prompt": "It is said that", "text": "the rain falls on the roof of the old mill, and then it stops"},
    {"model": "final", "lang": "zh-Hans", "prompt": "我听说", "text": "雨水落在老磨坊的屋顶上，后来停了"},
    {"model": "final", "lang": "en", "prompt": "-", "text": "--all of this is nowhere to be found in 'any' text <b>"},
    {"model": "final", "lang": "en", "prompt": "x", "text": "ok"},
]  # fmt: skip


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release-00", [EN, ZH, "nothing of it", f"{EN} Again: {EN}"])


@pytest.fixture
def index(release: Path) -> TraceIndex:
    corpus = open_corpus(release)
    return index_of(corpus, index_folder(corpus), progress=SILENT)


def page(run: dict[str, Store], out: Path, index: TraceIndex | None) -> str:
    judged = Store(out / "evaluate")
    judged.write_json("samples.json", SAMPLES)
    write({**run, "evaluate": judged}, Store(out), ReportConfig(), demo_run.run_facts(), index=index, progress=SILENT)
    return (out / "report.html").read_text("utf-8")


def test_samples_show_documents_with_their_longest_n_grams(run: dict[str, Store], index: TraceIndex, tmp_path: Path) -> None:
    text = page(run, tmp_path, index)
    body = " ".join(Outline(english(text)).sections["samples"].split())
    assert "the rain falls on the roof of the old mill 10 units, 3 times" in body and "10 of 14 units" in body
    assert "源0 · – · https://example.org/0" in body and "源0 · CC0-1.0 · https://example.org/3" in body
    assert "雨水落在老磨坊的屋顶上 11 units, 1 times" in body and "源1 · CC0-1.0 · https://example.org/1" in body
    assert "No n-gram of at least 6 units stands in the training documents." in body and "Too short to be found" in body
    two = " ".join(Outline(chinese(text)).sections["zh-samples"].split())
    assert "11 个单位，出现 1 次" in two and "训练文档中没有至少 6 个单位的 n 元组。" in two and "文本过短" in two
    block = re.findall(r'<script type="application/json" id="data-traces">(.*?)</script>', text, re.S)
    rows = json.loads(block[0])["rows"]
    assert [row[6] for row in rows] == ["d0", "d3", "d1"] and rows[0][4:6] == [10, 3]


def test_without_an_index_stands_the_command_that_finds_them(run: dict[str, Store], release: Path, tmp_path: Path) -> None:
    text = page(run, tmp_path, None)
    commands = re.findall(r"<code>(skyloom release trace .*?)</code>", english(text), re.S)
    assert len(commands) == 3 and "skyloom report page demo --out page.html" in english(text)
    assert "在训练文档中查找" in chinese(text) and 'id="data-traces"' not in text
    for sample, one in zip(SAMPLES, sample_traces(SAMPLES, None, str(release)), strict=True):  # type: ignore[arg-type]  # of a test
        if sample["text"] == "ok":
            assert one.command == ""
            continue
        words = shlex.split(one.command)
        assert words[0] == "skyloom" and words[-1] == sample["text"]
        told = CliRunner().invoke(main, words[1:])
        assert told.exit_code == 0, told.output
        assert ("old mill" in told.output) == ("old mill" in sample["text"])


def test_many_n_grams_of_a_sample_are_bounded(tmp_path: Path) -> None:
    texts = [" ".join(f"w{n}x{k}" for k in range(8)) for n in range(9)]
    corpus = open_corpus(write_release(tmp_path / "r", texts))
    index = index_of(corpus, index_folder(corpus), progress=SILENT)
    sample = {"model": "final", "lang": "en", "prompt": "", "text": " unseen ".join(texts)}
    (one,) = sample_traces([sample], index, "runs/x")  # type: ignore[list-item]  # a dictionary of a test
    assert one.found is not None and len(one.found.spans) == SPANS and one.found.traced == 72


def test_only_an_index_of_this_corpus_is_read(release: Path, index: TraceIndex) -> None:
    inputs = {"release": Store(release)}
    found = index_beside(inputs, SILENT)
    assert found is not None and found.corpus == index.corpus and index_beside({}, SILENT) is None
    write_release(release, [EN])
    assert index_beside(inputs, SILENT) is None, "the index is of another corpus"
    (Path(index_folder(open_corpus(release))) / "index.json").write_text("{")
    with pytest.raises(IntegrityError, match="damaged"):
        index_beside(inputs, SILENT)
