"""Several live keys for one host: a rotation, or somebody who claims a name that is not theirs.

Anybody can make a key with any ``smtp://`` User ID; what tells the owner is standing, and that the key with standing
has certified the other (that is how a rotation announces itself).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trustgraph.reports.advice import counted, deny, listed
from trustgraph.reports.bad_mail import mail_facts
from trustgraph.reports.evidence import Evidence, either
from trustgraph.reports.findings import Finding, FindingKind
from trustgraph.reports.shown import shown
from trustgraph.reports.thresholds import Thresholds
from trustgraph.scoring.snapshot import Flags, Ints, Texts

#: Severity of a second key by itself: beside one with standing, and where none has.
_BESIDE_STANDING, _NONE_STANDS = 0.5, 0.25


@dataclass(frozen=True, slots=True)
class HostClaims:
    """Which identity's own User IDs name which host: one row a live ``smtp://`` User ID, in any order."""

    identity: Ints
    host: Texts


def several_keys(evidence: Evidence, claims: HostClaims, thresholds: Thresholds) -> Iterator[Finding]:
    """Keys without standing that claim a host which another live key claims too.

    Nothing is said of a key that has standing itself or that a sibling with standing has certified. Severity:
    1 - (1 - base)(1 - lower bound of the bad share), base 0.5 beside a key with standing, 0.25 where none has.
    """
    contested = contested_hosts(claims, evidence.network.live)
    vouches = vouches_among(evidence, {key for keys in contested.values() for key in keys})
    for host, keys in contested.items():
        standing = [key for key in keys if evidence.accepted[key]]
        for position in keys:
            if position not in standing and vouches[position].isdisjoint(standing):
                yield _finding(evidence, host, position, keys, standing)


def contested_hosts(claims: HostClaims, live: Flags) -> dict[str, list[int]]:
    """Hosts with more than one live key, and these."""
    alive = live[claims.identity]
    host, _ = pd.factorize(claims.host[alive])
    often = np.flatnonzero(np.bincount(host)[host] > 1)
    keys: dict[str, set[int]] = defaultdict(set)
    for identity, host in zip(claims.identity[alive][often], claims.host[alive][often], strict=True):
        keys[str(host)].add(int(identity))
    return {host: sorted(found) for host, found in sorted(keys.items()) if len(found) > 1}


def vouches_among(evidence: Evidence, keys: Collection[int]) -> dict[int, set[int]]:
    """Who of these keys has certified each of them by a certification in force, their own operator's included."""
    snapshot = evidence.snapshot
    asked = np.zeros(evidence.network.size, dtype=np.bool_)
    asked[list(keys)] = True
    rows = asked[snapshot.certification_endorser] & asked[snapshot.certification_subject]
    rows &= snapshot.certification_live == 1
    vouches: dict[int, set[int]] = {key: set() for key in keys}
    pairs = snapshot.certification_endorser[rows], snapshot.certification_subject[rows]
    for endorser, subject in zip(*pairs, strict=True):
        vouches[int(subject)].add(int(endorser))
    return vouches


def _finding(evidence: Evidence, host: str, position: int, keys: Sequence[int], standing: Sequence[int]) -> Finding:
    others = [str(evidence.identity(k)) for k in keys if k != position]
    owners = [str(evidence.identity(k)) for k in standing]
    base = _BESIDE_STANDING if standing else _NONE_STANDS
    whose = f"of these {listed(owners)} has standing, and has not certified this one" if owners else "none has standing"
    return Finding(
        kind=FindingKind.SEVERAL_KEYS,
        identity=evidence.identity(position),
        host=host,
        severity=either(base, float(evidence.bad_share_low[position])),
        evidence=(
            f"it is one of {counted(len(keys), 'live key')} that claim to be {shown(host)}, beside "
            f"{listed(others)}; {whose}; this key is {evidence.standing(position)}, "
            f"with {int(evidence.bad[position])} bad and {int(evidence.good[position])} good messages lately"
        ),
        action=(
            f"ask the operator of {shown(host)} by telephone or post which fingerprint is theirs; "
            f"{deny(evidence, position)} unless they name it"
        ),
        facts={"keys": len(keys), "keys_with_standing": len(standing), **mail_facts(evidence, position)},
    )
