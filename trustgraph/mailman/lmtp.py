"""Mailman's LMTP server, except that a message to a list that takes part keeps the octets that it came as.

Mailman parses what comes in and writes it out again, and signatures can break on the way. So what is asked about is
what came. Optional: without this runner the message is written from its parsed form (:mod:`.octets`).
"""

from __future__ import annotations

from contextvars import ContextVar
from email.message import Message
from typing import Any

from mailman.config import config
from mailman.interfaces.listmanager import IListManager
from mailman.runners.lmtp import LMTPHandler, LMTPRunner
from zope.component import getUtility

from trustgraph.mailman.calling import takes_part
from trustgraph.mailman.octets import forget, keep

#: Where posts and commands go from here.
_QUEUES = ("in", "command")

#: Of the transaction that is being served: each connection has a task, and so a context, of its own.
_came: ContextVar[bytes | None] = ContextVar("_came", default=None)


class _Handler(LMTPHandler):
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> Any:  # noqa: N802 - aiosmtpd's name
        token = _came.set(envelope.content)
        try:
            return await super().handle_DATA(server, session, envelope)
        finally:
            _came.reset(token)


class _KeepingSwitchboard:
    """A queue that is given, with each message for a list that takes part, the octets of the transaction."""

    def __init__(self, switchboard: Any) -> None:
        self._switchboard = switchboard

    def enqueue(self, msg: Message, msgdata: dict[str, Any] | None = None, **more: Any) -> str:
        octets = _came.get()
        mlist = getUtility(IListManager).get_by_list_id((msgdata or {}).get("listid", ""))
        if octets is not None and mlist is not None and takes_part(mlist):
            keep(msg, octets)
        try:
            return str(self._switchboard.enqueue(msg, msgdata, **more))
        finally:
            forget(msg)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._switchboard, name)


class KeepingLMTPRunner(LMTPRunner):
    """For ``[runner.lmtp] class``."""

    def __init__(self, name: str, slice: Any = None) -> None:
        super().__init__(name, slice)
        self.lmtp.handler = _Handler()
        for queue in _QUEUES:
            config.switchboards[queue] = _KeepingSwitchboard(config.switchboards[queue])
