"""Fault handling in training: stops by signal, loss spikes and rollbacks, hung and lost processes, stragglers.

**Stopping.** The first SIGINT, SIGTERM or SIGHUP only asks: the loop finishes its step, writes a checkpoint and raises
`Interrupted`. A second one ends the process at once, as `kill -9` would, which costs the work since the last checkpoint and
nothing else.

**Bad batches.** A loss or gradient that is no number, or a loss far above the last ones, may come from the batch or from the
weights. First the batch is suspected: its update is left out, and the documents in it are recorded. After `skips` bad batches
in a row the weights are suspected: training goes back to a checkpoint before them and leaves out all batches from a little
before the first bad one to the last (Chowdhery et al. 2022, PaLM, section 5.1, who restart some 100 steps before a spike and
skip 200 to 500 batches). Each time goes further back; after `rollbacks` times the run is given up. Judgement is a pure function
of the losses before, so that a resumed run judges alike; what was skipped does not depend on which checkpoints there were.

**Hung processes.** A collective waits for ever for a process that died. A watchdog in each process writes the stacks of all its
threads to a file and ends the process if no step is finished in a set time, so that a launcher can begin again. Where the
dead process's connections break, as a killed one's do, the others notice at their next collective and say so (`LostError`).
"""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, TracebackType

from skyloom.core.config import environment_number
from skyloom.core.errors import IntegrityError, SkyloomError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.train.config import RecoverConfig

ROLLBACKS = "rollbacks.json"
HUNG = 7
"""Exit code of a process that its watchdog ended, or that lost another one."""
BROKEN = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
"""What torch's messages of a broken connection hold where they come as a bare RuntimeError, as gloo's do."""


class Interrupted(SkyloomError):  # noqa: N818 - it is a request that was met, not a fault
    """Someone asked to stop; everything done so far is on disk, and the message says how to go on.

    Its exit code tells who: 129 a closed terminal (SIGHUP), 130 the keyboard (SIGINT), 143 a scheduler or operator (SIGTERM).
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class NotFiniteError(SkyloomError):
    """The loss or its gradient is not a number, or keeps jumping: training cannot go on from here."""

    exit_code = 6


class LostError(SkyloomError):
    """Another process of the run ended or cannot be reached: no collective can be finished any more."""

    exit_code = HUNG


@contextlib.contextmanager
def lost_processes() -> Iterator[None]:
    """Turn torch's error about a broken connection to another process into a `LostError`, in the block or the function.

    Only in a run of several processes: alone there is no other process to lose, and the error is another one.
    """
    try:
        yield
    except RuntimeError as problem:
        if not _broken(problem):
            raise
        raise LostError(
            f"another process of this run ended or cannot be reached ({str(problem).strip().splitlines()[0]}); its own messages "
            "say why. The same command goes on from the last checkpoint"
        ) from problem


def _broken(problem: RuntimeError) -> bool:
    """Whether an error says that another process of the run cannot be reached. NCCL and the store have types for it."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        world = dist.get_world_size()
    else:  # it failed before the processes met
        world = environment_number("WORLD_SIZE", 1)
    if world == 1:
        return False
    known = isinstance(problem, dist.DistBackendError | dist.DistNetworkError | dist.DistStoreError)
    return known or any(word in str(problem) for word in BROKEN)


Handler = Callable[[int, FrameType | None], None] | int | None
"""What `signal.signal` takes and gives back."""


class StopRequest:
    """Within its block SIGINT, SIGTERM and SIGHUP set `asked` (their number) instead of ending the process.

    In the main thread only. A signal that is ignored (SIGHUP under nohup) stays ignored.
    """

    def __init__(self, progress: Progress) -> None:
        self.asked = 0
        self._progress = progress
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        signal.signal(number, signal.SIG_DFL)
        self._progress.log("stopping after this step; ask again to stop at once")


def verdict(config: RecoverConfig, loss: float, norm: float, before: Sequence[float]) -> str:
    """Why the batch of a step is bad, or "". `before`: losses of the updates before it, in order; the last `window` count.

    A spike lies above their median by `spike_deviations` robust deviations (1.4826 · median absolute deviation) and by
    `spike_rise` of the median. Nothing is a spike before half a window is known.
    """
    if not math.isfinite(loss) or not math.isfinite(norm):
        return f"the loss is {loss} and its gradient's norm {norm}"
    known = before[-config.window :]
    if not config.spike_deviations or len(known) < config.window // 2:
        return ""
    middle = statistics.median(known)
    spread = 1.4826 * statistics.median(abs(x - middle) for x in known)
    if loss > middle + max(config.spike_deviations * spread, config.spike_rise * abs(middle)):
        return f"the loss is {loss:.4f}, the median of the last {len(known)} steps {middle:.4f}"
    return ""


