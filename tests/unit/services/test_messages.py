"""A message signed is the message verified, with either kind of line ends; what transit changes is left out."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.services.site import US, secret_key, site_in
from tests.unit.verifier.scripted import play
from trustgraph.errors import BadInput
from trustgraph.headersig.message import split_message
from trustgraph.headersig.signing import Envelope
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.signer import MessageSigner, load_signer
from trustgraph.services.gate import open_gate
from trustgraph.services.messages import BodyShape, judge_message, judged_json, missing_fields, sign_message
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.store.accepting import CachedCertificate, write_certificate
from trustgraph.verifier.examine import Client, Judged

#: Sequoia signs by its own clock.


def now() -> UnixSeconds:
    """Sequoia signs by the clock, and a signature's two times may not be far apart: so no time is kept."""
    return UnixSeconds(int(time.time()))


ENVELOPE = Envelope(b"anna@example.net", (b"bert@example.org",))
PLAIN = (
    b"From: anna@example.net\r\nTo: bert@example.org\r\nSubject: hello\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\nDear Bert,\r\n\r\nhello.\r\n"
)


@pytest.fixture(scope="module")
def signer() -> MessageSigner:
    return load_signer(making.export_secret(secret_key()), "", now())


@pytest.fixture
def settings(tmp_path: Path, signer: MessageSigner) -> Settings:
    settings = site_in(tmp_path)
    store = open_store(settings.database.url)
    certificate = signer.certificate
    write_certificate(store, CachedCertificate(certificate.fingerprint, certificate.octets, now()))
    store.close()
    return settings


def verified(settings: Settings, octets: bytes, client: Client | None = None) -> Judged:
    async def run() -> Judged:
        async with open_gate(settings, recording=False, clock=now) as gate:
            return await judge_message(gate, octets, ENVELOPE, client or Client(US, "192.0.2.1"), "")

    return play(run)


def sign(octets: bytes, settings: Settings, signer: MessageSigner, headers: bool = False) -> tuple[bytes, str]:
    return sign_message(octets, ENVELOPE, settings, signer, now(), headers=headers)


@pytest.mark.parametrize("headers", [False, True])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_signed_and_verified(settings: Settings, signer: MessageSigner, line_end: bytes, headers: bool) -> None:
    message = PLAIN.replace(b"\r\n", line_end)
    signed, objection = sign(message, settings, signer, headers)
    assert objection == ""
    assert signed.startswith(b"PGP-Header-Signature: v=1;")
    assert signed.endswith(message)
    assert (b"\r" in signed) is (line_end == b"\r\n")
    judged = verified(settings, signed)
    assert judged.evidence.result == "pass"
    assert judged.evidence.headers_only is headers
    broken = verified(settings, signed.replace(b"Subject: hello", b"Subject: other"))
    assert (broken.evidence.result, broken.decision.reason) == ("fail", "forged")
    body = verified(settings, signed.replace(b"Dear Bert", b"Dear Carl"))
    assert body.evidence.result == ("pass" if headers else "fail")


def test_the_other_kind_of_line_ends_is_the_same_message(settings: Settings, signer: MessageSigner) -> None:
    signed, _ = sign(PLAIN, settings, signer)
    assert verified(settings, signed.replace(b"\r\n", b"\n")).evidence.result == "pass"


