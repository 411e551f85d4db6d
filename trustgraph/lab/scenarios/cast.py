"""The hosts that scenarios add: their names, addresses and keys, each from the scenario's own chance."""

from __future__ import annotations

from trustgraph.lab import names
from trustgraph.lab.dice import stream
from trustgraph.lab.world import Host, Kind, World
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds

#: Between which shares of a spammer's mail is spam; the rest is camouflage.
SPAM_SHARE = (0.85, 0.97)


class Cast:
    """Makes hosts for one world. ``volume`` is mail a day to our own site, ``key_days`` a key's age at first mail."""

    def __init__(self, world: World) -> None:
        self.dice = stream(world.parameters.seed, "cast")
        self._world = world
        self._domains = names.shady_domains()
        self._addresses = names.further_addresses()

    def domain(self) -> str:
        """One that nobody has yet."""
        return next(self._domains)

    def host(
        self,
        kind: Kind,
        first_day: int,
        volume: float,
        *,
        name: str = "",
        domain: str = "",
        bad_share: float | None = None,
        key_days: int = 20,
        note: str = "",
    ) -> Host:
        """A host with a key, sending spam unless it is told its share."""
        domain = domain or name.partition(".")[2] or self.domain()
        name = name or f"{self.dice.choice(['out', 'mta', 'send', 'mail'])}{self.dice.integers(1, 30)}.{domain}"
        seconds = int(self.dice.integers(0, SECONDS_PER_DAY))
        share = float(self.dice.uniform(*SPAM_SHARE))
        return Host(
            name=name,
            client_name=name,
            operator=domain,
            address=next(self._addresses),
            kind=kind,
            volume=volume,
            bad_share=share if bad_share is None else bad_share,
            first_day=first_day,
            key_made_at=UnixSeconds(self._world.parameters.day_start(first_day) - key_days * SECONDS_PER_DAY - seconds),
            note=note,
        )
