"""How what several say about one message comes to one outcome.

In this order: a scanner that found malware; a spamtrap, which no wanted mail is sent to; the majority of the users who
said anything, a tie being spam; a classifier's verdict; the outcome that the observation came with. A user's word is
one vote, whatever it is: that somebody calls a message malware does not outvote all others.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from trustgraph.model import Outcome, UnixSeconds


class Source(IntEnum):
    """Who speaks; the numbers are stored."""

    INGESTED = 0
    CLASSIFIER = 1
    USER = 2
    TRAP = 3


class Vote(NamedTuple):
    """One voter's word on one message. ``voter`` is a digest, 0 for the one classifier and for what was ingested.

    ``Outcome.UNKNOWN`` takes back what the same voter said before.
    """

    source: Source
    voter: int
    outcome: Outcome
    at: UnixSeconds


#: Of two votes of one voter at the same time the worse counts, so that their order does not matter.
_BADNESS = {Outcome.UNKNOWN: 0, Outcome.GOOD: 1, Outcome.SPAM: 2, Outcome.MALWARE: 3}


def latest(votes: Iterable[Vote]) -> dict[tuple[Source, int], Vote]:
    """The one vote of each voter that counts."""
    last: dict[tuple[Source, int], Vote] = {}
    for vote in votes:
        key = (vote.source, vote.voter)
        if key not in last or _later(vote, last[key]):
            last[key] = vote
    return last


def _later(new: Vote, old: Vote) -> bool:
    return (new.at, _BADNESS[new.outcome]) > (old.at, _BADNESS[old.outcome])


def combined(votes: Iterable[Vote]) -> Outcome:
    """What a message is taken for. Nobody's word is ``UNKNOWN``."""
    said = [vote for vote in latest(votes).values() if vote.outcome is not Outcome.UNKNOWN]
    if any(vote.outcome is Outcome.MALWARE and vote.source in _SCANNERS for vote in said):
        return Outcome.MALWARE
    if any(vote.source is Source.TRAP for vote in said):
        return Outcome.SPAM
    if users := [vote.outcome for vote in said if vote.source is Source.USER]:
        return _majority(users)
    for source in (Source.CLASSIFIER, Source.INGESTED):
        if found := [vote.outcome for vote in said if vote.source is source]:
            return max(found, key=_BADNESS.__getitem__)
    return Outcome.UNKNOWN


_SCANNERS = (Source.CLASSIFIER, Source.INGESTED)


def _majority(outcomes: list[Outcome]) -> Outcome:
    good, malware = outcomes.count(Outcome.GOOD), outcomes.count(Outcome.MALWARE)
    bad = len(outcomes) - good
    if good > bad:
        return Outcome.GOOD
    return Outcome.MALWARE if malware > bad - malware else Outcome.SPAM
