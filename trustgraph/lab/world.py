"""What a simulated mail world is: its parameters and its hosts, as plain data.

Days are counted from 0, the first day of the world; mail flowed before anybody looked. The logs cover the last
``Parameters.days`` of them, and what the hosts had seen before decides whom they have endorsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trustgraph.errors import BadInput
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds, from_rfc3339

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

    @property
    def means_well(self) -> bool:
        """Whether it sends what people want, at least to begin with."""
        return self in (Kind.HONEST, Kind.NEWCOMER, Kind.TRAITOR)

    @property
    def endorses_honestly(self) -> bool:
        """Whether it has received mail for long enough to endorse, and endorses only what it has seen."""
        return self in (Kind.HONEST, Kind.TRAITOR)


@dataclass(frozen=True, slots=True)
class Parameters:
    """How large a world is. ``messages`` is the expected number of messages in the three logs together.

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

    @property
    def honest(self) -> int:
        """How many hosts are plainly honest, the observers among them."""
        return self.hosts - self.relays - self.traitors - self.newcomers - self.impersonators

    @property
    def all_days(self) -> int:
        """Days of history and of logs."""
        return self.history_days + self.days

    def day_start(self, day: int) -> UnixSeconds:
        """Midnight UTC at the start of a day of this world."""
        return UnixSeconds(self.until - (self.all_days - day) * SECONDS_PER_DAY)


@dataclass(frozen=True, slots=True)
class Host:
    """One mail server as it truly is.

    ``name`` is the FQDN that it claims, ``client_name`` the one its address resolves to; only an impersonator's
    differ. ``volume`` is its mail a day to a typical correspondent, ``bad_share`` the part of it that is spam, and
    ``later_bad_share`` that part from day ``turns_on``. ``key_made_at`` is None for a host without an OpenPGP key.
    ``first_day`` is the day of its first mail.
    """

    name: str
    client_name: str
    operator: str
    address: str
    kind: Kind
    volume: float
    bad_share: float
    first_day: int = 0
    key_made_at: UnixSeconds | None = None
    turns_on: int | None = None
    later_bad_share: float = 0.0
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
class World:
    """The hosts of a world; a host's number is its place in ``hosts``. The observers come first."""

    parameters: Parameters
    hosts: tuple[Host, ...]

    @property
    def observers(self) -> range:
        """Their numbers."""
        return range(len(OBSERVERS))
