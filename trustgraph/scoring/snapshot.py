"""What scoring reads: the store's facts at a reference time, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trustgraph.model import UnixSeconds

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

#: Stands for "never" in time columns that may be empty.
NEVER = np.iinfo(np.int64).max


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

    @property
    def endorsement_count(self) -> int:
        """Certifications read, whether they turn out to count or not."""
        return len(self.certification_subject)
