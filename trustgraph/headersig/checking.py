"""Check a header signature against a message: everything that has to hold, in one place, and why it does not.

A finding is ``pass`` only on the last line of :func:`check_body`, after :func:`check_header`; everything before it can
only end in another result (RFC 8601 section 2.7). Finding the certificate is somebody else's task: :func:`check_form`
says whether it is worth the while.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

from trustgraph.errors import BadInput
from trustgraph.headersig.coverage import uncovered_names
from trustgraph.headersig.field import HeaderSignature, canonical_path, parse_field
from trustgraph.headersig.signing import MAX_LIFETIME_SECONDS, Envelope
from trustgraph.headersig.text import Header, signed_value
from trustgraph.model import Result, UnixSeconds

#: Signatures of one message that are looked at: the topmost, which are the newest.
MAX_SIGNATURES = 3

#: How far clocks of honest hosts may be apart.
MAX_SKEW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to. ``reason`` is one word with hyphens for programs and logs, empty for ``pass``."""

    result: Result
    reason: str = ""


PASS = Finding(Result.PASS)
_MALFORMED = Finding(Result.PERMERROR, "malformed-signature")


class Certificate(Protocol):
    """A host's certificate, however it was come by."""

    @property
    def fingerprint(self) -> str:
        """The full fingerprint, lower-case hex."""
        ...

    def judge(self, signature: bytes, text: bytes, domain: str, signed_at: UnixSeconds, now: UnixSeconds) -> Finding:
        """Whether a signature packet over ``text`` is by this certificate, which is ``domain``'s, then and now."""
        ...


@dataclass(frozen=True, slots=True)
class Presented:
    """A signature field as it stands in the message. ``signature`` is None where the field is malformed."""

    value: bytes
    signature: HeaderSignature | None
    problem: str = ""


def presented_signatures(header: Header, at_most: int = MAX_SIGNATURES) -> list[Presented]:
    """The topmost signature fields of a header, from the top."""
    return [_presented(value) for value in header.signature_values[:at_most]]


def _presented(value: bytes) -> Presented:
    try:
        return Presented(value, parse_field(value))
    except BadInput as error:
        return Presented(value, None, str(error))


def check_form(presented: Presented, header: Header, now: UnixSeconds) -> Finding | None:
    """What is wrong with a signature that no key could mend, or None."""
    signature = presented.signature
    if signature is None:
        return _MALFORMED
    if header.repeated_singletons():
        return Finding(Result.PERMERROR, "repeated-field")
    if not header.has_sound_names:
        return Finding(Result.PERMERROR, "malformed-header")
    return _check_times(signature, now)


def _check_times(signature: HeaderSignature, now: UnixSeconds) -> Finding | None:
    if signature.signed_at > now + MAX_SKEW_SECONDS:
        return Finding(Result.PERMERROR, "signed-in-the-future")
    if not 0 < signature.expires_at - signature.signed_at <= MAX_LIFETIME_SECONDS:
        return Finding(Result.PERMERROR, "lifetime-out-of-bounds")
    if signature.expires_at <= now:
        return Finding(Result.PERMERROR, "expired")
    return None


def check_signature(
    presented: Presented, header: Header, body_hash: bytes | None, certificate: Certificate, now: UnixSeconds
) -> Finding:
    """Whether the signature holds. ``body_hash`` is the message's own, needed unless the signature is of the header."""
    found = check_header(presented, header, certificate, now)
    return check_body(presented, body_hash) if found is PASS else found


def check_header(presented: Presented, header: Header, certificate: Certificate, now: UnixSeconds) -> Finding:
    """Whether the signature holds as far as the header goes; :func:`check_body` has the last word on a pass."""
    signature = presented.signature
    found = check_form(presented, header, now)
    if signature is None or found:
        return found or _MALFORMED
    if certificate.fingerprint != signature.fingerprint:
        return Finding(Result.PERMERROR, "other-key-named")
    text = header.signed_text(signature.names, presented.value)
    judged = certificate.judge(signature.signature, text, signature.domain, signature.signed_at, now)
    if judged.result is not Result.PASS:
        return judged
    # Only now: what an altered message leaves out is no fault of the signer's.
    if not header.is_oversigned_by(signature.names):
        return Finding(Result.PERMERROR, "too-little-signed")
    return PASS


def check_body(presented: Presented, body_hash: bytes | None) -> Finding:
    """For a signature whose header holds: whether the body is the signed one, if it signs any."""
    signature = presented.signature
    if signature is None:
        return _MALFORMED
    if signature.body_hash is not None and (body_hash is None or not compare_digest(signature.body_hash, body_hash)):
        return Finding(Result.FAIL, "body-altered")
    return PASS


def uncovered(signature: HeaderSignature, header: Header) -> list[bytes]:
    """Names of fields that came after signing or were left out of it, transit's own aside."""
    return uncovered_names(header.fields, signature.names)


def envelope_holds(signature: HeaderSignature, envelope: Envelope) -> bool | None:
    """Whether the signature was made for this envelope; None when it is not bound to one or none is known."""
    if envelope.mail_from is None or (signature.mail_from is None and signature.recipient is None):
        return None
    if signature.mail_from not in (None, canonical_path(envelope.mail_from)):
        return False
    # Bound to one recipient, it holds for a transaction with just this one.
    return signature.recipient is None or {signature.recipient} == set(map(canonical_path, envelope.recipients))


def replay_key(presented: Presented) -> bytes:
    """What tells this signature from every other, for counting how many recipients it was delivered to: 16 octets.

    Made from what is signed, nonce and all, and not from the signature: a signature packet has an area that it does not
    cover, so one signature can be written in many ways.
    """
    return sha256(signed_value(presented.value)).digest()[:16]
