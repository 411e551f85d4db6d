"""Keys into the stash by their owners' proof, over again by mail and in clear, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.signed_posts import DAY, armor, header, pgp_mime, public_block, revocation, revoked, unsigned
from tests.unit.openpgp import openpgp_maker as maker
from tests.unit.services.stashes import ANNA, AT, BERT, LIST, NOW, answer, clear, make_key, stash_in, with_key
from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import KeyState, Rules
from trustgraph.mailinglist.token import CONSENT
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.deposits import MAX_DEPOSIT_BYTES
from trustgraph.services import list_subscribers
from trustgraph.services.list_deposits import Deposited, confirm, deposit, revoke, rotate, take_revocations
from trustgraph.services.list_stash import Stash
from trustgraph.services.list_subscribers import drop_unproved, subscribe, unsubscribe

HERS, NEXT, HIS = make_key(ANNA).signing(at=NOW), make_key(ANNA, "next").signing(at=NOW), make_key(BERT).signing(at=NOW)
ACTIVE, PENDING, RETIRING, REVOKED = KeyState.ACTIVE, KeyState.PENDING, KeyState.RETIRING, KeyState.REVOKED


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    made = stash_in(tmp_path)
    subscribe(made, ANNA, NOW, ["anna@work.example"])
    yield made
    made.store.close()


def states(stash: Stash, address: str = ANNA) -> dict[str, KeyState]:
    found = stash.subscriber(address)
    assert found is not None
    return {key.fingerprint: key.state for key in found.keys}


# --- the way it goes ---


def test_deposited_signed_and_good(stash: Stash) -> None:
    made = deposit(stash, ANNA, public_block(HERS), NOW)
    assert (made.key.state, made.subscriber.address, made.needs_consent) == (PENDING, ANNA, False)
    assert LIST in (made.token_text or "")
    done = confirm(stash, answer(made.token_text, HERS), NOW)
    assert (done.key.state, done.key.fingerprint, done.missing, done.retired) == (ACTIVE, HERS.fingerprint, "", [])
    assert done.key.number
    assert stash.by_key(HERS.primary.key_id) == [done.key]
    assert [one.address for one in stash.holders(HERS.fingerprint)] == [ANNA]


def test_a_deposit_under_an_alias_is_the_subscribers_own(stash: Stash) -> None:
    made = deposit(stash, "Anna@WORK.example", public_block(HERS), NOW)
    assert f"address: {ANNA}\n" in (made.token_text or "")
    assert confirm(stash, clear(made.token_text, HERS), NOW).subscriber.address == ANNA


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_clear_signed_text_by_itself_does(stash: Stash, line_end: bytes) -> None:
    made = deposit(stash, ANNA, HERS.public, NOW)
    text = b"\n" + clear(made.token_text, HERS).replace(b"\r\n", b"\n")
    assert confirm(stash, text.replace(b"\n", line_end), NOW).key.state is ACTIVE


def test_a_successor_by_two_signatures_in_one_reply(stash: Stash) -> None:
    with_key(stash, HERS)
    made = rotate(stash, ANNA, NEXT.public, NOW)
    assert made.needs_consent
    done = confirm(stash, answer(made.token_text, NEXT, HERS), NOW)
    assert (done.missing, [key.fingerprint for key in done.retired]) == ("", [HERS.fingerprint])
    assert states(stash) == {HERS.fingerprint: RETIRING, NEXT.fingerprint: ACTIVE}


def test_a_successor_by_two_replies(stash: Stash) -> None:
    with_key(stash, HERS)
    made = deposit(stash, ANNA, NEXT.public, NOW)
    assert HERS.fingerprint in confirm(stash, answer(made.token_text, NEXT), NOW).missing
    assert states(stash) == {HERS.fingerprint: ACTIVE, NEXT.fingerprint: PENDING}
    assert confirm(stash, answer(made.token_text, HERS), NOW).missing == ""
    assert states(stash) == {HERS.fingerprint: RETIRING, NEXT.fingerprint: ACTIVE}


def test_a_successor_by_a_moderators_word(stash: Stash) -> None:
    with_key(stash, HERS)
    made = rotate(stash, ANNA, NEXT.public, NOW, approved=True)
    assert (made.key.state, made.needs_consent) == (PENDING, False)
    assert confirm(stash, answer(made.token_text, NEXT), NOW).key.state is ACTIVE


def test_an_additional_key(stash: Stash) -> None:
    with_key(stash, HERS)
    made = deposit(stash, ANNA, NEXT.public, NOW, additional=True)
    confirm(stash, answer(made.token_text, NEXT, HERS), NOW)
    assert states(stash) == {HERS.fingerprint: ACTIVE, NEXT.fingerprint: ACTIVE}


def test_the_overlap_is_the_lists(stash: Stash) -> None:
    short = replace(stash, list=replace(stash.list, rules=Rules(overlap_seconds=0)))
    with_key(short, HERS)
    done = with_key(short, NEXT, also=[HERS])
    assert [key.good_until for key in done.retired] == [NOW]


def test_vouched_for(stash: Stash) -> None:
    spelt = f"0x{HERS.fingerprint.upper()}"
    made = deposit(stash, ANNA, HERS.public, NOW, fingerprint_vouched=spelt)
    assert (made.key.state, made.token_text) == (ACTIVE, None)
    with pytest.raises(BadInput, match=r"not .*, which is vouched for"):
        deposit(stash, ANNA, NEXT.public, NOW, fingerprint_vouched=HERS.fingerprint)
    assert states(stash) == {HERS.fingerprint: ACTIVE}


# --- what proves nothing ---


def waiting(stash: Stash) -> Deposited:
    return deposit(stash, ANNA, HERS.public, NOW)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("anna@example.org", "no subscriber's address|still to be answered"),
        (LIST, "are not in what is signed"),
        (HERS.fingerprint, "no proof is awaited"),
        ("nonce: ", "still to be answered"),
        ("2026-09-02", "still to be answered|older than the letter"),
    ],
)
def test_a_token_changed_anywhere(stash: Stash, changed: str, said: str) -> None:
    token = waiting(stash).token_text or ""
    others = {"anna@example.org": BERT, LIST: "bees@lists.example", HERS.fingerprint: NEXT.fingerprint}
    changed_token = token.replace(changed, {**others, "nonce: ": "nonce: 0", "2026-09-02": "2026-09-03"}[changed])
    assert changed_token != token
    with pytest.raises(BadInput, match=said):
        confirm(stash, answer(changed_token, HERS), NOW)
    assert states(stash) == {HERS.fingerprint: PENDING}


def test_who_deposits_the_key_again_does_not_void_the_letter_before(stash: Stash) -> None:
    old = waiting(stash).token_text
    new = waiting(stash).token_text
    assert old != new
    assert confirm(stash, answer(old, HERS), NOW).key.state is ACTIVE
    with pytest.raises(BadInput, match="no proof is awaited"):
        confirm(stash, answer(new, HERS), NOW)


def test_a_reply_that_quotes_an_older_letter_below(stash: Stash) -> None:
    old, new = waiting(stash).token_text or "", waiting(stash).token_text or ""
    assert confirm(stash, clear(f"{old}\n{new}", HERS), NOW).key.state is ACTIVE


def test_anothers_signature(stash: Stash) -> None:
    with_key(stash, HIS)
    made = waiting(stash)
    with pytest.raises(BadInput, match="expected a signature of the new key"):
        confirm(stash, answer(made.token_text, HIS), NOW)
    assert states(stash) == {HERS.fingerprint: PENDING}


def test_a_stranger_beside_the_right_signature(stash: Stash) -> None:
    made = waiting(stash)
    with pytest.raises(BadInput, match="unknown-key"):
        confirm(stash, answer(made.token_text, HERS, HIS), NOW)


def test_no_signature_at_all(stash: Stash) -> None:
    made = waiting(stash)
    with pytest.raises(BadInput, match="not signed"):
        confirm(stash, unsigned(ANNA, made.token_text or ""), NOW)
    with pytest.raises(BadInput, match="not signed"):
        confirm(stash, header(HERS, made.token_text or ""), NOW)
    with pytest.raises(BadInput, match="cannot be judged"):
        confirm(stash, b"", NOW)


def test_a_text_changed_after_signing(stash: Stash) -> None:
    made = waiting(stash)
    reply = answer(made.token_text, HERS).replace(b"that is mine", b"that is nine")
    with pytest.raises(BadInput, match="signature-does-not-verify"):
        confirm(stash, reply, NOW)


def test_a_token_beside_what_is_signed(stash: Stash) -> None:
    made = waiting(stash)
    signed = clear("I am Anna.\n", HERS)
    with pytest.raises(BadInput, match="text after"):
        confirm(stash, signed + (made.token_text or "").encode(), NOW)
    with pytest.raises(BadInput, match="are not in what is signed"):
        confirm(stash, signed, NOW)


def test_the_token_of_another_list_signed_for_it(stash: Stash, tmp_path: Path) -> None:
    other = stash_in(tmp_path, "bees@lists.example")
    subscribe(other, ANNA, NOW)
    waiting(stash)
    theirs = deposit(other, ANNA, HERS.public, NOW)
    with pytest.raises(BadInput, match=r"those for another list are"):
        confirm(stash, answer(theirs.token_text, HERS), NOW)
    other.store.close()


@pytest.mark.parametrize(
    ("seconds", "said"), [(-301, "older than the letter"), (-DAY, "older than the letter"), (301, "in-the-future")]
)
def test_a_signature_from_another_time(stash: Stash, seconds: int, said: str) -> None:
    made = waiting(stash)
    with pytest.raises(BadInput, match=said):
        confirm(stash, answer(made.token_text, HERS.signing(at=NOW + seconds)), NOW)


def test_too_late(stash: Stash) -> None:
    made, late = waiting(stash), UnixSeconds(NOW + DAY)
    with pytest.raises(BadInput, match="too late"):
        confirm(stash, answer(made.token_text, HERS.signing(at=late)), late)


def test_twice(stash: Stash) -> None:
    made = waiting(stash)
    reply = answer(made.token_text, HERS)
    confirm(stash, reply, NOW)
    with pytest.raises(BadInput, match="no proof is awaited"):
        confirm(stash, reply, NOW)
    revoke(stash, ANNA, HERS.fingerprint)
    with pytest.raises(BadInput, match="no proof is awaited"):
        confirm(stash, reply, NOW)


def test_a_long_message_is_not_read(stash: Stash) -> None:
    made = waiting(stash)
    with pytest.raises(BadInput, match="at most"):
        confirm(stash, answer(made.token_text, HERS) + b"\r\n" * 600_000, NOW)
    with pytest.raises(BadInput, match="at most"):
        confirm(stash, answer(f"{made.token_text}{'x' * 70 + chr(10)}" * 4000, HERS), NOW)


def test_a_key_that_has_expired_by_now_proves_nothing_whatever_date_it_writes(stash: Stash) -> None:
    old = make_key(ANNA, "old", lives_seconds=NOW + 100 - maker.BORN).signing(at=NOW)
    with_key(stash, old)
    made = deposit(stash, ANNA, NEXT.public, NOW)
    later = UnixSeconds(NOW + 1000)
    with pytest.raises(BadInput, match="key-expired"):
        confirm(stash, answer(made.token_text, NEXT.signing(at=later), old.signing(at=later)), later)
    again = deposit(stash, ANNA, NEXT.public, later)
    with pytest.raises(BadInput, match="older than the letter"):
        confirm(stash, answer(again.token_text, NEXT.signing(at=later), old.signing(at=NOW)), later)


def test_a_key_that_expires_on_the_way_does_not_begin_to_count(stash: Stash) -> None:
    short = make_key(ANNA, "old", lives_seconds=NOW + 100 - maker.BORN).signing(at=NOW + 50)
    made = deposit(stash, ANNA, short.public, NOW)
    with pytest.raises(BadInput, match="has expired"):
        confirm(stash, answer(made.token_text, short), UnixSeconds(NOW + 200))
    assert states(stash) == {short.fingerprint: PENDING}


def test_a_key_revoked_while_it_was_awaited(stash: Stash) -> None:
    made = waiting(stash)
    take_revocations(stash, revocation(HERS, NOW), NOW)
    with pytest.raises(BadInput):
        confirm(stash, answer(made.token_text, HERS), NOW)
    assert states(stash) == {HERS.fingerprint: REVOKED}


# --- what is no key to deposit ---


def test_a_secret_key_is_refused_with_a_warning(stash: Stash) -> None:
    for blob in (HERS.secret, armor(HERS.secret, b"PRIVATE KEY BLOCK"), HIS.public + HERS.secret):
        with pytest.raises(BadInput, match="revoke it, make a new key"):
            deposit(stash, ANNA, blob, NOW)
    assert states(stash) == {}


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"", "expected"),
        (b"my key is 0x1234", "expected"),
        (HERS.public + HIS.public, "2 public keys"),
        (make_key(ANNA, "certifies", flags=1).public, "no part that may sign"),
        (make_key(ANNA, "short", lives_seconds=DAY).public, "has expired"),
        (revoked(HERS, AT), "revoked"),
        (b"x" * (1024 * 1024 + 1), "at most"),
    ],
)
def test_other_things_are_refused(stash: Stash, blob: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        deposit(stash, ANNA, blob, NOW)
    assert states(stash) == {}


@pytest.mark.parametrize("address", [BERT, "not an address", ""])
def test_who_is_no_subscriber_deposits_nothing(stash: Stash, address: str) -> None:
    with pytest.raises(BadInput):
        deposit(stash, address, HIS.public, NOW)
    with pytest.raises(BadInput):
        rotate(stash, address, HIS.public, NOW)
    assert len(stash.subscribers()) == 1


# --- copies and revocations ---


def test_a_prolonged_key_needs_no_proof(stash: Stash) -> None:
    short = make_key(ANNA, lives_seconds=NOW + DAY - maker.BORN).signing(at=NOW)
    with_key(stash, short)
    longer = short.public + maker.certify(
        short.primary, short.primary, f"Somebody <{ANNA}>", type=0x13, at=NOW, extra=maker.key_flags(3)
    )
    made = deposit(stash, ANNA, longer, UnixSeconds(NOW + 2 * DAY))
    assert (made.key.state, made.token_text) == (ACTIVE, None)
    found = list_subscribers.key_facts(made.subscriber, NOW)
    assert [one.expires_at for one in found] == [None]


@pytest.mark.parametrize(("reason", "state"), [(2, REVOKED), (None, REVOKED), (1, RETIRING), (3, RETIRING)])
@pytest.mark.parametrize("bare", [True, False])
def test_a_key_ends_itself_whoever_brings_its_word(
    stash: Stash, reason: int | None, state: KeyState, bare: bool
) -> None:
    with_key(stash, HERS)
    blob = revocation(HERS, NOW, reason) if bare else revoked(HERS, NOW, reason)
    ((who, key),) = take_revocations(stash, armor(blob, b"PUBLIC KEY BLOCK"), NOW)
    assert (who.address, key.state) == (ANNA, state)
    assert key.good_until == (NOW if state is RETIRING else None)
    with pytest.raises(BadInput, match="revoked"):
        deposit(stash, ANNA, HERS.public, NOW)
    assert states(stash) == {HERS.fingerprint: state}


def test_a_deposit_that_shows_a_revocation_is_refused_and_taken_to_heart(stash: Stash) -> None:
    with_key(stash, HERS)
    with pytest.raises(BadInput, match="revoked"):
        deposit(stash, ANNA, revoked(HERS, NOW), NOW)
    assert states(stash) == {HERS.fingerprint: REVOKED}


def test_a_soft_end_becomes_a_hard_one(stash: Stash) -> None:
    with_key(stash, HERS)
    take_revocations(stash, revocation(HERS, NOW, 3), NOW)
    take_revocations(stash, revocation(HERS, NOW, 2), NOW)
    assert states(stash) == {HERS.fingerprint: REVOKED}
    for reason in (2, 3):
        assert take_revocations(stash, revocation(HERS, NOW, reason), NOW) == []


def test_a_key_that_two_have_ends_for_both(stash: Stash) -> None:
    with_key(stash, HERS)
    subscribe(stash, BERT, NOW)
    made = deposit(stash, BERT, HERS.public, NOW)
    confirm(stash, answer(made.token_text, HERS), NOW)
    assert [who.address for who, _ in take_revocations(stash, revocation(HERS, NOW), NOW)] == [ANNA, BERT]
    assert states(stash) == states(stash, BERT) == {HERS.fingerprint: REVOKED}


@pytest.mark.parametrize("blob", [b"", HIS.public, HERS.public, revocation(HIS, AT), HERS.detached(b"text")])
def test_what_revokes_nothing_ends_nothing(stash: Stash, blob: bytes) -> None:
    with_key(stash, HERS)
    assert take_revocations(stash, blob, NOW) == []
    assert states(stash) == {HERS.fingerprint: ACTIVE}


def test_revoking_takes_effect_at_once_and_for_good(stash: Stash) -> None:
    with_key(stash, HERS)
    who, key = revoke(stash, "anna@work.example", HERS.fingerprint.upper(), "the laptop is gone")
    assert (who.address, key.state, key.note) == (ANNA, REVOKED, "the laptop is gone")
    with pytest.raises(BadInput, match="for good"):
        deposit(stash, ANNA, HERS.public, NOW)
    with pytest.raises(BadInput, match="has no key"):
        revoke(stash, ANNA, NEXT.fingerprint)


# --- who is subscribed ---


def test_an_address_belongs_to_one(stash: Stash) -> None:
    subscribe(stash, BERT, NOW)
    for address, aliases in ((BERT, [ANNA]), (BERT, ["anna@work.example"]), ("carl@example.org", [BERT])):
        with pytest.raises(BadInput, match="subscriber's"):
            subscribe(stash, address, NOW, aliases)
    with pytest.raises(BadInput, match=f"is an alias of {ANNA}"):
        subscribe(stash, "anna@work.example", NOW)


def test_aliases_are_added_and_dropped_and_bounded(stash: Stash) -> None:
    found = subscribe(stash, ANNA, NOW, [ANNA, "Anna@Home.example", "anna@work.example"])
    assert found.aliases == ("anna@work.example", "anna@home.example")
    found = list_subscribers.drop_aliases(stash, ANNA, ["anna@work.example"])
    assert (found.aliases, stash.subscriber("anna@work.example")) == (("anna@home.example",), None)
    with pytest.raises(BadInput, match="no alias of"):
        list_subscribers.drop_aliases(stash, ANNA, ["anna@work.example"])
    with pytest.raises(BadInput, match="at most 16"):
        subscribe(stash, ANNA, NOW, [f"anna{number}@example.org" for number in range(16)])


def test_unsubscribing_forgets_all_and_says_so_without_a_name(stash: Stash) -> None:
    with_key(stash, HERS)
    events: list[tuple[str, dict[str, object]]] = []
    unsubscribe(stash, "anna@work.example", lambda event, /, **fields: events.append((event, fields)))
    assert events == [("list-unsubscribed", {"list": LIST, "aliases": 1, "keys": 1})]
    assert (stash.subscriber(ANNA), stash.by_key(HERS.fingerprint), stash.holders(HERS.fingerprint)) == (None, [], [])


def test_on_an_open_list_whoever_proves_to_hold_a_key_is_subscribed(tmp_path: Path) -> None:
    stash = stash_in(tmp_path, rules=Rules(open=True))
    made = deposit(stash, BERT, HIS.public, NOW)
    assert (stash.subscriber(BERT), stash.subscribers(), stash.by_key(HIS.fingerprint)) == (None, [], [])
    assert confirm(stash, answer(made.token_text, HIS), NOW).subscriber.address == BERT
    assert states(stash, BERT) == {HIS.fingerprint: ACTIVE}
    stash.store.close()


def test_who_proves_nothing_is_forgotten_and_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stash = stash_in(tmp_path, rules=Rules(open=True))
    monkeypatch.setattr(list_subscribers, "MAX_PROVISIONAL", 2)
    deposit(stash, BERT, HIS.public, NOW)
    deposit(stash, ANNA, HERS.public, UnixSeconds(NOW + 10))
    with pytest.raises(BadInput, match="too many are waiting"):
        deposit(stash, "carl@example.org", NEXT.public, NOW)
    subscribe(stash, "dora@example.org", NOW, [ANNA])  # the owner's word
    found = stash.subscriber(ANNA)
    assert found is not None
    assert (found.address, found.keys) == ("dora@example.org", ())
    assert drop_unproved(stash, UnixSeconds(NOW + DAY - 1)) == 0
    deposit(stash, "carl@example.org", NEXT.public, NOW)
    later = UnixSeconds(NOW + DAY)
    assert drop_unproved(stash, later) == 2
    assert [one.address for one in stash.subscribers()] == ["dora@example.org"]
    stash.store.close()


def test_who_only_shows_a_revocation_is_no_subscriber(tmp_path: Path) -> None:
    stash = stash_in(tmp_path, rules=Rules(open=True))
    deposit(stash, BERT, HIS.public, NOW)
    assert len(take_revocations(stash, revocation(HIS, NOW), NOW)) == 1
    assert stash.subscriber(BERT) is None
    assert drop_unproved(stash, NOW) == 1
    stash.store.close()


def test_a_stranger_who_deposits_and_revokes_is_in_nobodys_way(stash: Stash) -> None:
    for number in range(20):
        strange = make_key(f"{number}@example.com")
        deposit(stash, ANNA, strange.public, NOW)
        take_revocations(stash, revocation(strange, NOW), NOW)
    made = deposit(stash, ANNA, HERS.public, NOW)
    assert not made.needs_consent
    assert confirm(stash, answer(made.token_text, HERS), NOW).key.state is ACTIVE


def test_forgetting_unproved_keys_leaves_the_others(stash: Stash) -> None:
    with_key(stash, HERS)
    deposit(stash, ANNA, NEXT.public, NOW)
    assert drop_unproved(stash, UnixSeconds(NOW + DAY)) == 1
    assert states(stash) == {HERS.fingerprint: ACTIVE}
    assert drop_unproved(stash, UnixSeconds(NOW + DAY)) == 0


def test_a_file_of_a_key_is_read_to_a_bound(stash: Stash) -> None:
    with pytest.raises(BadInput, match="at most"):
        take_revocations(stash, b"x" * (MAX_DEPOSIT_BYTES + 1), NOW)


def test_a_signed_protest_is_no_consent(tmp_path: Path) -> None:
    """Who reads her mail deposits a key of his own; she protests, and her program signs and quotes."""
    stash = stash_in(tmp_path)
    with_key(stash, HERS)
    made = deposit(stash, ANNA, NEXT.public, NOW)
    assert made.token_text
    quoted = "".join(f"> {line}\n" for line in [*made.token_text.splitlines(), CONSENT])
    protest = pgp_mime(HERS, f"That was not me! Do not accept it.\n\n{quoted}")
    with pytest.raises(BadInput, match="not quoted"):
        confirm(stash, protest, NOW)
    done = confirm(stash, answer(made.token_text, NEXT), NOW)
    assert HERS.fingerprint in done.missing
    assert stash.subscriber(ANNA).keys[0].state is ACTIVE  # type: ignore[union-attr]
