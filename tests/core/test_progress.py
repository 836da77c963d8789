"""Progress: on a terminal, in a log file, silent; work of an earlier run counts as done but not as speed."""

import io
import json
import re

import pytest
from rich.console import Console

from skyloom.core.progress import Progress


@pytest.mark.parametrize("terminal", [True, False])
def test_tasks_tell_how_far_and_how_fast(terminal):
    shown = io.StringIO()
    progress = Progress(Console(file=shown, width=160, force_terminal=terminal), interval=0.0)
    with progress.task("编码 encode", 10, "shards") as bar:
        bar.resume(4)
        bar.advance(2)
        bar.note("web_zh")
        bar.advance(1)
    assert bar.done == 7 and bar.before == 4
    assert "编码 encode" in shown.getvalue() and "shards/s" in shown.getvalue()


def test_resumed_work_is_no_speed():
    with Progress.silent().task("训练", 1000, "tokens") as bar:
        bar.resume(900)
        assert bar.rate() == 0 and "left" not in bar.line()
        bar.advance(10)
        assert bar.rate() > 0 and "910/1,000 tokens" in bar.line()


def test_a_log_has_lines_with_time_and_level_that_are_not_wrapped():
    shown = io.StringIO()
    progress = Progress(Console(file=shown, width=40, force_terminal=False), interval=0.0)
    progress.log("很长的一行 " + "word " * 40)
    progress.log("warning: 没有中文 no Chinese\n[b]second line[/b]")
    with progress.task("读 read", 2, "pages") as bar:
        bar.advance()
    lines = shown.getvalue().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line)[:24].rstrip() for line in lines] == [
        "info    很长的一行 word word", "warning 没有中文 no Chinese", "warning [b]second line[/", "info    读 read: 1/2 page",
    ]  # fmt: skip


def test_a_log_as_json_and_one_of_warnings_only():
    shown = io.StringIO()
    progress = Progress(Console(file=shown, width=40, force_terminal=True), interval=0.0, form="json")
    progress.log("读完 read")
    progress.log("warning: 小心\n注意")
    with progress.task("训练", 4, "steps") as bar:
        bar.note("web_zh")
        bar.advance(2)
    rows = [json.loads(line) for line in shown.getvalue().splitlines()]
    assert [(row["level"], row["message"]) for row in rows[:2]] == [("info", "读完 read"), ("warning", "小心\n注意")]
    assert {k: rows[2][k] for k in ("task", "done", "total", "unit", "note")} == {
        "task": "训练", "done": 2, "total": 4, "unit": "steps", "note": "web_zh",
    }  # fmt: skip
    quiet = io.StringIO()
    progress = Progress(Console(file=quiet, force_terminal=True), interval=0.0, least="warning")
    progress.log("读完 read")
    with progress.task("训练", 4) as bar:
        bar.advance(2)
    progress.log("warning: 小心")
    assert "warning: 小心" in quiet.getvalue() and len(quiet.getvalue().splitlines()) == 1


def test_silence_is_silent(capsys):
    progress = Progress.silent()
    with progress.task("x", 2) as bar:
        bar.advance()
    progress.log("说 said")
    assert capsys.readouterr() == ("", "")
