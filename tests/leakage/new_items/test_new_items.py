"""`skyloom leak reference` against a local endpoint that obeys, refuses, dawdles or talks nonsense, in English and Chinese."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from skyloom.cli import main
from skyloom.leakage.benchmark_sets import BenchmarkItem, read_benchmark
from skyloom.leakage.blind import Auc, BlindBaseline, blind_baseline
from skyloom.leakage.new_items import chat_endpoint, new_items_run
from skyloom.leakage.new_items.item_checks import ItemChecks, WrittenItem
from skyloom.leakage.new_items.item_prompts import EXAMPLES, item_prompt, prompt_form
from skyloom.leakage.new_items.near_items import KnownItems
from skyloom.leakage.new_items.new_items_run import _allotted
from tests.evaluate.benchmarks import stand_in
from tests.leakage.new_items.chat_stub import LOST, Chat, Reply, speaking, written

KEY = "sk-Geheim-1234567890"
QUESTIONS = {
    "en": "Anna has 12 melons and buys 7 more at the market on Monday. How many melons does she have?",
    "zh": "小明有12个苹果，星期一在市场又买了7个，现在他一共有几个苹果？",
}


@pytest.fixture
def chat() -> Iterator[Chat]:
    with speaking(Chat()) as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The blind baseline takes longer than all else; one test looks at it."""
    auc = Auc(0.5, 0.4, 0.6, 0.05)
    monkeypatch.setattr(new_items_run, "blind_baseline", lambda *_, **__: BlindBaseline(auc, auc, 20))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(chat_endpoint, "_sleep", found.append)
    return found


def bench(folder: Path, *langs: str, each: int = 20, name: str = "测试.jsonl", answers: bool = True) -> Path:
    rows = []
    for lang in langs:
        for number in range(each):
            row = {"id": f"{lang} {number}", **json.loads(written(10_000 + number, lang))}
            rows.append(row if answers else {k: v for k, v in row.items() if k != "answer"})
    return stand_in.lines(folder / name, rows)


def typed(chat: Chat, benchmark: Path, out: Path, *more: object) -> Result:
    words = [
        "leak",
        "reference",
        benchmark,
        "--endpoint",
        chat.url,
        "--model",
        "模型",
        "--out",
        out,
        "--items",
        20,
        "--quiet",
        *more,
    ]
    return CliRunner().invoke(main, list(map(str, words)))


