"""The words of the field, one meaning each. Standard library only; nothing here does I/O or reads a clock.

What is rated is an :class:`Identity`. An :class:`Observation` says what one observer found about one message.
A :class:`Certification` is one host's signature over another's User ID; the ones that count are endorsements.
A :class:`Rating` is what scoring makes of both, and a :class:`Standing` is how it stands under the policy in force.

Times are whole Unix seconds UTC (:data:`UnixSeconds`); a :data:`Day` is the number of whole days since 1970-01-01.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, NewType

from trustgraph.errors import BadInput

UnixSeconds = NewType("UnixSeconds", int)
Day = NewType("Day", int)

SECONDS_PER_DAY = 86_400

#: RFC 1035 section 2.3.4 and RFC 5321 section 4.5.3.1.2: no domain name is longer.
MAX_DOMAIN_LENGTH = 253

# Underscores occur in real d= values and HELO names, so they are let through (RFC 2181 section 11).
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_FINGERPRINT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class IdentityKind(StrEnum):
    """What kind of name is rated (RFC 7073 section 3, with OpenPGP host keys added)."""

    OPENPGP = "openpgp"
    DKIM = "dkim"
    SPF = "spf"
    HELO = "helo"
    IP = "ip"


class Result(StrEnum):
    """What authentication found (RFC 8601 section 2.7)."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - a result, not a password
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Outcome(StrEnum):
    """What the mail turned out to be, by classifier, complaint, spamtrap or user."""

    GOOD = "good"
    SPAM = "spam"
    MALWARE = "malware"
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """How an identity's rating stands under the policy in force."""

    ACCEPTED = "accepted"
    PROBATION = "probation"
    UNRATED = "unrated"
    REFUSED = "refused"


def parse_domain(text: str) -> str:
    """A domain name in its one spelling: ASCII (IDNA), lower case, no trailing dot.

    Raises :class:`BadInput` when it is none.
    """
    name = text.strip().rstrip(".").lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise BadInput(f"{text[:80]!r} is not a domain name") from None
    if len(name) > MAX_DOMAIN_LENGTH or not _DOMAIN.fullmatch(name):
        raise BadInput(f"{text[:80]!r} is not a domain name")
    return name


def parse_fingerprint(text: str) -> str:
    """A full OpenPGP fingerprint (v4: 40, v6: 64 hex digits) in lower case; spaces and ``0x`` are forgiven.

    Raises :class:`BadInput` for anything else; key IDs are never accepted.
    """
    digits = re.sub(r"\s+", "", text).lower().removeprefix("0x")
    if not _FINGERPRINT.fullmatch(digits):
        raise BadInput(f"{text[:80]!r} is not a full OpenPGP fingerprint (40 or 64 hex digits; key IDs are not enough)")
    return digits


