"""What OpenDKIM 2.x says in syslog about a message's DKIM signatures, as RFC 8601 results.

With ``LogResults`` one line names every signature, its domain and what was wrong with it::

    QID: signature=hIcCvxbO domain=example.org selector=s1 result="no signature error"; signature=…

Without it only one signature, the one that decided, shows, in two lines: the verdict, which names no domain, and a line
that names the domain and carries the cryptographic library's complaints, often none. Either may come first::

    QID: DKIM verification successful
    QID: s=s1 d=example.org a=rsa-sha256 SSL

Messages without a signature, and signatures whose d= cannot be read, have no identity and give nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.mail_facts import Finding, MessageFacts, host_and_address
from trustgraph.model import Identity, Result


class SignatureError(NamedTuple):
    """One of OpenDKIM's signature errors: number (statistics file), name (syslog) and the result that it means."""

    code: int
    name: str
    result: Result


def _errors(result: Result, names: dict[int, str]) -> tuple[SignatureError, ...]:
    return tuple(SignatureError(code, name, result) for code, name in names.items())


# OpenDKIM reports most of these as "fail". RFC 8601 section 2.7.1 keeps fail for a signature that was tested and did
# not verify, policy for one that verifies but is not acceptable here, and permerror for one that could not be tested;
# RFC 6376 section 6.1 says which of those are permanent: all but a key query without an answer.
SIGNATURE_ERRORS: tuple[SignatureError, ...] = (
    *_errors(Result.PASS, {0: "no signature error"}),
    *_errors(Result.FAIL, {28: "signature verification failed", 33: "length tag value exceeds body size"}),
    *_errors(Result.POLICY, {34: "unprotected header field", 46: "signing key too small"}),
    *_errors(Result.TEMPERROR, {24: "key DNS query failed"}),
    *_errors(
        Result.PERMERROR,
        {
            1: "unsupported signature version",
            2: "invalid domain coverage",
            3: "signature expired",
            4: "signature timestamp in the future",
            5: "signature timestamp order error",
            7: "invalid header canonicalization",
            8: "invalid body canonicalization",
            9: "signature algorithm missing",
            10: "signature algorithm invalid",
            11: "header list missing",
            12: "body length value invalid",
            13: "query method invalid",
            14: "query option invalid",
            15: "domain tag missing",
            16: "domain tag empty",
            17: "selector tag missing",
            18: "selector tag empty",
            19: "signature data missing",
            20: "signature data empty",
            21: "signature data corrupt",
            22: "key not found in DNS",
            23: "key DNS reply corrupt",
            25: "body hash missing",
            26: "body hash empty",
            27: "body hash corrupt",
            29: "unauthorized subdomain",
            30: "multiple keys found",
            31: "header list tag empty",
            32: "header list missing required entries",
            35: "unknown key version",
            36: "unknown key hash",
            37: "signature-key hash mismatch",
            38: "not an e-mail key",
            40: "key type missing",
            41: "unknown key type",
            42: "key revoked",
            43: "unable to apply public key",
            44: "version missing",
            45: "version empty",
            47: "conditional signature not satisfied",
            48: "too many signature indirections",
        },
    ),
)

_RESULT_OF_NAME = {error.name.encode(): error.result for error in SIGNATURE_ERRORS}

_KNOWN = re.compile(
    rb"([0-9A-Za-z]{5,32}): (?=(DKIM verification successful$|bad signature data$|signature=|s="
    rb"|key revoked \(|key retrieval failed \()?)"
)
_SIGNATURE = re.compile(rb'signature=\S* domain=(\S{1,255}) selector=\S+ result="([^"]{1,64})"')
_SIGNER = re.compile(rb"s=\S+ d=(\S{1,255})(?: a=\S+)? SSL ?(.*)", re.DOTALL)
_KEY_FAILURE = re.compile(
    rb"key (revoked|retrieval failed) \(s=[^\s,]+, d=([^\s,)]{1,255})(?:, a=[^\s)]+)?\)(.*)", re.DOTALL
)
_CLIENT = re.compile(rb"(\S{1,255}) \[([0-9A-Fa-f:.]{2,45})\] not internal")


