"""Workers that are forked from a program with what they need, and what happens where that cannot be.

Each case is a program of its own: the test runner has threads, and with threads nothing is forked.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from skyloom.core.engine import Engine

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are forked on Linux only")

PROGRAM = '''
import json, os, signal, sys, threading, time
from pathlib import Path
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.progress import Progress
from skyloom.core.store import Store

HERE = {}

def look(task, out):
    """Whether this worker has what the program had when it was forked."""
    return Done((out.write_text(f"{task.key}.txt", f"第 {task.payload} 份"),), [HERE.get("loaded", False), os.getpid()])

def die_once(task, out):
    """The second task kills its worker once; the other worker is busy until the second task was begun again."""
    died, again = Path(out.root, "died"), Path(out.root, "again")
    if task.payload == 1:
        (again if died.exists() else died).write_text("x")
        if not again.exists():
            os.kill(os.getpid(), signal.SIGKILL)
    while task.payload == 0 and not again.exists():
        time.sleep(0.05)
    return look(task, out)

def wait(task, out):
    Path(out.root, f"pid-{os.getpid()}").write_text("x")
    time.sleep(60)
    return Done((), None)

if __name__ == "__main__":
    what, folder = sys.argv[1:]
    engine, out = Engine(2, preload=("wave",)), Store(folder)
    HERE["loaded"] = True
    if what == "threads":
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    engine.prepare()
    tasks = [Task(f"part-{k}", k) for k in range(6)]
    function = {"die": die_once, "wait": wait}.get(what, look)
    results = engine.map(function, tasks, out, progress=Progress.silent(), label="x")
    engine.close()
    print(json.dumps({"shared": [r[0] for r in results], "preloaded": "wave" in sys.modules, "threads": threading.active_count()}))
'''


def start(tmp_path: Path, what: str) -> subprocess.Popen[str]:
    script, out = tmp_path / "program.py", tmp_path / "out"
    script.write_text(PROGRAM, encoding="utf-8")
    out.mkdir()
    return subprocess.Popen([sys.executable, str(script), what, str(out)], stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> dict:
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(text)


@linux
def test_prepared_workers_have_what_the_program_had(tmp_path):
    found = said(start(tmp_path, "look"))
    assert found["shared"] == [True] * 6 and found["preloaded"]
    assert (tmp_path / "out" / "part-3.txt").read_text(encoding="utf-8") == "第 3 份"


@linux
def test_with_other_threads_nothing_is_forked(tmp_path):
    assert said(start(tmp_path, "threads"))["shared"] == [False] * 6


@linux
def test_workers_that_replace_a_lost_one_begin_from_nothing(tmp_path):
    shared = said(start(tmp_path, "die"))["shared"]
    assert len(shared) == 6 and shared[0] and not shared[1]


@linux
def test_forked_workers_die_with_the_program(tmp_path):
    process = start(tmp_path, "wait")
    until, pids = time.monotonic() + 30, []
    while len(pids) < 2 and time.monotonic() < until:
        time.sleep(0.05)
        pids = [int(p.name.removeprefix("pid-")) for p in (tmp_path / "out").glob("pid-*")]
    assert len(pids) == 2
    process.kill()
    process.communicate()
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_one_worker_needs_no_pool():
    engine = Engine(1)
    engine.prepare()
    assert engine._pool is None


def test_on_other_systems_nothing_is_forked(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    engine = Engine(2)
    engine.prepare()
    assert engine._pool is None
