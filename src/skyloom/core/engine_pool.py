"""Worker processes: forked from a program that has loaded what they need, or begun from nothing.

Input: the number of workers and the names of modules. Output: a pool. A worker that begins from nothing ("spawn") imports
libraries and loads compiled kernels for two seconds, and holds its own copy of them, 200 MB. One that is forked from a program
that has them shares both. Forking is safe only while no other thread of Python runs that may hold a lock, so it is done once,
early, by a caller that knows that maps will come (`prepare`); Arrow, BLAS and the allocators look after their own threads. Where it
is not possible (other threads run, a pool that lost a worker is replaced, not Linux) workers begin from nothing.
"""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Hashable, Sequence
from typing import TypeVar

from skyloom.core.engine_task import Done, Task, TaskFunction
from skyloom.core.store import Store

_LOOK_SECONDS = 0.25
P = TypeVar("P")
R = TypeVar("R")
_before: list[Hashable] = []  # of a worker: what its last task was, as long as it has kept that task's memory


def forked(workers: int, modules: Sequence[str]) -> futures.ProcessPoolExecutor | None:
    """A pool of `workers` forks of this process, which first imports `modules`; None where it cannot be forked now."""
    if not sys.platform.startswith("linux") or threading.active_count() > 1:
        return None
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a worker would write to each shared object, and with that copy its page
    pool = futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"), initializer=_begin)
    pool.submit(int).result()  # the workers of a pool that forks are all started by its first task
    return pool


def spawned(workers: int) -> futures.ProcessPoolExecutor:
    """A pool of `workers` processes that begin from nothing."""
    return futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Workers leave Ctrl-C to the program, use one thread each, and die with the program."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    program = multiprocessing.parent_process()

    def watch() -> None:
        seen: list[Hashable] = []
        while program is not None and program.is_alive():
            program.join(_LOOK_SECONDS)
            if _before and _before == seen:  # nothing new since the last look
                give_back()
            seen = list(_before)
        os._exit(1)

    if program is not None:
        threading.Thread(target=watch, daemon=True).start()


def work(function: TaskFunction[P, R], task: Task[P], out: Store) -> Done[R]:
    """Do a task in a worker. The first of another kind begins with the memory that the last kind kept given back."""
    kind = getattr(function, "func", function)
    last = _before[:1]  # the watching thread may empty it
    if last and last[0] is not kind:
        give_back()
    try:
        return function(task, out)
    finally:
        _before[:] = [kind, task.key]


def give_back() -> None:
    """Return to the system what allocators keep for the next task of the same kind. A few milliseconds; glibc only."""
    _before.clear()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
