"""Map over shards: a function runs over tasks in a local process pool, or over the same tasks on a Ray cluster.

The engine offers only what both can do: `map` a function over tasks with retries, where each task writes files of its own.
A keyed shuffle is two maps, see `corpus/dedup/exchange.py`. A task that is done leaves a small receipt with the checksums of
its files and its result; a run that was killed skips every task whose receipt and files still agree. Results come back in
the order of the tasks, so what is written does not depend on the number of workers. A step that maps twice gives each map a
label of its own.

Functions must be importable (module level) and take `(task, out)`: a picklable task and the `Store` to write to. They
return a `Done`, whose results `map` gives back. We measured shards as files with a process pool at 1.5 to 2.3 times the
speed of three data engines on the same work, and it was the only one to resume after `kill -9` (docs/adr/0003).

`Engine` runs on this machine, alone or as one shard of many (`engine_shard`); `engine_ray.RayEngine` on a Ray cluster. What
of a step cannot be cut into tasks (a merge) should be a map of one task, so that it too has a receipt and is done once.
Memory of the engine itself: the results, and a window of two tasks for each worker.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from skyloom.core import engine_pool
from skyloom.core.engine_pool import WorkerLostError
from skyloom.core.engine_receipts import RECEIPTS, ReceiptJournal
from skyloom.core.engine_shard import Shard, ShardsMissingError
from skyloom.core.engine_task import Done, Task, TaskFunction
from skyloom.core.errors import SkyloomError
from skyloom.core.progress import Progress
from skyloom.core.store import Store

__all__ = ["RECEIPTS", "Done", "Engine", "Shard", "ShardsMissingError", "Task", "TaskFunction"]

_POLL_SECONDS = 1.0
P = TypeVar("P")
R = TypeVar("R")


@dataclass
class Engine:
    """Runs tasks in `workers` processes (0 or 1: in this process). A task is tried `1 + retries` times.

    `shard`: do only this share of the tasks; `patience`: seconds to wait for the other shards at the end of a map before
    giving up with `ShardsMissingError`. `verify`: how files of finished tasks and steps are checked before they are trusted,
    "full" (SHA-256, local folders only) or "size"; shard runs compare sizes, or each would read what all wrote.
    `memory`: bytes that one task may use, 0 for no limit; the engine does not enforce it, it tells those who plan
    (a Ray task's reservation). `preload`: modules whose import workers share where they are forked.
    """

    workers: int = 0
    retries: int = 2
    shard: Shard | None = None
    patience: float = 0.0
    verify: str = "full"
    memory: int = 0
    preload: tuple[str, ...] = ()
    _pool: engine_pool.Pool | None = field(default=None, repr=False)
    _discarded: list[tuple[Store, str]] = field(default_factory=list, repr=False)

    @property
    def full_checks(self) -> bool:
        """Whether files are read again before they are trusted."""
        return self.verify == "full" and self.shard is None

    def prepare(self) -> None:
        """Start workers that share what `preload` loads. To be called early, before other threads run, when a map will come."""
        if self.workers > 1 and self._pool is None:
            self._pool = engine_pool.forked(self.workers, self.preload)

    def map(
        self,
        function: TaskFunction[P, R],
        tasks: Sequence[Task[P]],
        out: Store,
        *,
        progress: Progress,
        label: str,
        result: type[R] | None = None,
    ) -> list[R]:
        """Results of `function` for each task, in order; finished tasks of an earlier, killed run are not repeated.

        `result`: the class of the results where they are dataclasses. They stand in the receipts as JSON objects, and a run that
        goes on builds them again; other results must be plain JSON, and come back as JSON gives them (tuples as lists).

        Raises what the function raised, after the retries (a SkyloomError is not retried: it would fail again), and
        `ShardsMissingError` when this is a shard and tasks of others are missing.
        """
        keys = _unique(tasks)
        journal = ReceiptJournal(out, label, result)
        journal.read()
        results = journal.whole(keys, full=self.full_checks, threads=self.workers)
        mine = [t for place, t in enumerate(tasks) if self.shard is None or self.shard.owns(place)]
        waiting = [t for t in mine if t.key not in results]
        with progress.task(label, len(mine), "shards") as bar:
            if len(waiting) < len(mine):
                bar.resume(len(mine) - len(waiting))

            def finish(task: Task[P], done: Done[R]) -> None:
                journal.add(task.key, done)
                journal.tick()
                results[task.key] = done.result
                bar.advance()

            try:
                if waiting:
                    self._do(function, waiting, out, finish, journal.tick)
            finally:
                journal.flush()
        if self.workers > 1:  # this process waits while others work; where it works itself it needs the memory again
            engine_pool.give_back()
        if self.shard is not None and len(results) < len(keys):
            results |= self._others(journal, keys, label, progress)
        return [results[key] for key in keys]

    def finished(self, tasks: Sequence[Task[P]], out: Store, *, label: str) -> bool:
        """Whether a map of that label has a whole receipt for every task: what only led up to it need not be done again."""
        journal: ReceiptJournal[Any] = ReceiptJournal(out, label)
        journal.read()
        return len(journal.whole(_unique(tasks), full=self.full_checks, threads=self.workers)) == len(tasks)

    def discard(self, store: Store, name: str) -> None:
        """Remove what only led up to finished maps (a folder of scratch files).

        A shard run keeps it until the step is finished: other shards go through the step anew and would miss its files, do
        their tasks again, and never come to an end. Steps therefore remove what the engine wrote by this method, not themselves.
        """
        if self.shard is None:
            store.remove(name)
        else:
            self._discarded.append((store, name))

    def clear(self) -> None:
        """Remove what was discarded. For the step that is finished, when nobody else is in it."""
        for store, name in self._discarded:
            store.remove(name)
        self._discarded = []

    def _others(self, journal: ReceiptJournal[R], keys: list[str], label: str, progress: Progress) -> dict[str, R]:
        """Results of all tasks once the other shards have left them; ShardsMissingError if they have not within our patience."""
        until = time.monotonic() + self.patience
        while True:
            journal.read()
            results = journal.whole(keys, full=False)
            if len(results) == len(keys):
                return results
            if time.monotonic() >= until:
                raise ShardsMissingError(
                    f"{label}: shard {self.shard} has done its tasks; {len(results):,} of {len(keys):,} are done by all shards. "
                    "When the other shards are done too, run the same command again (with --shard or without) to go on"
                )
            time.sleep(min(_POLL_SECONDS, self.patience))

    def _do(
        self,
        function: TaskFunction[P, R],
        tasks: list[Task[P]],
        out: Store,
        finish: Callable[[Task[P], Done[R]], None],
        tick: Callable[[], None],
    ) -> None:
        """Do the tasks in whatever order and `finish` each; `tick` is called about once a second."""
        if self.workers > 1:
            self._spread(function, tasks, out, finish, tick)
            return
        for task in tasks:
            finish(task, self._attempts(function, task, out))

    def _attempts(self, function: TaskFunction[P, R], task: Task[P], out: Store) -> Done[R]:
        for attempt in range(self.retries + 1):
            try:
                return function(task, out)
            except SkyloomError:
                raise
            except Exception:  # whatever it is, it is tried again, and raised when the retries are spent
                if attempt == self.retries:
                    raise
        raise AssertionError("unreachable")

    def _spread(
        self,
        function: TaskFunction[P, R],
        tasks: list[Task[P]],
        out: Store,
        finish: Callable[[Task[P], Done[R]], None],
        tick: Callable[[], None],
    ) -> None:
        """Keep a window of tasks running, try again what failed, and give up after the retries."""
        waiting, tries = deque(tasks), Counter[str]()
        running: dict[Any, Task[P]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._window():
                    handle = self._submit(function, waiting[0], out)
                    if handle is None:  # all workers have a task
                        break
                    running[handle] = waiting.popleft()
                for handle in self._wait(running):
                    task = running.pop(handle)
                    try:
                        done = self._collect(handle)
                    except SkyloomError:
                        raise
                    except Exception as problem:  # tried again, and raised again when the retries are spent
                        tries[task.key] += 1
                        if tries[task.key] > self.retries:
                            if isinstance(problem, WorkerLostError):
                                raise SkyloomError(
                                    f"a worker process was killed {tries[task.key]} times, most likely because memory ran out "
                                    f"({self._where()}, task {task.key}); run it again with fewer --workers"
                                ) from problem
                            raise
                        waiting.appendleft(task)
                    else:
                        finish(task, done)
                tick()
        except BaseException:
            self._abandon(running)
            raise

    def _window(self) -> int:
        """How many tasks may be under way."""
        return self.workers

    def _where(self) -> str:
        return f"{self.workers} workers"

    def _submit(self, function: TaskFunction[P, R], task: Task[P], out: Store) -> Any:
        """Start a task; None if no worker can take one now."""
        if self._pool is None:
            self._pool = engine_pool.Pool(self.workers)
        return self._pool.submit(function, task, out)

    def _wait(self, running: Collection[Any]) -> Collection[Any]:
        """Those that have ended, after at most a second."""
        return self._pool.wait(_POLL_SECONDS) if self._pool is not None else ()

    def _collect(self, handle: Any) -> Done[Any]:
        """What a task that has ended returned or raised; WorkerLostError if its worker died."""
        return handle.result()  # type: ignore[no-any-return]

    def _abandon(self, running: Collection[Any]) -> None:
        """Stop what runs, at once: the map has failed or was interrupted."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None

    def close(self) -> None:
        """Stop the worker processes; a later `map` starts new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _unique(tasks: Sequence[Task[P]]) -> list[str]:
    keys = [task.key for task in tasks]
    if len(set(keys)) < len(keys):
        twice = next(key for key, count in Counter(keys).items() if count > 1)
        raise ValueError(f"two tasks of one map have the key {twice}")
    return keys
