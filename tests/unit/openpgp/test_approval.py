"""The owner of a key says which certifications on it count: only he, only the newest word, only what it lists."""

from __future__ import annotations

import hashlib
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.openpgp import openpgp_maker as maker
from tests.unit.openpgp.openpgp_maker import BORN, Key, certificate, certify, subpacket, user_id
from tests.unit.openpgp.openpgp_reading import LATER, read
from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.approval import MAX_APPROVED, Approvals, canonical_form, digest_of
from trustgraph.openpgp.framing import sole_packet
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.signature import Signature, parse_signature

OWNER, ANNA, BERT, CLEO = (maker.ed25519_key(name) for name in ("owner", "anna", "bert", "cleo"))
SMTP, POST = "smtp://mx.example.org", "<postmaster@mx.example.org>"

BY_ANNA, BY_BERT = certify(ANNA, OWNER, SMTP), certify(BERT, OWNER, SMTP)


def body_of(signature: bytes) -> bytes:
    one = sole_packet(signature)
    assert one is not None
    assert one.body is not None
    return one.body


def listed(signature: bytes, algorithm: str = "sha256") -> bytes:
    """What the list has for a version 4 certification, from its octets (rfc4880bis section 5.2.3.30)."""
    body = body_of(signature)
    hashed_end = 6 + int.from_bytes(body[4:6])
    unhashed_end = hashed_end + 2 + int.from_bytes(body[hashed_end : hashed_end + 2])
    bare = body[:hashed_end] + b"\0\0" + body[unhashed_end:]
    return hashlib.new(algorithm, b"\x88" + len(bare).to_bytes(4) + bare).digest()


def approval(*signatures: bytes, at: int, issuer: Key = OWNER, over: str = SMTP, **options: object) -> bytes:
    names = {maker.SHA256: "sha256", maker.SHA512: "sha512", 3: "sha256"}
    algorithm = names[options.get("hash_algorithm", maker.SHA256)]  # type: ignore[index]
    digests = b"".join(sorted(listed(one, algorithm) for one in signatures))
    extra = subpacket(37, digests)
    return certify(issuer, OWNER, over, type=0x16, at=at, extra=extra, **options)  # type: ignore[arg-type]


def approved(*over_smtp: bytes, at: int = LATER) -> tuple[set[str], int | None]:
    """Who is approved of, and since when the owner says so, with these packets over his smtp:// User ID."""
    own = certificate(OWNER, SMTP)
    rest = user_id(POST) + certify(OWNER, OWNER, POST, type=0x13, at=BORN)
    [facts] = read(own + b"".join(over_smtp) + rest, ANNA.body, BERT.body, CLEO.body, at=at).facts
    since = {one.text: one.approvals_at for one in facts.host_key.user_ids}
    assert since[POST] is None
    names = {ANNA.fingerprint: "anna", BERT.fingerprint: "bert", CLEO.fingerprint: "cleo"}
    assert all(one.approved_at in (None, since[SMTP]) for one in facts.certifications)
    return {names[one.issuer] for one in facts.certifications if one.approved_at}, since[SMTP]


def test_what_is_listed_is_approved_whatever_the_order() -> None:
    for packets in permutations([BY_ANNA, BY_BERT, approval(BY_ANNA, at=BORN + 2_000)]):
        assert approved(*packets) == ({"anna"}, BORN + 2_000)
    assert approved(BY_ANNA, BY_BERT) == (set(), None)
    assert approved(BY_ANNA, approval(at=BORN + 2_000)) == (set(), BORN + 2_000)


def test_the_newest_word_replaces_all_before_it() -> None:
    first, second = approval(BY_ANNA, BY_BERT, at=BORN + 2_000), approval(BY_BERT, at=BORN + 3_000)
    for words in permutations([first, second]):
        assert approved(BY_ANNA, BY_BERT, *words) == ({"bert"}, BORN + 3_000)


def test_words_of_the_same_second_are_one() -> None:
    both = [approval(BY_ANNA, at=BORN + 2_000), approval(BY_BERT, at=BORN + 2_000)]
    for words in permutations(both):
        assert approved(BY_ANNA, BY_BERT, *words) == ({"anna", "bert"}, BORN + 2_000)


