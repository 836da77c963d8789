"""`skyloom eval tasks` as it is typed: a folder of a model, local data, no network."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from skyloom.cli import main
from skyloom.score.likelihood import InferenceEngine
from skyloom.score.requests import Asked, Likelihood
from tests.evaluate.benchmarks import stand_in as small


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.hub_folder(tmp_path_factory.mktemp("models") / "小模型", adds_bos=False, context=2048)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_EVALUATE_OFFLINE"):
        monkeypatch.setenv(name, os.environ.get(name, "0"))  # what the command sets is taken back


def typed(*words: object) -> Result:
    return CliRunner().invoke(main, ["eval", "tasks", *map(str, words)])


def test_a_folder_of_a_model_on_local_data(folder: Path, tmp_path: Path) -> None:
    items, out = small.lines(tmp_path / "题.jsonl", small.arc(6)), tmp_path / "out"
    words = ("--tasks", "arc_easy", "--shots", 0, "--data", f"arc_easy={items}", "--offline", "--out", out)
    done = typed(f"甲={folder}", f"乙={folder}", *words, "--compare", "甲", "乙", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report == json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    assert [m["model"] for m in report["models"]] == ["甲", "乙"] and report["models"][0]["begins_with"] == "bos"
    assert report["comparison"][0]["difference"] == 0.0 and report["comparison"][0]["p"] == 1.0
    page = tmp_path / "基准.html"
    shown = typed(folder, *words, "--page", page)
    assert shown.exit_code == 0 and "小模型" in shown.stdout and "near ties" in shown.stdout
    assert f"page: {page.resolve().as_uri()}" in shown.stdout and "arc_easy · acc" in page.read_text(encoding="utf-8")
    compared = typed("--compare", f"{out}", f"{out}")
    assert compared.exit_code == 2 and "both are the same" in compared.stderr


def test_fields_are_printed() -> None:
    done = typed("--fields", "piqa")
    assert done.exit_code == 0 and '"sol1": "…"' in done.stdout and "validation" in done.stdout
    assert json.loads(typed("--fields", "gsm8k", "--json").stdout)[0]["item"] == {"question": "…", "answer": "…"}


def test_mistakes_are_sentences(folder: Path, tmp_path: Path) -> None:
    items = small.lines(tmp_path / "题.jsonl", small.arc(2))
    for words, code, told in (
        ((), 2, "name a MODEL"),
        ((folder,), 2, "no task was named"),
        ((folder, "--tasks", "arc_eazy", "--offline"), 2, "arc_easy"),
        ((folder, "--tasks", "arc_easy", "--offline"), 3, "no local data"),
        ((folder, folder, "--tasks", "arc_easy"), 2, "two models are named"),
        ((tmp_path / "无", "--tasks", "arc_easy"), 2, "is no model"),
        ((folder, "--tasks", "arc_easy", "--data", f"arc_easy={tmp_path / '无'}"), 2, "does not exist"),
        (
            (folder, "--tasks", "arc_easy", "--data", f"arc_easy={items}", "--offline", "--context", 8, "--out", tmp_path / "o"),
            3,
            "item q0",
        ),
        (("--compare", tmp_path, tmp_path), 2, "neither a model"),
        (("--fields", "无此任务"), 2, "unknown task '无此任务'"),
    ):
        done = typed(*words)
        assert (done.exit_code, told in done.stderr, "Traceback" in done.output) == (code, True, False), (words, done.output)


def test_ctrl_c_keeps_what_was_answered(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = small.lines(tmp_path / "a.jsonl", small.arc(4))
    words = (
        folder,
        "--tasks",
        "arc_easy",
        "--shots",
        0,
        "--data",
        f"arc_easy={items}",
        "--offline",
        "--out",
        tmp_path / "out",
        "--quiet",
    )
    answered = InferenceEngine.likelihoods

    def until_ctrl_c(engine: InferenceEngine, asked: Sequence[Asked], done: Callable[[int, Likelihood], None]) -> list[Likelihood]:
        found = answered(engine, asked[:5], done)
        assert len(found) == 5
        raise KeyboardInterrupt

    monkeypatch.setattr(InferenceEngine, "likelihoods", until_ctrl_c)
    done = typed(*words)
    assert done.exit_code == 130 and "run the same command again" in done.stderr
    assert (tmp_path / "out" / "answers.jsonl").read_bytes().count(b"\n") == 5
    monkeypatch.setattr(InferenceEngine, "likelihoods", answered)
    assert typed(*words).exit_code == 0
    assert (tmp_path / "out" / "answers.jsonl").read_bytes().count(b"\n") == 16


def test_a_tokenizer_that_does_not_fit_the_model(tmp_path: Path) -> None:
    """The item is named whose text has an id beyond the embedding."""
    import transformers

    folder = small.hub_folder(tmp_path / "m", adds_bos=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["河流"])
    tokenizer.save_pretrained(folder)
    rows = [
        item | {"question": "where?", "choices": {"text": ["a", "b", "c", "d"], "label": list("ABCD")}} for item in small.arc(3)
    ]
    rows[2]["question"] = "河流？"
    items = small.lines(tmp_path / "a.jsonl", rows)
    done = typed(folder, "--tasks", "arc_easy", "--data", f"arc_easy={items}", "--offline", "--out", tmp_path / "out")
    assert done.exit_code == 3 and "does not fit" in done.stderr and "item q2" in done.stderr, done.output
