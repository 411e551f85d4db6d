"""How much mail of hosts without standing is let in a day: the one rule, for the gate and for its simulation.

Every recipient counts one, or a newcomer's single message could go to everybody. What is let in is drawn from each of
its *payers*, whatever it can be told by that is not free to make anew, and from the pool of all newcomers:

each    ``newcomer_messages``, and from a tenth of the way between the policy's ``refuse`` and ``accept`` on more, up to
        ``newcomer_growth`` times as much: good mail and endorsements buy more, new keys and names buy nothing
in all  ``newcomer_messages_in_all``, half of which is there for those with good mail on record alone, so that a flood
        of new hosts does not take the place of those who have begun to earn a standing

Mail that is signed and mail that is not have a pool each, or whoever does not sign could use up what those who do live
on. A rating that has run out still says what mail there was: it makes nobody stand, but its host no stranger either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trustgraph.model import Day, Identity
from trustgraph.policy.decide import Policy, counts_as_signed
from trustgraph.policy.evidence import Evidence, Rated

#: Accounts that newcomers draw from together. A space is in no domain, address or identity.
SIGNED, UNSIGNED, STRANGERS = "all signed", "all unsigned", "strangers"

#: The part of a pool that hosts without good mail on record may use.
STRANGERS_SHARE = 0.5

#: Below this part of the way between ``refuse`` and ``accept`` are those that nothing good is known of.
_STRANGE = 0.1


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a newcomer may draw in a day, in recipients: ``each`` of its payers, and by account what is shared by all.

    ``earned_by`` is the identity whose good mail it grew with, None if it did not.
    """

    each: int
    shared: Mapping[str, int]
    earned_by: Identity | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """What letting in one message takes on ``day``: ``recipients`` from each account, and how much these have."""

    day: Day
    recipients: int
    limits: Mapping[str, int]

    def fits(self, drawn: Mapping[str, int]) -> bool:
        """Whether there is enough left in all of them; ``drawn`` is what they have given that day."""
        return all(drawn.get(account, 0) + self.recipients <= limit for account, limit in self.limits.items())


class Tally:
    """Draws counted in memory, as :class:`trustgraph.verifier.counters.Counters` does for processes together."""

    def __init__(self) -> None:
        self._drawn: dict[Day, Counter[str]] = {}

    def admit(self, draw: Draw) -> bool:
        """Take the draw if it fits."""
        drawn = self._drawn.setdefault(draw.day, Counter())
        if fits := draw.fits(drawn):
            drawn.update(dict.fromkeys(draw.limits, draw.recipients))
        return fits


def draw_for(
    allowance: Allowance, payers: Iterable[str], day: Day, recipients: int = 1, *, direct: bool = True
) -> Draw:
    """What letting in a message would take. A message without recipients counts as one.

    The identity that the allowance grew with pays too, or it would have as much again from everywhere it sends from;
    from another account where it may not have sent the message itself (not ``direct``), so that whoever delivers a copy
    again and again uses up nothing of its own.
    """
    limits = dict.fromkeys(payers, allowance.each)
    if allowance.earned_by:
        limits[allowance.earned_by if direct else f"{allowance.earned_by} elsewhere"] = allowance.each
    return Draw(day, max(1, recipients), limits | dict(allowance.shared))


def allowance_of(evidence: Evidence, policy: Policy) -> Allowance:
    """By the host that answers for the message, else by the best of its other identities."""
    answering = evidence.responsible if counts_as_signed(evidence, policy) else None
    known = (answering,) if answering else evidence.others
    progress, earner = max(((_progress(one, policy), one.identity) for one in known), default=(0.0, None))
    pool = SIGNED if answering else UNSIGNED
    shared = {pool: policy.newcomer_messages_in_all}
    if progress == 0.0:
        shared[f"{pool} {STRANGERS}"] = int(policy.newcomer_messages_in_all * STRANGERS_SHARE)
    each = round(policy.newcomer_messages * (1.0 + (policy.newcomer_growth - 1.0) * progress))
    return Allowance(each, shared, earner if progress else None)


def _progress(rated: Rated, policy: Policy) -> float:
    """From 0, nothing good is known of it, to 1, it stands. Without confidence there is no evidence either way."""
    if rated.rating is None or rated.confidence <= 0.0:
        return 0.0
    way = (rated.rating - policy.refuse) / (policy.accept - policy.refuse)
    return min(way, 1.0) if way > _STRANGE else 0.0
