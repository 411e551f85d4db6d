"""A post out of the MTA's pipe, through the gate, and on to the list program.

Done means that the post needs the MTA no more: the next one has it, a moderator has it, or it is refused. What is
refused makes no bounce, since its envelope sender is as easily forged as its author: subscribers are answered by a
letter (:mod:`.list_answers`), others not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from trustgraph.errors import BadInput, ServiceUnavailable, TrustgraphError, Undeliverable
from trustgraph.mailinglist.model import PostVerdict
from trustgraph.model import UnixSeconds
from trustgraph.services.list_answers import follow_up
from trustgraph.services.list_gate import Checked, PostGate
from trustgraph.services.list_passing import pass_on
from trustgraph.services.list_results import authserv_of, with_results


class Fate(StrEnum):
    """What became of the post; only ``later`` leaves it with the MTA."""

    PASSED = "passed"
    HELD = "held"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Piped:
    """``trouble`` says what went wrong on the way, for the operator."""

    fate: Fate
    checked: Checked
    letters: int = 0
    trouble: str = ""


def pipe(
    gate: PostGate, octets: bytes, target: str, now: UnixSeconds, *, sender: str | None, delivery: bytes | None
) -> Piped:
    """Take one post through. ``target`` is as :func:`~.list_passing.pass_on` has it, ``sender`` the envelope's,
    None where it is not known; what has a null one is not answered.

    Raises :class:`Undeliverable` when the next one refuses for good a post by whom it says: the MTA may bounce it. It
    then is not on record as posted, so that its author can send it again. A tagged one may be anybody's and is dropped.
    """
    checked = gate.check(octets, delivery=delivery, sender=sender or "", passed=False)
    if sender in ("", "<>"):
        checked = replace(checked, post=replace(checked.post, automatic=True))
    verdict = checked.decision.verdict
    if verdict is PostVerdict.TEMPFAIL:
        return Piped(Fate.LATER, checked, trouble=checked.trouble)
    if verdict in (PostVerdict.ACCEPT, PostVerdict.TAG):
        return _passed_on(gate, checked, octets, target, sender or "", delivery)
    fate = Fate.HELD if verdict is PostVerdict.HOLD else Fate.REFUSED
    try:
        return Piped(fate, checked, follow_up(gate.stash, checked, now))
    except TrustgraphError as error:  # what was decided stands: it is on record, or nothing is kept of it
        return Piped(fate, checked, trouble=f"a letter could not be sent: {error}")


def _passed_on(
    gate: PostGate, checked: Checked, octets: bytes, target: str, sender: str, delivery: bytes | None
) -> Piped:
    name = authserv_of(gate.stash.settings, gate.stash.list)
    try:
        marked = with_results(octets, name, checked.decision)
    except BadInput as error:  # a mark on what cannot be cut into fields is no mark
        return Piped(Fate.REFUSED, checked, trouble=str(error))
    try:
        pass_on(target, marked, sender, gate.stash.list.address)
    except ServiceUnavailable as error:
        return Piped(Fate.LATER, checked, trouble=str(error))
    except Undeliverable as error:
        gate.forget(checked, octets, delivery)
        if checked.decision.verdict is PostVerdict.TAG:
            return Piped(Fate.REFUSED, checked, trouble=str(error))
        raise
    try:
        gate.settle(checked, octets, delivery)
    except TrustgraphError as error:  # it has got on; should a copy come within the hour, that waits for nothing
        return Piped(Fate.PASSED, checked, trouble=f"not put on record: {error}")
    return Piped(Fate.PASSED, checked)
