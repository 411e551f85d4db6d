"""Who there is: six honest hosts, a spam relay, a ring of two that vouches for it, and a host that comes late."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a host truly is; none of the others is told."""

    HONEST = "honest"
    RELAY = "relay"
    RING = "ring"
    NEWCOMER = "newcomer"


@dataclass(frozen=True, slots=True)
class Player:
    """One host. ``careless``: its operator endorses the relay by hand. ``spared``: it gets none of the spam."""

    name: str
    role: Role
    number: int
    careless: bool = False
    spared: bool = False

    @property
    def address(self) -> str:
        """Its own loopback address."""
        return f"127.0.1.{self.number}"

    @property
    def keyservers(self) -> tuple[int, int]:
        """The two of the three that it uses; neighbours use others, so that news has to travel by gossip."""
        return self.number % KEYSERVERS, (self.number + 1) % KEYSERVERS

    @property
    def word(self) -> str:
        """Its first name."""
        return self.name.partition(".")[0]


KEYSERVERS = 3

CAST = (
    Player("amber.example", Role.HONEST, 1, careless=True),
    Player("birch.example", Role.HONEST, 2),
    Player("cedar.example", Role.HONEST, 3, spared=True),
    Player("delta.example", Role.HONEST, 4),
    Player("ember.example", Role.HONEST, 5),
    Player("fjord.example", Role.HONEST, 6, careless=True),
    Player("quickpost.example", Role.RELAY, 7),
    Player("ringleft.example", Role.RING, 8),
    Player("ringright.example", Role.RING, 9),
    Player("newcomer.example", Role.NEWCOMER, 10),
)


def players(*roles: Role) -> list[Player]:
    """Those of these roles, in the order of the cast."""
    return [player for player in CAST if player.role in roles]
