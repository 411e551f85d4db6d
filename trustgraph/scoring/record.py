"""What a store knows, with all its times: the past as it was known at any moment of it.

A :class:`trustgraph.scoring.snapshot.Snapshot` is one moment. Trying a changed policy on the recorded past needs many,
and each has to hold what was known then and nothing later: certifications made by then and not yet revoked, mail that
had arrived by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trustgraph.model import SECONDS_PER_DAY, Outcome, Result, UnixSeconds, day_of
from trustgraph.scoring.snapshot import Ints, Snapshot, Texts

_PASS = list(Result).index(Result.PASS)
_GOOD = list(Outcome).index(Outcome.GOOD)
_BAD = [list(Outcome).index(outcome) for outcome in (Outcome.SPAM, Outcome.MALWARE)]


@dataclass(frozen=True)
class Record:
    """Columns as in a snapshot, but with times where that has a state.

    ``certification_ends_at``: when it expires, is revoked, or loses its User ID, whichever is first; ``NEVER`` if
    nothing does. ``key_revoked_at`` is when a revocation was made, a hard one too: before, nobody knew of it.
    ``count_*`` are daily counts of days before ``first_day``, and what tables say of later ones: of a whole day, so it
    is known once the day is over. From that day on there are the single observations ``seen_*``, sorted by time,
    observer and message: ``seen_message`` is a digest of what names the message, ``seen_result`` and ``seen_outcome``
    are positions in :class:`Result` and :class:`Outcome`. All else is as in :class:`Snapshot`.
    """

    first_day: int
    identity_number: Ints
    identity_name: Texts
    identity_host: Texts
    identity_operator: Texts
    key_identity: Ints
    key_created_at: Ints
    key_expires_at: Ints
    key_revoked_at: Ints
    certification_subject: Ints
    certification_endorser: Ints
    certification_user_id: Ints
    certification_made_at: Ints
    certification_ends_at: Ints
    count_subject: Ints
    count_observer: Ints
    count_day: Ints
    count_good: Ints
    count_bad: Ints
    count_unknown: Ints
    seen_at: Ints
    seen_subject: Ints
    seen_observer: Ints
    seen_message: Ints
    seen_result: Ints
    seen_outcome: Ints

    def snapshot_at(self, moment: UnixSeconds) -> Snapshot:
        """What was known at ``moment``: mail that arrived before it, certifications made until then.

        Raises ValueError for a moment before ``first_day``, of which only whole days are known.
        """
        if moment < self.first_day * SECONDS_PER_DAY:
            raise ValueError(f"this record begins with day {self.first_day}, and {moment} lies before it")
        made = self.certification_made_at <= moment
        counts = self._counts_before(moment)
        return Snapshot(
            reference_time=moment,
            identity_number=self.identity_number,
            identity_name=self.identity_name,
            identity_host=self.identity_host,
            identity_operator=self.identity_operator,
            key_identity=self.key_identity,
            key_created_at=self.key_created_at,
            key_expires_at=self.key_expires_at,
            key_revoked_at=self.key_revoked_at,
            certification_subject=self.certification_subject[made],
            certification_endorser=self.certification_endorser[made],
            certification_user_id=self.certification_user_id[made],
            certification_live=(self.certification_ends_at[made] > moment).astype(np.int64),
            count_subject=counts[0],
            count_observer=counts[1],
            count_day=counts[2],
            count_good=counts[3],
            count_bad=counts[4],
            count_unknown=counts[5],
        )

    def _counts_before(self, moment: UnixSeconds) -> list[Ints]:
        cells = self._cells
        until = int(np.searchsorted(self.seen_at, moment))
        passed = np.flatnonzero(self.seen_result[:until] == _PASS)
        outcome = self.seen_outcome[passed]
        good, bad = outcome == _GOOD, np.isin(outcome, _BAD)
        size = len(cells.subject)
        sums = [
            np.bincount(cells.of[passed], kind, minlength=size).astype(np.int64) for kind in (good, bad, ~(good | bad))
        ]
        some = np.flatnonzero(sum(sums) > 0)
        over = self.count_day < day_of(moment)
        columns = [
            np.concatenate([before[over], since[some]])
            for before, since in (
                (self.count_subject, cells.subject),
                (self.count_observer, cells.observer),
                (self.count_day, cells.day),
                (self.count_good, sums[0]),
                (self.count_bad, sums[1]),
                (self.count_unknown, sums[2]),
            )
        ]
        order = np.lexsort(columns[2::-1])
        return [column[order] for column in columns]

    @cached_property
    def _cells(self) -> _Cells:
        """The distinct (subject, observer, day) of the observations."""
        columns = self.seen_subject, self.seen_observer, self.seen_at // SECONDS_PER_DAY
        order = np.lexsort(columns[::-1])
        subject, observer, day = (column[order] for column in columns)
        fresh = np.ones(len(order), dtype=np.bool_)
        fresh[1:] = (subject[1:] != subject[:-1]) | (observer[1:] != observer[:-1]) | (day[1:] != day[:-1])
        of = np.empty(len(order), dtype=np.int64)
        of[order] = np.cumsum(fresh) - 1
        return _Cells(subject[fresh], observer[fresh], day[fresh], of)


@dataclass(frozen=True, slots=True)
class _Cells:
    """``of``: the cell of each observation."""

    subject: Ints
    observer: Ints
    day: Ints
    of: Ints
