"""All that scoring reads, with its times, and what becomes of it when a part of it changes.

A snapshot (:mod:`snapshot`) is one moment; these are the facts that snapshots of later moments are made from without
reading them again: certifications expire and keys die while nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trustgraph.model import UnixSeconds, day_of
from trustgraph.scoring.network import Network, build_network, distinct_endorsements, live_keys, with_endorsers
from trustgraph.scoring.snapshot import Ints, Snapshot, Texts
from trustgraph.scoring.splice import Columns, rows_of, spliced


@dataclass(frozen=True, slots=True)
class Names:
    """Identities, by column."""

    number: Ints
    name: Texts
    host: Texts
    operator: Texts


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known, at whatever time it counts.

    ``names``: all identities, sorted by name. ``keys``: (identity, made, expires, revoked), a hard revocation at time
    0. ``certifications``: (subject, endorser, User ID, made, ends), sorted so, the last three :func:`narrowed`;
    ``ends`` when it expires, is revoked or loses its User ID, whichever is first. ``counts``: (subject, observer, day,
    good, bad, unknown), sorted so. Keys' identities, subjects, endorsers and observers are positions in ``names``
    (int32); times are Unix seconds, ``NEVER`` for none.
    """

    names: Names
    keys: Columns
    certifications: Columns
    counts: Columns

    def snapshot_at(self, moment: UnixSeconds) -> Snapshot:
        """What counts at ``moment``, as if it were read from the store now."""
        subject, endorser, user_id, made_at, ends_at = self.certifications
        live = ends_at > moment
        if made_at.max(initial=0) > moment:
            made = made_at <= moment
            subject, endorser, user_id, live = subject[made], endorser[made], user_id[made], live[made]
        counts, today = self.counts, day_of(moment)
        if counts[2].max(initial=0) > today:
            past = counts[2] <= today
            counts = tuple(column[past] for column in counts)
        return Snapshot(
            reference_time=moment,
            identity_number=self.names.number,
            identity_name=self.names.name,
            identity_host=self.names.host,
            identity_operator=self.names.operator,
            key_identity=self.keys[0],
            key_created_at=self.keys[1],
            key_expires_at=self.keys[2],
            key_revoked_at=self.keys[3],
            certification_subject=subject,
            certification_endorser=endorser,
            certification_user_id=user_id,
            certification_live=live.view(np.int8),
            count_subject=counts[0],
            count_observer=counts[1],
            count_day=counts[2],
            count_good=counts[3],
            count_bad=counts[4],
            count_unknown=counts[5],
        )

    def certified_otherwise(self, one: UnixSeconds, other: UnixSeconds) -> Ints:
        """Positions of all with a certification that counts at one of two moments only, sorted."""
        subject, _, _, *times = self.certifications
        since, until = min(one, other), max(one, other)
        return np.unique(np.concatenate([subject[(time > since) & (time <= until)] for time in times]))


@dataclass(frozen=True, slots=True)
class Delta:
    """What was read again: for each identity that changed, all of its rows.

    ``names``: identities that are new or changed, in any order. ``changed``: numbers of those whose keys and
    certifications, ``mailed``: of those whose counts are to be replaced. ``keys``, ``certifications``, ``counts``: the
    rows instead, as in :class:`Facts`, but with numbers of identities for positions; certifications are sorted by
    (User ID, made) for each subject and endorser.
    """

    names: Names
    changed: Ints
    mailed: Ints
    keys: Columns
    certifications: Columns
    counts: Columns


