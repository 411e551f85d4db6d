"""The single messages behind the counts: what one observer saw of each, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from trustgraph.lab.dice import stream
from trustgraph.lab.traffic import Traffic
from trustgraph.lab.world import Host, Witness, World
from trustgraph.model import Outcome, Result, UnixSeconds

#: Parts of the messages whose signatures break on the way, or whose key could not be asked for.
BROKEN_ON_THE_WAY = 0.004
NO_ANSWER = 0.002
#: Part of the spam that carries malware.
MALWARE = 0.03

#: Relative traffic of the hours of a day, UTC.
_HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 7, 10, 11, 11, 10, 9, 10, 11, 10, 9, 7, 5, 4, 4, 3, 3, 2], dtype=float)
_HOUR_WEIGHTS = _HOURS / _HOURS.sum()
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_QUEUE_DIGITS = "0123456789ABCDEF"
_SENDERS = ("anna", "billing", "boris", "clara", "info", "news", "orders", "sales", "support", "thomas")


@dataclass(frozen=True, slots=True)
class Message:
    """One message as one observer received it. ``openpgp`` is None when its host has no OpenPGP key.

    ``outcome`` is what the observer took it for, ``is_spam`` what it was. ``token`` is a random word that its ids are
    made from; ``size`` is in octets.
    """

    at: UnixSeconds
    sender: int
    dkim: Result
    openpgp: Result | None
    outcome: Outcome
    is_spam: bool
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
    # The population first: its messages do not change with whom a scenario adds.
    messages = [
        *_messages(world, traffic, observer, range(world.population), dice),
        *_messages(world, traffic, observer, range(world.population, world.senders), dice),
    ]
    return sorted(messages, key=lambda message: (message.at, message.token))


def without_keyservers(world: World, messages: Iterable[Message]) -> Iterator[Message]:
    """The same messages in order of time; in an outage no signature is checked whose key is not at hand."""
    fetched: dict[int, UnixSeconds] = {}
    for message in messages:
        outage = next((each for each in world.outages if each.start <= message.at < each.end), None)
        if message.openpgp is not None and outage is None:
            fetched[message.sender] = message.at
        elif message.openpgp is not None and outage is not None:
            at_hand = message.sender in fetched and message.at - fetched[message.sender] <= outage.cache_seconds
            yield message if at_hand else replace(message, openpgp=Result.TEMPERROR)
            continue
        yield message


def made_up(world: World, witness: Witness) -> list[Message]:
    """What a witness says it received in the logged days."""
    dice = stream(world.parameters.seed, f"witness {witness.number}")
    midnights = [world.parameters.day_start(day) for day in range(witness.first_day, world.parameters.all_days)]
    messages = [
        _message(world, dice, sender, UnixSeconds(midnight + int(second)), witness.outcome, False)
        for midnight in midnights
        for sender in witness.about
        for second in dice.integers(0, 86_400, witness.a_day)
    ]
    return sorted(messages, key=lambda message: (message.at, message.token))


def _messages(
    world: World, traffic: Traffic, observer: int, senders: range, dice: np.random.Generator
) -> Iterator[Message]:
    """The messages of these senders, sender by sender."""
    logged = slice(world.parameters.history_days, None)
    tables = {
        Outcome.GOOD: (traffic.good, traffic.spam_in_good),
        Outcome.SPAM: (traffic.spam, traffic.good_in_spam),
        Outcome.UNKNOWN: (traffic.unsure, traffic.spam_in_unsure),
    }
    for outcome, (table, mistaken) in tables.items():
        counts = table[observer, senders.start : senders.stop, logged]
        mistakes = mistaken[observer, senders.start : senders.stop, logged]
        for place, day in np.argwhere(counts):
            midnight = world.parameters.day_start(world.parameters.history_days + int(day))
            wrong = int(mistakes[place, day])
            for number, at in enumerate(_moments(midnight, int(counts[place, day]), dice)):
                is_spam = (outcome is Outcome.SPAM) != (number < wrong)
                yield _message(world, dice, senders[place], at, outcome, is_spam)


def _moments(midnight: UnixSeconds, number: int, dice: np.random.Generator) -> list[UnixSeconds]:
    seconds = dice.choice(24, number, p=_HOUR_WEIGHTS) * 3600 + dice.integers(0, 3600, number)
    return [UnixSeconds(midnight + int(second)) for second in seconds]


def _message(
    world: World, dice: np.random.Generator, sender: int, at: UnixSeconds, outcome: Outcome, is_spam: bool
) -> Message:
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
        is_spam=is_spam,
        token=_word(_LETTERS, 9, dice),
        queue_id=_word(_QUEUE_DIGITS, 10, dice),
        mailbox=_SENDERS[int(dice.integers(0, len(_SENDERS)))],
        size=int(dice.lognormal(9.0, 1.0)) + 600,
    )


def _word(alphabet: str, length: int, dice: np.random.Generator) -> str:
    return "".join([alphabet[place] for place in dice.integers(0, len(alphabet), length)])


def _transit(dice: np.random.Generator) -> Result:
    """What becomes of a true signature on its way."""
    chance = dice.random()
    if chance < BROKEN_ON_THE_WAY:
        return Result.FAIL
    return Result.TEMPERROR if chance < BROKEN_ON_THE_WAY + NO_ANSWER else Result.PASS
