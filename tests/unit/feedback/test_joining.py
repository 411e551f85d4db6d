"""Which observations a report is about, and when it is about none."""

from __future__ import annotations

from trustgraph.feedback.joining import Delivered, Key, Missed, Reported, Seen, join
from trustgraph.model import Identity, UnixSeconds

AT = UnixSeconds(1_793_610_000)
MESSAGE, MX1, MX2 = 77, 1, 2
NUMBERS: dict[str, int] = {}
PEER, SPAMMER = Identity.dkim("peer.example"), Identity.dkim("spam.example")
KEY, OTHER_KEY = (Identity.openpgp(letter * 40) for letter in "ab")
HERE, ELSEWHERE = Identity.ip("192.0.2.1"), Identity.ip("192.0.2.2")
ANNA, BERT = 11, 12
SIGNED, SIGNED_TOO = 21, 22


def key(identity: Identity, at: int = AT, observer: int = MX1) -> Key:
    return at, MESSAGE, observer, NUMBERS.setdefault(identity, len(NUMBERS))


def seen(identity: Identity, at: int = AT, passed: bool = True, observer: int = MX1) -> Seen:
    return Seen(key(identity, at, observer), identity, passed)


def delivered(identity: Identity, recipient: int = ANNA, signature: int = SIGNED, at: int = AT) -> Delivered:
    return Delivered(key(identity, at), identity, signature, recipient)


def copy(*passed: Identity, **more: object) -> Reported:
    given = {"is_copy": True, "passed": frozenset(passed), "received_at": AT, "client_ip": "192.0.2.1"}
    return Reported(**given | more)  # type: ignore[arg-type]


BARE = Reported(frozenset({ANNA}))
BARE_COPY = Reported(is_copy=True, received_at=AT, client_ip="192.0.2.1")


def joined(reported: Reported, rows: list[Seen], deliveries: list[Delivered] | None = None, **more: bool) -> object:
    return join(reported, rows, deliveries or [], **{"results_expected": True} | more)


# By logs alone.


def test_the_identities_that_passed_in_the_copy_are_moved() -> None:
    rows = [seen(PEER), seen(HERE, passed=False)]
    assert joined(copy(PEER), rows) == (key(PEER),)


def test_an_identity_that_did_not_pass_in_the_copy_is_not_moved() -> None:
    """A spammer sends his own mail under an honest message's Message-ID."""
    assert joined(copy(SPAMMER), [seen(PEER), seen(SPAMMER)]) == (key(SPAMMER),)
    assert joined(copy(), [seen(PEER), seen(SPAMMER)]) is Missed.UNKNOWN


def test_what_did_not_pass_here_is_not_moved_whatever_the_copy_says() -> None:
    assert joined(copy(PEER), [seen(PEER, passed=False)]) is Missed.UNKNOWN


def test_mail_that_nobody_saw_is_unknown() -> None:
    assert joined(copy(PEER), []) is Missed.UNKNOWN


def test_the_same_message_id_at_another_time_is_another_message() -> None:
    assert joined(copy(PEER), [seen(PEER, AT - 301), seen(PEER, AT + 3_601)]) is Missed.UNKNOWN
    assert joined(copy(PEER), [seen(PEER, AT - 300)]) == (key(PEER, AT - 300),)
    assert joined(copy(PEER), [seen(PEER, AT + 3_600)]) == (key(PEER, AT + 3_600),)


def test_what_came_from_another_address_is_another_message() -> None:
    rows = [seen(PEER, AT + 5), seen(ELSEWHERE, AT + 5, passed=False)]
    assert joined(copy(PEER), rows) is Missed.UNKNOWN
    assert joined(copy(PEER), [*rows, seen(PEER), seen(HERE)]) == (key(PEER),)


def test_one_count_of_an_observer_and_identity_however_many_filters_logged_it() -> None:
    assert joined(copy(PEER), [seen(PEER, AT + 9), seen(PEER, AT + 2)]) == (key(PEER, AT + 2),)
    both = joined(copy(PEER), [seen(PEER), seen(PEER, observer=MX2)])
    assert both == (key(PEER), key(PEER, observer=MX2))


def test_a_copy_cut_down_is_ambiguous_where_our_results_are_in_every_message() -> None:
    assert joined(BARE_COPY, [seen(PEER)]) is Missed.AMBIGUOUS
    assert joined(BARE_COPY, [seen(PEER)], results_expected=False) == (key(PEER),)


def test_a_name_alone_is_enough_only_for_what_is_one_message() -> None:
    assert joined(BARE, [seen(PEER), seen(HERE)]) == (key(PEER), key(HERE))
    assert joined(BARE, [seen(PEER), seen(HERE), seen(ELSEWHERE, AT + 9, passed=False)]) is Missed.AMBIGUOUS
    assert joined(BARE, [seen(PEER), seen(PEER, AT + 3_601)]) is Missed.AMBIGUOUS


