"""``key``, a command in the subject of a letter to LIST-request: deposit a key, or answer the letter that asks for proof."""

from __future__ import annotations

import logging
import subprocess
from email.message import Message
from typing import Any

from mailman.interfaces.command import ContinueProcessing, IEmailCommand
from zope.interface import implementer

from trustgraph.mailman.asking import ask
from trustgraph.mailman.octets import octets_of
from trustgraph.mailman.plugin import CHAINS, configuration

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
        """See IEmailCommand. Raises RuntimeError where the letter could not be handled: Mailman keeps it (shunts it)."""
        del arguments
        if mlist.posting_chain not in CHAINS:
            print("This list takes no keys.", file=results)
            return ContinueProcessing.no
        results.send_response = False
        sender = str(msgdata.get("envsender") or msg.get("x-mailfrom") or "")
        try:
            options = ["--sender", sender] if sender else []
            code, _, said = ask(configuration(), ["list", "mail", mlist.posting_address, "-", *options], octets_of(msg))
        except (OSError, subprocess.SubprocessError) as error:
            raise RuntimeError(f"trustgraph: {error}") from None
        if code:
            raise RuntimeError(f"trustgraph: list mail {mlist.posting_address} ended with {code}: {said}")
        return ContinueProcessing.no
