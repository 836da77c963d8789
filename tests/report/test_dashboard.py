"""The dashboard: new lines within a poll, only what changed, resumes and unfinished lines, both languages, over real HTTP."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.report import follow
from skyloom.report.dashboard import PARTS, Dashboard
from skyloom.report.follow import Following, Thinned
from skyloom.report.labels import CHINESE, LANGUAGES, Say
from skyloom.report.serve import Server, preferred
from skyloom.train.watch.journal import HELDOUT, METRICS, SKIPS, SPEED, Journal
from skyloom.train.watch.live import LIVE, Live
from tests.report import demo_run

ROOT = Path(__file__).parents[2]
JOURNALS = ("metrics.jsonl", "heldout.jsonl", "alarms.jsonl", "skips.jsonl", "scores.jsonl", "telemetry/speed.jsonl")
HAN = re.compile(r"[\u4e00-\u9fff]")


def begun(folder: Path) -> Live:
    """An attempt in `folder` that goes on with the journals there."""
    out = Store(folder)
    journals = {n: Journal(out.read_text(n).splitlines(keepends=True)) for n in JOURNALS if out.exists(n)}
    return Live(out, journals, Progress.silent())


def metric(step: int, loss: float = 3.0) -> dict[str, Any]:
    return {"stage": "stage1", "step": step, "tokens": step * 4096, "loss": loss, "lr": 1e-3, "grad_norm": 1.0, "shares": {}}


def held(step: int, name: str, loss: float) -> dict[str, Any]:
    ends = {"low": loss - 0.1, "high": loss + 0.1, "bits_per_byte": loss / 2}
    return {"stage": "stage1", "step": step, "tokens": step * 4096, "set": name, "loss": loss, **ends}


@pytest.fixture
def copied(run: dict[str, Store], tmp_path: Path) -> dict[str, Path]:
    for name in ("stage1", "stage2", "references"):
        shutil.copytree(run[name].root, tmp_path / name)
    return {name: tmp_path / name for name in ("stage1", "stage2", "references")}


def dashboard(folders: dict[str, Path]) -> Dashboard:
    return Dashboard("演示", {name: Store(folders[name]) for name in ("stage1", "stage2")}, Store(folders["references"]))


def test_before_the_run_it_says_so(tmp_path: Path) -> None:
    board = dashboard({name: tmp_path / name for name in ("stage1", "stage2", "references")})
    for lang, words in (("en", "has not started yet"), ("zh", "训练尚未开始")):
        news = board.news("", lang)
        assert news["state"] == "waiting" and words in news["said"] and set(news["parts"]) == set(PARTS) and not news["figures"]
        assert words in board.page(lang)


def test_it_shows_what_the_report_shows(copied: dict[str, Path]) -> None:
    news = dashboard(copied).news("", "en")
    heldout = news["parts"]["heldout"]
    assert heldout.count('<svg class="chart"') == len(demo_run.SETS)
    assert re.findall(r"<h3>(.*?)</h3>", heldout) == ["English", "Chinese", "Code", "Parallel text"], (
        "sets by the tag of their language"
    )
    assert heldout.count('class="level tone-d3"') == 2 and heldout.count('class="level tone-d4"') == 1
    assert heldout.count('class="band tone-stage1"') == len(demo_run.SETS)
    assert "LLaMA2-7B" in heldout and "小模型 &lt;1B&gt;" in heldout
    assert "over the last 8 monitoring points" in news["parts"]["alarms"]
    assert "<script>" not in "".join(news["parts"].values()) and "&lt;script&gt;alert(1)" in news["parts"]["skips"]
    assert news["parts"]["scores"].count('class="strip"') == 14 and "50 / 2,376" in news["parts"]["scores"]
    assert "Learning rate" in news["parts"]["training"] and "tokens per second" in news["parts"]["speed"]
    figures = news["figures"]
    assert (figures["stage"], figures["step"], figures["steps"], figures["skipped"], figures["alarms"]) == (
        "stage2",
        240,
        240,
        1,
        2,
    )
    assert set(figures["bits_per_byte"]) == set(demo_run.SETS) and figures["tokens_per_s"] > 5000
    assert news["said"] == "Running: Stage 2, step 240 of 240 at the last checkpoint."
    (copied["stage2"] / "_step.json").write_text("{}")
    assert dashboard(copied).news("", "zh")["said"] == "所有阶段都已训练完毕。"


def test_a_poll_brings_only_what_changed(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("stage1", "stage2", "references")}
    board = dashboard(folders)
    cursor = board.news("", "en")["cursor"]
    assert board.news(cursor, "en")["parts"] == {}
    live = begun(folders["stage1"])
    cursor = board.news(cursor, "en")["cursor"]
    seen = {}
    for journal, record in (
        (METRICS, metric(1)), (HELDOUT, held(1, "web_zh", 3.5)),
        (SPEED, {"step": 1, "tokens": 4096, "tokens_per_s": 6000.0, "mfu": 0.2, "memory_bytes": 10**9, "data_wait_share": 0.0}),
        (SKIPS, {"stage": "stage1", "step": 2, "reason": "坏", "documents": {"web_zh": ["a"]}}),
    ):  # fmt: skip
        live.add(journal, record)
        news = board.news(cursor, "en")
        seen[journal], cursor = set(news["parts"]), news["cursor"]
    assert seen == {METRICS: {"now", "training"}, HELDOUT: {"heldout"}, SPEED: {"now", "speed"}, SKIPS: {"skips"}}
    assert board.news(cursor, "en")["parts"] == {}
    assert set(board.news("another server.3", "en")["parts"]) == set(PARTS) == set(board.news("nonsense", "en")["parts"])
    Store(folders["references"]).write_json("references.json", [{"model": "m", "set": "web_zh", "bits_per_byte": 1.0}])
    assert set(board.news(cursor, "en")["parts"]) == {"heldout"}
    assert re.fullmatch(r"Running: Stage 1, step 1 of –; the last line is [\d.]+ s old\.", board.news(cursor, "en")["said"])


def test_only_new_bytes_are_read_and_half_a_line_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, stage = begun(tmp_path), Following("stage1", Store(tmp_path))
    for step in range(1, 5):
        live.add(METRICS, metric(step))
    parsed = list[int]()
    real = follow._parsed
    monkeypatch.setattr(follow, "_parsed", lambda lines, place: real(parsed.append(len(lines)) or lines, place))  # type: ignore[func-returns-value]
    assert stage.read() == set(follow.JOURNALS) and stage.read() == set()
    live.add(METRICS, metric(5))
    line = json.dumps({"journal": METRICS, **metric(6)}, ensure_ascii=False)
    with (tmp_path / LIVE).open("a") as file:
        file.write(line[:40])
    assert stage.read() == {METRICS} and stage.last["step"] == 5
    with (tmp_path / LIVE).open("a") as file:
        file.write(line[40:] + "\n")
    assert stage.read() == {METRICS} and stage.last["step"] == 6
    assert parsed == [4, 1, 1]


def test_a_resumed_run_is_read_anew(tmp_path: Path) -> None:
    live, stage = begun(tmp_path), Following("stage1", Store(tmp_path))
    for step in range(1, 9):
        live.add(METRICS, metric(step, loss=9.0))
    live.add(HELDOUT, held(8, "web_zh", 9.0))
    stage.read()
    live.close()
    (tmp_path / METRICS).write_text("".join(json.dumps(metric(step)) + "\n" for step in range(1, 5)))
    live = begun(tmp_path)
    live.add(METRICS, metric(5))
    assert stage.read() == set(follow.JOURNALS), "what was undone must go from the page too"
    assert [row["step"] for row in stage.rows(METRICS)] == [1, 2, 3, 4, 5] and {row["loss"] for row in stage.rows(METRICS)} == {3.0}
    assert stage.rows(HELDOUT) == []


def test_without_live_lines_the_journals_are_read_once_for_each_change(
    copied: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Following("stage1", Store(copied["stage1"]))
    assert stage.read() == set(follow.JOURNALS) and stage.last["step"] == 240 and stage.age() is None
    with monkeypatch.context() as patch:
        patch.setattr(Store, "read_bytes", lambda *_: pytest.fail("nothing changed"))
        assert stage.read() == set()
    with (copied["stage1"] / METRICS).open("a") as file:
        file.write(json.dumps(metric(241)) + "\n")
    assert stage.read() and stage.last["step"] == 241 and len(stage.rows(METRICS)) == 241


def test_broken_files_are_told_and_not_fatal(copied: dict[str, Path]) -> None:
    (copied["stage1"] / "heldout.jsonl").write_text("{没有\n")
    with pytest.raises(DataError, match=r"heldout\.jsonl.*JSON"):
        Following("stage1", Store(copied["stage1"])).read()
    assert "有文件无法读取" in dashboard(copied).news("", "zh")["said"]


def test_long_runs_stay_small() -> None:
    kept, count = Thinned(), 50_001
    for step in range(count):
        kept.add({"step": step, "tokens": 10 * step, "loss": 2.0 if step % 2 else 4.0})
    rows = kept.rows()
    assert follow.MOST <= len(rows) <= 2 * follow.MOST + 1
    assert rows[0]["step"] < 40 and rows[-1]["step"] > count - 40
    assert all(row["tokens"] == pytest.approx(10 * row["step"]) for row in rows)
    assert all(row["loss"] == pytest.approx(3.0, abs=0.1) for row in rows[:-1])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_language_has_its_words(lang: str, copied: dict[str, Path]) -> None:
    page = dashboard(copied).page(lang)
    visible = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.S)
    headings = re.findall(r"<h[23]>(.*?)</h[23]>", visible)
    assert all(bool(HAN.search(text)) is (lang == "zh") for text in headings) and len(headings) == 11
    axes = set(re.findall(r'class="label"[^>]*>(.*?)<', visible))
    assert axes == {Say(lang)(t) for t in ("tokens read", "bits per byte", "learning rate", "tokens per second")}
    assert ("最近 8 个监测点上" in visible) is (lang == "zh") and ("高于其自身趋势 3.100 达 9.7 %" in visible) is (lang == "zh")
    assert ("网页，中文" in visible) is (lang == "zh")
    assert "http" not in re.sub(r'lang="zh-Hans"|http-equiv', "", page).replace("https://", "http")


def test_chinese_words_keep_the_figures() -> None:
    for english, chinese in CHINESE.items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), english
    for figures, words in (
        ({"loss": 2.0, "expected": 2.1, "departure": -0.05, "limit": 0.01}, ("低于", "泄漏")),
        ({"loss": 2.2, "expected": 2.1, "departure": 0.05, "limit": 0.01}, ("高于", "配比")),
    ):
        told = Say("zh").alarm({"kind": "trend", "set": "stem_en", "figures": figures})
        assert all(word in told for word in (*words, "习题，英文", "5.0 %", "1.0 %"))
    everywhere = {"kind": "trend", "set": "all", "figures": {"departure": 0.03, "limit": 0.01, "sets": ["code"]}}
    assert "3.0 %" in Say("zh").alarm(everywhere)


@pytest.fixture
def served(copied: dict[str, Path]) -> Iterator[str]:
    with Server(dashboard(copied), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def get(url: str, **headers: str) -> tuple[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return answer.read().decode("utf-8"), answer.headers


def test_over_http(served: str) -> None:
    page, headers = get(served, **{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert headers["Content-Type"] == "text/html; charset=utf-8" and headers["Cache-Control"] == "no-store"
    assert 'lang="zh-Hans"' in page and "保留集损失" in page and "default-src 'none'" in page
    assert '<html lang="en"' in get(served + "?lang=en", **{"Accept-Language": "zh"})[0]
    cursor = re.findall(r'data-cursor="(.*?)"', page)[0]
    news, headers = get(f"{served}news?lang=zh&since={cursor}")
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(news)["parts"] == {} and json.loads(news)["figures"]["stage"] == "stage2"
    assert set(json.loads(get(f"{served}news")[0])["parts"]) == set(PARTS)
    for wrong in ("etc/passwd", "news?lang=fr", "%2e%2e/"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(served + wrong)


def test_a_port_that_is_taken_is_told(served: str, copied: dict[str, Path]) -> None:
    port = int(served.rstrip("/").rpartition(":")[2])
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1 .*\b{port}\b.*--port"):
        Server(dashboard(copied), "127.0.0.1", port)
    with pytest.raises(ConfigError, match="cannot be opened"):
        Server(dashboard(copied), "没有.invalid", 0)


def test_the_browsers_language_decides() -> None:
    assert preferred("") == preferred("fr,de;q=0.9") == preferred("en-GB,zh;q=0.5") == preferred(";;q=x") == "en"
    assert preferred("zh-CN,zh;q=0.9,en;q=0.8") == preferred("fr, zh-Hant;q=0.3") == "zh"


def test_the_verb_says_where_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "skyloom.cli", "report", "serve", str(ROOT / "recipes" / "tiny.toml"), "--port", "0"]
    (tmp_path / "工作" / "stage1-0123").mkdir(parents=True)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell starts in the background ignores Ctrl-C
    process = subprocess.Popen(
        [*program, "--work", str(tmp_path / "工作")], **pipes, text=True, preexec_fn=listening  # type: ignore[call-overload]
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    told = process.stdout.readline()
    address = re.findall(r"shown at (http://127\.0\.0\.1:\d+/) \(Ctrl-C", told)
    assert json.loads(get(f"{address[0]}news?lang=zh")[0])["state"] == "waiting"
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "stage1-0123 in" in said and "give the same --set" in said
