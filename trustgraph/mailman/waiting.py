"""The queue ``trustgraph``: posts and letters that could not be judged, and members who came or went.

What cannot be done now is tried again, every ``[runner.trustgraph] sleep_time``, until it can: nothing is lost while
the command or its database is away. A post's patience ends in Mailman's hold queue.
"""

from __future__ import annotations

import logging
import time
from email.message import Message as AnyMessage
from typing import Any

from mailman.config import config
from mailman.core.runner import Runner
from mailman.email.message import Message

from trustgraph.mailman.calling import ask_command, configuration, takes_part

QUEUE = "trustgraph"

#: In a message's metadata: which queue it goes back to and since when it waits; who came or went.
_BACK_TO, _SINCE = "trustgraph_back_to", "trustgraph_since"
_ADDRESS, _JOINS, _TRIED = "trustgraph_address", "trustgraph_joins", "trustgraph_tried"

#: sysexits that say "not like this": trying again would not help.
_NEVER = frozenset({64, 65})

log = logging.getLogger("mailman.plugins")


def is_set_up() -> bool:
    """Whether there is such a queue."""
    return QUEUE in config.switchboards


def put_back(msg: AnyMessage, msgdata: dict[str, Any], queue: str) -> bool:
    """Have a message come again through ``queue`` later; False when that has gone on for too long."""
    now = time.time()
    since = msgdata.setdefault(_SINCE, now)
    if not is_set_up() or not now - since < _patience_seconds():
        return False
    msgdata[_BACK_TO] = queue
    config.switchboards[QUEUE].enqueue(msg, msgdata)
    return True


def _patience_seconds() -> int:
    """None with a configuration that is wrong: somebody has to see to it."""
    try:
        return configuration().patience_seconds
    except (OSError, ValueError):
        return 0


def put_change(mlist: Any, address: str, *, joins: bool) -> None:
    """Have somebody who joins the list subscribed in its stash, or who leaves it forgotten there."""
    if is_set_up():
        config.switchboards[QUEUE].enqueue(Message(), listid=mlist.list_id, **{_ADDRESS: address, _JOINS: joins})
    else:
        log.error("trustgraph: %s: %s is not taken to the stash: no [runner.trustgraph]", mlist.list_id, address)


class WaitingRunner(Runner):
    """Does what waits, once in each ``sleep_time``."""

    def _dispose(self, mlist: Any, msg: AnyMessage, msgdata: dict[str, Any]) -> bool:
        """See Runner: True keeps the message here."""
        if _ADDRESS in msgdata:
            return not _changed(mlist, msgdata)
        config.switchboards[msgdata[_BACK_TO]].enqueue(msg, msgdata)
        return False

    def _snooze(self, filecnt: int) -> None:
        del filecnt
        time.sleep(self.sleep_float)


def _changed(mlist: Any, msgdata: dict[str, Any]) -> bool:
    """Whether the stash knows, or never will."""
    address = str(msgdata[_ADDRESS])
    if msgdata.get(_TRIED):
        # It may have changed again since, and that may have been done already.
        msgdata[_JOINS] = mlist.members.get_member(address) is not None
    msgdata[_TRIED] = True
    if not takes_part(mlist):
        return True
    task = "subscribe" if msgdata[_JOINS] else "unsubscribe"
    done = ask_command(["list", task, "--", mlist.posting_address, address])
    if done.code == 0:
        log.info("trustgraph: list %s %s %s", task, mlist.posting_address, address)
        return True
    is_final = done.code in _NEVER
    how = "is given up" if is_final else "will be tried again"
    log.error("trustgraph: list %s %s %s %s: %s", task, mlist.posting_address, address, how, done.said or done.code)
    return is_final
