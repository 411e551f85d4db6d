"""Work in processes of their own, that may be killed or run out of something."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable


def in_child(work: Callable[[], object]) -> int:
    """Fork, work, and end at once; returns how: 0, or 1 after an exception, or minus the signal."""
    return in_children(work, 1)[0]


def in_children(work: Callable[[], object], count: int) -> list[int]:
    """The same in several at once."""
    pids = [_fork(work) for _ in range(count)]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def _fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - nothing of it may run on into the tests
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def die(*_: object, **__: object) -> None:
    """As a machine or an operator would have it."""
    os.kill(os.getpid(), signal.SIGKILL)