def test_a_missing_date_and_message_id_are_added_and_signed(settings: Settings, signer: MessageSigner) -> None:
    bare = b"From: anna@example.net\r\n\r\nhello\r\n"
    signed, _ = sign(bare, settings, signer)
    fields, _ = split_message(signed)
    assert [name for name, _ in fields] == [b"PGP-Header-Signature", b"Date", b"Message-ID", b"From"]
    assert verified(settings, signed).evidence.result == "pass"
    stripped = b"".join(line for line in signed.splitlines(keepends=True) if not line.startswith(b"Date:"))
    assert verified(settings, stripped).evidence.result == "fail"
    assert missing_fields([(b"DATE", b" x"), (b"message-id", b" y")], US, now()) == []
    ((_, one), (_, two)) = (missing_fields([(b"Date", b" x")], US, now())[0] for _ in range(2))
    assert one != two


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"Subject: x\r\n\r\n", "no From field"),
        (b"", "no From field"),
        (b"From: a@x\r\nFrom: b@x\r\n\r\n", "from occurs more than once"),
        (b"From: a@x\r\nno field\r\n\r\n", "line 2 of the message is no header field"),
        (b"From: a@x\r\nX: a\rb\r\n\r\n", ""),
    ],
)
def test_what_cannot_be_signed_is_an_error(settings: Settings, signer: MessageSigner, octets: bytes, said: str) -> None:
    if not said:  # a CR in a field is covered as it is
        assert sign(octets, settings, signer)[0]
        return
    with pytest.raises(BadInput, match=said):
        sign(octets, settings, signer)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"gr\xc3\xbc\xc3\x9fe\r\n", "8bit-body"),
        (b"x" * 999 + b"\r\n", "long-line"),
        (b"one\r\n" + b"x" * 999, "long-line"),
        (b"bare\nline\r\n", "bare-line-end"),
        (b"bare\rline\r\n", "bare-line-end"),
        (b"at the end\r", "bare-line-end"),
        (b"nul \0 octet\r\n", "nul-octet"),
    ],
)
def test_a_body_that_transit_changes_is_left_out_and_why_is_said(
    settings: Settings, signer: MessageSigner, body: bytes, reason: str
) -> None:
    signed, objection = sign(PLAIN + body, settings, signer)
    assert objection == reason
    assert b"bh=" not in signed
    judged = verified(settings, signed.replace(body, b"as transit likes it\r\n"))
    assert judged.evidence.result == "pass"
    assert judged.evidence.headers_only


@pytest.mark.parametrize("body", [b"", b"\r\n", b"x" * 998 + b"\r\n", b"one\r\n" + b"x" * 998, b"no end", b"\r\n\r\n"])
def test_a_body_that_goes_through_is_signed(settings: Settings, signer: MessageSigner, body: bytes) -> None:
    signed, objection = sign(PLAIN + body, settings, signer)
    assert objection == ""
    assert verified(settings, signed).evidence.result == "pass"


PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"x" * 499, b"\xff", b"\0", b" "]), max_size=12)


@given(PIECES, st.lists(st.integers(0, 3000), max_size=6))
def test_a_body_has_the_same_shape_however_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    shape = BodyShape()
    for start, end in pairwise(places):
        shape.update(body[start:end])
    assert shape.objection() == plainly(body)


def plainly(body: bytes) -> str:
    rest = body.replace(b"\r\n", b"")
    if b"\r" in rest or b"\n" in rest:
        return "bare-line-end"
    if any(len(line) > 998 for line in body.split(b"\r\n")):
        return "long-line"
    if b"\0" in body:
        return "nul-octet"
    return "" if body.isascii() else "8bit-body"


def test_what_is_printed_names_the_facts(settings: Settings, signer: MessageSigner) -> None:
    signed, _ = sign(PLAIN, settings, signer)
    shown = judged_json(verified(settings, signed))
    assert {"verdict", "reason", "result", "responsible", "signatures"} <= shown.keys()
    assert shown["responsible"].keys() >= {"identity", "host", "rating", "confidence"}
    (one,) = shown["signatures"]
    assert (one["host"], one["mode"], one["envelope"], one["by_client"]) == (US, "message", "holds", True)
    malformed = judged_json(verified(settings, b"PGP-Header-Signature: \xff\x1b[31m\r\n" + PLAIN))
    assert malformed["signatures"][0]["result"] == "permerror"
    assert malformed["responsible"] is None


def test_what_is_no_message_is_an_error(settings: Settings) -> None:
    with pytest.raises(BadInput, match="no header field"):
        verified(settings, b"no message\r\nat all\r\n")
