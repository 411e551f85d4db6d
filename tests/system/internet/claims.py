"""What should have come true, judged from the facts alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.system.internet.cast import CAST, Role, players
from tests.system.internet.told import Told, View

REFUSED = "550 5.7.1"
WAITING = "451 4.7.5"


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the story, and whether it held."""

    text: str
    held: bool
    seen: str


def claims(told: Told) -> list[Claim]:
    """All of them, in the order of the story."""
    return [*_beginning(told), *_endorsing(told), *_gates(told), *_outage(told), *_letters(told)]


def _beginning(told: Told) -> Iterator[Claim]:
    (relay,) = _names(Role.RELAY)
    standings = [told.before.standing(honest, relay) for honest in _names(Role.HONEST)]
    yield Claim(
        "at first the relay was let in on probation, as everybody was",
        set(standings) == {"probation"} and set(told.relay_at_first) == {"delivered"},
        f"{_words(Counter(standings))}; letters {_words(told.relay_at_first)}",
    )
    pairs = Counter(told.before.standing(*pair) for pair in _pairs())
    yield Claim("at first nobody was accepted anywhere", set(pairs) <= {"probation", "unrated"}, _words(pairs))


def _endorsing(told: Told) -> Iterator[Claim]:
    (relay,) = _names(Role.RELAY)
    earned = {(one, other) for one, other in _pairs() if other in _names(Role.HONEST)}
    known = {pair for pair in _endorsements(told.after) if told.after.known_to_all(pair)}
    yield Claim(
        "good hosts endorsed each other, and by gossip all the others know of it",
        earned <= known,
        f"{len(earned & known)} of {len(earned)} endorsements are in every other host's store",
    )
    careless = {(player.name, relay) for player in players(Role.HONEST) if player.careless}
    honest = {pair for pair in _endorsements(told.after) if pair[1] == relay and pair[0] in _names(Role.HONEST)}
    yield Claim(
        "the two signatures by honest hosts that the relay got, and no third, are in every store",
        len(careless) == 2 and careless <= known and honest == careless,
        f"{len(careless & known)} of {len(careless)}; by honest hosts {len(honest)}",
    )
    ring = set(_names(Role.RING))
    into_ring = {pair for pair in _endorsements(told.after) if pair[1] in ring and pair[0] in _names(Role.HONEST)}
    looked = set(told.after.endorsements) == set(_names(Role.HONEST))
    yield Claim("nobody honest endorsed the ring", looked and not into_ring, f"{len(into_ring)} endorsements")


def _gates(told: Told) -> Iterator[Claim]:
    (relay,) = _names(Role.RELAY)
    honest = _names(Role.HONEST)
    good = Counter(told.after.standing(one, other) for one, other in _pairs() if other in honest)
    yield Claim("honest hosts are accepted everywhere", set(good) == {"accepted"}, _words(good))
    bad = Counter(told.after.standing(player.name, relay) for player in players(Role.HONEST) if not player.spared)
    yield Claim(
        "the relay stands as refused where its spam was seen, with those who signed it too",
        set(bad) == {"refused"},
        _words(bad),
    )
    (spared,) = [player.name for player in players(Role.HONEST) if player.spared]
    endorsers = _endorsers(told.after, spared, relay)
    yield Claim(
        "where nothing bad was seen, two signatures by trusted hosts gave it no standing",
        told.after.standing(spared, relay) == "probation" and endorsers == 2,
        f"{told.after.standing(spared, relay)}, {endorsers} endorsers that count, at {spared}",
    )
    replies = {name: set(told.relay_at_last.get(name, ())) for name in honest}
    yield Claim(
        f"every gate answered the relay {REFUSED}",
        all(replies[name] == {REFUSED} for name in honest),
        _words(sum((Counter(replies[name]) for name in honest), Counter())),
    )
    ring = Counter(told.after.standing(one, other) for one in honest for other in _names(Role.RING))
    yield Claim("the ring is accepted nowhere", set(ring) <= {"refused", "probation", "unrated"}, _words(ring))
    yield Claim(
        "the honest hosts' letters were let in for their standing",
        set(told.honest_at_last) == {"delivered"} and set(told.honest_reasons) == {"accepted"},
        f"{_words(told.honest_at_last)}; reasons {_words(told.honest_reasons)}",
    )


def _outage(told: Told) -> Iterator[Claim]:
    yield Claim(
        "without keyservers an unknown host's mail waited in its own queue",
        told.outage_sent > 0 and told.outage_waiting == told.outage_sent and set(told.outage_newcomer) == {WAITING},
        f"{told.outage_waiting} of {told.outage_sent} waiting; replies {_words(told.outage_newcomer)}",
    )
    yield Claim(
        "mail of hosts whose keys were at hand went on, and was let in for their standing",
        set(told.outage_cached) == {"delivered"} and set(told.outage_reasons) == {"accepted"},
        f"{_words(told.outage_cached)}; reasons {_words(told.outage_reasons)}",
    )
    yield Claim(
        "all that waited was delivered once they were back",
        told.return_waiting == 0 and told.return_newcomer == Counter(delivered=told.outage_sent) != Counter(),
        f"{told.return_waiting} waiting; {_words(told.return_newcomer)}",
    )


def _letters(told: Told) -> Iterator[Claim]:
    total = sum(told.tally.values(), Counter())
    yield Claim(
        "every letter ever sent is in a mailbox, refused or in a queue",
        0 < told.sent == total["delivered"] + total["refused"] + total["waiting"],
        f"{told.sent} sent; {_words(total)}",
    )
    queued = sum(told.queues.values())
    yield Claim("every queue is empty", len(told.queues) == len(CAST) and not queued, f"{queued} queued")


def _endorsements(view: View) -> set[tuple[str, str]]:
    """That any store knows of."""
    return {pair for store in view.endorsements.values() for pair in store}


def _endorsers(view: View, observer: str, host: str) -> int:
    """How many endorsements of a host count at an observer."""
    rated = view.ratings.get(observer, {}).get(host)
    return rated.endorsers if rated else 0


def _pairs() -> list[tuple[str, str]]:
    """Each honest host with each other host that writes to it."""
    senders = _names(Role.HONEST, Role.RELAY, Role.RING)
    return [(one, other) for one in _names(Role.HONEST) for other in senders if other != one]


def _names(*roles: Role) -> list[str]:
    return [player.name for player in players(*roles)]


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "none"
