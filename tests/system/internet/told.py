"""What was seen while the story went on, as plain facts: :mod:`claims` judges them, the rest shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rated:
    """How one host stands at another. ``standing`` in trustgraph's words."""

    rating: float
    standing: str
    endorsers: int


@dataclass(frozen=True, slots=True)
class View:
    """What the honest hosts' stores say: by observer and by host, hosts by name.

    ``endorsements``: (endorser, subject) that each store knows of.
    """

    ratings: Mapping[str, Mapping[str, Rated]] = field(default_factory=dict)
    endorsements: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    def standing(self, observer: str, host: str) -> str:
        """Whom a store does not know is unrated; nothing is said by one that was not looked at."""
        if observer not in self.ratings:
            return "not looked at"
        rated = self.ratings[observer].get(host)
        return rated.standing if rated else "unrated"

    def known_to_all(self, pair: tuple[str, str]) -> bool:
        """Whether each store has an endorsement; nobody looks up his own key, so the subject's own may lack it."""
        stores = [pairs for observer, pairs in self.endorsements.items() if observer != pair[1]]
        return bool(stores) and all(pair in pairs for pairs in stores)


@dataclass
class Told:
    """One telling of the story; counts are of letters unless they say otherwise."""

    before: View = View()
    after: View = View()
    #: What became of the relay's letters at each honest host while nobody knew it, and of its last ones.
    relay_at_first: Counter[str] = field(default_factory=Counter)
    relay_at_last: dict[str, Counter[str]] = field(default_factory=dict)
    relay_reasons: dict[str, str] = field(default_factory=dict)
    ring_at_last: Counter[str] = field(default_factory=Counter)
    honest_at_last: Counter[str] = field(default_factory=Counter)
    #: Why the honest hosts let in each other's mail, by the reasons of their gates.
    honest_reasons: Counter[str] = field(default_factory=Counter)
    #: While no keyserver answered: the newcomer's letters, those of hosts whose keys were at hand.
    outage_sent: int = 0
    outage_newcomer: Counter[str] = field(default_factory=Counter)
    outage_waiting: int = 0
    outage_cached: Counter[str] = field(default_factory=Counter)
    outage_reasons: Counter[str] = field(default_factory=Counter)
    #: After they came back: the newcomer's letters, and those still in its queue.
    return_newcomer: Counter[str] = field(default_factory=Counter)
    return_waiting: int = 0
    #: In the end: the fates of all letters by sender, and the length of every queue.
    tally: dict[str, Counter[str]] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
    sent: int = 0
