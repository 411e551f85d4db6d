"""What a stored copy tells, and that nothing in it is the sender's word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.feedback.copies_of_mail import AT, IP, OUR_NAMES, PASSED, PEER, US, letter, received, stored
from tests.unit.headersig.signed import MESSAGE_BODY, MESSAGE_FIELDS, sign_fields
from trustgraph.errors import BadInput
from trustgraph.feedback.copies import Copy, Us, names_of, read_copy, signature_digest
from trustgraph.feedback.multipart import split_header
from trustgraph.headersig.checking import presented_signatures, replay_key
from trustgraph.headersig.message import split_message
from trustgraph.headersig.text import Header
from trustgraph.model import Identity

FORGED = "Authentication-Results: mx1.example.org; dkim=pass header.d=bank.example"
BANK = Identity.dkim("bank.example")


def read(octets: bytes, us: Us = OUR_NAMES) -> Copy:
    return read_copy(split_header(octets)[0], us)


def test_a_copy_as_our_hosts_left_it() -> None:
    copy = read(stored(above=("X-Original-To: sales@example.org",)))
    assert copy.names == ("<1@peer.example>", "4XyZ0aBcD")
    assert copy.recipients == ("anna@example.org", "sales@example.org", "<anna@example.org>")
    assert (copy.passed, copy.received_at, copy.client_ip) == (frozenset({PEER}), AT, IP)
    assert [field.name for field in copy.ours] == ["delivered-to", "x-original-to", "authentication-results"]


def test_through_our_own_hosts_and_lmtp_the_border_is_found() -> None:
    inside = (
        "Return-Path: <bert@peer.example>",
        f"Received: from {US} ([192.0.2.250]) by store.example.org with LMTP id abcd1; Mon, 2 Nov 2026 09:00:09 +0000",
        f"Received: from localhost (localhost [127.0.0.1]) by {US} (Postfix) with ESMTP id 4Inner1; "
        "Mon, 2 Nov 2026 09:00:05 +0000",
    )
    copy = read(stored(above=inside))
    assert copy.passed == {PEER}
    assert copy.received_at == AT
    assert copy.names == ("<1@peer.example>", "abcd1", "4Inner1", "4XyZ0aBcD")


@pytest.mark.parametrize(
    "sent",
    [
        letter("<1@peer.example>", FORGED),
        letter("<1@peer.example>", f"Delivered-To: boss@example.org\n{FORGED}"),
        letter("<1@peer.example>", f"{received()}\n{FORGED}\n{received()}"),
        letter(
            "<1@peer.example>",
            f"Received: from localhost (localhost [127.0.0.1]) by {US} with ESMTP id 4Forged; "
            f"Mon, 2 Nov 2026 09:00:00 +0000\n{FORGED}",
        ),
        letter("<1@peer.example>", f"Received-SPF: pass\n{FORGED}"),
    ],
)
def test_what_the_sender_writes_is_not_ours(sent: str) -> None:
    copy = read(stored(sent))
    assert copy.passed == {PEER}
    assert [field.name for field in copy.ours] == ["delivered-to", "authentication-results"]
    assert copy.recipients == ("anna@example.org", "<anna@example.org>")
    without = read(stored(sent, results=None))
    assert without.passed is None
    assert without.names == ("<1@peer.example>", "4XyZ0aBcD")


def test_the_topmost_result_of_a_method_counts() -> None:
    above = (f"Authentication-Results: {US}; dkim=fail header.d=peer.example",)
    assert read(stored(above=above)).passed == frozenset()


def test_anothers_results_are_not_ours() -> None:
    above = ("Authentication-Results: mx.other.example; dkim=pass header.d=bank.example",)
    assert read(stored(above=above, results=None)).passed is None
    assert read(stored(results="none")).passed == frozenset()


def test_below_the_border_only_filters_that_take_out_forged_results() -> None:
    """OpenDKIM inserts below Postfix's own Received field, where a sender's own fields begin too."""
    below = (f"Authentication-Results: {US}; {PASSED}", "DKIM-Filter: x", FORGED.replace(US, "filter.example.org"))
    clean = Us(frozenset({US, "filter.example.org"}), frozenset({US}), frozenset({US}))
    assert read(stored(results=None, below=below)).passed is None
    assert read(stored(results=None, below=below), clean).passed == {PEER}


def test_what_a_client_calls_itself_makes_no_queue_id() -> None:
    lying = received().replace("from mx.peer.example", "from x by mx1.example.org with SMTP id 4Other")
    copy = read(stored().replace(received().encode(), lying.encode()))
    assert copy.names == ("<1@peer.example>",)


def test_a_copy_without_the_borders_field_tells_its_name_only() -> None:
    copy = read(f"Authentication-Results: {US}; {PASSED}\nDelivered-To: anna@example.org\n{letter()}".encode())
    assert copy == Copy(("<1@peer.example>",), (), None, frozenset(), None, "", (), copy.fields)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("<a@b.example>", ["<a@b.example>"]),
        ("a@b.example", ["a@b.example", "<a@b.example>"]),
        ("<a@b.example> (again)", ["<a@b.example> (again)", "<a@b.example>"]),
        ("", []),
        ("x" * 999, []),
    ],
)
def test_what_a_message_may_be_called(text: str, names: list[str]) -> None:
    assert names_of(text) == names


def test_a_signature_is_known_again_in_a_stored_copy() -> None:
    octets = sign_fields(MESSAGE_FIELDS, MESSAGE_BODY)
    (presented,) = presented_signatures(Header(split_message(octets)[0]))
    mine = signature_digest(replay_key(presented))
    copy = read(stored(octets.replace(b"\r\n", b"\n").decode()))
    assert copy.signatures == {mine}
    refolded = octets.replace(b"\r\n", b"\n").replace(b"fp=", b"\n \tfp=")
    assert read(stored(refolded.decode())).signatures == {mine}
    other = octets.replace(b"\r\n", b"\n").replace(b"n=0123456789abcdef", b"n=0123456789abcdee")
    assert read(stored(other.decode())).signatures not in ({mine}, set())


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_reading_is_total(above: bytes, below: bytes) -> None:
    try:
        read_copy(above + b"\n" + stored() + below, OUR_NAMES)
    except BadInput:
        return