@dataclass(frozen=True)
class Rollback:
    """Steps `first` to `last` of a stage (counted from 0) that are left out, since training went back to before `first`."""

    first: int
    last: int
    reason: str


def read_rollbacks(out: Store) -> list[Rollback]:
    """What a stage in `out` has left out so far. IntegrityError if the file is not what we write."""
    if not out.exists(ROLLBACKS):
        return []
    try:
        return [Rollback(**row) for row in out.read_json(ROLLBACKS)]
    except (TypeError, ValueError) as problem:
        raise IntegrityError(f"{out.url(ROLLBACKS)} is not a list of rollbacks: {problem}") from problem


def write_rollbacks(out: Store, rollbacks: Sequence[Rollback]) -> None:
    out.write_json(ROLLBACKS, [asdict(r) for r in rollbacks])


def next_rollback(config: RecoverConfig, bad: Sequence[int], reason: str, before: Sequence[Rollback]) -> Rollback:
    """What to leave out after the bad steps `bad` in a row; each rollback reaches twice as far back as the one before.

    NotFiniteError if there were too many.
    """
    if len(before) >= config.rollbacks:
        raise NotFiniteError(
            f"{reason}; training went back {len(before)} times and still meets bad batches: lower the stage's peak, lengthen its "
            "warm-up, or look at the documents that skips.jsonl names"
        )
    return Rollback(max(0, bad[0] - config.back * 2 ** len(before)), bad[-1], reason)


def left_out(rollbacks: Sequence[Rollback]) -> Mapping[int, str]:
    """The steps that rollbacks leave out, each with the reason."""
    return {step: r.reason for r in rollbacks for step in range(r.first, r.last + 1)}


def bad_in_a_row(skipped: Sequence[int], done: int, rollbacks: Sequence[Rollback]) -> list[int]:
    """The bad steps just before step `done`, one after the other; `skipped`: all steps without an update, ascending.

    Steps that a rollback left out do not count."""
    known, bad = left_out(rollbacks), list[int]()
    for step in reversed(skipped):
        if step != done - 1 - len(bad) or step in known:
            break
        bad.insert(0, step)
    return bad


class Watchdog:
    """Ends the process with `HUNG` if `beat` is not called for `seconds`; a thread that sleeps. 0 seconds: never.

    `path`: a file that gets the stacks of all threads, before that.
    """

    def __init__(self, seconds: float, path: Path | None) -> None:
        self.seconds, self.path = seconds, path
        self._last = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        if self.seconds:
            self.beat()
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def beat(self) -> None:
        """A step, a look at held-out sets or a checkpoint is done."""
        self._last = time.monotonic()

    def _watch(self) -> None:
        while not self._stop.wait(min(1.0, self.seconds / 4)):
            if time.monotonic() - self._last > self.seconds:
                self._end()

    def _end(self) -> None:
        said = f"skyloom: nothing was finished in {self.seconds:g} seconds: a process or a collective hangs"
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("w", encoding="utf-8") as file:
                faulthandler.dump_traceback(file, all_threads=True)
            said += f"; the stacks are in {self.path}"
        sys.stderr.write(said + "\n")
        sys.stderr.flush()
        os._exit(HUNG)


def stragglers(busy: Sequence[tuple[int, float]], factor: float) -> list[tuple[int, float]]:
    """Ranks that take `factor` times as long as the median of their like, and how many times. `busy`: (rank, seconds)."""
    if len(busy) < 2:
        return []
    middle = statistics.median_low([seconds for _, seconds in busy])
    return [(rank, seconds / middle) for rank, seconds in busy if middle > 0 and seconds > factor * middle]


def waiting(times: Sequence[tuple[float, float]], factor: float) -> list[tuple[int, float]]:
    """Ranks whose wait for data alone makes a step `factor` times as long, and by how many seconds it is above the median wait.

    `times`: of each rank the seconds that it waited for data, and those of the whole step.
    """
    if len(times) < 2:
        return []
    usual = statistics.median_low([wait for wait, _ in times])
    step = statistics.median_low([whole - wait for wait, whole in times])
    late = [(rank, wait - usual) for rank, (wait, _) in enumerate(times)]
    return [(rank, above) for rank, above in late if above > (factor - 1) * step]
