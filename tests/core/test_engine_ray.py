"""The engine on a real Ray, started on this machine: the local engine's bytes, and nothing lost when a worker is killed."""

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from tests.core.test_engine import SILENT, TASKS, always_die, raise_once, refuse, shuffle, square

from skyloom.core.engine import Engine, Task
from skyloom.core.engine_ray import RayEngine
from skyloom.core.errors import DataError, SkyloomError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store

pytest.importorskip("ray")
pytestmark = pytest.mark.xdist_group("ray")  # one Ray on the machine at a time


@pytest.fixture(scope="module")
def engine():
    made = RayEngine(2)
    yield made
    made.close()


def contents(store: Store) -> dict[str, bytes]:
    return {n: store.read_bytes(n) for n in store.names() if not n.startswith("receipts/")}


def test_map_and_shuffle_leave_the_bytes_of_the_local_engine(tmp_path, engine):
    written = []
    for number, which in enumerate((Engine(), engine)):
        out = Store(tmp_path / str(number))
        results = which.map(partial(square, str(tmp_path / f"log{number}")), TASKS, out, progress=SILENT, label="squares")
        names = shuffle(which, out, 3)
        written.append((results, names, contents(out)))
    assert written[0] == written[1]
    assert len(written[1][2]) == 9
    engine.map(partial(square, str(tmp_path / "log1")), TASKS, Store(tmp_path / "1"), progress=SILENT, label="squares")
    assert len((tmp_path / "log1").read_text().split()) == 6, "what has a receipt is not done again"


def slow_square(folder: str, task: Task, out: Store):
    with open(f"{folder}/pid-{task.key}-{os.getpid()}", "w"):
        pass
    time.sleep(0.3)
    return square(f"{folder}/log", task, out)


def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path, engine):
    killed = []

    def kill_one():
        until = time.monotonic() + 60
        while time.monotonic() < until and not killed:
            for path in tmp_path.glob("pid-part-03-*"):
                killed.append(int(path.name.rsplit("-", 1)[1]))
                os.kill(killed[0], signal.SIGKILL)
                return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_one)
    killer.start()
    results = engine.map(partial(slow_square, str(tmp_path)), TASKS, Store(tmp_path / "o"), progress=SILENT, label="x")
    killer.join()
    assert results == [0, 1, 4, 9, 16, 25] and len(killed) == 1
    assert len(list(tmp_path.glob("pid-part-03-*"))) == 2, "the killed task ran twice"
    Engine().map(partial(square, str(tmp_path / "log")), TASKS, Store(tmp_path / "local"), progress=SILENT, label="x")
    assert contents(Store(tmp_path / "o")) == contents(Store(tmp_path / "local"))
    assert not list(Path(tmp_path, "o").rglob(".tmp-seen-*"))


def test_errors_are_those_of_the_local_engine(tmp_path, engine):
    assert engine.map(partial(raise_once, str(tmp_path / "l")), TASKS, Store(tmp_path / "a"), progress=SILENT, label="x")[2] == 4
    with pytest.raises(DataError) as told:
        engine.map(refuse, TASKS, Store(tmp_path / "b"), progress=SILENT, label="x")
    assert type(told.value) is DataError and str(told.value).endswith("is empty")
    with pytest.raises(SkyloomError, match=r"\b3 times"):
        engine.map(always_die, TASKS[:1], Store(tmp_path / "c"), progress=Progress.silent(), label="x")


def test_a_folder_that_the_nodes_do_not_see_is_told_before_any_task(engine):
    """`memory://` is a file system of this process alone: what a folder on one node's own disk is to the others."""
    with pytest.raises(StorageError, match=r"node .*memory://here.*s3://"):
        engine.map(partial(square, "/nowhere/log"), TASKS, Store("memory://here"), progress=SILENT, label="x")


def test_an_unreachable_cluster_is_told_in_a_sentence(tmp_path, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("nobody there")))
    with pytest.raises(SkyloomError, match=r"Ray.*10\.0\.0\.9:6379.*nobody there"):
        RayEngine(address="10.0.0.9:6379").map(refuse, TASKS, Store(tmp_path), progress=SILENT, label="x")