@pytest.mark.parametrize(
    "word",
    [
        approval(BY_ANNA, at=BORN + 2_000, issuer=CLEO),
        approval(BY_ANNA, at=BORN + 2_000, issuer=CLEO, issuer_fingerprint=OWNER.fingerprint, issuer_key_id=""),
        approval(BY_ANNA, at=BORN + 2_000, over=POST),
        approval(BY_ANNA, at=LATER + 1),
        approval(BY_ANNA, at=BORN - 1),
        approval(BY_ANNA, at=BORN + 2_000)[:-20] + b"f" * 20,
        approval(BY_ANNA, at=BORN + 2_000, hash_algorithm=3),
        certify(OWNER, OWNER, SMTP, type=0x50, at=BORN + 2_000, extra=subpacket(37, listed(BY_ANNA))),
        certify(OWNER, OWNER, SMTP, type=0x13, at=BORN + 2_000, extra=subpacket(37, listed(BY_ANNA))),
        certify(OWNER, OWNER, SMTP, type=0x16, at=BORN + 2_000, extra=subpacket(60, b"?", critical=True)),
        certify(OWNER, OWNER, None, type=0x16, at=BORN + 2_000, extra=subpacket(37, listed(BY_ANNA))),
    ],
    ids=[
        *("another-key", "in-the-owners-name", "another-user-id", "future", "before-the-key", "forged", "broken-hash"),
        *("another-type", "self-signature", "critical", "directly-on-key"),
    ],
)
def test_nothing_else_is_the_owners_word(word: bytes) -> None:
    assert approved(BY_ANNA, BY_BERT, word) == (set(), None)


def test_a_strangers_approval_is_no_certification_either() -> None:
    stranger = approval(BY_ANNA, at=BORN + 2_000, issuer=CLEO)
    [facts] = read(certificate(OWNER, SMTP) + BY_ANNA + stranger, ANNA.body, CLEO.body).facts
    assert [one.issuer for one in facts.certifications] == [ANNA.fingerprint]
    assert facts.fates["other_type"] == 1


def test_a_list_in_the_unhashed_area_is_anybodys() -> None:
    word = certify(OWNER, OWNER, SMTP, type=0x16, at=BORN + 2_000, unhashed=subpacket(37, listed(BY_ANNA)))
    assert approved(BY_ANNA, word) == (set(), BORN + 2_000)


def test_the_unhashed_area_of_a_certification_does_not_matter() -> None:
    changed = certify(ANNA, OWNER, SMTP, unhashed=subpacket(100, b"anybody"))
    assert approved(changed, approval(BY_ANNA, at=BORN + 2_000)) == ({"anna"}, BORN + 2_000)


def test_a_renewal_waits_for_approval_and_the_old_one_stays() -> None:
    renewed = certify(ANNA, OWNER, SMTP, at=BORN + 5_000)
    own = certificate(OWNER, SMTP) + BY_ANNA + renewed + approval(BY_ANNA, at=BORN + 2_000)
    [facts] = read(own, ANNA.body).facts
    assert {one.made_at: one.approved_at is not None for one in facts.certifications} == {
        BORN + 1_000: True,
        BORN + 5_000: False,
    }


@pytest.mark.parametrize("hash_algorithm", [maker.SHA512, maker.SHA256])
def test_digests_are_made_by_the_hash_of_the_list(hash_algorithm: int) -> None:
    word = approval(BY_ANNA, at=BORN + 2_000, hash_algorithm=hash_algorithm)
    assert approved(BY_ANNA, BY_BERT, word) == ({"anna"}, BORN + 2_000)


def test_it_is_no_self_signature() -> None:
    """It neither claims a User ID nor says how long the key lives."""
    forever = subpacket(9, (1).to_bytes(4))
    word = certify(OWNER, OWNER, SMTP, type=0x16, at=BORN + 2_000, extra=subpacket(37, b"") + forever)
    [facts] = read(OWNER.packet + user_id(SMTP) + word + BY_ANNA, ANNA.body).facts
    assert (facts.host_key.user_ids, facts.certifications) == ((), ())
    [facts] = read(certificate(OWNER, SMTP) + word, ANNA.body).facts
    assert facts.host_key.expires_at is None


