"""Who lives in the baseline world: honest hosts of all sizes, newcomers, a traitor, relays, their ring, an impostor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trustgraph.lab import names
from trustgraph.lab.dice import stream
from trustgraph.lab.world import OBSERVERS, Host, Kind, Parameters, World
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds

#: Share of honest hosts that do not sign with OpenPGP yet and are known only by their DKIM domain.
DKIM_ONLY = 0.15
#: Share of operators that run two or three hosts under one registrable domain.
SEVERAL_HOSTS = 0.08
#: Share of honest hosts from which no spam ever comes; the others let up to 1 % through.
SPOTLESS = 0.6


def baseline(parameters: Parameters) -> World:
    """The population that the project's demonstration and its sample data use."""
    dice = stream(parameters.seed, "population")
    addresses = names.addresses()
    honest = list(_honest(parameters, dice, addresses))
    hosts = [
        *honest,
        *_newcomers(parameters, dice, addresses),
        *_traitors(parameters, dice, addresses),
        *_relays(parameters, dice, addresses),
        *_impersonators(parameters, dice, addresses, honest[len(OBSERVERS) :]),
    ]
    return World(parameters, tuple(hosts))


def _honest(parameters: Parameters, dice: np.random.Generator, addresses: Iterator[str]) -> Iterator[Host]:
    for place, name in zip(range(parameters.honest), _honest_names(dice), strict=False):
        observer = place < len(OBSERVERS)
        signs = observer or dice.random() >= DKIM_ONLY
        spotless = observer or dice.random() < SPOTLESS
        yield Host(
            name=name,
            client_name=name,
            operator=name.partition(".")[2],
            address=next(addresses),
            kind=Kind.HONEST,
            volume=float(dice.lognormal(0.0, 1.1)),
            bad_share=0.0 if spotless else float(dice.uniform(0.0005, 0.01)),
            key_made_at=_key_time(parameters, dice, 370, 1500) if signs else None,
            note="observer" if observer else "" if signs else "known only by its DKIM domain",
        )


def _honest_names(dice: np.random.Generator) -> Iterator[str]:
    """The observers, then one host a domain, or two or three where an operator is large."""
    yield from OBSERVERS
    for domain in names.honest_domains():
        if dice.random() < SEVERAL_HOSTS:
            for number in range(1, int(dice.integers(3, 5))):
                yield f"mx{number}.{domain}"
        else:
            yield f"{dice.choice(['mail', 'mx', 'smtp', 'post'])}.{domain}"


def _newcomers(parameters: Parameters, dice: np.random.Generator, addresses: Iterator[str]) -> Iterator[Host]:
    """Honest hosts whose first mail comes in the middle of the logged days."""
    for number in range(1, parameters.newcomers + 1):
        first_day = parameters.history_days + int(dice.integers(parameters.days // 4, parameters.days * 3 // 4 + 1))
        yield Host(
            name=f"mail.startup{number}.example",
            client_name=f"mail.startup{number}.example",
            operator=f"startup{number}.example",
            address=next(addresses),
            kind=Kind.NEWCOMER,
            volume=float(dice.uniform(0.8, 3.0)),
            bad_share=0.0,
            first_day=first_day,
            key_made_at=UnixSeconds(parameters.day_start(first_day) - int(dice.integers(1, 3 * SECONDS_PER_DAY))),
        )


def _traitors(parameters: Parameters, dice: np.random.Generator, addresses: Iterator[str]) -> Iterator[Host]:
    """Hosts of good standing that are sold or broken into two thirds through the logged days."""
    for number in range(1, parameters.traitors + 1):
        yield Host(
            name=f"mail.turncoat{number}.example",
            client_name=f"mail.turncoat{number}.example",
            operator=f"turncoat{number}.example",
            address=next(addresses),
            kind=Kind.TRAITOR,
            volume=4.0,
            bad_share=0.0,
            key_made_at=_key_time(parameters, dice, 370, 1500),
            turns_on=parameters.history_days + parameters.days * 2 // 3,
            later_bad_share=0.9,
            note=f"honest for the first {parameters.days * 2 // 3} days of the logs",
        )


def _relays(parameters: Parameters, dice: np.random.Generator, addresses: Iterator[str]) -> Iterator[Host]:
    """Spam with a little good mail as camouflage; the first ``ring`` of them stand for each other."""
    for place, domain in zip(range(parameters.relays), names.shady_domains(), strict=False):
        ring = place < parameters.ring
        name = f"{dice.choice(['out', 'mta', 'send', 'mail'])}{dice.integers(1, 30)}.{domain}"
        age = int(dice.integers(parameters.days + 15, parameters.days + 120))
        signs = ring or dice.random() >= DKIM_ONLY
        yield Host(
            name=name,
            client_name=name,
            operator=domain,
            address=next(addresses),
            kind=Kind.RING if ring else Kind.RELAY,
            volume=float(dice.uniform(1.5, 5.0)),
            bad_share=float(dice.uniform(0.85, 0.97)),
            first_day=parameters.all_days - age,
            key_made_at=_key_time(parameters, dice, age, age + 10) if signs else None,
            note="endorses the ring and is endorsed by it" if ring else "",
        )


def _impersonators(
    parameters: Parameters, dice: np.random.Generator, addresses: Iterator[str], honest: list[Host]
) -> Iterator[Host]:
    """Second keys for the largest signing hosts, made by somebody else."""
    signing = sorted((host for host in honest if host.key_made_at is not None), key=lambda host: -host.volume)
    for number, victim in zip(range(1, parameters.impersonators + 1), signing, strict=False):
        first_day = parameters.history_days + parameters.days // 6
        yield Host(
            name=victim.name,
            client_name=f"dyn-{number}-77.access.example",
            operator=victim.operator,
            address=next(addresses),
            kind=Kind.IMPERSONATOR,
            volume=2.0,
            bad_share=0.95,
            first_day=first_day,
            key_made_at=UnixSeconds(parameters.day_start(first_day) - int(dice.integers(1, SECONDS_PER_DAY))),
            note="a second key for a known host's name, without endorsements",
        )


def _key_time(parameters: Parameters, dice: np.random.Generator, least_days: int, most_days: int) -> UnixSeconds:
    """A moment between ``least_days`` and ``most_days`` days before the end of the world."""
    ago = dice.integers(least_days * SECONDS_PER_DAY, most_days * SECONDS_PER_DAY)
    return UnixSeconds(parameters.until - int(ago))