def report(out: Path) -> dict[str, object]:
    return dict(json.loads(out.with_name(f"{out.name}.report.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("langs", [("en",), ("zh",), ("en", "zh")])
def test_a_set_is_written_with_all_that_it_was_made_with(
    chat: Chat, tmp_path: Path, langs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_items_run, "blind_baseline", blind_baseline)
    benchmark, out = bench(tmp_path, *langs), tmp_path / "新.jsonl.gz"
    done = typed(chat, benchmark, out, "--temperature", 0.7, "--max-tokens", 300, "--examples", 3, "--date", "2026-11-29")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in gzip.decompress(out.read_bytes()).decode().splitlines()]
    assert len(rows) == 20 == len(read_benchmark(out).items) and {r["lang"] for r in rows} == set(langs)
    about = report(out)
    assert about["benchmark_sha256"] == hashlib.sha256(benchmark.read_bytes()).hexdigest() and about["benchmark"] == "测试.jsonl"
    assert (about["model"], about["endpoint"], about["served"]) == ("模型", chat.url, {"stub-2": 20})
    assert (about["temperature"], about["max_tokens"], about["examples"], about["seed"]) == (0.7, 300, 3, 1)
    assert about["date"] == "2026-11-29" and about["tokens"] == {"prompt": 140, "answer": 60} and about["rejected"] == {}
    assert about["prompts"] == {lang: prompt_form(lang, question_only=False) for lang in langs}
    blind = about["blind"]
    assert isinstance(blind, dict) and blind["words"]["auc"] is not None and blind["length"]["low"] <= blind["length"]["high"]
    assert f"words alone: told from the benchmark with an AUC of {blind['words']['auc']:.3f}" in done.output
    body = chat.asked[0]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("模型", 0.7, 300)
    known = {item.question for item in read_benchmark(benchmark).items}
    for prompt in chat.prompts():
        shown = [json.loads(line)["question"] for line in prompt.splitlines() if line.startswith("{")]
        assert len(shown) == len(set(shown)) == 3 and set(shown) <= known
        assert len({re.search("[\u4e00-\u9fff]", question) is None for question in shown}) == 1  # one language in a prompt
    assert len(set(chat.prompts())) > 10  # other examples each time


def test_the_same_command_asks_for_nothing_twice_and_gives_the_same_bytes(chat: Chat, tmp_path: Path) -> None:
    benchmark, out = bench(tmp_path, "en", "zh"), tmp_path / "o.jsonl"
    assert typed(chat, benchmark, out).exit_code == 0
    first, side, asked = out.read_bytes(), report(out), len(chat.asked)
    out.unlink()
    assert typed(chat, benchmark, out).exit_code == 0
    assert (out.read_bytes(), report(out), len(chat.asked)) == (first, side, asked) and side["date"] is None
    assert typed(chat, benchmark, out, "--items", 30).exit_code == 0 and len(chat.asked) == 30  # what is there is used
    assert typed(chat, benchmark, out, "--temperature", 0.5).exit_code == 0 and len(chat.asked) == 50  # another question


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_questions_alone_get_questions_alone(chat: Chat, tmp_path: Path, lang: str) -> None:
    out = tmp_path / "o.jsonl"
    done = typed(chat, bench(tmp_path, lang, answers=False), out)
    assert done.exit_code == 0, done.output
    assert all(set(json.loads(line)) == {"id", "lang", "question"} for line in out.read_text().splitlines())
    assert report(out)["question_only"] and '"answer"' not in chat.prompts()[0]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_answers_that_are_no_items_are_counted_by_reason(chat: Chat, tmp_path: Path, lang: str) -> None:
    benchmark, other = bench(tmp_path, lang), {"en": "zh", "zh": "en"}[lang]
    known = read_benchmark(benchmark).items[0]
    near = re.sub(r"\d+", "41", known.question)
    good = written(77, lang)
    numbers = re.sub(r"\d+", "55", json.loads(good)["question"])
    chat.first = [
        good, "Sorry, I can't.", "[1, 2]", json.dumps({"question": "  ", "answer": "1"}), json.dumps({"question": QUESTIONS[lang]}),
        json.dumps({"question": known.question, "answer": "1"}), json.dumps({"question": near, "answer": "1"}), good,
        json.dumps({"question": numbers, "answer": "1"}), written(5, other), "", b"<html>", b'{"choices": []}', b'[]',
        b'{"choices": [{"message": {"content": null}}]}', b'{"choices": [{"message": {"content": "{"}, "finish_reason": "length"}]}',
        json.dumps({"question": QUESTIONS[lang] + "\ud800", "answer": "1"}), json.dumps({"question": QUESTIONS[lang], "answer": True}),
    ]  # fmt: skip
    out = tmp_path / "o.jsonl"
    done = typed(chat, benchmark, out)
    assert done.exit_code == 0, done.output
    assert report(out)["rejected"] == {
        "no JSON object": 2, "no answer in it": 2, "no text in the answer": 2, "not an answer of a chat endpoint": 3,
        "no question in it": 1, "a copy of a benchmark item": 1, "nearly a benchmark item": 1, "a repeat of an earlier answer": 1,
        "nearly an earlier answer": 1, "another language": 1, "cut off at --max-tokens": 1, "not Unicode": 1,
    }  # fmt: skip
    assert "nearly a benchmark item" in done.output and report(out)["answers"] == 37


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "<think>\nmaybe {{1}}?\n</think>\n{}", "好的 / Here it is: {} \n"])
def test_json_is_found_in_what_models_put_around_it(around: str, lang: str) -> None:
    row = {"question": QUESTIONS[lang], "answer": 19}
    checks = ItemChecks(KnownItems([]), question_only=False)
    text = around.replace("{{", "{").replace("}}", "}").replace("{}", json.dumps(row, ensure_ascii=False))
    assert checks.item(text, lang) == WrittenItem(QUESTIONS[lang], "19")


