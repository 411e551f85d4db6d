"""Newcomers at a real gate: what is let in counts once for each recipient, what is not let in never."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.services.serving import know_peer
from tests.unit.services.site import NOW, site_in
from tests.unit.verifier.letters import IP, MESSAGE_BODY, PEER, RECIPIENT, SENDER, signed_by
from tests.unit.verifier.scripted import play
from trustgraph.errors import ServiceUnavailable
from trustgraph.headersig.message import join_message
from trustgraph.headersig.signing import Envelope
from trustgraph.model import day_of
from trustgraph.services.gate import COUNTERS, Gate, open_gate, state_of
from trustgraph.services.messages import judge_message
from trustgraph.settings import Settings
from trustgraph.verifier.counters import drawn_on
from trustgraph.verifier.examine import Client

TO_ONE, TO_THREE = Envelope(SENDER, (RECIPIENT,)), Envelope(SENDER, (RECIPIENT, b"b@example.net", b"c@example.net"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A site that lets in five messages a day and knows a key that nothing good is known of."""
    made = site_in(tmp_path, policy={"newcomer_messages": 5})
    know_peer(made, 0.13)
    return made


async def judged(gate: Gate, envelope: Envelope = TO_ONE) -> str:
    octets = join_message(signed_by(PEER), MESSAGE_BODY)
    return (await judge_message(gate, octets, envelope, Client(PEER, IP), "4XyZ")).decision.reason


def reasons(settings: Settings, *envelopes: Envelope, recording: bool = True) -> list[str]:
    async def run() -> list[str]:
        async with open_gate(settings, recording=recording, clock=lambda: NOW) as gate:
            return [await judged(gate, envelope) for envelope in envelopes]

    return play(run)


def drawn(settings: Settings) -> dict[str, int]:
    return drawn_on(state_of(settings, COUNTERS), day_of(NOW))


def test_recipients_count_and_what_waits_may_come_as_often_as_it_likes(settings: Settings) -> None:
    used = "newcomer-allowance-used"
    come = [TO_THREE, TO_THREE, TO_THREE, TO_ONE, TO_ONE, TO_ONE]
    assert reasons(settings, *come) == ["newcomer", used, used, "newcomer", "newcomer", used]
    assert drawn(settings) == dict.fromkeys(["peer.example", f"ip:{IP}", "all signed", "all signed strangers"], 5)


def test_a_look_at_a_message_uses_nothing_up(settings: Settings) -> None:
    assert reasons(settings, *[TO_THREE] * 4, recording=False) == ["newcomer"] * 4
    assert set(drawn(settings).values()) == set()
    assert reasons(settings, *[TO_ONE] * 6) == ["newcomer"] * 5 + ["newcomer-allowance-used"]
    assert reasons(settings, TO_ONE, recording=False) == ["newcomer-allowance-used"]


def test_what_cannot_be_recorded_is_put_off_and_does_not_pay_for_it(settings: Settings) -> None:
    async def run() -> None:
        async with open_gate(settings, recording=True, clock=lambda: NOW) as gate:
            assert await judged(gate) == "newcomer"
            spool = gate._spool
            assert spool is not None
            spool.close()
            (directory := state_of(settings, "spool")).rename(directory.with_name("elsewhere"))
            directory.write_bytes(b"")
            for _ in range(9):
                with pytest.raises(ServiceUnavailable, match="spool"):
                    await judged(gate, TO_THREE)
            directory.unlink()
            assert await judged(gate, TO_THREE) == "newcomer"

    play(run)
    assert set(drawn(settings).values()) == {4}
