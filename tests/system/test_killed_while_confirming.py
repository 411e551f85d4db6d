"""kill -9 anywhere in taking in a signed token: all keys change or none does, and then it can be sent again."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.signed_posts import make_key
from tests.unit.services.stashes import ANNA, LIST, NOW, answer, stash_in, with_key
from trustgraph.mailinglist.model import KeyState
from trustgraph.services.list_deposits import confirm, deposit
from trustgraph.services.list_stash import Stash, open_stash
from trustgraph.store import open_store

OLD, NEW = make_key(ANNA).signing(at=NOW), make_key(ANNA, "next").signing(at=NOW)
BEFORE = {OLD.fingerprint: KeyState.ACTIVE, NEW.fingerprint: KeyState.PENDING}
AFTER = {OLD.fingerprint: KeyState.RETIRING, NEW.fingerprint: KeyState.ACTIVE}
POINTS = 24


def opened(stash: Stash) -> Stash:
    return open_stash(open_store(stash.settings.database.url), LIST, stash.settings)


def confirmed_by_child(stash: Stash, reply: bytes, kill_at: int) -> tuple[int, int]:
    """(how it ended: 0 or the signal; steps taken), steps being lines of the store and of what it is called by."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        steps = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal steps
            name = frame.f_code.co_filename
            if "trustgraph/store" not in name and "list_revocations" not in name and "sqlalchemy/engine" not in name:
                return None
            if event == "line":
                steps += 1
                if steps == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        mine = opened(stash)
        sys.settrace(trace)
        confirm(mine, reply, NOW)
        sys.settrace(None)
        os.write(writing, str(steps).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as stream:
        counted = stream.read()
    return os.waitstatus_to_exitcode(status), int(counted or 0)


def states(stash: Stash) -> dict[str, KeyState]:
    found = stash.subscriber(ANNA)
    assert found is not None
    return {key.fingerprint: key.state for key in found.keys}


def waiting(home: Path) -> tuple[Stash, bytes]:
    stash = stash_in(home)
    with_key(stash, OLD)
    token = deposit(stash, ANNA, NEW.public, NOW).token_text
    stash.store.close()
    return stash, answer(token, NEW, OLD)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_points_all_over(tmp_path: Path) -> None:
    stash, reply = waiting(tmp_path / "whole")
    ended, steps = confirmed_by_child(stash, reply, 0)
    assert (ended, steps > 1000) == (0, True)
    assert states(opened(stash)) == AFTER
    seen = []
    for point in range(POINTS):
        stash, reply = waiting(tmp_path / str(point))
        ended, _ = confirmed_by_child(stash, reply, 1 + point * (steps - 1) // (POINTS - 1))
        again = opened(stash)
        found = states(again)
        assert (ended, found in (BEFORE, AFTER)) == (-signal.SIGKILL, True)
        if found == BEFORE:
            assert confirm(again, reply, NOW).missing == ""
        assert states(again) == AFTER
        again.store.close()
        seen.append(found)
    assert {tuple(found.values()) for found in seen} == {tuple(BEFORE.values()), tuple(AFTER.values())}