def test_version_6() -> None:
    owner, anna = maker.ed25519_key("owner", version=6), maker.ed25519_key("anna", version=6)
    given = certify(anna, owner, SMTP)
    parsed = parse_signature(body_of(given))
    digests = digest_of(canonical_form(parsed), maker.SHA256)
    word = certify(owner, owner, SMTP, type=0x16, at=BORN + 2_000, extra=subpacket(37, digests))
    [facts] = read(certificate(owner, SMTP) + given + word, anna.body).facts
    assert [one.approved_at for one in facts.certifications] == [BORN + 2_000]


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_a_list_of_any_octets_approves_of_nothing_that_it_does_not_name(octets: bytes) -> None:
    word = certify(OWNER, OWNER, SMTP, type=0x16, at=BORN + 2_000, extra=subpacket(37, octets))
    assert approved(BY_ANNA, word) == (set(), BORN + 2_000)
    padded = certify(OWNER, OWNER, SMTP, type=0x16, at=BORN + 2_000, extra=subpacket(37, listed(BY_ANNA) + octets))
    assert approved(BY_ANNA, padded) == ({"anna"}, BORN + 2_000)


def parsed_list(digests: bytes) -> Signature:
    return parse_signature(body_of(certify(OWNER, OWNER, SMTP, type=0x16, extra=subpacket(37, digests))))


def test_lists_are_bounded() -> None:
    approvals = Approvals()
    for piece in range(20):
        digests = b"".join(hashlib.sha256(bytes((piece, n >> 8, n & 255))).digest() for n in range(1_500))
        approvals.add(parsed_list(digests), UnixSeconds(5))
    assert sum(map(len, approvals._digests.values())) == MAX_APPROVED


# Made with a real key


def test_what_is_made_is_read_and_replaces_what_was() -> None:
    owner, anna, bert = (making.new_host_key(f"{name}.example", UnixSeconds(BORN)) for name in ("own", "anna", "bert"))
    certificate = owner.certificate()
    uid = "smtp://own.example"
    given = {one.fingerprint: making.certify(one, certificate, uid, UnixSeconds(BORN + 9)) for one in (anna, bert)}
    whole = making.export_public(certificate)
    others = [making.export_public(one.certificate()) for one in (anna, bert)]

    def who(*words: bytes) -> set[str]:
        keys = read(b"".join([whole + b"".join(words), *others])).facts
        return {one.issuer for one in keys[0].certifications if one.approved_at is not None}

    def word(at: int, *issuers: making.SecretHostKey) -> bytes:
        digests = [listed(given[one.fingerprint]) for one in issuers]
        [made] = making.approve(owner, uid, UnixSeconds(BORN + at), digests)
        return made

    assert who(word(20, anna, bert)) == {anna.fingerprint, bert.fingerprint}
    assert who(word(20, anna, bert), word(30, bert)) == {bert.fingerprint}
    assert who(word(20, anna, bert), word(30)) == set()
    kept = read_host_certificate([whole + word(20, anna)], owner.fingerprint, LATER)
    assert kept.octets == read_host_certificate([whole], owner.fingerprint, LATER).octets, "none of it is kept"


def test_very_many_take_several_of_one_second() -> None:
    owner = making.new_host_key("own.example", UnixSeconds(BORN))
    digests = [hashlib.sha256(n.to_bytes(4)).digest() for n in range(2 * making.MAX_DIGESTS + 1)]
    made = making.approve(owner, "smtp://own.example", UnixSeconds(BORN + 9), digests)
    assert len(made) == 3
    [facts] = read(making.export_public(owner.certificate()) + b"".join(made)).facts
    assert facts.fates.total() == 4
    assert facts.host_key.user_ids[0].approvals_at == BORN + 9


def test_a_key_approves_for_itself_and_in_its_lifetime() -> None:
    owner = making.new_host_key("own.example", UnixSeconds(BORN))
    with pytest.raises(BadInput, match="has no User ID"):
        making.approve(owner, "smtp://other.example", UnixSeconds(BORN + 9), [])
    with pytest.raises(BadInput, match="before it was made"):
        making.approve(owner, "smtp://own.example", UnixSeconds(BORN - 1), [])


def test_with_rsa() -> None:
    owner = making.new_host_key("own.example", UnixSeconds(BORN), rsa_bits=2048)
    [made] = making.approve(owner, "smtp://own.example", UnixSeconds(BORN + 9), [b"d" * 32])
    [facts] = read(making.export_public(owner.certificate()) + made).facts
    assert facts.host_key.user_ids[0].approvals_at == BORN + 9
