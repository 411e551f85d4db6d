"""Our signatures on somebody else's certificate, and nothing else changed or taken along."""

from __future__ import annotations

import io

import pytest

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.attaching import attach
from trustgraph.openpgp.framing import Packet, Tag, read_packets, serialise
from trustgraph.openpgp.making import certify, export_public, new_host_key
from trustgraph.openpgp.ownparts import read_host_certificate

AT = UnixSeconds(1_790_000_000)
KEY, BIRCH, CEDAR = (
    new_host_key(f"mail.{name}.example", AT, seed=name.encode().ljust(32, b"."), postmaster=True)
    for name in ("acorn", "birch", "cedar")
)
USER_ID, POSTMASTER = "smtp://mail.acorn.example", "<postmaster@mail.acorn.example>"
OWN = export_public(KEY.certificate())
VERIFIED = read_host_certificate([OWN], KEY.fingerprint, UnixSeconds(AT + 9)).octets
OURS = certify(BIRCH, KEY.certificate(), USER_ID, UnixSeconds(AT + 5))


def packets(certificate: bytes) -> list[Packet]:
    return list(read_packets(io.BytesIO(certificate), lambda _problem: None, with_subkeys=True))


def on(certificate: bytes, user_id: str) -> list[bytes]:
    found: list[bytes] = []
    here = False
    for packet in packets(certificate):
        if packet.tag is not Tag.SIGNATURE:
            here = packet == (Tag.USER_ID, user_id.encode())
        elif here:
            found.append(serialise(packet))
    return found


@pytest.mark.parametrize("user_id", [USER_ID, POSTMASTER])
def test_a_signature_comes_under_its_user_id_and_all_else_stays(user_id: str) -> None:
    whole = attach(OWN, VERIFIED, {user_id: [OURS, b""]})
    assert on(whole, user_id) == [*on(OWN, user_id), OURS]
    assert sorted(packets(whole)) == sorted([*packets(OWN), *packets(OURS)])
    assert [p for p in packets(whole) if p.tag is not Tag.SIGNATURE] == [
        p for p in packets(OWN) if p.tag is not Tag.SIGNATURE
    ]


def test_a_self_signature_goes_back_as_it_came() -> None:
    assert VERIFIED != OWN, "or this would prove nothing"
    assert attach(OWN, VERIFIED, {}) == b"".join(serialise(packet) for packet in packets(OWN))


def test_what_others_hung_on_it_is_not_taken_along() -> None:
    crowded = KEY.certificate()
    certify(CEDAR, crowded, USER_ID, UnixSeconds(AT + 7))
    flooded = b"".join(serialise(p) for p in packets(export_public(crowded)))
    flooded += serialise(Packet(Tag.USER_ID, b"smtp://bank.example")) + on(OWN, USER_ID)[0]
    assert attach(flooded, VERIFIED, {USER_ID: [OURS]}) == attach(OWN, VERIFIED, {USER_ID: [OURS]})


def test_doubled_parts_and_signatures_go_back_once() -> None:
    key, *rest = packets(OWN)
    doubled = b"".join(serialise(p) for p in [key, *rest, *rest, *(p for q in rest for p in (q, q))])
    assert attach(doubled, VERIFIED, {USER_ID: [OURS]}) == attach(OWN, VERIFIED, {USER_ID: [OURS]})


@pytest.mark.parametrize(("certificate", "verified"), [(OWN, VERIFIED), (serialise(packets(OWN)[0]), VERIFIED)])
def test_a_user_id_that_is_not_there(certificate: bytes, verified: bytes) -> None:
    absent = "smtp://mail.dogwood.example" if certificate == OWN else USER_ID
    with pytest.raises(BadInput, match=absent):
        attach(certificate, verified, {absent: [OURS]})


def test_a_user_id_that_its_key_does_not_claim() -> None:
    forged = OWN + serialise(Packet(Tag.USER_ID, b"smtp://bank.example")) + on(OWN, USER_ID)[0]
    with pytest.raises(BadInput, match="bank"):
        attach(forged, VERIFIED, {"smtp://bank.example": [OURS]})
