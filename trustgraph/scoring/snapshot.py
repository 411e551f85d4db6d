"""What scoring reads: the store's facts at a reference time, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trustgraph.model import UnixSeconds

#: Whole numbers of any width: positions are int32 where there may be a hundred million of them, so widen before
#: arithmetic that leaves their range.
Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

#: Stands for "never" in time columns that may be empty.
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Delegation:
    """What certifications say beyond vouching for a name. Read only for who asks, since every column costs seconds.

    ``subject`` to ``regexes``: one a certification that is live and the newest of its (subject, endorser, User ID), if
    it is not a plain one (depth 0, amount 120, no regular expressions: :func:`scope.in_scope`). ``user_id_*``: one a
    User ID of the scopes asked for that is not revoked; none if there is no such certification.
    """

    subject: Ints
    endorser: Ints
    user_id: Ints
    depth: Ints
    amount: Ints
    regexes: Texts
    user_id_number: Ints
    user_id_identity: Ints
    user_id_text: Texts


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store's facts as they stand at ``reference_time``, by column.

    ``identity_*``: one an identity, sorted by name, so that no result depends on the order in which they were met; all
    other columns called ``subject``, ``endorser``, ``observer`` or ``identity`` are positions in them. ``key_*``: one a
    host key, times in Unix seconds, ``NEVER`` for none; a hard revocation counts from time 0. ``certification_*``: one
    a certification made until then over a User ID of the scopes asked for, grouped by (subject, endorser, User ID) and
    in each group by time: the last of a group is the newest. ``certification_live`` is 0 if it has expired or was
    revoked. ``count_*``: one a (subject, observer, day) up to the reference day, sorted so; ``bad`` is spam and
    malware.
    """

    reference_time: UnixSeconds
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
    certification_live: Ints
    count_subject: Ints
    count_observer: Ints
    count_day: Ints
    count_good: Ints
    count_bad: Ints
    count_unknown: Ints
    delegation: Delegation | None = None

    @property
    def endorsement_count(self) -> int:
        """Certifications read, whether they turn out to count or not."""
        return len(self.certification_subject)

    def position_of(self, name: str) -> int | None:
        """Where an identity is, if it is known."""
        position = int(np.searchsorted(self.identity_name, name))
        return position if position < len(self.identity_name) and self.identity_name[position] == name else None
