"""``key``, a command by mail to LIST-request: deposit a key, or answer the letter that asks for proof."""

from __future__ import annotations

import logging
from email.message import Message
from typing import Any

from mailman.interfaces.command import ContinueProcessing, IEmailCommand
from zope.interface import implementer

from trustgraph.mailman.calling import ask_command, takes_part
from trustgraph.mailman.octets import octets_of
from trustgraph.mailman.waiting import put_back

__all__ = ["Key"]

log = logging.getLogger("mailman.plugins")


@implementer(IEmailCommand)
class Key:
    """Hands the whole letter to `trustgraph list mail`, which answers by itself, and subscribers only."""

    name = "key"
    argument_description = ""
    description = "Deposit the public key that your posts are signed with, attached or in the text."
    short_description = "Deposit a key for signed posts."

    def process(
        self, mlist: Any, msg: Message, msgdata: dict[str, Any], arguments: list[str], results: Any
    ) -> ContinueProcessing:
        """See IEmailCommand. Raises RuntimeError when patience ends: Mailman shunts the letter."""
        del arguments
        if not takes_part(mlist):
            print("This list takes no keys.", file=results)
            return ContinueProcessing.no
        results.send_response = False
        sender = msg.get_unixfrom()
        options = [] if sender is None else [f"--sender={sender}"]
        done = ask_command(["list", "mail", *options, "--", mlist.posting_address, "-"], octets_of(msg))
        if done.code == 0:
            log.info("trustgraph: %s: a letter about a key was taken", mlist.posting_address)
        elif not put_back(msg, msgdata, "command"):
            raise RuntimeError(f"trustgraph: list mail {mlist.posting_address}: {done.said or done.code}")
        else:
            log.error("trustgraph: a letter to %s is put off: %s", mlist.request_address, done.said or done.code)
        return ContinueProcessing.no
