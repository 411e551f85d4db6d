"""The spam-relay report: the store's facts, solved and searched, written as HTML, CSV and JSON."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from trustgraph.model import UnixSeconds, UserIdScope
from trustgraph.reports.bursts import EndorsementTimes
from trustgraph.reports.evidence import Evidence, gather
from trustgraph.reports.files import write_relay_report
from trustgraph.reports.findings import Finding
from trustgraph.reports.host_keys import HostClaims
from trustgraph.reports.relays import find_relays
from trustgraph.reports.thresholds import Thresholds
from trustgraph.scoring.snapshot import Ints, Snapshot
from trustgraph.scoring.trustgraph import Trustgraph
from trustgraph.services.scoring import require_generation, solve
from trustgraph.settings import Settings
from trustgraph.store import Store, schema
from trustgraph.store.certificates import SCOPE_CODES, scopes_in_use
from trustgraph.store.generations import Generation

#: Rows read at a time.
_CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Investigation:
    """What the detectors found, worst first, in which generation, and all that they looked at."""

    generation: Generation
    evidence: Evidence
    times: EndorsementTimes
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class RelayReport:
    """What was found, worst first, in which generation, and the files it was written to."""

    generation: int
    reference_time: UnixSeconds
    findings: tuple[Finding, ...]
    html: Path
    csv: Path
    json: Path

    def as_rows(self) -> list[dict[str, Any]]:
        """The findings as JSON objects, as relays.json has them."""
        return [finding.as_object() for finding in self.findings]


def relay_report(
    store: Store, settings: Settings, out: Path, now: UnixSeconds, thresholds: Thresholds | None = None
) -> RelayReport:
    """Look for relays at the newest generation's reference time and write the report into the directory ``out``.

    Raises what :func:`investigate` raises, and :class:`OSError` when ``out`` cannot be written.
    """
    found = investigate(store, settings, thresholds)
    paths = write_relay_report(found.findings, found.evidence, now, out)
    where = found.generation.number, found.generation.reference_time
    return RelayReport(*where, found.findings, paths.html, paths.csv, paths.json)


def investigate(store: Store, settings: Settings, thresholds: Thresholds | None = None) -> Investigation:
    """Run every detector; nothing is written.

    The detectors need trust mass and gate, so whatever algorithm the generation was scored with, the default one solves
    it. Raises :class:`NoInput` when nothing has been scored, :class:`NoAnchors`, :class:`NotConverged`.
    """
    limits = thresholds or Thresholds()
    generation = replace(require_generation(store), algorithm=Trustgraph.name)
    problem, _ = solve(store, settings, generation)
    evidence = gather(problem, Trustgraph(problem), limits, settings.site.hostname)
    scopes, _ = scopes_in_use(store, settings.scoring.user_ids, require_approval=settings.policy.require_approval)
    times = read_endorsement_times(store, problem.snapshot, scopes)
    findings = find_relays(evidence, times, read_host_claims(store, problem.snapshot), limits)
    return Investigation(generation, evidence, times, tuple(findings))


def read_endorsement_times(store: Store, snapshot: Snapshot, scopes: Collection[int]) -> EndorsementTimes:
    """When each endorser first endorsed each subject, up to the snapshot's time; renewals are no news.

    Expired and revoked ones are among them: that they were made all at once remains true.
    """
    c = schema.certification.c
    query = (
        sa.select(c.subject_id, c.endorser_id, sa.func.min(c.made_at))
        .where(c.made_at <= int(snapshot.reference_time), c.scope.in_(sorted(scopes)), sa.not_(c.weak))
        .group_by(c.subject_id, c.endorser_id)
    )
    chunks = [np.empty((0, 3), dtype=np.int64)]
    with store.reading() as connection, connection.execute(query) as result:
        # The driver's own tuples: as row objects ten million certifications take minutes.
        while result.cursor is not None and (rows := result.cursor.fetchmany(_CHUNK)):
            chunks.append(np.array(rows, dtype=np.int64))
    numbers = np.concatenate(chunks)
    subject, endorser = (_positions(snapshot, numbers[:, column]) for column in (0, 1))
    known = (subject >= 0) & (endorser >= 0)
    return EndorsementTimes(subject[known], endorser[known], numbers[known, 2])


def read_host_claims(store: Store, snapshot: Snapshot) -> HostClaims:
    """Which identities' live ``smtp://`` User IDs name which host, up to the snapshot's time."""
    u = schema.user_id.c
    live = sa.or_(u.revoked_at.is_(None), u.revoked_at > int(snapshot.reference_time))
    query = sa.select(u.identity_id, u.host).where(u.scope == SCOPE_CODES[UserIdScope.SMTP], u.host != "", live)
    with store.reading() as connection:
        rows = connection.execute(query.order_by(u.identity_id, u.host)).all()
    position = _positions(snapshot, np.array([row.identity_id for row in rows], dtype=np.int64))
    known = position >= 0
    return HostClaims(position[known], np.array([row.host for row in rows], dtype=object)[known])


def _positions(snapshot: Snapshot, numbers: Ints) -> Ints:
    """Positions of identity numbers, -1 for what came into the store after the snapshot."""
    order = np.argsort(snapshot.identity_number)
    ordered = snapshot.identity_number[order]
    place = np.minimum(np.searchsorted(ordered, numbers), max(len(ordered) - 1, 0))
    return np.where(ordered[place] == numbers, order[place], -1) if len(ordered) else np.full(len(numbers), -1)
