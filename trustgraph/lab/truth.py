"""The truth of a world as CSV with a header line: hosts, days, endorsements and the messages of our own site."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from trustgraph.lab.messages import Message
from trustgraph.lab.traffic import Traffic
from trustgraph.lab.vouching import Vouch
from trustgraph.lab.world import World
from trustgraph.model import Identity, Outcome, UnixSeconds, to_rfc3339

HOST_COLUMNS = ("host", "identity", "dkim_domain", "kind", "operator", "first_day", "note")
DAY_COLUMNS = ("identity", "host", "day", "good", "spam")
ENDORSEMENT_COLUMNS = ("endorser", "subject", "made_at", "expires_at", "revoked_at", "cause")
MESSAGE_COLUMNS = ("message_id", "observed_at", "identity", "host", "truth")


def host_table(world: World, fingerprints: Mapping[int, str]) -> str:
    """One row a host. ``identity`` is its OpenPGP key, or its DKIM domain if it has none.

    ``first_day`` is the date of its first mail. Hosts of one operator share its DKIM domain.
    """
    return _csv(
        HOST_COLUMNS,
        (
            (
                *(host.name, identity_of(world, fingerprints, number), host.dkim_domain, host.kind, host.operator),
                *(_date(world.parameters.day_start(host.first_day)), host.note),
            )
            for number, host in enumerate(world.hosts)
        ),
    )


def day_table(world: World, traffic: Traffic, fingerprints: Mapping[int, str]) -> str:
    """One row a host and logged day on which it wrote to our own site: how much of that was truly good and spam."""
    logged = slice(world.parameters.history_days, None)
    hidden = traffic.good_in_spam[0].astype(np.int64) - traffic.spam_in_good[0] - traffic.spam_in_unsure[0]
    good = (traffic.good[0].astype(np.int64) + traffic.unsure[0] + hidden)[:, logged]
    spam = (traffic.spam[0] - hidden)[:, logged]
    return _csv(
        DAY_COLUMNS,
        (
            (
                *(identity_of(world, fingerprints, int(number)), world.hosts[number].name),
                _date(world.parameters.day_start(world.parameters.history_days + int(day))),
                *(good[number, day], spam[number, day]),
            )
            for number, day in np.argwhere(good + spam)
        ),
    )


def endorsement_table(vouches: Iterable[Vouch], fingerprints: Mapping[int, str]) -> str:
    """One row a certification in the keyring, in order of making; ``revoked_at`` is empty if it never was."""
    return _csv(
        ENDORSEMENT_COLUMNS,
        (
            (
                Identity.openpgp(fingerprints[vouch.endorser]),
                Identity.openpgp(fingerprints[vouch.subject]),
                *(to_rfc3339(vouch.made_at), to_rfc3339(vouch.expires_at)),
                *("" if vouch.revoked_at is None else to_rfc3339(vouch.revoked_at), vouch.cause),
            )
            for vouch in vouches
        ),
    )


def message_table(world: World, inbox: Iterable[Message], fingerprints: Mapping[int, str]) -> str:
    """One row a message in the order of the log. ``truth`` is good or spam, whatever the classifier took it for."""
    return _csv(
        MESSAGE_COLUMNS,
        (
            (
                *(message.message_id(world.hosts[message.sender]), to_rfc3339(message.at)),
                *(identity_of(world, fingerprints, message.sender), world.hosts[message.sender].name),
                Outcome.SPAM if message.is_spam else Outcome.GOOD,
            )
            for message in inbox
        ),
    )


def identity_of(world: World, fingerprints: Mapping[int, str], number: int) -> Identity:
    """What a host is rated by."""
    if number in fingerprints:
        return Identity.openpgp(fingerprints[number])
    return Identity.dkim(world.hosts[number].dkim_domain)


def _date(moment: UnixSeconds) -> str:
    return to_rfc3339(moment)[:10]


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    return text.getvalue()