def patched(facts: Facts, delta: Delta) -> tuple[Facts, Ints]:
    """The facts with the rows of a delta in place of those that they replace, and the positions that changed.

    Cost: a copy of each table that changed.

    Raises LookupError when a row is of an identity that neither has.
    """
    facts = _with_names(facts, delta.names)
    order = np.argsort(facts.names.number, kind="stable")
    numbers = facts.names.number[order]

    def at(number: Ints) -> Ints:
        place = np.searchsorted(numbers, number)
        if len(number) and (place.max() == len(numbers) or not np.array_equal(numbers[place], number)):
            raise LookupError("rows of an identity that is not among those that changed")
        return order[place].astype(np.int32)

    changed, mailed = np.unique(at(delta.changed)), np.unique(at(delta.mailed))
    keys = (at(delta.keys[0]), *delta.keys[1:])
    certifications = (at(delta.certifications[0]), at(delta.certifications[1]), *narrowed(*delta.certifications[2:]))
    counts = (at(delta.counts[0]), at(delta.counts[1]), *delta.counts[2:])
    after = Facts(
        facts.names,
        keys=spliced(facts.keys, changed, in_order(keys, 1)),
        certifications=spliced(facts.certifications, changed, in_order(certifications, 2)),
        counts=spliced(facts.counts, mailed, in_order(counts, 3)),
    )
    return after, changed


def network_after(
    network: Network, facts: Facts, since: UnixSeconds, now_facts: Facts, now: UnixSeconds, changed: Ints
) -> Network:
    """The network of ``now_facts`` at ``now``, given that of ``facts`` at ``since``.

    ``changed``: positions of all whose keys or certifications differ. If nobody came, died or moved to another operator
    then only endorsers of those, and of whom time has changed, are worked out again; else everything is.
    """
    snapshot = now_facts.snapshot_at(now)
    live = live_keys(snapshot)
    if now_facts.names is not facts.names or not np.array_equal(live, network.live):
        return build_network(snapshot)
    changed = np.union1d(changed, now_facts.certified_otherwise(since, now))
    if not len(changed):
        return network
    rows = rows_of(snapshot.certification_subject, changed)
    part = replace(
        snapshot,
        certification_subject=snapshot.certification_subject[rows],
        certification_endorser=snapshot.certification_endorser[rows],
        certification_user_id=snapshot.certification_user_id[rows],
        certification_live=snapshot.certification_live[rows],
    )
    return with_endorsers(network, changed, *distinct_endorsements(part, live, network.operator))


def narrowed(user_id: Ints, made_at: Ints, ends_at: Ints) -> Columns:
    """The same in 32 bits each: copying a table takes as long as its octets, and this is the largest.

    OpenPGP's times have no more (RFC 9580 section 3.5); an end after 2106 becomes the last moment. Numbers of User IDs
    only need to differ among those that one host certified for another.
    """
    last = np.iinfo(np.uint32).max
    return user_id.astype(np.uint32), *(np.minimum(time, last).astype(np.uint32) for time in (made_at, ends_at))


def in_order(columns: Columns, leading: int) -> Columns:
    """The columns in the order of the first ``leading`` of them; equal rows stay as they are."""
    order = np.lexsort(columns[:leading][::-1])
    return tuple(column[order] for column in columns)


def _with_names(facts: Facts, names: Names) -> Facts:
    """Identities added in their places, known ones with their new host and operator; all positions moved along."""
    old, order = facts.names, np.argsort(names.name, kind="stable")
    name = names.name[order]
    place = np.searchsorted(old.name, name)
    known = np.array([p < len(old.name) and old.name[p] == n for p, n in zip(place, name, strict=True)], dtype=np.bool_)
    new = place[~known]

    def merged(before: Ints | Texts, read: Ints | Texts) -> Any:
        column, values = before.copy(), read[order]
        column[place[known]] = values[known]
        return np.insert(column, new, values[~known])

    if known.all() and all(
        np.array_equal(before[place], read[order])
        for before, read in ((old.number, names.number), (old.host, names.host), (old.operator, names.operator))
    ):
        return facts
    fresh = Names(
        number=merged(old.number, names.number),
        name=merged(old.name, names.name),
        host=merged(old.host, names.host),
        operator=merged(old.operator, names.operator),
    )
    if known.all():
        return replace(facts, names=fresh)
    moved = np.arange(len(old.name), dtype=np.int32)
    moved += np.searchsorted(new, moved, side="right").astype(np.int32)
    subject, endorser, *certifications = facts.certifications
    counted, observer, *counts = facts.counts
    return Facts(
        fresh,
        keys=(moved[facts.keys[0]], *facts.keys[1:]),
        certifications=(moved[subject], moved[endorser], *certifications),
        counts=(moved[counted], moved[observer], *counts),
    )