def test_a_sender_who_calls_all_mail_the_same_loses_no_more_than_one() -> None:
    rows = [seen(PEER, AT + minute * 60) for minute in range(600)]
    assert joined(copy(PEER, received_at=UnixSeconds(AT + 6_000)), rows) == (key(PEER, AT + 6_000),)
    assert joined(copy(PEER, received_at=None), rows) is Missed.AMBIGUOUS


# With what the gate delivered.


def test_a_delivery_is_known_by_recipient_signature_and_key() -> None:
    report = copy(KEY, recipients=frozenset({ANNA}), signatures=frozenset({SIGNED}))
    assert joined(report, [seen(KEY)], [delivered(KEY), delivered(KEY, BERT)]) == (key(KEY),)
    for other in (
        report._replace(recipients=frozenset({13})),
        report._replace(signatures=frozenset({SIGNED_TOO})),
        report._replace(signatures=frozenset()),
        report._replace(passed=frozenset()),
        report._replace(passed=frozenset({OTHER_KEY})),
    ):
        assert joined(other, [seen(KEY)], [delivered(KEY)]) is Missed.UNKNOWN
    assert joined(report._replace(passed=None), [seen(KEY)], [delivered(KEY)], results_expected=False) is (
        Missed.AMBIGUOUS
    )


def test_two_messages_of_one_name_are_told_apart_by_their_signatures() -> None:
    rows = [seen(KEY), seen(OTHER_KEY, AT + 1)]
    deliveries = [delivered(KEY), delivered(OTHER_KEY, signature=SIGNED_TOO, at=AT + 1)]
    mine = copy(OTHER_KEY, recipients=frozenset({ANNA}), signatures=frozenset({SIGNED_TOO}))
    assert joined(mine, rows, deliveries) == (key(OTHER_KEY, AT + 1),)
    assert joined(BARE, rows, deliveries) is Missed.AMBIGUOUS
    at_once = [seen(KEY), seen(OTHER_KEY)], [delivered(KEY), delivered(OTHER_KEY, signature=SIGNED_TOO)]
    assert joined(BARE, *at_once) is Missed.AMBIGUOUS


def test_a_name_alone_reaches_the_one_message_that_went_to_the_voter() -> None:
    rows = [seen(KEY), seen(HERE, AT + 1, passed=False)]
    deliveries = [delivered(KEY), delivered(HERE, BERT, signature=0, at=AT + 1)]
    assert joined(BARE, [rows[0]], [deliveries[0]]) == (key(KEY),)
    assert joined(BARE, rows, deliveries) == (key(KEY),)
    assert joined(Reported(frozenset({BERT})), rows, deliveries) is Missed.UNKNOWN
    assert joined(Reported(frozenset({13})), rows, deliveries) is Missed.UNKNOWN


def test_one_signature_copied_onto_spam_does_not_reach_the_signer() -> None:
    """The gate found it wrong and let it in as unsigned; the copy carries the honest signature."""
    rows = [seen(KEY), seen(HERE, AT + 1, passed=False)]
    deliveries = [delivered(KEY, BERT), delivered(HERE, ANNA, signature=0, at=AT + 1)]
    spam = copy(SPAMMER, recipients=frozenset({ANNA}), signatures=frozenset({SIGNED}))
    assert joined(spam, rows, deliveries) is Missed.UNKNOWN
    # Nor where only the honest one came by this gate.
    assert joined(spam, [seen(KEY), seen(SPAMMER)], [delivered(KEY)]) is Missed.UNKNOWN


def test_what_was_delivered_unsigned_is_not_a_copy_with_a_passing_signature() -> None:
    rows = [seen(HERE, passed=False), seen(PEER, AT + 1)]
    deliveries = [delivered(HERE, signature=0)]
    assert joined(copy(KEY, PEER, recipients=frozenset({ANNA})), rows, deliveries) is Missed.UNKNOWN
    assert joined(copy(PEER, recipients=frozenset({ANNA})), rows, deliveries) == (key(PEER, AT + 1),)


def test_an_earlier_attempt_that_was_put_off_is_not_moved() -> None:
    rows = [seen(KEY, AT - 200), seen(KEY), seen(PEER, AT + 1)]
    report = copy(KEY, PEER, recipients=frozenset({ANNA}), signatures=frozenset({SIGNED}))
    assert joined(report, rows, [delivered(KEY)]) == (key(KEY), key(PEER, AT + 1))
    nearer_to_it = report._replace(received_at=UnixSeconds(AT - 150))
    assert joined(nearer_to_it, rows, [delivered(KEY)]) == (key(KEY), key(PEER, AT + 1))


def test_one_signed_message_that_came_twice_is_the_nearer() -> None:
    report = copy(KEY, recipients=frozenset({ANNA}), signatures=frozenset({SIGNED}))
    rows, deliveries = [seen(KEY), seen(KEY, AT + 60)], [delivered(KEY), delivered(KEY, at=AT + 60)]
    assert joined(report, rows, deliveries) == (key(KEY),)
    assert joined(report._replace(received_at=None), rows, deliveries) is Missed.AMBIGUOUS
