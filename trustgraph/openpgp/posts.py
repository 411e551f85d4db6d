"""The signatures of a post to a list, judged by the keys of its subscribers: which hold, and if not, why not.

A signature is judged by the time at which it was made: the key in force then, allowed to sign, and not revoked. That
the key has expired since does not matter; a revocation that may mean a thief voids all that it ever signed. Our own
checks come first; Sequoia, by its standard policy, has the last word on what would pass.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from trustgraph.errors import BadInput
from trustgraph.headersig.canonical import body_hash
from trustgraph.headersig.checking import (
    MAX_SKEW_SECONDS,
    PASS,
    Finding,
    Presented,
    check_signature,
    presented_signatures,
    replay_key,
)
from trustgraph.headersig.message import Field
from trustgraph.headersig.text import Header
from trustgraph.mailinglist.model import Binding, Kind, Post, PostFinding, SignedContent
from trustgraph.mailinglist.reading import MAX_HEADER_SIGNATURES
from trustgraph.model import Result, UnixSeconds
from trustgraph.openpgp.deposits import read_deposit, subscriber_certificate
from trustgraph.openpgp.digest import HASHES
from trustgraph.openpgp.framing import Tag, read_packets
from trustgraph.openpgp.hostcert import MESSAGE_HASHES, HostCertificate, SigningKey, message_signature
from trustgraph.openpgp.publickey import parse_public_key
from trustgraph.openpgp.selfsigned import is_hard, is_over
from trustgraph.openpgp.sigblock import signature_packets
from trustgraph.openpgp.signature import Signature, SignatureType, Statement, parse_signature, parse_statement
from trustgraph.openpgp.verification import Job, Verdict, is_strong_for_mail, verify

__all__ = ["Certificates", "judge_post", "read_deposit", "subscriber_certificate"]

#: The certificates that may have made a signature, by the fingerprint or key ID (lower-case hex) that it names.
Certificates = Callable[[str], Sequence[HostCertificate]]

_TEXT = 0x01  # RFC 9580 section 5.2.1.2: over a text with CRLF line ends
_TYPES = {
    Kind.PGP_MIME: frozenset({int(SignatureType.BINARY), _TEXT}),
    Kind.INLINE: frozenset({_TEXT}),
    Kind.HEADER: frozenset({int(SignatureType.BINARY)}),
}
#: Reasons that lists are lenient about: whoever made the signature up must not get by with them.
_LATE = frozenset({"key-expired", "signature-expired"})
_MALFORMED = Finding(Result.PERMERROR, "malformed-signature")


def judge_post(
    post: Post, fields: Sequence[Field], body: bytes, certificates: Certificates, now: UnixSeconds
) -> list[PostFinding]:
    """One finding for each signature packet of each content; ``fields`` and ``body`` are the message's, for header
    signatures.

    A header signature by a key that ``certificates`` does not know is a mail host's, and no finding. Raises nothing of
    its own on whatever the message holds; what ``certificates`` raises goes through.
    """
    findings: list[PostFinding] = []
    for content in post.contents:
        if content.kind is not Kind.HEADER:
            findings += _judge_content(content, certificates, now)
    bindings = {content.signature: content.binding for content in post.contents if content.kind is Kind.HEADER}
    if bindings:
        findings += _judge_headers(Header(fields), bindings, body, certificates, now)
    return findings


def _judge_content(content: SignedContent, certificates: Certificates, now: UnixSeconds) -> Iterator[PostFinding]:
    content_digest = sha256(content.text).digest()
    try:
        packets = signature_packets(content.signature)
    except BadInput:
        packets = [b""]
    for packet in packets:
        yield _judge_packet(packet, content, content_digest, certificates, now)


def _judge_packet(
    packet: bytes, content: SignedContent, content_digest: bytes, certificates: Certificates, now: UnixSeconds
) -> PostFinding:
    try:
        signature, statement = message_signature(packet)
    except BadInput:
        digest = sha256(content_digest).digest()[:16]
        return PostFinding(content.kind, _MALFORMED.result, _MALFORMED.reason, "", None, digest, content.binding)
    name = signature.issuer_fingerprint or signature.issuer_key_id
    judged = [(one.fingerprint, _judge(one, content.kind, packet, content.text, now)) for one in certificates(name)]
    fingerprint, found = _decisive(judged) or (name, Finding(Result.NONE, "unknown-key"))
    # All that the signature covers of itself and nothing else, so that it cannot be written in another way.
    digest = sha256(content_digest + signature.hashed).digest()[:16]
    return PostFinding(
        content.kind, found.result, found.reason, fingerprint, statement.made_at, digest, content.binding
    )


def _decisive(judged: Sequence[tuple[str, Finding]]) -> tuple[str, Finding] | None:
    """What several certificates of the same name come to; None for none of them.

    Of copies of one certificate that which has a revocation speaks for all: the others have not heard of it.
    """
    revoked = {fingerprint: found for fingerprint, found in judged if found.reason == "key-revoked"}
    passing = [one for one in judged if one[1] is PASS and one[0] not in revoked]
    return next(iter([*passing, *revoked.items(), *judged]), None)


def _judge_headers(
    header: Header, bindings: Mapping[bytes, Binding], body: bytes, certificates: Certificates, now: UnixSeconds
) -> Iterator[PostFinding]:
    digest: bytes | None = None
    for presented in presented_signatures(header, MAX_HEADER_SIGNATURES):
        signature = presented.signature
        if signature is None or presented.value not in bindings:
            continue
        known = [one for one in certificates(signature.fingerprint) if one.fingerprint == signature.fingerprint]
        digest = digest or (body_hash(body) if known else None)
        decisive = _decisive([(one.fingerprint, _judge_header(presented, header, digest, one, now)) for one in known])
        if decisive is None:
            continue
        _, found = decisive
        yield PostFinding(
            Kind.HEADER,
            found.result,
            found.reason,
            signature.fingerprint,
            signature.signed_at,
            replay_key(presented),
            bindings[presented.value],
        )


def _judge_header(
    presented: Presented, header: Header, digest: bytes | None, certificate: HostCertificate, now: UnixSeconds
) -> Finding:
    if presented.signature is None or presented.signature.body_hash is None:
        return Finding(Result.PERMERROR, "body-not-signed")
    subscriber = _Subscriber(certificate)
    found = check_signature(presented, header, digest, subscriber, now)
    if found.reason != "expired":
        return found
    # Lists are lenient about what is late, so it has to be good but for that.
    in_time = UnixSeconds(presented.signature.expires_at - 1)
    found = check_signature(presented, header, digest, subscriber, in_time)
    return Finding(Result.PERMERROR, "signature-expired") if found is PASS else found


@dataclass(frozen=True, slots=True)
class _Subscriber:
    """A subscriber's certificate as the checks of header signatures want it: it need not be any host's."""

    certificate: HostCertificate

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint

    def judge(self, signature: bytes, text: bytes, domain: str, signed_at: UnixSeconds, now: UnixSeconds) -> Finding:
        del domain
        try:
            _, statement = message_signature(signature)
        except BadInput:
            return _MALFORMED
        if abs(statement.made_at - signed_at) > MAX_SKEW_SECONDS:
            return Finding(Result.PERMERROR, "times-differ")
        return _judge(self.certificate, Kind.HEADER, signature, text, now)


def _judge(certificate: HostCertificate, kind: Kind, packet: bytes, text: bytes, now: UnixSeconds) -> Finding:
    """Whether a packet is this certificate's signature over ``text`` and counts; :data:`PASS` only at the very end."""
    signature, statement = message_signature(packet)
    if reason := _objection(kind, signature, statement, now):
        return Finding(Result.PERMERROR, reason)
    if not is_strong_for_mail(certificate.key.packet):
        return Finding(Result.PERMERROR, "weak-key")
    signer = certificate.signer(signature)
    if signer is None:
        return Finding(Result.FAIL, "not-a-signing-key")
    reason = _objection_to_key(certificate, signer, statement.made_at)
    late = reason or ("signature-expired" if is_over(statement, now) else "")
    if late in _LATE and not _really_signed(signer, signature, text):
        return Finding(Result.FAIL, "signature-does-not-verify")
    if late:
        return Finding(Result.PERMERROR, late)
    return PASS if certificate.verifies(packet, text, signer) else Finding(Result.FAIL, "signature-does-not-verify")