def test_near_copies() -> None:
    known = KnownItems(QUESTIONS.values())
    for near in (
        "Boris has 1,250 melons and buys 3.5 more at the market on Monday. How many melons does he have?",
        "anna HAS 12 melons and buys 7 more, at the market on monday! How many melons does she have",
        "小红有30个苹果，星期一在市场又买了8个，现在她一共有几个苹果？",
    ):
        assert known.nearly(near), near
    assert known.copied("anna HAS 12 melons and buys 7 more, at the market on monday! How many melons does she have")
    for new in ("A train leaves at 7 and rides for 12 hours. When does it arrive?", "一列火车7时出发，行驶12小时，几时到达？"):
        assert not known.nearly(new) and not known.copied(new)
    assert known.nearly("12") is False and known.nearly("") is False


def test_shares_of_languages_and_prompts() -> None:
    assert _allotted(20, {"en": 2, "zh": 1}) == {"en": 13, "zh": 7} and _allotted(20, {"en": 1, "zh": 1000}) == {"zh": 20}
    items = [BenchmarkItem("1", "zh", QUESTIONS["zh"], "19", QUESTIONS["zh"])]
    prompt = item_prompt("zh", items, question_only=False)
    assert EXAMPLES not in prompt and json.dumps({"question": QUESTIONS["zh"], "answer": "19"}, ensure_ascii=False) in prompt
    assert "答案必须正确" in prompt and "The answer must be right" in prompt_form("en", question_only=False)


