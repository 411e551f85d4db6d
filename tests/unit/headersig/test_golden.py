"""Golden messages: signed by several programs, changed in every way, and signed by hosts that break the rules."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.unit.headersig.signed import (
    AT,
    GOLDEN,
    HOST,
    KEY,
    MESSAGE_BODY,
    MESSAGE_FIELDS,
    NOW,
    host_certificate,
    host_packets,
    judged,
    said,
    sign_fields,
)
from tests.unit.openpgp.openpgp_maker import notation, subpacket
from trustgraph.errors import BadInput
from trustgraph.headersig.checking import presented_signatures, uncovered
from trustgraph.headersig.message import split_message
from trustgraph.headersig.text import Header
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate

Case = dict[str, Any]

SIGNED = (GOLDEN / "message.eml").read_bytes()
FOREIGN = (
    "gpg-ed25519",
    "gpg-rsa2048",
    "gpg-rsa3072",
    "gpg-p256",
    "gpg-p384",
    "gpg-subkey",
    "sequoia-v4",
    "sequoia-v6",
)


def cases(name: str) -> list[Case]:
    found: list[Case] = tomllib.loads((GOLDEN / name).read_text())["case"]
    names = [case["name"] for case in found]
    assert len(names) == len(set(names))
    return found


@pytest.fixture(scope="module")
def host() -> HostCertificate:
    return read_host_certificate([(GOLDEN / "host.pgp").read_bytes()], KEY.fingerprint, NOW)


def edited(octets: bytes, edit: dict[str, Any]) -> bytes:
    """One edit of changes.toml, which explains them."""
    match {key: value for key, value in edit.items() if key != "times"}:
        case {"top": text}:
            return bytes(text.encode("latin-1") * edit.get("times", 1) + octets)
        case {"bottom": text}:
            return octets.replace(b"\r\n\r\n", b"\r\n" + text.encode("latin-1") + b"\r\n", 1)
        case {"remove": name}:
            field = re.compile(rb"^%b:.*\r\n(?:[ \t].*\r\n)*" % name.encode(), re.MULTILINE)
            assert len(field.findall(octets)) == 1
            return field.sub(b"", octets)
        case {"replace": [old, new]}:
            assert octets.count(old.encode("latin-1")) == 1
            return octets.replace(old.encode("latin-1"), new.encode("latin-1"))
        case {"body": body}:
            return octets[: octets.index(b"\r\n\r\n") + 4] + bytes(body.encode("latin-1"))
    raise AssertionError(edit)


def outcome(octets: bytes, host: HostCertificate) -> tuple[str, list[str]]:
    """What is said of the topmost signature and the names that it leaves out."""
    try:
        fields, _ = split_message(octets)
        header = Header(fields)
    except BadInput:
        return "unreadable", []
    presented = presented_signatures(header)
    if not presented:
        return "none", []
    result = said(judged(octets, host))
    signature = presented[0].signature
    left_out = uncovered(signature, header) if signature and result == "pass" else []
    return result, [name.decode() for name in left_out]


@pytest.mark.parametrize("case", cases("changes.toml"), ids=lambda case: case["name"])
def test_changes_without_the_key(case: Case, host: HostCertificate) -> None:
    octets = SIGNED
    for edit in case.get("edit", []):
        octets = edited(octets, edit)
    assert outcome(octets, host) == (case["expect"], case.get("uncovered", [])), case["why"]


@pytest.mark.parametrize("case", cases("signers.toml"), ids=lambda case: case["name"])
def test_signers_that_break_the_rules(case: Case, host: HostCertificate) -> None:
    tags = case.get("tags", {}) | dict.fromkeys(case.get("without", []))
    wanted = case.get("packet", {})
    extra = subpacket(3, wanted["expires"].to_bytes(4)) if "expires" in wanted else b""
    if kind := wanted.get("critical"):
        extra += notation("n@example.org", "x", critical=True) if kind == 20 else subpacket(kind, b"x", critical=True)
    octets = sign_fields(
        MESSAGE_FIELDS,
        MESSAGE_BODY,
        tags=tags,
        packet_at=AT + wanted.get("at", 0),
        type=wanted.get("type", 0),
        hash_algorithm=wanted.get("hash", 8),
        extra=extra,
    )
    assert outcome(octets, host) == (case["expect"], case.get("uncovered", [])), case["why"]


def test_the_golden_message_is_signed_by_the_rules() -> None:
    assert sign_fields(MESSAGE_FIELDS, MESSAGE_BODY) == SIGNED
    assert host_packets() == (GOLDEN / "host.pgp").read_bytes()


@pytest.mark.parametrize("name", FOREIGN)
def test_messages_signed_by_other_programs(name: str) -> None:
    octets, packets = ((GOLDEN / f"{name}.{suffix}").read_bytes() for suffix in ("eml", "pgp"))
    signature = presented_signatures(Header(split_message(octets)[0]))[0].signature
    assert signature is not None
    assert signature.domain == f"{name.partition('-')[2]}.example.org"
    now = signature.signed_at + 60
    certificate = read_host_certificate([packets], signature.fingerprint, signature.signed_at)
    assert list(certificate.hosts) == [signature.domain]
    assert said(judged(octets, certificate, now)) == "pass"
    assert said(judged(octets.replace(b"Minutes", b"Seconds"), certificate, now)) == "fail signature-does-not-verify"
    assert said(judged(octets.replace(b"we  met", b"we  ate"), certificate, now)) == "fail body-altered"
    assert said(judged(octets, host_certificate(), now)) == "permerror other-key-named"


def test_the_golden_subkey_signs_for_its_key() -> None:
    packets = (GOLDEN / "gpg-subkey.pgp").read_bytes()
    octets = (GOLDEN / "gpg-subkey.eml").read_bytes()
    signature = presented_signatures(Header(split_message(octets)[0]))[0].signature
    assert signature is not None
    certificate = read_host_certificate([packets], signature.fingerprint, NOW)
    (subkey,) = certificate.signing_keys
    assert subkey != certificate.fingerprint


def test_only_the_three_topmost_are_looked_at(host: HostCertificate) -> None:
    fields, body = split_message(SIGNED)
    other = SIGNED.replace(b"n=0123", b"n=4567")
    decoy = split_message(other)[0][0]
    malformed = (b"pgp-header-signature", b" v=7")
    for above in ([decoy], [decoy, malformed], [malformed, decoy, malformed]):
        presented = presented_signatures(Header([*above, *fields]))
        assert len(presented) == min(3, len(above) + 1)
        assert [one.signature is None for one in presented] == [one is malformed for one in [*above, fields[0]]][:3]
        assert all(one.problem for one in presented if one.signature is None)
    joined = b"".join(name + b":" + value + b"\r\n" for name, value in [malformed, decoy])
    results = [said(judged(joined + SIGNED, host, which=number)) for number in range(3)]
    assert results == ["permerror malformed-signature", "fail signature-does-not-verify", "pass"]
    assert body == MESSAGE_BODY


def test_eight_bit_and_smtputf8_headers() -> None:
    fields = [
        (b"From", " Jürgen <jürgen@exämple.org>".encode()),
        (b"Subject", b" caf\xe9 \xff\xfe\r\n \x80\x85\xa0 end"),
        (b"X-Odd", b" \x01\x7f\x0b"),
    ]
    octets = sign_fields(fields, b"\xe4\xf6\xfc\x00\r\n")
    host = host_certificate()
    assert said(judged(octets, host)) == "pass"
    for old, new in (
        (b"caf\xe9", b"caf\xe8"),
        (b"\xfe\r\n", b"\xff\r\n"),
        (b"\x80\x85", b"\x85\x80"),
        ("ü".encode(), b"u"),
        (b"\xa0 end", b" end"),
        (b"\x7f\x0b", b"\x7f"),
    ):
        assert octets.count(old) >= 1
        assert said(judged(octets.replace(old, new), host)) == "fail signature-does-not-verify"
    assert said(judged(octets.replace(b"\xe4\xf6", b"\xf6\xe4"), host)) == "fail body-altered"
    assert said(judged(b"Subject: caf\xe9\r\n" + octets, host)) == "permerror repeated-field"
    assert said(judged(b"Reply-To: \xe9\r\n" + octets, host)) == "fail signature-does-not-verify"


def test_an_empty_body_and_no_body() -> None:
    octets = sign_fields(MESSAGE_FIELDS, b"")
    host = host_certificate()
    for body in (b"", b"\r\n", b" \t\r\n\r\n", b"   "):
        assert said(judged(octets + body, host)) == "pass"
    assert said(judged(octets[:-2], host)) == "pass"
    assert said(judged(octets + b"x", host)) == "fail body-altered"


def test_hosts_are_told_apart_by_name() -> None:
    assert HOST == "mx.example.org"
    host = host_certificate(host_packets(KEY, "smtp://mx.example.com"))
    assert said(judged(SIGNED, host)) == "permerror host-not-on-key"
