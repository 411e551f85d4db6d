"""All of it running: three keyservers that gossip, ten mail hosts, one calendar; stopped at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.sks import SksNode, gossiping_nodes
from tests.system.internet.cast import CAST, KEYSERVERS, Player, Role, players
from tests.system.internet.clock import Calendar
from tests.system.internet.gossip import wait_for_agreement
from tests.system.internet.host import InternetHost
from tests.system.internet.post import PostOffice

_T = TypeVar("_T")

#: Commands side by side: as many as there are cores, more only wait for each other.
_SIDE_BY_SIDE = 2


@dataclass(frozen=True)
class Programs:
    """Paths of what runs for real."""

    postfix: str
    sks: str
    faketime: str


@dataclass
class World:
    """What the story happens to."""

    calendar: Calendar
    hosts: dict[str, InternetHost]
    nodes: list[SksNode]
    post: PostOffice

    def playing(self, *roles: Role) -> list[InternetHost]:
        """The hosts of these roles."""
        return [self.hosts[player.name] for player in players(*roles)]

    def wait_for_gossip(self, hosts: Iterable[InternetHost]) -> float:
        """Until all keyservers say the same of these hosts' keys; seconds that took."""
        return wait_for_agreement(self.nodes, [host.fingerprint for host in hosts])

    def each(self, work: Callable[[InternetHost], _T], hosts: Iterable[InternetHost]) -> list[_T]:
        """The same done at several hosts, a few at a time."""
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            return list(pool.map(work, hosts))


@contextmanager
def world(home: Path, programs: Programs, days: int) -> Iterator[World]:
    """The keyservers serving on the morning of day 0, the hosts with their keys made, and stopped yet."""
    calendar = Calendar(programs.faketime, home / "now", days)
    with gossiping_nodes(programs.sks, home / "sks", KEYSERVERS) as nodes:
        names = {player.address: player.name for player in CAST}
        hosts = {player.name: _host(player, home, programs, nodes, calendar, names) for player in CAST}
        made = World(calendar, hosts, nodes, PostOffice(hosts))
        try:
            made.each(InternetHost.prepare, hosts.values())
            for host in hosts.values():
                host.route(hosts.values())
            yield made
        finally:
            with ThreadPoolExecutor(len(hosts)) as pool:  # each waits for its own processes to end
                list(pool.map(InternetHost.stop, hosts.values()))


def _host(
    player: Player, home: Path, programs: Programs, nodes: list[SksNode], calendar: Calendar, names: dict[str, str]
) -> InternetHost:
    keyservers = [nodes[number].url for number in player.keyservers]
    return InternetHost(
        *(player.name, player.address, home / player.word, programs.postfix, keyservers),
        profile="transition",
        environment=calendar.environment,
        player=player,
        names=names,
    )
