"""What is known of a key that may be endorsed, and what was said of it before."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from trustgraph.endorsement.history import Mail
from trustgraph.model import UnixSeconds

#: Fingerprints of version 4 keys have 40 digits (RFC 9580 section 5.5.4); other keys cannot be certified here.
_V4_DIGITS = 40


class Cause(StrEnum):
    """Why a certification was made. ``elsewhere``: by our key, but not on this record."""

    EARNED = "earned"
    RENEWED = "renewed"
    PINNED = "pinned"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Given:
    """A certification that one of this host's keys, ``issuer``, made over a User ID; ``host`` is what that names."""

    issuer: str
    user_id: str
    host: str
    made_at: UnixSeconds
    expires_at: UnixSeconds | None = None
    revoked_at: UnixSeconds | None = None
    cause: Cause = Cause.EARNED

    def in_force(self, now: UnixSeconds) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key as its own verified signatures describe it.

    ``user_ids``: its live ``smtp://`` User IDs and the host that each names. ``operators``: who runs those hosts.
    ``confirmed``: hosts from whose own address mail with this key's signature came, and no other key's since.
    """

    expires_at: UnixSeconds | None = None
    revoked_at: UnixSeconds | None = None
    user_ids: tuple[tuple[str, str], ...] = ()
    operators: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()

    def objection(self, now: UnixSeconds) -> str:
        """Why such a key cannot be endorsed; empty if it can."""
        if not self.is_live(now):
            return "its key is revoked" if self.revoked_at is not None else "its key has expired"
        return "" if self.user_ids else "its key has no live smtp:// User ID"

    def is_live(self, now: UnixSeconds) -> bool:
        """Neither revoked nor expired. A revocation ends it whatever its date."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Subject:
    """One key. ``key`` is None as long as its certificate was never read. ``host`` is what it is called.

    ``given``: the newest certification by each of our keys over each of its live User IDs. ``pin``: the operator's
    note, None if it is not pinned. ``succeeds``: the key of the same host that it takes over from, endorsed by us,
    whose mail is counted in ``mail``.
    """

    fingerprint: str
    host: str = ""
    mail: Mail = field(default_factory=Mail)
    key: KeyFacts | None = None
    given: tuple[Given, ...] = ()
    pin: str | None = None
    succeeds: str = ""

    @property
    def unknown(self) -> bool:
        """Whether its certificate may be fetched to say more."""
        return self.key is None and len(self.fingerprint) == _V4_DIGITS

    def objection(self, own_operator: str, now: UnixSeconds, *, confirmed_hosts: bool) -> str:
        """Why its key cannot be endorsed whatever its mail; empty if it can."""
        if len(self.fingerprint) != _V4_DIGITS:
            return "its key is not of version 4: such keys cannot be certified yet"
        if self.key is None:
            return "its key is not known yet"
        if own_operator in self.key.operators:
            return "our own operator's host: nobody vouches for himself"
        return self.key.objection(now) or self._objection_to_host(confirmed_hosts)

    def _objection_to_host(self, confirmed_hosts: bool) -> str:
        if self.key is None or self.certifiable(confirmed_hosts=confirmed_hosts):
            return ""
        hosts = ", ".join(sorted({host for _, host in self.key.user_ids}))
        return f"its key was not seen to sign mail from the own address of {hosts}"

    def certifiable(self, *, confirmed_hosts: bool) -> str:
        """The User ID to certify: one certified before if there is such, else the first; empty if there is none."""
        if self.key is None:
            return ""
        fit = [text for text, host in self.key.user_ids if not confirmed_hosts or host in self.key.confirmed]
        before = {given.user_id for given in self.given}
        return min(fit, key=lambda text: (text not in before, text), default="")
