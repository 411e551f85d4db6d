"""What a simulated mail world is: its parameters and its hosts, as plain data.

Days are counted from 0, the first day of the world; mail flowed before anybody looked. The logs cover the last
``Parameters.days`` of them, and what the hosts had seen before decides whom they have endorsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trustgraph.errors import BadInput
from trustgraph.model import SECONDS_PER_DAY, Outcome, UnixSeconds, from_rfc3339

#: Hosts that observe and log; the first one is our own site.
OBSERVERS = ("mx1.example.org", "mail.partner-one.example", "mail.partner-two.example")

#: When the default world ends. Never the clock: a world is the same whenever it is made.
DEFAULT_UNTIL = from_rfc3339("2026-11-01T00:00:00Z")


class Kind(StrEnum):
    """What a host truly is."""

    HONEST = "honest"
    NEWCOMER = "newcomer"
    TRAITOR = "traitor"
    RELAY = "relay"
    RING = "ring"
    IMPERSONATOR = "impersonator"
    WHITEWASHER = "whitewasher"
    SNOWSHOE = "snowshoe"
    SLANDERER = "slanderer"
    PRAISER = "praiser"
    THROWAWAY = "throwaway"

    @property
    def means_well(self) -> bool:
        """Whether it sends what people want, at least to begin with."""
        return self not in _SPAMMERS

    @property
    def endorses_honestly(self) -> bool:
        """Whether it has received mail for long enough to endorse, and endorses only what it has seen."""
        return self in (Kind.HONEST, Kind.TRAITOR)

    @property
    def is_bad(self) -> bool:
        """Whether its mail ought to be kept out, in the end."""
        return self in _SPAMMERS or self is Kind.TRAITOR


_SPAMMERS = frozenset({Kind.RELAY, Kind.RING, Kind.IMPERSONATOR, Kind.WHITEWASHER, Kind.SNOWSHOE})


@dataclass(frozen=True, slots=True)
class Parameters:
    """How large a world is. ``messages`` is the expected number of messages in the observers' logs together,
    ``pair_rate`` the mail a day between two other hosts that correspond, where the sender's volume is 1.

    ``adoption`` is the share of honest hosts that sign with OpenPGP; the others are known by their DKIM domain only.
    ``forwarders`` is the share of honest hosts that forward their users' mail, spam included, under their own key.

    Raises :class:`BadInput` for a world that cannot be populated.
    """

    seed: int = 1
    hosts: int = 150
    relays: int = 20
    ring: int = 8
    traitors: int = 1
    newcomers: int = 8
    impersonators: int = 1
    days: int = 30
    history_days: int = 335
    messages: int = 14_500
    until: UnixSeconds = DEFAULT_UNTIL
    pair_rate: float = 1.0
    adoption: float = 0.85
    forwarders: float = 0.0

    def __post_init__(self) -> None:
        """Check what the others rely on."""
        if self.seed < 0 or not 0 <= self.ring <= self.relays:
            raise BadInput("a world needs a seed of 0 or more and 0 <= ring <= relays")
        if min(self.traitors, self.newcomers, self.impersonators, self.messages) < 0:
            raise BadInput("a world cannot have fewer than none of anything")
        if not len(OBSERVERS) + self.impersonators <= self.honest <= 700:
            raise BadInput(f"a world needs {len(OBSERVERS)} to 700 honest hosts, not {self.honest}")
        if self.days < 1 or self.history_days < 200 or self.until % SECONDS_PER_DAY:
            raise BadInput("a world needs 1 day of logs, 200 days of history and must end at midnight UTC")
        if not 0.0 < self.pair_rate <= 20.0:
            raise BadInput("in a world the mail of a pair is above 0 and at most 20 a day")
        if not 0.01 <= self.adoption <= 1.0 or not 0.0 <= self.forwarders <= 0.5:
            raise BadInput("in a world 0.01 to 1 of the honest hosts sign, and 0 to 0.5 of them forward")

    @property
    def honest(self) -> int:
        """How many hosts are plainly honest, the observers among them."""
        return self.hosts - self.relays - self.traitors - self.newcomers - self.impersonators

    @property
    def all_days(self) -> int:
        """Days of history and of logs."""
        return self.history_days + self.days

    @property
    def logs_start(self) -> UnixSeconds:
        """When the logs begin."""
        return self.day_start(self.history_days)

    def day_start(self, day: int) -> UnixSeconds:
        """Midnight UTC at the start of a day of this world."""
        return UnixSeconds(self.until - (self.all_days - day) * SECONDS_PER_DAY)


@dataclass(frozen=True, slots=True)
class Host:
    """One mail server as it truly is.

    ``name`` is the FQDN that it claims, ``client_name`` the one its address resolves to; only an impersonator's
    differ. ``volume`` is its mail a day to a typical correspondent, ``bad_share`` the part of it that is spam, and
    ``later_bad_share`` that part from day ``turns_on``, when its volume is multiplied by ``later_volume``.
    ``key_made_at`` is None for a host without an OpenPGP key. It sends from ``first_day`` until before ``end_day``.
    """

    name: str
    client_name: str
    operator: str
    address: str
    kind: Kind
    volume: float
    bad_share: float
    first_day: int = 0
    end_day: int | None = None
    key_made_at: UnixSeconds | None = None
    turns_on: int | None = None
    later_bad_share: float = 0.0
    later_volume: float = 3.0
    note: str = ""

    @property
    def dkim_domain(self) -> str:
        """The d= of its DKIM signatures: the operator's domain."""
        return self.operator

    @property
    def is_impersonator(self) -> bool:
        """Whether it claims another host's name, and so has no DKIM key for it."""
        return self.name != self.client_name


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which no keyserver answers, from ``start`` until before ``end``.

    Our site has at hand the keys of those whose signatures it checked in the ``cache_seconds`` before.
    """

    start: UnixSeconds
    end: UnixSeconds
    cache_seconds: int


@dataclass(frozen=True, slots=True)
class Witness:
    """A host that publishes a log of what it makes up: ``a_day`` messages of each of ``about``, with one outcome."""

    number: int
    about: tuple[int, ...]
    outcome: Outcome
    a_day: int
    first_day: int


@dataclass(frozen=True, slots=True)
class World:
    """The hosts of a world; a host's number is its place in ``hosts``. The observers come first.

    The first ``population`` hosts are there in any world of these parameters, and only they receive mail; the others
    are what a scenario adds. Throwaway keys come last and send no mail.
    """

    parameters: Parameters
    hosts: tuple[Host, ...]
    population: int
    outages: tuple[Outage, ...] = ()
    witnesses: tuple[Witness, ...] = ()

    @property
    def observers(self) -> range:
        """Their numbers."""
        return range(len(OBSERVERS))

    @property
    def senders(self) -> int:
        """How many of the first hosts may send mail."""
        return sum(host.kind is not Kind.THROWAWAY for host in self.hosts)

    def numbers(self, *kinds: Kind) -> list[int]:
        """The hosts of these kinds that have a key."""
        return [n for n, host in enumerate(self.hosts) if host.kind in kinds and host.key_made_at is not None]
