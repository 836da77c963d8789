"""How the program ends: on a signal, on an error, or because it is done.

Ctrl-C, SIGTERM (a scheduler, an operator) and SIGHUP (a closed terminal) end every command in the same way: child processes are
killed, one sentence says how to go on, and the exit code is 128 + the number of the signal. What is on disk is whole at any moment
(`core/store.py`), so the process ends where it is. To raise an exception in the main thread instead is not safe: destructors and
callbacks of libraries swallow it, or turn it into another error. Training takes the signals over while it runs: it finishes its
step and writes a checkpoint first (`train/recover.py`).

A main thread that is inside a long call of a library does not see a signal. So another thread is told of each signal by the
operating system, and ends the process if the main thread has not done so within a grace period. Worker processes end with the
program in every case (`core/engine_pool.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

import psutil

from skyloom.core.engine_pool import LISTENER, STOPS, end_with
from skyloom.core.progress import log_lines

GRACE_SECONDS = 10.0
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "stopped, since the terminal was closed"}


_AS_JSON: list[bool] = []


def speak_json(wanted: bool) -> None:
    """Whether the last sentence is an object of JSON, as all lines before it (`--log json`)."""
    _AS_JSON[:] = [True] if wanted else []


def as_json() -> bool:
    """Whether `spoken` gives JSON."""
    return bool(_AS_JSON)


def spoken(text: str) -> str:
    """The last sentence of a program that does not end well, as a line."""
    return log_lines("error", text, as_json=True) if _AS_JSON else f"{text}\n"


def sentence(number: int) -> str:
    """What is said of a signal."""
    return f"skyloom: {WORDS[signal.Signals(number)]}; run the same command again to continue"


def code(number: int) -> int:
    """The exit code after a signal, as shells count it."""
    return 128 + number


def listen() -> None:
    """From now on the signals of `STOPS` end the program. One that is ignored (SIGHUP under nohup) stays ignored."""
    if "TORCHELASTIC_RUN_ID" in os.environ:  # a rank ends with the torchrun that started it, as after a signal to itself
        end_with(os.getppid(), signal.SIGTERM)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_guard, args=(ours, theirs), name=LISTENER, daemon=True).start()
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def leave(number: int) -> None:
    """End the process with this exit code: the interpreter waits for threads, calls what is registered for its end, and ends.

    What still runs then gets a grace period. Threads of native libraries may run on meanwhile, and one that touches a Python object
    at that moment aborts the process; so none holds any (`Store.reading_arrow`).
    """
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):  # it is closed
            try:
                stream.flush()
            except BrokenPipeError:  # nobody reads any more: the interpreter must not fail on the same bytes when it ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    late = threading.Timer(GRACE_SECONDS, os._exit, [number])
    late.daemon = True
    late.start()
    sys.exit(number)


def _stop(number: int, frame: FrameType | None) -> None:
    _end(number)


def _end(number: int) -> None:
    """End the process where it is."""
    with contextlib.suppress(Exception):  # the main thread may be in the middle of a write to the same stream
        sys.stdout.flush()
    shown = "\x1b[?25h\n" if sys.stderr.isatty() else ""  # a progress bar hides the cursor
    with contextlib.suppress(OSError):
        os.write(2, f"{shown}{spoken(sentence(number))}".encode())
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    os._exit(code(number))


def _guard(ours: socket.socket, theirs: socket.socket) -> None:
    """End the process after a signal that the main thread does not see. Signals that training has taken over are its own.

    `theirs`, which the operating system writes to, is held here so that it stays open.
    """
    while numbers := ours.recv(64):
        for number in numbers:
            if signal.getsignal(number) is _stop:
                time.sleep(GRACE_SECONDS)
                _end(number)
