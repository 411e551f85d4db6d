"""Where a rating comes from: named parts that add up to it, what was left out and why, and what it hangs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from trustgraph.model import Identity, UnixSeconds


@dataclass(frozen=True, slots=True)
class Contribution:
    """One part of a rating. ``kind``: prior, endorser, good-mail, bad-mail, blame, caution, anchor or scale.

    ``name`` is the endorser's or observer's identity, the day (YYYY-MM-DD) or a word; ``amount`` is what it adds to it;
    ``mass_share`` is the share of the identity's trust mass that comes from there; an anchor has some of itself.
    """

    kind: str
    name: str
    amount: float
    mass_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Discarded:
    """A certification that does not count, with the reason."""

    endorser: Identity
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A rating and all of its reasons.

    ``critical``: endorsers without any one of whom it would not reach the threshold. ``labels``: what people call the
    identities named here (host, or else a User ID), where that is known.
    """

    identity: Identity
    host: str
    rating: float
    standing: str
    algorithm: str
    reference_time: UnixSeconds
    contributions: tuple[Contribution, ...]
    discarded: tuple[Discarded, ...] = ()
    critical: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The sum of the contributions; equals the rating."""
        return total(self.contributions)


def total(contributions: Sequence[Contribution]) -> float:
    """The sum of contributions, rounded once."""
    return fsum(part.amount for part in contributions)


def reason_discarded(
    *,
    made_at: int,
    expires_at: int | None,
    revoked_at: int | None,
    weak: bool,
    superseded: bool,
    now: UnixSeconds,
    approved: bool = True,
) -> str:
    """Why a stored certification does not count by itself at ``now``; empty if it does."""
    reasons = (
        (made_at > now, "dated in the future"),
        (weak, "made with a hash that no longer counts"),
        (not approved, "the owner has not approved it"),
        (superseded, "superseded by a newer certification of the same endorser"),
        (revoked_at is not None and revoked_at <= now, "revoked by its endorser"),
        (expires_at is not None and expires_at <= now, "expired"),
    )
    return next((reason for applies, reason in reasons if applies), "")
