"""Chains that ask before Mailman's own do, and what becomes of a post that is not to go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from email.message import Message
from typing import Any

from mailman.chains.base import Link, TerminalChainBase
from mailman.config import config
from mailman.interfaces.chain import IChain, LinkAction
from zope.interface import implementer

from trustgraph.mailman.calling import GATED_CHAIN, POSTING_CHAIN
from trustgraph.mailman.octets import forget
from trustgraph.mailman.rules.trustgraph import AUTHOR, AUTOMATIC, VERDICT, NotThroughGate, NotVerified
from trustgraph.mailman.waiting import put_back

__all__ = ["GatedChain", "PostingChain", "RefusalChain"]

_REFUSAL = "trustgraph-refusal"

log = logging.getLogger("mailman.vette")


class _Asking:
    """The rule first, on the post as it came; then all that Mailman asks of any other post."""

    rule = ""

    def get_links(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> Iterator[Any]:
        """See IChain."""
        del mlist, msgdata
        yield Link(self.rule, LinkAction.jump, _REFUSAL)
        forget(msg)
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
    """A refused post goes nowhere: the command has told its author, if he is a subscriber, and nobody else.

    Mailman's own rejection would send the whole of what a forger wrote to whomever he names. What is to be held, and
    what nobody could judge for too long, waits for Mailman's moderators.
    """

    name = _REFUSAL
    description = "What becomes of a post that trustgraph does not let in."

    def _process(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> None:
        verdict = msgdata.get(VERDICT)
        if verdict == "unknown" and put_back(msg, msgdata, "in"):
            log.info("trustgraph: %s put off: %s", msg.get("message-id", "n/a"), msgdata["moderation_reasons"])
            return
        forget(msg)
        if verdict == "reject":
            _finish("discard", mlist, msg, msgdata)
        else:
            _hold(mlist, msg, msgdata)


def _hold(mlist: Any, msg: Message, msgdata: dict[str, Any]) -> None:
    """Mailman's own way to hold a post; its notice goes to a member who is the author, and to no stranger.

    The change is undone in the same transaction, so nobody else sees it.
    """
    author = msgdata.get(AUTHOR)
    is_members = bool(author) and author == getattr(msg, "sender", "") and mlist.members.get_member(author) is not None
    notices = mlist.respond_to_post_requests
    mlist.respond_to_post_requests = bool(notices and is_members and not msgdata.get(AUTOMATIC, True))
    try:
        _finish("hold", mlist, msg, msgdata)
    finally:
        mlist.respond_to_post_requests = notices


def _finish(name: str, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> None:
    """One of Mailman's own ways to end."""
    config.chains[name]._process(mlist, msg, msgdata)
