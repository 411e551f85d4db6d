"""Rules that match what is not to go on."""

from __future__ import annotations

import logging
from email.message import Message
from typing import Any

from mailman.interfaces.rules import IRule
from zope.interface import implementer

from trustgraph.mailman.asking import Answer, answer_of, shown
from trustgraph.mailman.calling import ask_command, configuration
from trustgraph.mailman.octets import octets_of
from trustgraph.mailman.results import gate_lets_in

__all__ = ["NotThroughGate", "NotVerified"]

#: In a message's metadata, so that the chain knows what the rule has found.
VERDICT, AUTHOR, AUTOMATIC = "trustgraph_verdict", "trustgraph_author", "trustgraph_automatic"

_HOW = "to deposit a key, send your public key to {to} with the subject Key"

log = logging.getLogger("mailman.vette")


@implementer(IRule)
class NotVerified:
    """Asks about the post as it came, and matches unless the answer is yes."""

    name = "trustgraph"
    description = "Catch posts that no key of their author has signed."
    record = True

    def check(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> bool:
        """See IRule. Raises nothing: a message that cannot be written down has not been judged."""
        try:
            answer = _ask(mlist, msg, msgdata)
        except Exception as error:
            log.exception("trustgraph: %s", mlist.posting_address)
            answer = Answer("unknown", f"{type(error).__name__}: {error}")
        if answer.lets_in:
            return False
        _note(msg, msgdata, answer, _reasons(answer, mlist))
        return True


@implementer(IRule)
class NotThroughGate:
    """Matches unless the gate in front of Mailman says that it let the post in."""

    name = "trustgraph-gated"
    description = "Catch posts that did not come through trustgraph's gate."
    record = True

    def check(self, mlist: Any, msg: Message, msgdata: dict[str, Any]) -> bool:
        """See IRule. Raises nothing."""
        del mlist
        try:
            values = [str(value) for value in msg.get_all("authentication-results", [])]
            if gate_lets_in(values, configuration().authserv_id):
                return False
        except Exception:
            log.exception("trustgraph: the field of the gate could not be read")
        _note(msg, msgdata, Answer("hold", "not-through-gate"), ["it did not come through the gate for signed posts"])
        return True


def _ask(mlist: Any, msg: Message, msgdata: dict[str, Any]) -> Answer:
    arguments = ["list", "check", "--json", "--no-keep"]
    # Mailman's queues keep this time, so a post that comes again for whatever reason is the same delivery.
    received = msgdata.get("received_time")
    if received is not None:
        arguments.append(f"--delivery={received.isoformat()}")
    done = ask_command([*arguments, "--", mlist.posting_address, "-"], octets_of(msg))
    if done.said:
        log.warning("trustgraph: %s: %s: %s", mlist.posting_address, msg.get("message-id", "n/a"), done.said)
    return answer_of(done)


def _reasons(answer: Answer, mlist: Any) -> list[str]:
    if answer.verdict == "unknown":
        return [f"whether its author signed it could not be checked: {answer.reason}"]
    facts = answer.facts
    reasons = [f"{answer.reason}: {shown(facts.get('meaning') or 'see docs/lists.md of trustgraph')}"]
    if facts.get("rule"):
        reasons.append(f"rule of the list: {shown(facts['rule'])}")
    if facts.get("fingerprint"):
        reasons.append(f"signed by: {shown(facts['fingerprint'])}")
    expected = facts.get("expected")
    reasons += [f"expected: {shown(one)}" for one in (expected if isinstance(expected, list) else [])[:3]]
    return [*reasons, _HOW.format(to=mlist.request_address)]


def _note(msg: Message, msgdata: dict[str, Any], answer: Answer, reasons: list[str]) -> None:
    """What moderators are shown. A pair of a format and its text, since Mailman expands names in what it translates."""
    msgdata |= {VERDICT: answer.verdict, AUTHOR: answer.author, AUTOMATIC: answer.automatic}
    msgdata["moderation_sender"] = getattr(msg, "sender", "")
    msgdata["moderation_reasons"] = [("{}", reason) for reason in reasons]