def read(text: bytes) -> MessageFacts | None:
    """What the text of one of OpenDKIM's syslog lines tells, None if nothing about a signature or the client.

    Raises :class:`BadInput` when a line of a known kind is not as expected.
    """
    known = _KNOWN.match(text)
    if known is None:
        return None
    queue_id, kind = known[1].decode("ascii"), known[2]
    if kind is not None:
        return _READERS[kind](queue_id, text[known.end() :])
    return _client(queue_id, text[known.end() :]) if text.endswith(b" not internal") else None


def _good(queue_id: str, _: bytes) -> MessageFacts:
    return MessageFacts(queue_id, verdict=Result.PASS)


def _bad(queue_id: str, _: bytes) -> MessageFacts:
    return MessageFacts(queue_id, verdict=Result.FAIL)


def _all_signatures(queue_id: str, body: bytes) -> MessageFacts:
    findings: list[Finding] = []
    complaint = ""
    # No tag of a signature can hold a semicolon (RFC 6376 section 3.2), so the separator cannot be forged, and a
    # forged field inside a part makes the whole part mismatch.
    for part in body.split(b"; "):
        signature = _SIGNATURE.fullmatch(part)
        result = _RESULT_OF_NAME.get(signature[2]) if signature else None
        if signature is None or result is None:
            complaint = 'expected signature=… domain=… selector=… result="…" with one of OpenDKIM\'s signature errors'
            continue
        try:
            findings.append((_dkim(signature[1]), result))
        except BadInput as error:
            complaint = str(error)
    return MessageFacts(queue_id, tuple(findings), complaint=complaint)


def _deciding_signature(queue_id: str, body: bytes) -> MessageFacts:
    line = _SIGNER.fullmatch(body)
    if line is None:
        raise BadInput("expected s=SELECTOR d=DOMAIN [a=ALGORITHM] SSL [ERRORS]")
    signer = _dkim(line[1])
    if not line[2].strip():
        return MessageFacts(queue_id, signer=signer)
    # A key that cannot be decoded leaves ASN.1 or decoder errors, a signature that does not verify those of its
    # algorithm.
    undecodable = b"asn1" in line[2] or b"DECODER" in line[2]
    return MessageFacts(queue_id, ((signer, Result.PERMERROR if undecodable else Result.FAIL),), signer=signer)


def _key_failure(queue_id: str, body: bytes) -> MessageFacts:
    line = _KEY_FAILURE.fullmatch(body)
    if line is None:
        raise BadInput("expected key revoked or key retrieval failed (s=SELECTOR, d=DOMAIN)[: CAUSE]")
    # No record is final; anything else that keeps the key from coming may pass (RFC 6376 section 6.1.2).
    cause = line[3]
    final = line[1] == b"revoked" or not cause or cause.endswith((b" record not found", b" unresolved CNAME"))
    return MessageFacts(queue_id, ((_dkim(line[2]), Result.PERMERROR if final else Result.TEMPERROR),))


def _client(queue_id: str, body: bytes) -> MessageFacts | None:
    client = _CLIENT.fullmatch(body)
    if client is None:
        return None
    host, address = host_and_address(client[1], client[2])
    return MessageFacts(queue_id, client_ip=address, host=host)


def _dkim(domain: bytes) -> Identity:
    return Identity.dkim(domain.decode("utf-8", "replace"))


_READERS: dict[bytes, Callable[[str, bytes], MessageFacts]] = {
    b"DKIM verification successful": _good,
    b"bad signature data": _bad,
    b"signature=": _all_signatures,
    b"s=": _deciding_signature,
    b"key revoked (": _key_failure,
    b"key retrieval failed (": _key_failure,
}
