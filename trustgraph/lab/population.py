"""Who lives in a world: honest hosts of all sizes and newcomers; in the baseline also those who mean no good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from trustgraph.errors import UsageError
from trustgraph.lab import names
from trustgraph.lab.dice import stream
from trustgraph.lab.world import OBSERVERS, Host, Kind, Parameters, World
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds

#: Share of relays that do not sign with OpenPGP.
DKIM_ONLY = 0.15
#: Share of operators that run two or three hosts under one registrable domain.
SEVERAL_HOSTS = 0.08
#: Share of honest hosts from which no spam ever comes; the others let up to 1 % through.
SPOTLESS = 0.6
#: Between which shares of a forwarder's mail is forwarded spam.
FORWARDED_SPAM = (0.015, 0.06)


def baseline(parameters: Parameters) -> World:
    """The world that the project's demonstration and its sample data use."""
    dice = stream(parameters.seed, "population")
    addresses = names.addresses()
    honest = _forwarding(parameters, list(_honest(parameters, dice, addresses)))
    middle = (parameters.days // 4, parameters.days * 3 // 4)
    hosts = [
        *honest,
        *_newcomers(parameters, dice, addresses, middle, (0.8, 3.0)),
        *_traitors(parameters, dice, addresses),
        *_relays(parameters, dice, addresses),
        *_impersonators(parameters, dice, addresses, honest[len(OBSERVERS) :]),
    ]
    return World(parameters, tuple(hosts), len(hosts))


def society(parameters: Parameters) -> World:
    """The honest world that a scenario adds to: the baseline's hosts and moderately busy newcomers, here from early on.

    Raises :class:`UsageError` for parameters that ask for anybody else.
    """
    if parameters.relays or parameters.traitors or parameters.impersonators:
        raise UsageError("only the baseline has relays, ring, traitors and impersonators as parameters of the world")
    dice = stream(parameters.seed, "population")
    addresses = names.addresses()
    hosts = [
        *_forwarding(parameters, list(_honest(parameters, dice, addresses))),
        *_newcomers(parameters, dice, addresses, (1, max(1, parameters.days // 6)), (3.0, 6.0)),
    ]
    return World(parameters, tuple(hosts), len(hosts))


def _forwarding(parameters: Parameters, honest: list[Host]) -> list[Host]:
    """Some of the hosts, the observers excepted, forward mail and the spam in it."""
    dice = stream(parameters.seed, "forwarding")
    candidates = np.arange(len(OBSERVERS), len(honest))
    for number in dice.choice(candidates, round(parameters.forwarders * len(candidates)), replace=False):
        host, share = honest[number], float(dice.uniform(*FORWARDED_SPAM))
        note = "; ".join(filter(None, [host.note, "forwards mail"]))
        honest[number] = replace(host, bad_share=host.bad_share + share, note=note)
    return honest


def _honest(parameters: Parameters, dice: np.random.Generator, addresses: Iterator[str]) -> Iterator[Host]:
    for place, name in zip(range(parameters.honest), _honest_names(dice), strict=False):
        observer = place < len(OBSERVERS)
        signs = observer or dice.random() >= 1 - parameters.adoption
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


def _newcomers(
    parameters: Parameters,
    dice: np.random.Generator,
    addresses: Iterator[str],
    logged_days: tuple[int, int],
    volume: tuple[float, float],
) -> Iterator[Host]:
    """Honest hosts whose first mail comes on one of the logged days between the two given, themselves included."""
    for number in range(1, parameters.newcomers + 1):
        first_day = parameters.history_days + int(dice.integers(logged_days[0], logged_days[1] + 1))
        yield Host(
            name=f"mail.startup{number}.example",
            client_name=f"mail.startup{number}.example",
            operator=f"startup{number}.example",
            address=next(addresses),
            kind=Kind.NEWCOMER,
            volume=float(dice.uniform(*volume)),
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
