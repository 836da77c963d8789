"""Time limits of network connections: those that wait for the other side too long are ended.

Input: sockets as they begin to wait (for a request, or until an answer is taken), each with its seconds. Output: none; a socket
that waits too long, or longest when another one needs its place, is shut down, and the thread that waits on it goes on at once. A
limit of the socket itself would not do: a byte now and then would keep it open for ever.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable


class Waiting:
    """Connections that wait for the other side, the longest first. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[socket.socket, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, connection: socket.socket, seconds: float) -> None:
        """It waits from now on, for at most so many seconds."""
        with self._lock:
            self._until.pop(connection, None)
            self._until[connection] = self._clock() + seconds

    def remove(self, connection: socket.socket) -> None:
        """It waits no more; before it is closed, so that its number is no other's yet."""
        with self._lock:
            self._until.pop(connection, None)

    def end_late(self) -> None:
        """End those whose time is over."""
        now = self._clock()
        with self._lock:
            for connection in [c for c, until in self._until.items() if until <= now]:
                self._end(connection)

    def end_oldest(self) -> None:
        """End the one that has waited longest, if any waits."""
        with self._lock:
            if self._until:
                self._end(next(iter(self._until)))

    def _end(self, connection: socket.socket) -> None:
        del self._until[connection]
        with contextlib.suppress(OSError):  # the other side was faster
            connection.shutdown(socket.SHUT_RDWR)
