"""The engine on a Ray cluster: the same functions, tasks and receipts, and the bytes of the local engine.

Input: the tasks of a map. Output: their files in the store and their results. Ray carries only a task to a worker and a `Done`
back; shards travel through the store, so every node must see it: a file system that all nodes mount, or an object store. That,
and that the nodes have our version of skyloom, is checked before the first task of a folder, since the mistake would otherwise
show as files missing hours later. A worker that is killed loses its task, which is tried again (by us and not by Ray, so that
the limit is the same everywhere). docs/adr/0003 says why not Ray Data.

A cluster is joined if `address` or RAY_ADDRESS names one, else Ray is started on this machine with `workers` cores and
ended with `close`. Memory: a window of tasks in the driver; `memory` bytes are reserved for each task on its node.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from skyloom import __version__
from skyloom.core.engine import Engine
from skyloom.core.engine_pool import WorkerLostError
from skyloom.core.engine_task import Done, Task, TaskFunction
from skyloom.core.errors import SkyloomError, StorageError
from skyloom.core.store import TEMPORARY, Store

_OBJECT_STORE_BYTES = 128 << 20  # of a Ray of our own: what travels through it are tasks and receipts
_POLL_SECONDS = 1.0
_PROBE_SECONDS = 120
_GROWTH_SECONDS = 5.0
P = TypeVar("P")
R = TypeVar("R")


@dataclass
class RayEngine(Engine):
    """An `Engine` whose tasks run on Ray (`pip install 'skyloom[ray]'`). `address`: of the cluster to join."""

    address: str = ""
    _ray: Any = field(default=None, repr=False)
    _ours: bool = field(default=False, repr=False)
    _call: Any = field(default=None, repr=False)
    _places: tuple[float, int] = field(default=(0.0, 0), repr=False)
    _seen: set[str] = field(default_factory=set, repr=False)

    def _do(
        self,
        function: TaskFunction[P, R],
        tasks: list[Task[P]],
        out: Store,
        finish: Callable[[Task[P], Done[R]], None],
        tick: Callable[[], None],
    ) -> None:
        self._start()
        self._check_nodes(out)
        options = {"num_cpus": 1, "max_retries": 0} | ({"memory": self.memory} if self.memory else {})
        shared = self._ray.put(function)  # one copy for all tasks; it may carry tables of its own
        remote = self._ray.remote(**options)(_run)
        self._call = lambda task: remote.remote(shared, task, out)
        self._spread(function, tasks, out, finish, tick)

    def _start(self) -> None:
        """Join or start a cluster, once."""
        if self._ray is not None:
            return
        try:
            import ray
        except ImportError as problem:
            raise SkyloomError("--engine ray needs Ray: pip install 'skyloom[ray]'") from problem
        address = self.address or os.environ.get("RAY_ADDRESS", "")
        if not ray.is_initialized():
            quiet: dict[str, Any] = {"configure_logging": False, "log_to_driver": False, "include_dashboard": False}
            try:
                if address:
                    ray.init(address=address, log_to_driver=False)
                else:
                    with _variables(RAY_USAGE_STATS_ENABLED="0", NUMBA_NUM_THREADS="1"):
                        ray.init(address="local", num_cpus=max(self.workers, 1), object_store_memory=_OBJECT_STORE_BYTES, **quiet)
            except (ConnectionError, RuntimeError, ValueError, OSError) as problem:
                raise SkyloomError(f"cannot {'reach' if address else 'start'} Ray {address}: {problem}") from problem
            self._ours = True
        self._ray = ray

    def prepare(self) -> None:
        """Ray starts its workers itself."""

    def _check_nodes(self, out: Store) -> None:
        """See that every node reads what we write to `out` and runs our version. SkyloomError names the node that does not."""
        if out.root in self._seen:
            return
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        token = f"{TEMPORARY}seen-{uuid.uuid4().hex}"
        out.write_text(token, __version__)
        try:
            nodes = [n for n in self._ray.nodes() if n["Alive"]]
            # Ray may hand the look a worker that is just dying of the task before: it only reads, so it may be tried again.
            look = self._ray.remote(num_cpus=0, max_retries=3)(_look)
            answers = [
                look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(n["NodeID"], soft=False)).remote(out, token)
                for n in nodes
            ]
            for node, answer in zip(nodes, answers, strict=True):
                name = node["NodeManagerAddress"]
                try:
                    problem, version = self._ray.get(answer, timeout=_PROBE_SECONDS)
                except self._ray.exceptions.RayError as wrong:
                    raise SkyloomError(f"the Ray node {name} cannot run skyloom: {_first_line(wrong)}") from wrong
                if problem:
                    raise StorageError(
                        f"the Ray node {name} does not see {out.root} ({problem}): on a cluster the work folder must be on a file "
                        "system that every node mounts under the same path, or on an object store (--work s3://bucket/run)"
                    )
                if version != __version__:
                    raise SkyloomError(f"the Ray node {name} has skyloom {version}, this machine {__version__}; install the same")
        finally:
            out.remove(token)
        self._seen.add(out.root)

    def _window(self) -> int:
        """Four tasks for each core of the cluster, which may grow. Not asked for each task: the answer takes a millisecond."""
        asked, size = self._places
        if not size or time.monotonic() - asked > _GROWTH_SECONDS:
            size = max(16, 4 * int(self._ray.cluster_resources().get("CPU", 1)))
            self._places = (time.monotonic(), size)
        return size

    def _where(self) -> str:
        return "on Ray"

    def _submit(self, function: TaskFunction[P, R], task: Task[P], out: Store) -> Any:
        return self._call(task)

    def _wait(self, running: Collection[Any]) -> Collection[Any]:
        handles = list(running)
        if not handles:
            return ()
        ready, rest = self._ray.wait(handles, num_returns=1, timeout=_POLL_SECONDS)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return ready  # type: ignore[no-any-return]

    def _collect(self, handle: Any) -> Done[Any]:
        lost = self._ray.exceptions
        try:
            return self._ray.get(handle)  # type: ignore[no-any-return]
        except (lost.WorkerCrashedError, lost.OutOfMemoryError, lost.NodeDiedError, lost.ObjectLostError) as problem:
            raise WorkerLostError from problem
        except lost.RayTaskError as problem:  # its text is a traceback; what the function raised is inside
            raise (problem.cause if isinstance(problem.cause, Exception) else problem) from None

    def _abandon(self, running: Collection[Any]) -> None:
        for handle in running:
            with contextlib.suppress(Exception):  # it may have ended, or its node with it
                self._ray.cancel(handle, force=True)

    def close(self) -> None:
        """Leave the cluster; a Ray that we started ends."""
        super().close()
        if self._ray is not None and self._ours:
            self._ray.shutdown()
        self._ray, self._ours, self._seen = None, False, set()


def _run(function: TaskFunction[P, R], task: Task[P], out: Store) -> Done[R]:
    return function(task, out)


def _look(out: Store, token: str) -> tuple[str, str]:
    """(what is wrong with the store, our version) on the node that runs this."""
    try:
        out.read_text(token)
    except StorageError as problem:
        return str(problem), __version__
    return "", __version__


def _first_line(problem: BaseException) -> str:
    lines = [line for line in str(problem).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(problem).__name__


@contextlib.contextmanager
def _variables(**values: str) -> Iterator[None]:
    """Environment for the processes that are started here, without changing our own for good."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: before[name] or value for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
