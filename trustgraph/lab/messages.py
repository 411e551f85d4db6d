"""The single messages behind the counts: what one observer saw of each, in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trustgraph.lab.dice import stream
from trustgraph.lab.traffic import Traffic
from trustgraph.lab.world import Host, World
from trustgraph.model import Outcome, Result, UnixSeconds

#: Parts of the messages whose signatures break on the way, or whose key could not be asked for.
BROKEN_ON_THE_WAY = 0.004
NO_ANSWER = 0.002
#: Part of the spam that carries malware.
MALWARE = 0.03

#: Relative traffic of the hours of a day, UTC.
_HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 7, 10, 11, 11, 10, 9, 10, 11, 10, 9, 7, 5, 4, 4, 3, 3, 2], dtype=float)
_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
_QUEUE_DIGITS = np.array(list("0123456789ABCDEF"))
_SENDERS = ("anna", "billing", "boris", "clara", "info", "news", "orders", "sales", "support", "thomas")


@dataclass(frozen=True, slots=True)
class Message:
    """One message as one observer received it. ``openpgp`` is None when its host has no OpenPGP key.

    ``token`` is a random word that the ids of the message are made from; ``size`` is in octets.
    """

    at: UnixSeconds
    sender: int
    dkim: Result
    openpgp: Result | None
    outcome: Outcome
    token: str
    queue_id: str
    mailbox: str
    size: int

    def message_id(self, host: Host) -> str:
        """Its Message-ID, in angle brackets."""
        return f"<{self.token}@{host.operator}>"

    def mail_from(self, host: Host) -> str:
        """Its envelope sender."""
        return f"{self.mailbox}@{host.operator}"


def received(world: World, traffic: Traffic, observer: int) -> list[Message]:
    """What one observer received in the logged days."""
    dice = stream(world.parameters.seed, f"messages {observer}")
    messages = [_message(world, dice, *arrival) for arrival in _arrivals(world, traffic, observer, dice)]
    return sorted(messages, key=lambda message: (message.at, message.token))


def _arrivals(
    world: World, traffic: Traffic, observer: int, dice: np.random.Generator
) -> Iterator[tuple[int, UnixSeconds, Outcome]]:
    """Sender, time and outcome of each message, sender by sender."""
    weights = _HOURS / _HOURS.sum()
    counts = {Outcome.GOOD: traffic.good, Outcome.SPAM: traffic.spam, Outcome.UNKNOWN: traffic.unsure}
    for outcome, table in counts.items():
        for sender, day in np.argwhere(table[observer, :, world.parameters.history_days :]):
            number = int(table[observer, sender, world.parameters.history_days + day])
            seconds = dice.choice(24, number, p=weights) * 3600 + dice.integers(0, 3600, number)
            midnight = world.parameters.day_start(world.parameters.history_days + int(day))
            for second in seconds:
                yield int(sender), UnixSeconds(midnight + int(second)), outcome


def _message(world: World, dice: np.random.Generator, sender: int, at: UnixSeconds, outcome: Outcome) -> Message:
    host = world.hosts[sender]
    transit = _transit(dice)
    if outcome is Outcome.SPAM and dice.random() < MALWARE:
        outcome = Outcome.MALWARE
    return Message(
        at=at,
        sender=sender,
        dkim=Result.FAIL if host.is_impersonator else transit,
        openpgp=None if host.key_made_at is None else transit,
        outcome=outcome,
        token="".join(dice.choice(_LETTERS, 9)),
        queue_id="".join(dice.choice(_QUEUE_DIGITS, 10)),
        mailbox=str(dice.choice(_SENDERS)),
        size=int(dice.lognormal(9.0, 1.0)) + 600,
    )


def _transit(dice: np.random.Generator) -> Result:
    """What becomes of a true signature on its way."""
    chance = dice.random()
    if chance < BROKEN_ON_THE_WAY:
        return Result.FAIL
    return Result.TEMPERROR if chance < BROKEN_ON_THE_WAY + NO_ANSWER else Result.PASS
