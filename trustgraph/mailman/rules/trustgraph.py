"""Rules that match what is not to go on."""

from __future__ import annotations

from email.message import Message
from typing import Any

from mailman.interfaces.rules import IRule
from zope.interface import implementer

from trustgraph.mailman.asking import Answer, check_post
from trustgraph.mailman.octets import octets_of
from trustgraph.mailman.plugin import configuration
from trustgraph.mailman.results import gate_says

__all__ = ["NotThroughGate", "NotVerified"]

#: In a message's metadata, so that the chain knows what the rule has found.
VERDICT, AUTHOR, AUTOMATIC = "trustgraph_verdict", "trustgraph_author", "trustgraph_automatic"

_HOW = "To deposit a key, send your public key to {to} with the subject: key"


@implementer(IRule)
class NotVerified:
    """Asks about the post as it came, and matches unless the answer is yes."""

    name = "trustgraph"
    description = "Catch posts that no key of their author has signed."
    record = True

    def check(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> bool:
        """See IRule."""
        try:
            answer = check_post(configuration(), mlist.posting_address, octets_of(msg))
        except Exception as error:  # noqa: BLE001 - a message that cannot be written down has not been judged
            answer = Answer("unknown", f"{type(error).__name__}: {error}")
        if answer.lets_in:
            return False
        msgdata |= {VERDICT: answer.verdict, AUTHOR: answer.author, AUTOMATIC: answer.automatic}
        _say(mlist, msg, msgdata, _reasons(answer, mlist))
        return True


@implementer(IRule)
class NotThroughGate:
    """Matches unless the gate in front of Mailman says that it let the post in."""

    name = "trustgraph-gated"
    description = "Catch posts that did not come through trustgraph's gate."
    record = True

    def check(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> bool:
        """See IRule."""
        values = [str(value) for value in msg.get_all("authentication-results", [])]
        if gate_says(values, configuration().authserv_id):
            return False
        msgdata |= {VERDICT: "hold", AUTHOR: "", AUTOMATIC: True}
        _say(mlist, msg, msgdata, ["it did not come through the gate for signed posts"])
        return True


def _reasons(answer: Answer, mlist: Any) -> list[str]:
    if answer.verdict == "unknown":
        return [f"its signature could not be checked: {answer.reason}"]
    facts = answer.facts
    reasons = [f"{answer.reason}: {facts.get('meaning') or 'see the documentation of trustgraph list'}"]
    if facts.get("rule"):
        reasons.append(f"rule of the list: {facts['rule']}")
    if facts.get("fingerprint"):
        reasons.append(f"key that signed it: {facts['fingerprint']}")
    reasons += [f"key expected: {one}" for one in facts.get("expected", [])]
    return [*reasons, _HOW.format(to=mlist.request_address)]


def _say(mlist: Any, msg: Message, msgdata: dict[str, Any], reasons: list[str]) -> None:
    del mlist
    msgdata["moderation_sender"] = getattr(msg, "sender", "")
    msgdata.setdefault("moderation_reasons", []).extend(reasons)
