"""Running a coroutine at once, up to where it has to wait for something; only then does it cost a task of its own.

Most messages are judged from memory: their coroutine never waits, and creating a task for each, to run one turn of the
event loop later, would cost more than judging. Python 3.12 has eager tasks for that; this is for 3.11 too.

While it runs at once, a spare task stands in as the current one, so that ``asyncio.timeout`` and task groups work as
ever; should the coroutine have to wait, that very task carries it on.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # documented under "Extending asyncio"
from collections.abc import Coroutine, Generator
from typing import Any


class _Seat:
    """Where a task waits for a coroutine to carry on, and for what that one waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.taken: asyncio.Future[None] = loop.create_future()
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.awaited: Any = None

    def __await__(self) -> Generator[Any, Any, Any]:
        cancelled: BaseException | None = None
        try:
            yield from self.taken
        except asyncio.CancelledError as error:
            cancelled = error
        coroutine = self.coroutine
        if coroutine is None:  # nobody needed this task
            raise cancelled or asyncio.CancelledError
        try:
            awaited = self.awaited if cancelled is None else coroutine.throw(cancelled)
            while True:
                try:
                    sent = yield awaited
                except BaseException as error:  # noqa: BLE001 - it is the coroutine's, whatever it is
                    awaited = coroutine.throw(error)
                else:
                    awaited = coroutine.send(sent)
        except StopIteration as stop:
            return stop.value


async def _sit(seat: _Seat) -> Any:
    return await seat


class Eager:
    """Starts coroutines in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spare: tuple[asyncio.Task[Any], _Seat] | None = None

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> tuple[asyncio.Task[Any] | None, Any]:
        """Either the task that carries the coroutine on, or None and its result. Raises what the coroutine raises."""
        if self._spare is None or self._spare[0].done():
            seat = _Seat(self._loop)
            self._spare = self._loop.create_task(_sit(seat)), seat
        task, seat = self._spare
        _enter_task(self._loop, task)
        try:
            awaited = coroutine.send(None)
        except StopIteration as stop:
            return None, stop.value
        finally:
            _leave_task(self._loop, task)
        self._spare = None
        seat.coroutine, seat.awaited = coroutine, awaited
        seat.taken.set_result(None)
        return task, None

    def close(self) -> None:
        """Let go of the spare task."""
        if self._spare is not None:
            self._spare[0].cancel()
            self._spare = None