def _objection(kind: Kind, signature: Signature, statement: Statement, now: UnixSeconds) -> str:
    if signature.type not in _TYPES[kind] or statement.not_understood:
        return "malformed-signature"
    if signature.hash_algorithm not in MESSAGE_HASHES:
        return "weak-hash"
    if statement.made_at > now + MAX_SKEW_SECONDS:
        return "signed-in-the-future"
    return ""


def _really_signed(signer: SigningKey, signature: Signature, text: bytes) -> bool:
    """Whether the key made it at all, whatever has ended since or before; Sequoia would not say."""
    context = hashlib.new(HASHES[signature.hash_algorithm], signature.salt, usedforsecurity=False)
    context.update(text + signature.hashed + bytes((signature.version, 0xFF)) + len(signature.hashed).to_bytes(4))
    job = Job(signer.key.packet, signature.hash_algorithm, context.digest(), signature.material)
    return verify(job) is Verdict.GOOD


def _objection_to_key(certificate: HostCertificate, signer: SigningKey, signed_at: UnixSeconds) -> str:
    if certificate.revoked or signer.revoked:
        ends = _revocations(certificate)
        keys = (certificate.fingerprint, signer.key.fingerprint)
        if any(key in ends and ends[key] <= signed_at for key in keys):
            return "key-revoked"
    expiries = [at for at in (certificate.expires_at, signer.expires_at) if at is not None]
    if any(at <= signed_at for at in expiries):
        return "key-expired"
    return "signed-before-key" if signed_at < signer.key.created_at else ""


def _revocations(certificate: HostCertificate) -> dict[str, UnixSeconds]:
    """When each revoked key ended, by fingerprint: at the first of its soft revocations, 0 for a hard one.

    What a certificate keeps was verified when it was read.
    """
    ends: dict[str, UnixSeconds] = {}
    key = ""
    for packet in read_packets(io.BytesIO(certificate.octets), lambda _problem: None, with_subkeys=True):
        if packet.tag in (Tag.PUBLIC_KEY, Tag.PUBLIC_SUBKEY):
            key = parse_public_key(packet.body or b"").fingerprint
        elif packet.tag is Tag.SIGNATURE:
            signature = parse_signature(packet.body or b"")
            if signature.type in (SignatureType.KEY_REVOCATION, SignatureType.SUBKEY_REVOCATION):
                statement = parse_statement(signature)
                at = UnixSeconds(0) if is_hard(statement) else statement.made_at
                ends[key] = min(at, ends.get(key, at))
    return ends
