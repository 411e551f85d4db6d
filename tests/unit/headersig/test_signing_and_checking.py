"""Sign and check: round trips, what is forgiven, what never is, the envelope and replay."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.headersig import reference
from tests.unit.headersig.signed import (
    AT,
    DAY,
    HOST,
    KEY,
    MESSAGE_BODY,
    MESSAGE_FIELDS,
    NAME,
    NOW,
    OVERSIGNED,
    host_certificate,
    judged,
    message,
    said,
    sign_fields,
)
from tests.unit.openpgp.openpgp_maker import sign_document, subpacket
from trustgraph.errors import BadInput
from trustgraph.headersig.canonical import body_hash
from trustgraph.headersig.checking import (
    PASS,
    Presented,
    check_form,
    check_signature,
    envelope_holds,
    presented_signatures,
    replay_key,
    uncovered,
)
from trustgraph.headersig.field import HeaderSignature, parse_field
from trustgraph.headersig.message import Field, split_message
from trustgraph.headersig.signing import DEFAULT_LIFETIME_SECONDS, Envelope, Signing, sign
from trustgraph.headersig.text import Header
from trustgraph.model import UnixSeconds

CERTIFICATE = host_certificate()
SIGNING = Signing(HOST, KEY.fingerprint, AT, b"\x01\x23\x45\x67\x89\xab\xcd\xef")
ENVELOPE = Envelope(b"Anna@Example.org", (b"bert@example.net",))

inside = st.lists(
    st.sampled_from([b"a", b"Z", b" ", b"\t", b"\r\n ", b"\xe9", b"\xff", b"\x00", b"\x0b", b":"]), max_size=9
)
values = inside.map(b"".join)
names = st.sampled_from([b"Subject", b"To", b"X-A", b"x-a", b"Comments", b"Keywords", b"List-Id", b"Reply-To", b"Date"])
bodies = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"\n", b"\xe9", b"\x00"]), max_size=12).map(
    b"".join
)


@st.composite
def headers(draw: st.DrawFn) -> list[Field]:
    fields = draw(st.lists(st.tuples(names, values), max_size=6))
    single = {name.lower().encode() for name in OVERSIGNED}
    seen: set[bytes] = set()
    found = [(b"From", b" anna@example.org")]
    for name, value in fields:
        if name.lower() in single and name.lower() in seen:
            continue
        seen.add(name.lower())
        found.append((name, value))
    return found


def signer(text: bytes) -> bytes:
    return sign_document(KEY, text, at=AT)


def signed(fields: list[Field], body: bytes | None, envelope: Envelope = ENVELOPE) -> list[Field]:
    return [sign(fields, None if body is None else body_hash(body), envelope, SIGNING, signer), *fields]


def result(fields: list[Field], body: bytes, now: int = NOW) -> str:
    header = Header(fields)
    return said(
        check_signature(presented_signatures(header)[0], header, body_hash(body), CERTIFICATE, UnixSeconds(now))
    )


def parts_of(fields: list[Field]) -> HeaderSignature:
    return parse_field(fields[0][1])


@given(headers(), bodies)
def test_what_is_signed_passes_and_is_the_text_of_the_design(fields: list[Field], body: bytes) -> None:
    whole = signed(fields, body)
    assert whole[0][0] == NAME
    parts = parts_of(whole)
    assert result(whole, body) == "pass"
    present = [name.lower() for name, _ in fields]
    assert list(parts.names) == present + [name.lower().encode() for name in OVERSIGNED]
    assert uncovered(parts, Header(whole)) == []
    text = reference.signed_text(fields, list(parts.names), NAME, whole[0][1])
    assert parts.signature == signer(text)
    assert (parts.signed_at, parts.expires_at) == (AT, AT + DEFAULT_LIFETIME_SECONDS) == (AT, AT + 7 * DAY)
    assert (parts.mail_from, parts.recipient) == (b"Anna@example.org", b"bert@example.net")
    assert result(signed(fields, None), b"any other body") == "pass"


@given(st.data(), headers(), bodies)
def test_what_transit_does_is_forgiven(data: st.DataObject, fields: list[Field], body: bytes) -> None:
    spaces = st.sampled_from([b" ", b"\t", b"  ", b"\r\n ", b"\n\t", b" \r\n\t "])

    def respaced(value: bytes, ends: bool = True) -> bytes:
        unfolded = value.replace(b"\r\n", b"")
        pieces = [piece for piece in unfolded.replace(b"\t", b" ").split(b" ") if piece]
        found = pieces[0] if pieces else b""
        for piece in pieces[1:]:
            found += data.draw(spaces) + piece
        return data.draw(spaces) + found + (data.draw(spaces) if ends else b"")

    whole = [
        (data.draw(st.sampled_from([name, name.lower(), name.upper()])), respaced(value, ends=name != NAME))
        for name, value in signed(fields, body)
    ]
    added = data.draw(st.lists(st.sampled_from([b"Received", b"Return-Path", b"ARC-Seal", b"X-Spam-Flag"]), max_size=3))
    lines = [reference.reduced(line) + data.draw(st.sampled_from([b"", b" ", b"\t "])) for line in body.split(b"\r\n")]
    lines += [b""] * data.draw(st.integers(0, 3))
    assert result([*((name, b" x") for name in added), *whole], b"\r\n".join(lines)) == "pass"


@given(st.data(), headers(), bodies)
def test_nothing_else_is_forgiven(data: st.DataObject, fields: list[Field], body: bytes) -> None:
    """One octet of the message, wherever it is, put for another, left out or added."""
    whole = signed(fields, body)
    octets = message(whole, body)
    at = data.draw(st.integers(0, len(octets) - 1))
    new = data.draw(
        st.sampled_from([b"", b"a", b"B", b" ", b"\t", b"\r\n", b"\x00", b"\xe9", b":", b";", octets[at : at + 1] * 2])
    )
    changed = octets[:at] + new + octets[at + 1 :]
    try:
        changed_fields, changed_body = split_message(changed)
        header = Header(changed_fields)
    except BadInput:
        return
    presented = presented_signatures(header)
    if not presented:
        return
    passed = result(changed_fields, changed_body) == "pass"

    def canonical(all_fields: list[Field], own: Field, some_body: bytes) -> tuple[object, bytes]:
        rest = [one for one in all_fields if one != own]
        listed = [name for name, _ in rest]
        value = b";".join(spec for spec in own[1].split(b";")[:-1])
        text = reference.signed_text(rest, listed, NAME, value)
        return sorted(text.split(b"\r\n")), reference.relaxed_body(some_body)

    own = next(field for field in changed_fields if field[0].lower() == NAME.lower())
    same = canonical(whole, whole[0], body) == canonical(changed_fields, own, changed_body)
    if passed:
        assert same
        # the signature packet has octets that nothing covers
        assert replace(parse_field(own[1]), signature=b"") == replace(parts_of(whole), signature=b"")


@pytest.mark.parametrize("name", OVERSIGNED)
def test_every_oversigned_name(name: str) -> None:
    host = CERTIFICATE
    present = {field.decode() for field, _ in MESSAGE_FIELDS}
    octets = sign_fields(MESSAGE_FIELDS, MESSAGE_BODY)
    expected = "permerror repeated-field" if name in present else "fail signature-does-not-verify"
    for spelling in (name, name.lower(), name.upper()):
        injected = f"{spelling}: x\r\n".encode()
        for place in (b"", b"Received:", b"From:", b"Keywords: second", b"X-Mailer:"):
            at = octets.index(b"\r\n" + place) + 2 if place else 0
            assert said(judged(octets[:at] + injected + octets[at:], host)) == expected
    tags = ":".join([field.decode() for field, _ in MESSAGE_FIELDS[1:]] + [one for one in OVERSIGNED if one != name])
    assert said(judged(sign_fields(MESSAGE_FIELDS, MESSAGE_BODY, tags={"h": tags}), host)) == (
        "permerror too-little-signed"
    )


def test_message_mode_needs_the_body_hash() -> None:
    header = Header(signed(MESSAGE_FIELDS, MESSAGE_BODY))
    presented = presented_signatures(header)[0]
    assert said(check_signature(presented, header, None, CERTIFICATE, NOW)) == "fail body-altered"
    assert said(check_signature(presented, header, b"", CERTIFICATE, NOW)) == "fail body-altered"
    header = Header(signed(MESSAGE_FIELDS, None))
    presented = presented_signatures(header)[0]
    assert presented.signature is not None
    assert presented.signature.body_hash is None
    assert check_signature(presented, header, None, CERTIFICATE, NOW) == PASS


def test_fields_as_a_milter_gives_them() -> None:
    whole = signed(MESSAGE_FIELDS, MESSAGE_BODY)
    for name in (b"Sub ject", b"Subject ", b"", b"Sub\x00ject", b"Subj\xe9ct", b"A:B"):
        assert result([(name, b" x"), *whole], MESSAGE_BODY) == "permerror malformed-header"
    unfolded = [(name, value.replace(b"\r\n", b"\n").removeprefix(b" ")) for name, value in whole]
    assert result(unfolded, MESSAGE_BODY) == "pass"
    with pytest.raises(BadInput):
        Header([*whole, (b"X", b"a\nReply-To: thief@example.com")])


def test_check_form_needs_no_key() -> None:
    whole = signed(MESSAGE_FIELDS, MESSAGE_BODY)
    header = Header(whole)
    presented = presented_signatures(header)[0]
    assert check_form(presented, header, NOW) is None
    late = check_form(presented, header, UnixSeconds(AT + 7 * DAY))
    assert late is not None
    assert said(late) == "permerror expired"
    malformed = check_form(Presented(b"v=1", None, "why"), header, NOW)
    assert malformed is not None
    assert said(malformed) == "permerror malformed-signature"
    assert (
        said(check_signature(Presented(b"v=1", None), header, None, CERTIFICATE, NOW))
        == "permerror malformed-signature"
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ([(b"To", b" x")], "no From"),
        ([(b"From", b" x"), (b"subject", b""), (b"Subject", b"")], "subject occurs more than once"),
        ([(b"From", b" x"), (b"A B", b"")], "no header field name"),
        ([(b"From", b" x"), (b"A", b"b\nc")], "not a fold"),
        ([(b"From", b" x"), *[(b"X" * 70, b"")] * 950], "field is .* long"),
        ([(b"From", b" x"), *[(b"X", b"")] * 2000], "more than 2,000 names"),
    ],
)
def test_what_is_not_signed(fields: list[Field], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        signed(fields, b"")


@pytest.mark.parametrize(
    ("signing", "envelope"),
    [
        (replace(SIGNING, domain="MX.example.org"), ENVELOPE),
        (replace(SIGNING, fingerprint="0"), ENVELOPE),
        (replace(SIGNING, nonce=b"short"), ENVELOPE),
        (SIGNING, Envelope(b"x" * 513)),
    ],
)
def test_no_field_that_no_verifier_reads(signing: Signing, envelope: Envelope) -> None:
    with pytest.raises(BadInput):
        sign(MESSAGE_FIELDS, None, envelope, signing, signer)


def test_the_lifetime_is_bounded() -> None:
    _, value = sign(MESSAGE_FIELDS, None, ENVELOPE, replace(SIGNING, lifetime_seconds=99 * DAY), signer)
    assert parse_field(value).expires_at == AT + 14 * DAY


@pytest.mark.parametrize(
    ("at_signing", "at_checking", "holds"),
    [
        (ENVELOPE, ENVELOPE, True),
        (ENVELOPE, Envelope(b"Anna@EXAMPLE.ORG", (b"bert@Example.NET",)), True),
        (ENVELOPE, Envelope(b"anna@example.org", (b"bert@example.net",)), False),
        (ENVELOPE, Envelope(b"Anna@example.org", (b"cleo@example.net",)), False),
        (ENVELOPE, Envelope(b"Anna@example.org", (b"bert@example.net", b"cleo@example.net")), False),
        (ENVELOPE, Envelope(b"Anna@example.org", ()), False),
        (ENVELOPE, Envelope(b"", (b"bert@example.net",)), False),
        (ENVELOPE, Envelope(None, (b"bert@example.net",)), None),
        (Envelope(b"", (b"bert@example.net",)), Envelope(b"", (b"bert@example.net",)), True),
        (Envelope(b"a@b.example", (b"b@c.example", b"c@d.example")), Envelope(b"a@b.example", (b"x@y.example",)), True),
        (Envelope(None, (b"b@c.example", b"c@d.example")), ENVELOPE, None),
        (Envelope(), ENVELOPE, None),
        (Envelope(None, (b"bert@example.net",)), ENVELOPE, True),
        (Envelope(None, (b"cleo@example.net",)), ENVELOPE, False),
    ],
)
def test_the_envelope(at_signing: Envelope, at_checking: Envelope, holds: bool | None) -> None:
    parts = parts_of(signed(MESSAGE_FIELDS, None, at_signing))
    assert envelope_holds(parts, at_checking) is holds


def test_replays_have_one_key_however_they_are_written() -> None:
    octets = sign_fields(MESSAGE_FIELDS, MESSAGE_BODY)
    value = split_message(octets)[0][0][1]
    unsigned, _, packet = value.rpartition(b"b=")
    body = base64.b64decode(packet)[6:]
    hashed_end = 6 + int.from_bytes(body[4:6])
    unhashed_end = hashed_end + 2 + int.from_bytes(body[hashed_end : hashed_end + 2])
    area = body[hashed_end + 2 : unhashed_end] + subpacket(100, b"padding")
    padded = body[:hashed_end] + len(area).to_bytes(2) + area + body[unhashed_end:]
    padded = b"\xc2\xff" + len(padded).to_bytes(4) + padded
    same = [
        value,
        value.replace(b"\r\n\t", b" "),
        value.replace(b"b=wv8", b"b=\r\n wv8"),
        unsigned + b"b=" + base64.b64encode(padded),
    ]
    for other in same:
        assert said(judged(octets.replace(value, other), CERTIFICATE)) == "pass"
    keys = {replay_key(Presented(other, parse_field(other))) for other in same}
    assert [len(key) for key in keys] == [16]
    fresh = split_message(sign_fields(MESSAGE_FIELDS, MESSAGE_BODY, tags={"n": "fedcba9876543210"}))[0][0][1]
    assert replay_key(Presented(fresh, parse_field(fresh))) not in keys


@given(st.text(max_size=20), st.text(max_size=20))
def test_arbitrary_unicode_in_values(subject: str, name: str) -> None:
    value = f" {subject} <{name}@example.org>".encode(errors="surrogatepass")
    assume(b"\n" not in value)
    fields = [(b"From", value), (b"Subject", subject.encode(errors="surrogatepass"))]
    assert result(signed(fields, value), value) == "pass"