def test_a_key_is_sent_and_written_nowhere(chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark, out = bench(tmp_path, "zh"), tmp_path / "aus" / "o.jsonl"
    assert typed(chat, benchmark, out).exit_code == 0 and "Authorization" not in chat.headers[0]
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "not asked for")
    chat.url += f"/chat/completions?token={KEY}&more=other-secret"
    out.unlink()
    chat.first = [(429, json.dumps({"error": {"message": f"slow down, {KEY} other-secret"}}).encode(), {"Retry-After": "0"})]
    words = ["leak", "reference", str(benchmark), "--endpoint", chat.url, "--model", "m", "--out", str(out)]
    done = CliRunner().invoke(main, [*words, "--items", "20", "--key-env", "MY_KEY"])
    assert done.exit_code == 0 and "slow down, … …" in done.stderr, done.output
    assert chat.headers[-1]["Authorization"] == f"Bearer {KEY}"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4 and not any(KEY.encode() in path.read_bytes() for path in files) and KEY not in done.output
    assert not any(b"other-secret" in path.read_bytes() for path in files) and "other-secret" not in done.output
    assert not any(KEY in json.dumps(body) for body in chat.asked)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_one_sentence(
    chat: Chat, tmp_path: Path, status: int, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, out = bench(tmp_path, "en", "zh"), tmp_path / "o.jsonl"
    monkeypatch.setenv("MY_KEY", KEY)
    chat.usual = lambda *_: (status, b'{"error": {"message": "Incorrect API key"}}', {})
    done = typed(chat, benchmark, out)
    assert done.exit_code == 2 and "wants a key" in done.stderr and "--key-env NAME" in done.stderr, done.output
    done = typed(chat, benchmark, out, "--key-env", "MY_KEY")
    assert done.exit_code == 2 and "does not accept the key in MY_KEY" in done.stderr and KEY not in done.output
    assert done.stderr.count("\n") == 1 and len(chat.asked) == 2 and not waits and not out.exists()


def test_what_may_pass_is_asked_again(chat: Chat, tmp_path: Path, waits: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    chat.first = [
        (500, b"", {}), (503, b"", {}), (429, b"{}", {"Retry-After": "17"}), (429, b"", {"Retry-After": later}), LOST,
        (429, b"", {"Retry-After": "soon"}), written(1, "zh"), LOST,
    ]  # fmt: skip
    out = tmp_path / "o.jsonl"
    done = typed(chat, bench(tmp_path, "zh"), out, "--retries", 6)
    assert done.exit_code == 0, done.output
    assert waits[:3] == [1, 2, 17] and 0 < waits[3] <= 100 and waits[4:] == [16, 32, 1]
    assert report(out)["answers"] == 20 and report(out)["rejected"] == {}  # a refusal is no answer


def test_an_endpoint_that_never_answers(chat: Chat, tmp_path: Path, waits: list[float]) -> None:
    benchmark, out = bench(tmp_path, "en"), tmp_path / "o.jsonl"
    chat.first = [written(0, "en")]
    chat.usual = lambda *_: (429, b'{"error": {"message": "no credit left"}}', {})
    done = typed(chat, benchmark, out, "--retries", 2)
    assert done.exit_code == 3 and "in 3 tries: 429 Too Many Requests (no credit left)" in done.stderr, done.output
    assert waits == [1, 2] and "run the same command again later to continue" in done.stderr and not out.exists()
    chat.usual = lambda *_: (429, b"", {"Retry-After": "86400"})
    done = typed(chat, benchmark, out)
    assert done.exit_code == 3 and "asks to wait 86,400 s" in done.stderr and waits == [1, 2]
    chat.usual = Chat().usual
    assert typed(chat, benchmark, out).exit_code == 0 and report(out)["answers"] == 20
    assert len(chat.asked) == 1 + 3 + 1 + 19  # the first answer was kept


def test_a_slow_endpoint(chat: Chat, tmp_path: Path, waits: list[float]) -> None:
    chat.held.clear()
    done = typed(chat, bench(tmp_path, "zh"), tmp_path / "o.jsonl", "--timeout", 0.05, "--retries", 1)
    assert done.exit_code == 3 and "nothing came in 0.05 s (--timeout)" in done.stderr and waits == [1], done.output


def test_an_endpoint_that_is_not_there(tmp_path: Path, waits: list[float]) -> None:
    with speaking(Chat()) as gone:
        pass
    done = typed(gone, bench(tmp_path, "en"), tmp_path / "o.jsonl")
    assert done.exit_code == 5 and f"cannot reach {gone.url}: Connection refused" in done.stderr and not waits, done.output


def test_refused_requests_and_redirects(chat: Chat, tmp_path: Path, waits: list[float]) -> None:
    answers: list[tuple[Reply, str]] = [
        ((404, b'{"error": {"message": "The model `m` does not exist"}}', {}), "404 Not Found (The model `m` does not exist)"),
        ((400, b'{"detail": "max_tokens is\\u001b[31m too large"}', {}), "400 Bad Request (max_tokens is [31m too large)"),
        ((422, b"\xff\xfe", {}), "422 Unprocessable"),
        ((302, b"", {"Location": "http://169.254.169.254/"}), "redirected to another host"),
        ((307, b"", {"Location": chat.url}), "redirected to another host"),
        ((302, b"", {}), "another address (302 Found)"),
    ]
    for number, (reply, told) in enumerate(answers):
        chat.first = [reply]
        done = typed(chat, bench(tmp_path, "zh"), tmp_path / f"{number}.jsonl")
        assert done.exit_code == 2 and told in done.stderr and "Traceback" not in done.output, done.output
    assert not waits


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nonsense_ends_before_the_budget(chat: Chat, tmp_path: Path, lang: str) -> None:
    chat.usual = lambda number, prompt: "我不会。" if number % 2 else b"<html>busy</html>"
    done = typed(chat, bench(tmp_path, lang), tmp_path / "o.jsonl", "--items", 300)
    assert done.exit_code == 3 and len(chat.asked) == 20, done.output
    assert "none of 20 answers of '模型' is an item: 10 × not an answer of a chat endpoint; 10 × no JSON object" in done.stderr


def test_the_budget_ends_and_more_goes_on(chat: Chat, tmp_path: Path) -> None:
    benchmark, out = bench(tmp_path, "en", "zh"), tmp_path / "o.jsonl"
    chat.usual = lambda number, prompt: Chat().usual(number, prompt) if number % 2 else "?"
    done = typed(chat, benchmark, out, "--requests", 30)
    assert done.exit_code == 3 and "30 answers gave 15 of 20 items: 15 × no JSON object" in done.stderr, done.output
    assert len(chat.asked) == 30 and not out.exists()
    assert typed(chat, benchmark, out, "--requests", 60).exit_code == 0 and len(chat.asked) == 40


def test_mistakes_are_sentences(chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark, out = bench(tmp_path, "zh"), tmp_path / "o.jsonl"
    whole = stand_in.lines(tmp_path / "whole.jsonl", [{"text": "一段文字"}] * 3)
    french = stand_in.lines(tmp_path / "fr.jsonl", [{"id": "q7", "question": "Combien ?", "answer": "1", "lang": "fr"}])
    empty = tmp_path / "leer.jsonl"
    empty.write_bytes(b"")
    monkeypatch.setenv("BAD_KEY", "zwei Wörter")
    mistakes = [
        ((benchmark, out, "--key-env", "NOT_SET"), 2, "--key-env NOT_SET: this environment variable is not set"),
        ((benchmark, out, "--key-env", "BAD_KEY"), 2, "the environment variable BAD_KEY holds no key"),
        ((benchmark, out, "--endpoint", "localhost:8000"), 2, "--endpoint takes an address"),
        ((benchmark, out, "--endpoint", "https://me:pass@host/v1"), 2, "--endpoint takes an address"),
        ((benchmark, out, "--endpoint", "http://主机/v1"), 2, "--endpoint takes an address"),
        ((benchmark, out, "--model", "\udcff"), 2, "--model is not Unicode text"),
        ((benchmark, benchmark), 2, "is the benchmark"),
        ((benchmark, out, "--lang", "en"), 3, "has no item with a 'question' in en; its languages: zh"),
        ((benchmark, out, "--temperature", "nan"), 2, "no number"),
        ((benchmark, out, "--items", "19"), 2, "19 is not in the range"),
        ((whole, out), 3, "has no item with a 'question'"),
        ((french, out), 3, "item q7: its language is 'fr'"),
        ((empty, out), 3, "holds no item"),
    ]
    for words, code, told in mistakes:
        done = typed(chat, *words)  # type: ignore[arg-type]
        assert done.exit_code == code and told in done.stderr and "pass@" not in done.output, done.output
    assert not chat.asked and not out.exists()


def test_a_damaged_journal_is_told(chat: Chat, tmp_path: Path) -> None:
    benchmark, out = bench(tmp_path, "zh"), tmp_path / "o.jsonl"
    assert typed(chat, benchmark, out).exit_code == 0
    journal = tmp_path / "o.jsonl.answers" / "answers.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:-9])  # a power cut
    assert typed(chat, benchmark, out).exit_code == 0 and len(chat.asked) == 21
    journal.write_bytes(lines[0].replace(b'"problem":""', b'"problem":7'))
    done = typed(chat, benchmark, out)
    assert done.exit_code == 3 and "remove the file to begin anew" in done.stderr


def test_a_full_disk_is_told(chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark, out = bench(tmp_path, "en", "zh"), tmp_path / "o.jsonl"
    left = [3]

    def full(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = typed(chat, benchmark, out)
    assert done.exit_code == 5 and "No space left" in done.stderr and "Traceback" not in done.output and not out.exists()
    assert typed(chat, benchmark, out).exit_code == 0 and len(chat.asked) == 20  # what was written before is kept


def test_ctrl_c_and_the_same_command_again(chat: Chat, tmp_path: Path) -> None:
    benchmark, out = bench(tmp_path, "zh"), tmp_path / "o.jsonl"

    def usual(number: int, prompt: str) -> Reply:
        if number == 4:
            chat.held.clear()
            chat.arrived.clear()
        return written(number, "zh")

    chat.usual = usual
    words = ["leak", "reference", benchmark, "--endpoint", chat.url, "--model", "m", "--out", out, "--items", 20]
    process = subprocess.Popen([sys.executable, "-m", "skyloom.cli", *map(str, words)], stderr=subprocess.PIPE, text=True)
    while not (len(chat.asked) > 5 and chat.arrived.is_set()):
        assert process.poll() is None, process.stderr and process.stderr.read()
        chat.arrived.wait(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130 and "run the same command again to continue" in said and not out.exists()
    chat.usual = Chat().usual
    chat.held.set()
    before = len(chat.asked)
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0 and len(chat.asked) - before == 15, done.output
