"""Progress: on a terminal, in a log file, silent; work of an earlier run counts as done but not as speed."""

import io

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


def test_silence_is_silent(capsys):
    progress = Progress.silent()
    with progress.task("x", 2) as bar:
        bar.advance()
    progress.log("说 said")
    assert capsys.readouterr() == ("", "")
