"""Worker processes: a pool without threads, whose workers end with the program.

Input: the number of workers and the names of modules. Output: a pool that does one task in each worker. A worker that begins from
nothing ("spawn") imports libraries and loads compiled kernels for two seconds, and holds its own copy of them, 200 MB. One that is
forked from a program that has them shares both. Forking is safe only while no other thread of Python runs that may hold a
lock, so it is done once, early, by a caller that knows that maps will come (`forked`); Arrow, BLAS and the allocators look after
their own threads. Where it is not possible (other threads run, a lost worker is replaced, not Linux) workers begin from nothing.

Each worker has a pipe of its own, and the main thread talks to it. The executor of the standard library has a thread, and locks
that processes share: a main process that is interrupted at a bad moment waits for ever for that thread, and a worker that is
killed while it holds a lock stops all others. Here a worker can be killed at any moment, and that costs its own task only.

However the program ends, `kill -9` included, its workers end: on Linux the kernel kills them (PR_SET_PDEATHSIG), also
where a worker is inside a C call that never lets a Python thread run. Elsewhere a thread of the worker looks for its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from skyloom.core.engine_task import Done, Task, TaskFunction
from skyloom.core.store import Store

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask the program to end."""
LISTENER = "signals"
"""Name of the thread that listens to signals: it holds no lock, so a program in which it runs may be forked."""
_LOOK_SECONDS = 0.25
_END_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1
P = TypeVar("P")
R = TypeVar("R")
_before: list[Hashable] = []  # of a worker: what its last task was, as long as it has kept that task's memory


class WorkerLostError(Exception):
    """A worker died with its task."""


@dataclass(eq=False)
class Handle(Generic[R]):
    """A task that was given to a worker. Of `done` and `problem` one is set when it has ended."""

    done: Done[R] | None = None
    problem: BaseException | None = None

    def result(self) -> Done[R]:
        """What the function returned. Raises what it raised, WorkerLostError if its worker died."""
        if self.problem is not None:
            raise self.problem
        if self.done is None:
            raise ValueError("the task has not ended")
        return self.done


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    handle: Handle[Any] | None = None


class Pool:
    """`workers` processes, each with at most one task; used by one thread. A lost worker is replaced by a spawned one."""

    def __init__(self, workers: int, method: str = "spawn") -> None:
        self._workers: list[_Worker] = []
        try:
            for _ in range(workers):
                self._start(method)
        except BaseException:
            self.kill()
            raise

    def submit(self, function: TaskFunction[P, R], task: Task[P], out: Store) -> Handle[R] | None:
        """Give the task to a worker that has none; None if all have one. Raises what pickling the task raises."""
        free = next((worker for worker in self._workers if worker.handle is None), None)
        if free is None:
            return None
        job = pickle.dumps((function, task, out))
        free.handle = handle = Handle[R]()
        # A worker that has just died is seen by the next `wait`, which settles this task too.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            free.pipe.send_bytes(job)
        return handle

    def wait(self, seconds: float) -> Collection[Handle[Any]]:
        """Tasks that have ended, after at most `seconds`."""
        busy = [worker for worker in self._workers if worker.handle is not None]
        ready = set(wait([end for worker in busy for end in (worker.pipe, worker.process.sentinel)], seconds))
        ended: list[Handle[Any]] = []
        for worker in busy:
            if worker.handle is not None and (worker.pipe in ready or worker.process.sentinel in ready):
                ended.append(worker.handle)
                self._settle(worker, worker.handle)
        return ended

    def close(self) -> None:
        """End the workers: those without a task by themselves, the others at once."""
        for worker in self._workers:
            if worker.handle is None:
                with contextlib.suppress(OSError):
                    worker.pipe.send_bytes(b"")
        for worker in self._workers:
            if worker.handle is None:
                worker.process.join(_END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the workers at once, whatever they do."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join(_END_SECONDS)
            worker.pipe.close()
        self._workers = []

    def _settle(self, worker: _Worker, handle: Handle[Any]) -> None:
        """Take the answer of a worker, or note that it died and start another."""
        worker.handle = None
        try:
            handle.done, handle.problem = pickle.loads(worker.pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            handle.problem = WorkerLostError(f"exit code {worker.process.exitcode}")
            self._workers.remove(worker)
            worker.process.kill()
            worker.process.join(_END_SECONDS)
            worker.pipe.close()
            self._start("spawn")

    def _start(self, method: str) -> None:
        context = multiprocessing.get_context("fork") if method == "fork" else multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        # The workers of one program are forked one after the other: each closes the pipes of those before it.
        others = [worker.pipe for worker in self._workers] if method == "fork" else []
        process = context.Process(
            target=_serve, args=(theirs, [ours, *others] if method == "fork" else [], os.getpid()), daemon=True
        )
        with _held_signals():  # until the worker has said what it does with them
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))


def forked(workers: int, modules: Sequence[str]) -> Pool | None:
    """A pool of `workers` forks of this process, which first imports `modules`; None where it cannot be forked now."""
    if not sys.platform.startswith("linux") or any(
        t.name != LISTENER for t in threading.enumerate() if t is not threading.main_thread()
    ):
        return None
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a worker would write to each shared object, and with that copy its page
    return Pool(workers, "fork")


@contextlib.contextmanager
def _held_signals() -> Iterator[None]:
    """Signals that ask to end wait until the block is left: a process that is made here inherits that it holds them back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, others: Sequence[Connection], program: int) -> None:
    """A worker: does the tasks that come through the pipe until an empty message, or the end of the program."""
    end_with(program)
    for other in others:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # workers leave Ctrl-C to the program
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    threading.Thread(target=_watch, daemon=True).start()
    while job := _received(pipe):
        pipe.send_bytes(_answer(job))


def _received(pipe: Connection) -> bytes:
    try:
        return pipe.recv_bytes()
    except (EOFError, ConnectionResetError):  # the program is gone
        return b""


def _answer(job: bytes) -> bytes:
    """The pickled (result, problem) of a pickled task."""
    try:
        function, task, out = pickle.loads(job)
        return pickle.dumps((work(function, task, out), None))
    except BaseException as problem:  # also SystemExit: a worker goes on
        trace = traceback.format_exc()
        try:
            problem.add_note(f"In a worker process:\n{trace}")
            answer = pickle.dumps((None, problem))
            pickle.loads(answer)  # many exceptions can be written and not be read
        except Exception:  # whatever a foreign exception raises when it is pickled: its traceback is told instead, nothing is lost
            answer = pickle.dumps((None, RuntimeError(f"a worker process raised {type(problem).__name__}:\n{trace}")))
        return answer


def end_with(program: int, number: int = signal.SIGKILL) -> None:
    """Let the kernel send this process a signal when the process `program`, its parent, ends. Linux only; see `_watch`.

    The signal follows the thread that started this process, so that must be one that lives as long as the program.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != program:  # it died before the kernel was asked
            os._exit(1)


def _watch() -> None:
    """In a worker: end when the program is gone, and give memory back when nothing was done since the last look."""
    program = multiprocessing.parent_process()
    seen: list[Hashable] = []
    while program is not None and program.is_alive():
        program.join(_LOOK_SECONDS)
        if _before and _before == seen:
            give_back()
        seen = list(_before)
    os._exit(1)


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
