"""A coroutine that runs at once has what it would have in a task, before it waits and after."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trustgraph.milter.eager import Eager


def run(*starts: Any) -> list[Any]:
    """Start each coroutine function's coroutine from a callback, where there is no current task; gather the results."""
    results: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        eager = Eager(loop)
        for start in starts:
            started = loop.create_future()

            def begin(start: Any = start, started: asyncio.Future[Any] = started) -> None:
                try:
                    started.set_result(eager.start(start()))
                except LookupError as error:
                    started.set_exception(error)

            loop.call_soon(begin)
            results.append(await started)
        for index, (task, _) in enumerate(results):
            if task is not None:
                await asyncio.wait([task])
                results[index] = task
        eager.close()

    asyncio.run(main())
    return results


def test_what_does_not_wait_costs_no_task() -> None:
    async def quick() -> int:
        async with asyncio.timeout(5):
            return 1

    assert run(quick, quick) == [(None, 1), (None, 1)]


def test_what_waits_goes_on_in_the_task_that_it_saw_from_the_start() -> None:
    async def slow() -> bool:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        return before is asyncio.current_task()

    assert [task.result() for task in run(slow, slow)] == [True, True]


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_a_timeout_begun_at_once_still_ends_the_wait(seconds: float) -> None:
    async def hanging() -> str:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return "over"
        return "not over"

    async def quick() -> None:
        """Leaves a spare task behind that has been waiting before it is needed."""

    assert run(hanging)[0].result() == "over"
    assert run(quick, hanging, hanging)[1].result() == "over"


def test_errors_come_out_before_and_after_waiting() -> None:
    async def at_once() -> None:
        raise LookupError

    async def later() -> None:
        await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        run(at_once)
    assert isinstance(run(later)[0].exception(), LookupError)
