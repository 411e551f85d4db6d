"""Lines of Python counted as they are executed, and the process killed at one of them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import trustgraph

_PACKAGE = Path(trustgraph.__file__).parent


class Steps:
    """Counts lines in files of this package whose paths start with one of ``parts``, and kills the process at one.

    ``kill_at`` 0 kills never. All threads that begin meanwhile are counted too.
    """

    def __init__(self, parts: Sequence[str], kill_at: int = 0) -> None:
        self.count = 0
        self._kill_at = kill_at
        self._parts = tuple(f"{_PACKAGE}/{part}" for part in parts)

    def during(self, work: Callable[[], object]) -> int:
        """Work, and return how many steps that took."""
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            work()
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
        return self.count

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._step if frame.f_code.co_filename.startswith(self._parts) else None

    def _step(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._step
