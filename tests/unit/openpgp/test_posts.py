"""Whether the signatures of a post count: by key, flag, time, revocation and form, and what names each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.judged_posts import Ring
from tests.signed_posts import (
    AT,
    BINARY,
    BORN,
    DAY,
    NOW,
    TEXT,
    PostKey,
    armor,
    clear_canonical,
    clear_signed,
    header,
    header_signed,
    inline,
    make_key,
    message,
    multipart,
    part,
    pgp_mime,
    revoked,
    signed_entity,
    unsigned,
    usual_fields,
)
from tests.unit.openpgp import openpgp_maker as maker
from tests.unit.openpgp.openpgp_maker import bind, subkey_packet, subpacket
from trustgraph.errors import BadInput
from trustgraph.headersig.message import split_message
from trustgraph.mailinglist.model import Binding, Kind
from trustgraph.mailinglist.reading import read_post
from trustgraph.model import Result
from trustgraph.openpgp.deposits import subscriber_certificate
from trustgraph.openpgp.posts import judge_post

ANNA, BERT = make_key("anna@example.org"), make_key("bert@example.org")
SUB = make_key("carl@example.org", flags=1, subkey_flags=2)
RING = Ring(ANNA.public, BERT.public, SUB.public)

PASS = "pass"
BROKEN = "fail signature-does-not-verify"
MALFORMED = "permerror malformed-signature"
UNKNOWN = "none unknown-key"
REVOKED = "permerror key-revoked"
EXPIRED = "permerror key-expired"

MAKERS = {"mime": pgp_mime, "inline": inline, "header": header}
each_form = pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))


def with_options(key: PostKey, at: int = AT, **options: Any) -> PostKey:
    return key.signing(at=at, options=options)


@each_form
def test_by_a_subscriber(make: Any) -> None:
    for key in (ANNA, BERT, SUB):
        octets = make(key)
        (finding,) = RING.judge(octets)[1]
        assert RING.said(octets) == PASS
        assert (finding.fingerprint, finding.signed_at, len(finding.digest)) == (key.fingerprint, AT, 16)
        assert RING.said(octets.replace(b"swifts", b"pigeon")) != PASS
    assert RING.said(unsigned(ANNA.address)) == "unsigned"


@each_form
def test_by_a_stranger(make: Any) -> None:
    stranger = make_key("mallory@example.net")
    octets = make(stranger, author=ANNA.address)
    if make is header:
        assert RING.said(octets) == "unsigned"  # it may be a mail host's
        return
    assert RING.said(octets) == UNKNOWN
    assert RING.judge(octets)[1][0].fingerprint == stranger.fingerprint
    by_id = with_options(stranger, issuer_fingerprint="")
    assert RING.judge(make(by_id))[1][0].fingerprint == stranger.primary.key_id
    # in another's name
    lying = {"issuer_fingerprint": ANNA.fingerprint, "issuer_key_id": ANNA.primary.key_id}
    assert RING.said(make(with_options(stranger, **lying))) == BROKEN


@each_form
def test_named_by_key_id_alone(make: Any) -> None:
    for key in (ANNA, SUB):
        assert RING.said(make(with_options(key, issuer_fingerprint=""))) == PASS


#: Ends long after the clock of whoever runs this, which is the one that Sequoia goes by.
IN_A_CENTURY = 100 * 365 * DAY


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hash_algorithm": maker.SHA384}, PASS),
        ({"hash_algorithm": maker.SHA512}, PASS),
        ({"hash_algorithm": maker.SHA1}, "permerror weak-hash"),
        ({"hash_algorithm": maker.SHA224}, "permerror weak-hash"),
        ({"hash_algorithm": 1}, "permerror weak-hash"),
        ({"extra": subpacket(3, IN_A_CENTURY.to_bytes(4))}, PASS),
        ({"extra": subpacket(3, (600).to_bytes(4))}, "permerror signature-expired"),
        ({"extra": subpacket(3, (0).to_bytes(4))}, PASS),
        ({"extra": subpacket(100, b"x")}, PASS),
        ({"extra": subpacket(100, b"x", critical=True)}, MALFORMED),
        ({"extra": maker.notation("x@example.org", "y")}, PASS),
        ({"extra": maker.notation("x@example.org", "y", critical=True)}, MALFORMED),
        ({"issuer_fingerprint": "", "issuer_key_id": ""}, MALFORMED),
    ],
)
@each_form
def test_what_a_signature_says_of_itself(make: Any, options: dict[str, Any], said: str) -> None:
    assert RING.said(make(with_options(ANNA, **options))) == said


@pytest.mark.parametrize("type_", [0x01, 0x02, 0x10, 0x13, 0x1F, 0x20, 0x40, 0x50])
@each_form
def test_types_of_signature(make: Any, type_: int) -> None:
    class OfType(PostKey):
        def packet(self, text: bytes, kind: int) -> bytes:
            return super().packet(text, type_)

    key = OfType(**{name: getattr(ANNA, name) for name in ANNA.__dataclass_fields__})
    assert RING.said(make(key)) == (PASS if type_ == TEXT and make is not header else MALFORMED)


def test_a_clear_signature_over_octets_is_none() -> None:
    clear = clear_signed(b"Swifts.\n", ANNA.packet(clear_canonical(b"Swifts.\n"), BINARY))
    assert RING.said(message(usual_fields(ANNA.address), part("") + clear.replace(b"\n", b"\r\n"))) == MALFORMED


@each_form
def test_time_of_signing(make: Any) -> None:
    early = ANNA.signing(at=BORN - 1)
    assert RING.said(make(early), BORN + 100) == "permerror signed-before-key"
    assert RING.said(make(ANNA.signing(at=BORN)), BORN + 100) == PASS
    assert RING.said(make(ANNA), AT - 300) == PASS
    assert RING.said(make(ANNA), AT - 301) == "permerror signed-in-the-future"


def test_old_signatures_are_left_to_the_rules() -> None:
    for make in (pgp_mime, inline):
        assert RING.said(make(ANNA), NOW + 400 * DAY) == PASS
    assert RING.said(header(ANNA), AT + 7 * DAY - 1) == PASS
    assert RING.said(header(ANNA), AT + 7 * DAY) == "permerror signature-expired"


KEYS = {
    "expired when signed": (lambda: make_key("x@example.org", lives_seconds=AT - BORN), EXPIRED),
    "expired right after": (lambda: make_key("x@example.org", lives_seconds=AT - BORN + 1), PASS),
    "signs by subkey, expired": (
        lambda: make_key("x@example.org", flags=1, subkey_flags=2, subkey_lives_seconds=AT - BORN),
        EXPIRED,
    ),
    "signs by subkey, expired right after": (
        lambda: make_key("x@example.org", flags=1, subkey_flags=2, subkey_lives_seconds=AT - BORN + 1),
        PASS,
    ),
    "signs by subkey, primary key expired": (
        lambda: make_key("x@example.org", flags=1, subkey_flags=2, lives_seconds=AT - BORN),
        EXPIRED,
    ),
    "subkey made after": (
        lambda: make_key("x@example.org", flags=1, subkey_flags=2, subkey_born=AT + 1),
        "permerror signed-before-key",
    ),
    "certifies only": (lambda: make_key("x@example.org", flags=1), "fail not-a-signing-key"),
    "says nothing": (lambda: make_key("x@example.org", flags=None), "fail not-a-signing-key"),
    "subkey encrypts": (lambda: make_key("x@example.org", flags=3, subkey_flags=12), "fail not-a-signing-key"),
}


@pytest.mark.parametrize("name", KEYS)
@each_form
def test_keys(make: Any, name: str) -> None:
    made, said = KEYS[name]
    key = made()
    ring = Ring(key.public)
    every_name = make_key("x@example.org", flags=3, subkey_flags=2)
    ring.add(key.public, every_name.public)
    assert ring.said(make(key)) == said


@pytest.mark.parametrize("reason", [None, 0, 1, 2, 3, 32, 100])
@pytest.mark.parametrize("since", [-DAY, 0, 1, DAY, 300 * DAY])
@each_form
def test_revocations(make: Any, reason: int | None, since: int) -> None:
    is_soft = reason in (1, 3)
    ring = Ring(revoked(ANNA, AT + since, reason))
    assert ring.said(make(ANNA)) == (PASS if is_soft and since > 0 else REVOKED)


@pytest.mark.parametrize(
    ("reason", "since", "said"), [(2, 60, REVOKED), (3, 60, PASS), (3, 0, REVOKED), (1, -60, REVOKED)]
)
def test_revocations_of_the_subkey(reason: int, since: int, said: str) -> None:
    body = maker.over_subkey(
        SUB.primary, SUB.primary, SUB.signer, type=0x28, at=AT + since, extra=maker.revocation_reason(reason)
    )
    ring = Ring(SUB.public + maker.packet(2, body))
    assert ring.said(pgp_mime(SUB)) == said


def test_several_revocations_and_the_first_of_them_counts() -> None:
    twice = revoked(ANNA, AT + 60, 3)
    head = ANNA.primary.packet
    ring = Ring(head + maker.revoke_key(ANNA.primary, at=AT - 60, reason=1) + twice.removeprefix(head))
    assert ring.said(pgp_mime(ANNA)) == REVOKED


def test_a_copy_with_a_revocation_speaks_for_all_copies() -> None:
    for copies in ((ANNA.public, revoked(ANNA, AT)), (revoked(ANNA, AT), ANNA.public)):
        for make in MAKERS.values():
            assert Ring(*copies).said(make(ANNA)) == REVOKED


def test_weak_keys() -> None:
    weak = maker.rsa_key(1024)
    said = maker.certify(weak, weak, "x", type=0x13, at=BORN, extra=maker.key_flags(3))
    octets = message(usual_fields("x@example.org"), signed_entity(part("x"), signature=armor(b"")))
    made = signed_entity(part("x\n"), signature=armor(maker.sign_document(weak, part("x\n"), at=AT)))
    octets = message(usual_fields("x@example.org"), made)
    certificate = subscriber_certificate(weak.packet + maker.user_id("x") + said, NOW)
    post = read_post(octets)
    (finding,) = judge_post(post, *split_message(octets), lambda _name: [certificate], NOW)
    assert (finding.result, finding.reason) == (Result.PERMERROR, "weak-key")


def test_somebody_elses_subkey_bound_without_its_consent() -> None:
    stolen = BERT.public + subkey_packet(SUB.signer) + bind(BERT.primary, SUB.signer, at=BORN, back=b"")
    certificate = subscriber_certificate(stolen, NOW)
    post = read_post(pgp_mime(SUB))
    (finding,) = judge_post(post, [], b"", lambda _name: [certificate], NOW)
    assert finding.reason == "not-a-signing-key"


def test_candidates_of_one_name_are_all_tried() -> None:
    known = [subscriber_certificate(one.public, NOW) for one in (BERT, ANNA, SUB)]
    asked: list[str] = []

    def candidates(name: str) -> list[Any]:
        asked.append(name)
        return known

    octets = pgp_mime(ANNA)
    (finding,) = judge_post(read_post(octets), *split_message(octets), candidates, NOW)
    assert (finding.result, finding.fingerprint, asked) == (Result.PASS, ANNA.fingerprint, [ANNA.fingerprint])


GARBAGE = [
    b"\n",
    b"text\n",
    armor(b""),
    armor(b"\xc2\x00"),
    armor(ANNA.packet(b"x", 0)[:-1]),
    armor(ANNA.packet(part("x\n"), 0) * 9),
    armor(ANNA.packet(part("x\n"), 0) + b"\xcd\x01x"),
]


@pytest.mark.parametrize("signature", GARBAGE)
def test_garbage_for_a_signature(signature: bytes) -> None:
    octets = message(usual_fields(ANNA.address), signed_entity(part("x\n"), signature=signature))
    assert RING.said(octets) == MALFORMED


def test_octets_behind_the_signature_in_its_packet() -> None:
    body = ANNA.packet(part("x\n"), 0)[6:]
    octets = message(usual_fields(ANNA.address), signed_entity(part("x\n"), signature=armor(maker.packet(2, body))))
    assert RING.said(octets) == PASS
    longer = signed_entity(part("x\n"), signature=armor(maker.packet(2, body + b"\0")))
    assert RING.said(message(usual_fields(ANNA.address), longer)) == MALFORMED


def digests(octets: bytes) -> list[bytes]:
    return [one.digest for one in RING.judge(octets)[1]]


def test_a_digest_does_not_depend_on_what_anybody_can_change() -> None:
    entity = part("Swifts.\n")

    def post(signature: bytes, **fields: str) -> bytes:
        return message(usual_fields(ANNA.address, **fields), signed_entity(entity, signature=signature))

    packet = ANNA.packet(entity, BINARY)
    body = packet[6:]
    hashed_end = 6 + int.from_bytes(body[4:6])
    unhashed_size = int.from_bytes(body[hashed_end : hashed_end + 2])
    unhashed = body[hashed_end + 2 : hashed_end + 2 + unhashed_size] + subpacket(100, b"anything")
    changed = body[:hashed_end] + len(unhashed).to_bytes(2) + unhashed + body[hashed_end + 2 + unhashed_size :]
    same = [
        post(armor(packet)),
        post(armor(b"\x88" + bytes((len(body),)) + body)),
        post(armor(maker.packet(2, changed))),
        post(armor(packet).replace(b"-----\n\n", b"-----\nComment: x\n\n", 1)),
        post(armor(packet), Subject="Another", Message_ID="<2@example.org>"),
    ]
    assert [RING.said(one) for one in same] == [PASS] * len(same)
    assert len({digests(one)[0] for one in same}) == 1
    later = post(armor(ANNA.signing(at=AT + 1).packet(entity, BINARY)))
    as_text = post(armor(ANNA.packet(entity, TEXT)))
    other = pgp_mime(ANNA, entity=part("Swifts!\n"))
    by_other = message(usual_fields(BERT.address), signed_entity(entity, BERT))
    assert len({digests(one)[0] for one in (same[0], later, as_text, other, by_other)}) == 5


def test_a_digest_of_clear_signed_text_is_of_what_is_signed() -> None:
    octets = inline(ANNA, "Swifts. \nBack.\n")
    assert digests(octets) == digests(octets.replace(b"Swifts.", b"Swifts. \t"))
    assert digests(octets) == digests(octets.replace(b"charset=utf-8", b"charset=us-ascii"))
    assert digests(octets) != digests(inline(ANNA, "Swifts.\nBack!\n"))


def test_digests_of_header_signatures() -> None:
    octets = header(ANNA)
    assert digests(octets) == digests(b"Received: by x\r\n" + octets)
    assert digests(octets) != digests(header(ANNA))  # which has another nonce


def test_binding_comes_with_the_finding() -> None:
    for octets in (pgp_mime(ANNA, bound=True), header(ANNA)):
        (finding,) = RING.judge(octets)[1]
        expected = Binding("anna@example.org", frozenset({"birds@lists.example"}), None, b"Swifts")
        assert finding.binding == expected
    assert RING.judge(inline(ANNA))[1][0].binding == Binding()


def test_header_signatures_beside_others() -> None:
    host = make_key("postmaster@mx.example.org")
    both = header_signed(ANNA, pgp_mime(ANNA))
    assert RING.said(both) == f"{PASS}, {PASS}"
    assert [one.kind for one in RING.judge(both)[1]] == [Kind.PGP_MIME, Kind.HEADER]
    assert RING.said(header_signed(host, pgp_mime(ANNA))) == PASS
    assert RING.said(header_signed(host, header(ANNA))) == PASS
    assert RING.said(header_signed(host, unsigned(ANNA.address))) == "unsigned"


def test_header_signatures() -> None:
    plain = unsigned(ANNA.address)
    signed = header_signed(ANNA, plain)
    assert RING.said(header_signed(ANNA, plain, with_body=False)) == "permerror body-not-signed"
    assert RING.said(signed.replace(b"Subject: Swifts", b"Subject: Pigeons")) == BROKEN
    assert RING.said(signed.replace(b"swifts", b"pigeons")) == "fail body-altered"
    assert RING.said(b"Reply-To: mallory@example.net\r\n" + signed) == BROKEN
    assert RING.said(signed + b"\r\n\r\n") == PASS
    # t is not when the packet was made
    late = ANNA.signing(options={"at": AT + 301})
    assert RING.said(header_signed(late, plain)) == "permerror times-differ"
    # by the subkey's fingerprint it is nobody's
    other = replace(SUB, primary=SUB.signer)
    assert RING.said(header_signed(other, plain)) == "unsigned"


def test_post_of_many_signatures() -> None:
    entity = multipart(part("a\n"), part("b\n"))
    assert RING.said(pgp_mime(ANNA, entity=entity, also=[BERT, SUB])) == ", ".join([PASS] * 3)
    stranger = make_key("mallory@example.net")
    assert RING.said(pgp_mime(ANNA, entity=entity, also=[stranger])) == f"{PASS}, {UNKNOWN}"
    moved = ANNA.packet(part("Another.\n"), BINARY)
    good = ANNA.packet(part("x\n"), BINARY)
    octets = message(usual_fields(ANNA.address), signed_entity(part("x\n"), signature=armor(good + moved)))
    assert RING.said(octets) == f"{PASS}, {BROKEN}"


SEEDS = [make(key) for make in MAKERS.values() for key in (ANNA, SUB)] + [pgp_mime(ANNA, also=[BERT])]
TEXTS = {read_post(one).contents[0].text for one in SEEDS}


@given(st.sampled_from(SEEDS), st.integers(0, 3000), st.binary(min_size=1, max_size=3), st.integers(0, 3))
def test_nothing_made_up_passes(octets: bytes, at: int, written: bytes, cut: int) -> None:
    at %= len(octets)
    changed = octets[:at] + written + octets[at + cut :]
    try:
        post, findings = RING.judge(changed)
    except BadInput:
        return
    for content, finding in zip(post.contents, findings, strict=False):
        assert finding.result is not Result.PASS or content.text in TEXTS


def test_what_is_late_has_to_be_signed_all_the_same() -> None:
    """Lists are lenient about signatures that come late, so nobody may make one up."""
    brief = ANNA.signing(options={"extra": subpacket(3, (600).to_bytes(4))})
    ended = make_key("dora@example.org", lives_seconds=AT - maker.BORN)
    ring = Ring(ANNA.public, ended.public)
    for make in (pgp_mime, inline):
        for key, late in ((brief, "permerror signature-expired"), (ended, EXPIRED)):
            octets = make(key)
            assert ring.said(octets) == late
            assert ring.said(octets.replace(b"swifts", b"swallows")) == BROKEN
    late_header = header(ANNA)
    after = AT + 7 * DAY
    assert ring.said(late_header, after) == "permerror signature-expired"
    assert ring.said(late_header.replace(b"swifts", b"swallows"), after) == "fail body-altered"
    assert ring.said(late_header.replace(b"Subject: ", b"Subject: No "), after) == BROKEN
