"""Chains that ask before Mailman's own do, and what becomes of a post that is not to go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from email.message import Message
from typing import Any

from mailman.app.moderator import hold_message
from mailman.chains.base import Link, TerminalChainBase
from mailman.config import config
from mailman.interfaces.chain import HoldEvent, IChain, LinkAction
from zope.event import notify
from zope.interface import implementer

from trustgraph.mailman.plugin import GATED_CHAIN, POSTING_CHAIN
from trustgraph.mailman.rules.trustgraph import AUTHOR, AUTOMATIC, VERDICT, NotThroughGate, NotVerified

__all__ = ["GatedChain", "PostingChain", "RefusalChain"]

_REFUSAL = "trustgraph-refusal"

log = logging.getLogger("mailman.vette")


class _Asking:
    """The rule first, on the post as it came; then all that Mailman asks of any other post."""

    rule = ""

    def get_links(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> Iterator[Any]:
        """See IChain."""
        del mlist, msg, msgdata
        yield Link(self.rule, LinkAction.jump, _REFUSAL)
        yield Link("truth", LinkAction.jump, "default-posting-chain")


@implementer(IChain)
class PostingChain(_Asking):
    """For a list whose posts come to Mailman as their authors sent them."""

    name = POSTING_CHAIN
    description = "Ask trustgraph about each post, then do as the default chain does."
    rule = NotVerified.name


@implementer(IChain)
class GatedChain(_Asking):
    """For a list whose posts come through `trustgraph list pipe` or `trustgraph list milter`."""

    name = GATED_CHAIN
    description = "Take only posts that came through trustgraph's gate, then do as the default chain does."
    rule = NotThroughGate.name


class RefusalChain(TerminalChainBase):
    """A refused post goes back to a member, and nowhere if its author is none: anybody can write that name.

    What is held, and what nobody could judge, waits for Mailman's moderators; of who is no member no notice is taken.
    """

    name = _REFUSAL
    description = "What becomes of a post that trustgraph does not let in."

    def _process(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> None:
        author = msgdata.get(AUTHOR, "")
        is_members = bool(author) and not msgdata.get(AUTOMATIC, True) and mlist.members.get_member(author) is not None
        if msgdata.get(VERDICT) == "reject":
            _finish("reject" if is_members else "discard", mlist, msg, msgdata)
        elif is_members:
            _finish("hold", mlist, msg, msgdata)
        else:
            reasons = "; ".join(msgdata.get("moderation_reasons", ["n/a"]))
            hold_message(mlist, msg, msgdata, reasons)
            log.info(
                "HOLD: %s post held, message-id=%s: %s", mlist.fqdn_listname, msg.get("message-id", "n/a"), reasons
            )
            notify(HoldEvent(mlist, msg, msgdata, self))


def _finish(name: str, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> None:
    """One of Mailman's own ways to end."""
    config.chains[name]._process(mlist, msg, msgdata)
