"""Work in processes side by side gives what work one after another gives."""

from __future__ import annotations

import pytest

from trustgraph.errors import BadInput
from trustgraph.services.processes import run_all


def halves(number: int) -> list[int]:
    if number == 3:
        raise BadInput("three has no half")
    return [number // 2] * (number % 4)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_are_in_the_order_of_tasks_and_each_task_is_counted(jobs: int) -> None:
    told: list[tuple[int, int]] = []
    found = run_all(halves, [9, 4, 2, 5], jobs=jobs, progress=lambda done, total: told.append((done, total)))
    assert found == [4, 1, 1, 2]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_error_of_a_task_is_raised(jobs: int) -> None:
    with pytest.raises(BadInput, match="three"):
        run_all(halves, [2, 3, 5], jobs=jobs, progress=lambda done, total: None)