def parse_address(text: str) -> str:
    """An IP address in its one spelling; IPv4-mapped IPv6 becomes IPv4. Raises :class:`BadInput`."""
    try:
        address = ipaddress.ip_address(text.strip().removeprefix("IPv6:"))
    except ValueError:
        raise BadInput(f"{text[:80]!r} is not an IP address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


class Identity(str):
    """What is rated, as its canonical text ``<kind>:<value>``; equal texts are the same identity.

    Make one with :meth:`parse` (validates and normalises) or a kind's own constructor such as :meth:`dkim`.
    """

    __slots__ = ()

    @property
    def kind(self) -> IdentityKind:
        """The part before the first colon."""
        return IdentityKind(self.partition(":")[0])

    @property
    def value(self) -> str:
        """The part after the first colon."""
        return self.partition(":")[2]

    @classmethod
    def parse(cls, text: str) -> Identity:
        """``openpgp:<fingerprint>``, ``dkim:<domain>``, ``spf:<domain>``, ``helo:<fqdn>`` or ``ip:<address>``.

        Raises :class:`BadInput` naming what was expected.
        """
        return _parse_identity(text)

    @classmethod
    def openpgp(cls, fingerprint: str) -> Identity:
        """A host key, by its full fingerprint."""
        return _parse_identity("openpgp:" + fingerprint)

    @classmethod
    def dkim(cls, domain: str) -> Identity:
        """A DKIM signing domain (RFC 6376 d=)."""
        return _parse_identity("dkim:" + domain)

    @classmethod
    def spf(cls, domain: str) -> Identity:
        """An SPF-checked MAIL FROM domain (RFC 7208)."""
        return _parse_identity("spf:" + domain)

    @classmethod
    def helo(cls, host: str) -> Identity:
        """A HELO name."""
        return _parse_identity("helo:" + host)

    @classmethod
    def ip(cls, address: str) -> Identity:
        """A client address."""
        return _parse_identity("ip:" + address)


@lru_cache(maxsize=1 << 16)
def _parse_identity(text: str) -> Identity:
    kind, colon, value = text.strip().partition(":")
    kind = kind.lower()
    if kind == IdentityKind.OPENPGP:
        return Identity("openpgp:" + parse_fingerprint(value))
    if kind == IdentityKind.IP:
        return Identity("ip:" + parse_address(value))
    if colon and kind in (IdentityKind.DKIM, IdentityKind.SPF, IdentityKind.HELO):
        return Identity(f"{kind}:{parse_domain(value)}")
    raise BadInput(
        f"{text[:80]!r} is not an identity: expected openpgp:<fingerprint>, dkim:<domain>, spf:<domain>, "
        "helo:<fqdn> or ip:<address>"
    )


class Observation(NamedTuple):
    """One verification result for one message by one observer.

    A named tuple where the other words are frozen dataclasses: millions are made in a run, at a sixth of the cost.

    ``message`` names the message to the observer (Message-ID or queue ID, or a digest of the log line when there is
    neither): together with observer, identity and time it makes the idempotency key. ``host`` and ``client_ip`` are
    the connecting client as the observer knew it, empty if unknown.
    """

    observed_at: UnixSeconds
    observer: str
    identity: Identity
    result: Result
    outcome: Outcome
    message: str
    host: str = ""
    client_ip: str = ""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A certificate's primary key as its own verified signatures describe it.

    ``key_packet`` is the body of the public-key packet (RFC 9580 section 5.5.2), needed to verify what it certified.
    ``expires_at`` and ``revoked_at`` are None when it does not expire or was not revoked. ``hard_revoked``: the key
    was compromised or no reason was given, so nothing that it ever signed counts (RFC 9580 section 5.2.3.31).
    ``self_signed_at`` is the time of the newest self-signature read, so that merging knows which expiry is newer.
    """

    fingerprint: str
    key_id: str
    key_packet: bytes
    created_at: UnixSeconds
    expires_at: UnixSeconds | None = None
    revoked_at: UnixSeconds | None = None
    hard_revoked: bool = False
    self_signed_at: UnixSeconds = UnixSeconds(0)
    user_ids: tuple[UserId, ...] = ()

    @property
    def identity(self) -> Identity:
        """What is rated."""
        return Identity("openpgp:" + self.fingerprint)


class UserIdScope(StrEnum):
    """What a User ID claims. Only ``smtp`` makes a host key and only over it is a certification an endorsement."""

    SMTP = "smtp"
    POSTMASTER = "postmaster"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class UserId:
    """A self-signed User ID. ``host`` is the FQDN of ``smtp://<fqdn>[:port]`` or ``<postmaster@fqdn>``, else empty.

    ``approvals_at`` is when the key last said which certifications over it it approves, None if it never did.
    """

    text: str
    scope: UserIdScope
    host: str = ""
    revoked_at: UnixSeconds | None = None
    approvals_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class Certification:
    """One issuer's cryptographically verified signature over another key's User ID (RFC 9580 section 5.2.1, 0x10-0x13).

    ``revoked_at`` is the time of the issuer's 0x30 signature that came after it, None if there is none. ``weak``: made
    with a hash that no longer counts at that date. ``depth``, ``amount`` and ``regex`` are the trust signature's
    (section 5.2.3.21), 0, 120 and empty for a plain one; several regular expressions are joined by newlines.
    ``approved_at`` is when the subject said last that it approves, None if that is not known of.
    """

    issuer: str
    subject: str
    user_id: str
    made_at: UnixSeconds
    expires_at: UnixSeconds | None = None
    revoked_at: UnixSeconds | None = None
    type: int = 0x10
    depth: int = 0
    amount: int = 120
    regex: str = ""
    weak: bool = False
    notations: tuple[tuple[str, str], ...] = ()
    approved_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A certification, or an operator's row, as the network reads it: who endorsed whom and for how long."""

    endorser: Identity
    subject: Identity
    made_at: UnixSeconds = UnixSeconds(0)
    expires_at: UnixSeconds | None = None
    revoked_at: UnixSeconds | None = None
    amount: int = 120
    depth: int = 0


@dataclass(frozen=True, slots=True)
class DailyCount:
    """Authenticated mail of one subject seen by one observer on one day, folded from observations.

    ``observer`` is an identity: ``helo:<fqdn>`` for a log's observer, any identity for an operator's table.
    """

    observer: Identity
    subject: Identity
    day: Day
    good: int = 0
    spam: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Rating:
    """A rating in [0, 1] (RFC 7071 section 4). ``sample_size`` counts messages; ``endorsers`` counts operators."""

    identity: Identity
    host: str
    rating: float
    confidence: float
    sample_size: int
    endorsers: int
    generated_at: UnixSeconds
    expires_at: UnixSeconds
    algorithm: str
    reasons: tuple[str, ...] = field(default=())


def to_rfc3339(moment: UnixSeconds | int) -> str:
    """``2026-11-23T15:47:30Z``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str) -> UnixSeconds:
    """Inverse of :func:`to_rfc3339`; any offset is accepted, and a bare date means its midnight UTC.

    Raises :class:`BadInput` when it is not RFC 3339.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(f"{text[:80]!r} is not a time: expected RFC 3339, such as 2026-11-23T15:47:30Z") from None
    if moment.tzinfo is None:
        if moment.time() != datetime.min.time():
            raise BadInput(f"{text[:80]!r} has no time zone: expected RFC 3339, such as 2026-11-23T15:47:30Z")
        moment = moment.replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    if seconds < 0:
        raise BadInput(f"{text[:80]!r} lies before 1970")
    return UnixSeconds(seconds)


def day_of(moment: UnixSeconds | int) -> Day:
    """The UTC day that a moment falls into."""
    return Day(moment // SECONDS_PER_DAY)
