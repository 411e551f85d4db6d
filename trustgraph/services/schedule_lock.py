"""One scheduled service at a time on one state directory, as long as its process lives."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from trustgraph.errors import NoInput, StoreBusy
from trustgraph.services.gate import state_of
from trustgraph.settings import Settings


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the lock; killed, a process holds nothing any more.

    Raises :class:`StoreBusy` naming the process that holds it, :class:`NoInput` for a directory that is not ours.
    """
    path = state_of(settings, "recompute.lock")
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise NoInput(f"milter.state: {path}: {error.strerror}") from None
    with os.fdopen(file, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read(32).strip()
            who = f"process {holder}" if holder.isdecimal() else "another process"
            raise StoreBusy(f"{path}: `trustgraph recompute` runs already, as {who}") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
