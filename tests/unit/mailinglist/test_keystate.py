"""What keys of the stash are good for, and who may put one there."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.mailinglist import keystate
from trustgraph.mailinglist.keystate import MAX_KEYS, MAX_LETTERS, MAX_PENDING, Step, find_key, may_sign, why_not
from trustgraph.mailinglist.model import DAY_SECONDS, KeyState, StashKey, Subscriber
from trustgraph.mailinglist.token import Token
from trustgraph.model import UnixSeconds

NOW = UnixSeconds(1_788_220_800)
ONE, TWO, THREE = "11" * 20, "22" * 20, "33" * 20
OVERLAP = 14 * DAY_SECONDS
NOBODY = Subscriber(1, "anna@example.org", (), (), NOW)
PENDING, ACTIVE, RETIRING, REVOKED = KeyState


def key(fingerprint: str = ONE, state: KeyState = ACTIVE, **changes: object) -> StashKey:
    good_from = None if state is PENDING else NOW
    made = StashKey(1, fingerprint, b"certificate", state, NOW, good_from=good_from, names=(fingerprint,))
    return replace(made, **changes)  # type: ignore[arg-type]


def anna(*keys: StashKey) -> Subscriber:
    return replace(NOBODY, keys=keys)


def token(fingerprint: str = TWO, number: int = 1, *, address: str = NOBODY.address, at: int = NOW) -> Token:
    return Token("birds@lists.example", address, fingerprint, f"{number:032x}", UnixSeconds(at + DAY_SECONDS))


def deposited(
    who: Subscriber, fingerprint: str = TWO, number: int = 1, *, at: int = NOW, more: bool | None = False
) -> Step:
    copy = key(fingerprint, PENDING, certificate=b"newer", names=(fingerprint, "id"))
    return keystate.deposit(who, copy, UnixSeconds(at), token(fingerprint, number, at=at), additional=more)


def proved(who: Subscriber, *signers: str, given: Token | None = None, at: int = NOW + 60) -> Step:
    return keystate.prove(who, given or token(), set(signers), UnixSeconds(at), OVERLAP)


def states(step: Step) -> dict[str, KeyState]:
    return {one.fingerprint: one.state for one in step.keys}


# --- what may sign ---


@pytest.mark.parametrize(
    ("one", "signed_at", "reason"),
    [
        (key(), NOW, ""),
        (key(), NOW - DAY_SECONDS, ""),
        (key(), NOW - DAY_SECONDS - 1, "signed-before-key"),
        (key(), NOW + 300, ""),
        (key(), NOW + 301, "signed-in-the-future"),
        (key(state=PENDING), NOW, "key-pending"),
        (key(good_from=None), NOW, "key-pending"),
        (key(state=REVOKED), NOW, "key-revoked"),
        (key(state=REVOKED), NOW - 10 * DAY_SECONDS, "key-revoked"),
        (key(state=RETIRING, good_until=NOW + 1), NOW, ""),
        (key(state=RETIRING, good_until=NOW), NOW - 1, ""),
        (key(state=RETIRING, good_until=NOW), NOW, "key-retired"),
        (key(state=RETIRING), NOW, "key-retired"),
    ],
)
def test_which_signatures_count(one: StashKey, signed_at: int, reason: str) -> None:
    assert why_not(one, UnixSeconds(signed_at), NOW) == reason
    assert may_sign(one, UnixSeconds(signed_at), NOW) is (reason == "")


# --- the first key ---


def test_a_deposit_counts_for_nothing_yet() -> None:
    step = deposited(NOBODY)
    assert states(step) == {TWO: PENDING}
    assert step.missing == f"the signature of the new key {TWO}"
    assert (step.key.number, step.key.certificate, step.key.names) == (0, b"newer", (TWO, "id"))
    assert not may_sign(step.key, NOW, NOW)


def test_proof_makes_the_first_key_active() -> None:
    step = proved(anna(*deposited(NOBODY).keys), TWO)
    assert (states(step), step.missing, step.retired) == ({TWO: ACTIVE}, "", ())
    assert (step.key.good_from, step.key.token_nonce, step.key.token_until) == (NOW + 60, "", None)


@pytest.mark.parametrize("signers", [(), (ONE,), (ONE, THREE)])
def test_anybody_elses_signature_is_no_proof(signers: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="expected a signature of the new key"):
        proved(anna(*deposited(NOBODY).keys), *signers)


def test_a_token_is_good_once() -> None:
    step = proved(anna(*deposited(NOBODY).keys), TWO)
    with pytest.raises(BadInput, match="no proof is awaited"):
        proved(anna(*step.keys), TWO)


def test_a_token_is_good_for_a_day() -> None:
    waiting = anna(*deposited(NOBODY).keys)
    assert proved(waiting, TWO, at=NOW + DAY_SECONDS - 1).key.state is ACTIVE
    with pytest.raises(BadInput, match="too late"):
        proved(waiting, TWO, at=NOW + DAY_SECONDS)


def test_another_deposit_of_the_key_does_not_void_the_letter_before() -> None:
    waiting = anna(*deposited(anna(*deposited(NOBODY).keys), number=2, at=NOW + 5).keys)
    assert len(waiting.keys) == 1
    for answered in (token(), token(number=2, at=NOW + 5)):
        step = proved(waiting, TWO, given=answered)
        assert (step.key.state, step.key.token_nonce) == (ACTIVE, ""), "and with it the other letter is answered too"
    with pytest.raises(BadInput, match="still to be answered"):
        proved(waiting, TWO, given=token(number=3))
    with pytest.raises(BadInput, match="too late"):
        proved(waiting, TWO, at=NOW + DAY_SECONDS)
    assert proved(waiting, TWO, given=token(number=2, at=NOW + 5), at=NOW + DAY_SECONDS).key.state is ACTIVE


def test_letters_of_the_day_before_are_not_answered_any_more() -> None:
    later = NOW + DAY_SECONDS
    waiting = anna(*deposited(anna(*deposited(NOBODY).keys), number=2, at=later).keys)
    with pytest.raises(BadInput, match="still to be answered"):
        proved(waiting, TWO, at=NOW + 60)


def test_letters_that_are_out_are_bounded() -> None:
    who = NOBODY
    for number in range(MAX_LETTERS + 1):
        who = anna(*deposited(who, number=number).keys)
    with pytest.raises(BadInput, match="still to be answered"):
        proved(who, TWO, given=token(number=0))
    assert proved(who, TWO, given=token(number=1)).key.state is ACTIVE


@pytest.mark.parametrize(
    "other",
    [
        token(address="bert@example.net"),
        replace(token(), list_address="bees@lists.example"),
        replace(token(), nonce="f" * 32),
        replace(token(), until=UnixSeconds(NOW + 9 * DAY_SECONDS)),
    ],
)
def test_a_token_for_something_else_proves_nothing(other: Token) -> None:
    with pytest.raises(BadInput, match="still to be answered"):
        proved(anna(*deposited(NOBODY).keys), TWO, given=other)


def test_a_token_names_its_key() -> None:
    with pytest.raises(BadInput, match="no proof is awaited"):
        proved(anna(*deposited(NOBODY).keys), THREE, given=token(THREE))


# --- successors ---

FORMER = key(ONE, good_from=UnixSeconds(NOW - 100 * DAY_SECONDS))


def test_a_successor_needs_the_old_key_too() -> None:
    waiting = deposited(anna(FORMER))
    assert waiting.missing.endswith(f"and the signature of your key {ONE}, or a moderator's word")
    alone = proved(anna(*waiting.keys), TWO)
    assert states(alone) == {ONE: ACTIVE, TWO: PENDING}
    assert alone.missing == f"the signature of your key {ONE}, or a moderator's word"
    both = proved(anna(*alone.keys), ONE, at=NOW + 120)
    assert states(both) == {ONE: RETIRING, TWO: ACTIVE}
    assert find_key(both.keys, ONE) == both.retired[0]
    assert both.retired[0].good_until == NOW + 120 + OVERLAP


def test_both_signatures_may_come_at_once_or_the_old_one_first() -> None:
    waiting = anna(*deposited(anna(FORMER)).keys)
    assert states(proved(waiting, ONE, TWO)) == {ONE: RETIRING, TWO: ACTIVE}
    first = proved(waiting, ONE)
    assert first.missing == f"the signature of the new key {TWO}"
    assert states(proved(anna(*first.keys), TWO)) == {ONE: RETIRING, TWO: ACTIVE}


@pytest.mark.parametrize(
    "old",
    [
        key(ONE, REVOKED),
        key(ONE, RETIRING, good_until=UnixSeconds(NOW + DAY_SECONDS)),
        key(ONE, PENDING, token_until=UnixSeconds(NOW + DAY_SECONDS)),
    ],
)
def test_only_an_active_key_speaks_for_its_owner(old: StashKey) -> None:
    waiting = anna(*deposited(anna(old, key(THREE))).keys)
    with pytest.raises(BadInput, match="expected a signature of the new key"):
        proved(waiting, ONE)


def test_after_the_last_key_is_gone_a_moderator_has_to_say_yes() -> None:
    waiting = deposited(anna(key(ONE, REVOKED)))
    step = proved(anna(*waiting.keys), TWO)
    assert (states(step)[TWO], step.missing) == (PENDING, "a moderator's word")
    step = keystate.approve(anna(*step.keys), TWO, NOW, OVERLAP)
    assert states(step) == {ONE: REVOKED, TWO: ACTIVE}


def test_a_moderators_word_is_no_proof() -> None:
    step = keystate.approve(anna(*deposited(anna(FORMER)).keys), TWO, NOW, OVERLAP)
    assert (states(step), step.missing) == ({ONE: ACTIVE, TWO: PENDING}, f"the signature of the new key {TWO}")
    assert states(proved(anna(*step.keys), TWO)) == {ONE: RETIRING, TWO: ACTIVE}


def test_who_is_vouched_for_need_not_prove() -> None:
    step = keystate.approve(anna(*deposited(anna(FORMER)).keys), TWO, NOW, OVERLAP, vouched=True)
    assert (states(step), step.missing) == ({ONE: RETIRING, TWO: ACTIVE}, "")
    with pytest.raises(BadInput, match="no proof is awaited"):
        keystate.approve(anna(FORMER), TWO, NOW, OVERLAP, vouched=True)


def test_what_was_proved_is_forgotten_with_the_token() -> None:
    waiting = anna(*proved(anna(*deposited(anna(FORMER)).keys), TWO).keys)
    again = deposited(waiting, number=2, at=NOW + DAY_SECONDS - 1).key
    assert (again.proved, again.approved) == (True, False)
    late = deposited(waiting, number=2, at=NOW + DAY_SECONDS).key
    assert (late.proved, late.approved) == (False, False)


def test_an_additional_key_takes_over_from_none() -> None:
    waiting = anna(*deposited(anna(FORMER), more=True).keys)
    assert proved(waiting, TWO).missing
    assert states(proved(waiting, ONE, TWO)) == {ONE: ACTIVE, TWO: ACTIVE}


def test_of_two_first_keys_the_second_is_a_successor() -> None:
    waiting = anna(*deposited(anna(*deposited(NOBODY, THREE).keys)).keys)
    first = proved(waiting, THREE, given=token(THREE))
    assert states(first) == {TWO: PENDING, THREE: ACTIVE}
    second = proved(anna(*first.keys), TWO)
    assert (states(second), bool(second.missing)) == ({TWO: PENDING, THREE: ACTIVE}, True)


def test_an_older_retiring_key_is_not_given_more_time() -> None:
    old = key(THREE, RETIRING, good_until=UnixSeconds(NOW + 5))
    step = proved(anna(*deposited(anna(FORMER, old)).keys), ONE, TWO)
    assert find_key(step.keys, THREE) == old


def test_a_key_that_never_counted_stands_in_nobodys_way() -> None:
    strange = key(ONE, REVOKED, good_from=None)
    assert states(proved(anna(*deposited(anna(strange)).keys), TWO)) == {ONE: REVOKED, TWO: ACTIVE}


# --- what else becomes of keys ---


def test_a_newer_copy_of_an_active_key_needs_no_proof() -> None:
    step = deposited(anna(key(TWO, good_from=NOW, number=7)))
    assert (step.key.state, step.key.certificate, step.key.number, step.missing) == (ACTIVE, b"newer", 7, "")
    assert step.key.token_nonce == ""


def test_a_revoked_key_is_never_taken_again() -> None:
    with pytest.raises(BadInput, match="revoked on this list, for good"):
        deposited(anna(key(TWO, REVOKED)))


@pytest.mark.parametrize("state", list(KeyState))
def test_revocation_ends_whatever_there_was(state: KeyState) -> None:
    waiting = key(ONE, state, token_nonce="ab" * 32, token_until=NOW, proved=True, approved=True)
    step = keystate.revoke(anna(waiting, key(TWO)), ONE, "stolen")
    assert states(step) == {ONE: REVOKED, TWO: ACTIVE}
    assert (step.key.note, step.key.token_nonce, step.key.proved) == ("stolen", "", False)
    with pytest.raises(BadInput, match="no proof is awaited"):
        proved(anna(*step.keys), ONE, given=token(ONE))


def test_a_key_that_is_not_theirs_cannot_be_revoked() -> None:
    with pytest.raises(BadInput, match=f"there is {ONE}"):
        keystate.revoke(anna(key(ONE)), TWO)


def test_a_key_may_end_itself_softly() -> None:
    step = keystate.end(anna(key(ONE)), ONE, UnixSeconds(NOW - 5))
    assert (step.key.state, step.key.good_until) == (RETIRING, NOW - 5)
    sooner = keystate.end(anna(key(ONE, RETIRING, good_until=UnixSeconds(NOW - 9))), ONE, UnixSeconds(NOW - 5))
    assert sooner.key.good_until == NOW - 9
    assert keystate.end(anna(key(ONE, PENDING)), ONE, NOW).key.state is REVOKED
    assert keystate.end(anna(key(ONE, REVOKED)), ONE, NOW).key.state is REVOKED


def test_the_oldest_of_too_many_unproved_keys_makes_room() -> None:
    who = NOBODY
    for number in range(MAX_PENDING + 2):
        who = anna(*deposited(who, f"{number:040x}", at=NOW + number).keys)
    assert [int(one.fingerprint, 16) for one in who.keys] == list(range(2, MAX_PENDING + 2))


def test_keys_are_bounded_and_those_long_retired_make_room() -> None:
    full = [key(f"{number:040x}") for number in range(MAX_KEYS)]
    with pytest.raises(BadInput, match="16 keys"):
        deposited(anna(*full))
    past = replace(full[3], state=RETIRING, good_until=UnixSeconds(NOW - 90 * DAY_SECONDS))
    assert past not in deposited(anna(*full[:3], past, *full[4:])).keys
    recent = replace(past, good_until=UnixSeconds(NOW - 89 * DAY_SECONDS))
    with pytest.raises(BadInput, match="16 keys"):
        deposited(anna(*full[:3], recent, *full[4:]))
    waiting = [key(f"{number:040x}", PENDING, token_until=UnixSeconds(NOW + 1)) for number in range(50, 60)]
    assert len(deposited(anna(*full[:-1], *waiting)).keys) == MAX_KEYS + len(waiting), "what others sent takes no place"


def test_of_many_that_wait_no_more_come_to_count_than_may() -> None:
    who = anna(*(key(f"{number:040x}") for number in range(MAX_KEYS - 1)))
    for number in (50, 51):
        who = anna(*deposited(who, f"{number:040x}", more=True).keys)
    first, *_ = who.keys
    for number, matches in ((50, ""), (51, "16 keys")):
        name = f"{number:040x}"
        with pytest.raises(BadInput, match=matches) if matches else nullcontext():
            who = anna(*proved(who, name, first.fingerprint, given=token(name)).keys)
    assert sum(one.good_from is not None for one in who.keys) == MAX_KEYS


def test_what_was_revoked_and_never_counted_makes_room_by_its_age() -> None:
    gone = key(f"{99:040x}", REVOKED, good_from=None, deposited_at=UnixSeconds(NOW + DAY_SECONDS + 5))
    who = anna(gone)
    for number in range(MAX_PENDING):
        who = anna(*deposited(who, f"{number:040x}", at=NOW + number).keys)
    assert gone in who.keys
    assert len(who.keys) == MAX_PENDING


def test_a_strangers_deposit_of_the_same_key_does_not_have_it_take_over() -> None:
    waiting = deposited(anna(key(ONE)), more=True)

    def then(more: bool | None, at: int = NOW) -> dict[str, KeyState]:
        again = deposited(anna(*waiting.keys), number=2, more=more, at=at)
        given = token(number=2, at=at)
        return states(proved(anna(*again.keys), TWO, ONE, given=given, at=at + 60))

    assert then(None) == {ONE: ACTIVE, TWO: ACTIVE}
    assert then(None, NOW + DAY_SECONDS) == {ONE: RETIRING, TWO: ACTIVE}, "what was asked for with it has lapsed"
    assert then(more=False) == {ONE: RETIRING, TWO: ACTIVE}, "the list's owner has the last word"


def test_unproved_keys_are_forgotten_in_time() -> None:
    waiting = key(TWO, PENDING, token_until=UnixSeconds(NOW + 1))
    assert keystate.current([waiting, key()], NOW) == (waiting, key())
    assert keystate.current([waiting, key()], UnixSeconds(NOW + 1)) == (key(),)


# --- whatever happens ---

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "prove-new", "prove-old", "approve", "revoke", "end"]),
        st.sampled_from([ONE, TWO, THREE]),
        st.booleans(),
    ),
    max_size=24,
)


@given(MOVES)
def test_no_sequence_makes_a_key_count_that_its_holder_has_not_proved(moves: list[tuple[str, str, bool]]) -> None:
    """And from the second on, none that neither an active key nor a moderator has agreed to."""
    who, at = NOBODY, int(NOW)
    tokens: dict[str, Token] = {}
    proofs: dict[str, set[str]] = {ONE: set(), TWO: set(), THREE: set()}
    counted: set[str] = set()
    for number, (move, one, flag) in enumerate(moves):
        at += 60
        before = {k.fingerprint: k.state for k in who.keys}
        try:
            if move == "deposit":
                step = deposited(who, one, number, at=at, more=flag)
                tokens[one] = token(one, number, at=at)
            elif move == "prove-new":
                step = proved(who, one, given=tokens.get(one, token(one)), at=at)
                proofs[one].add("own")
            elif move == "prove-old":
                active = [k.fingerprint for k in who.keys if k.state is ACTIVE and k.fingerprint != one]
                step = proved(who, *(active or [ONE]), given=tokens.get(one, token(one)), at=at)
                proofs[one].add("consent" if active else "own")
            elif move == "approve":
                step = keystate.approve(who, one, UnixSeconds(at), OVERLAP)
                proofs[one].add("consent")
            elif move == "revoke":
                step = keystate.revoke(who, one)
            else:
                step = keystate.end(who, one, UnixSeconds(at))
        except BadInput:
            continue
        for k in step.keys:
            became_active = k.state is ACTIVE and before.get(k.fingerprint) is not ACTIVE
            others = bool(counted - {k.fingerprint})
            if became_active:
                assert "own" in proofs[k.fingerprint]
                assert "consent" in proofs[k.fingerprint] or not others
                proofs[k.fingerprint] = set()
                counted.add(k.fingerprint)
            assert not (before.get(k.fingerprint) is REVOKED and k.state is not REVOKED)
            assert (k.token_nonce != "") or k.state is not PENDING
        who = anna(*step.keys)
