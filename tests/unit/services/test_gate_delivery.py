"""What the gate keeps of a message so that feedback finds it: only of what was let in, and spamtraps of all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.services.site import NOW, US
from tests.unit.verifier.letters import MESSAGE_FIELDS, PEER, SENDER, World, altered, bound, signed_by
from tests.unit.verifier.scripted import play
from trustgraph.feedback.copies import signature_digest
from trustgraph.feedback.recipients import Traps, recipient_digest, voter_digest
from trustgraph.headersig.checking import Presented, replay_key
from trustgraph.headersig.signing import Envelope
from trustgraph.policy.decide import Policy
from trustgraph.services.gate import record_of
from trustgraph.verifier.spool import Record

ANNA, TRAP = b"Anna+x@example.net", b"trap@example.net"
SIGNED = signed_by(PEER, envelope=bound(recipient=None), bh=None)
TRAPS = Traps(["trap@example.net"])


def recorded(profile: Any, fields: Any, rating: float | None, recipients: tuple[bytes, ...] = (ANNA, TRAP)) -> Record:
    world = World(PEER, policy=Policy(profile=profile))
    if rating is not None:
        world.rate(PEER, rating)

    async def run() -> Record:
        examined = await world.examine(fields, PEER, Envelope(SENDER, recipients))
        judged = await world.verifier.conclude(examined, None)
        return record_of(judged, examined.incoming, "4XyZ", US, NOW, TRAPS)

    return play(run)


def test_what_is_let_in_has_its_recipients_and_its_signature() -> None:
    record = recorded("strict", SIGNED, 0.9)
    assert (record.verdict, record.recipients) == (
        "accept",
        [recipient_digest("anna@example.net"), recipient_digest("trap@example.net")],
    )
    assert record.signature == signature_digest(replay_key(Presented(SIGNED[0][1], None)))


def test_what_is_refused_has_neither() -> None:
    record = recorded("strict", SIGNED, 0.01)
    assert (record.verdict, record.recipients, record.signature) == ("reject", [], 0)


@pytest.mark.parametrize("fields", [altered(SIGNED), list(MESSAGE_FIELDS)], ids=["altered", "unsigned"])
def test_a_signature_that_did_not_pass_is_none(fields: Any) -> None:
    record = recorded("monitor", fields, 0.9)
    assert (record.verdict, record.signature, len(record.recipients)) == ("accept", 0, 2)


def test_a_trap_is_noted_whatever_the_verdict() -> None:
    for rating in (0.9, 0.01):
        assert recorded("strict", SIGNED, rating).traps == [voter_digest("trap@example.net")]
    assert recorded("strict", SIGNED, 0.9, (ANNA,)).traps == []


def test_recipients_are_bounded_and_what_is_no_address_is_left_out() -> None:
    many = tuple(b"u%d@example.net" % number for number in range(1_200))
    assert len(recorded("strict", SIGNED, 0.9, many).recipients) == 1_000
    assert len(recorded("strict", SIGNED, 0.9, (b"postmaster", b"\xff\xfe@x y", ANNA)).recipients) == 1
