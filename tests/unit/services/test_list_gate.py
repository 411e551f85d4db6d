"""The gate of a list: every kind of post, everything that can be done to one, and whatever can go wrong inside."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.signed_posts import (
    AT,
    CERTIFY,
    DAY,
    LIST,
    NOW,
    PostKey,
    header,
    header_signed,
    inline,
    make_key,
    part,
    pgp_mime,
    revoked,
    signed_entity,
    unsigned,
    usual_fields,
)
from tests.signed_posts import message as mail
from tests.unit.services.list_site import (
    ANNA,
    ANNAS_ALIAS,
    BORIS,
    OTHER_LIST,
    add_key,
    another,
    at,
    list_site,
)
from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import Action, PostVerdict
from trustgraph.model import UnixSeconds
from trustgraph.services import list_gate
from trustgraph.services.list_deposits import deposit, revoke, rotate
from trustgraph.services.list_gate import Checked, PostGate
from trustgraph.services.list_stash import Stash
from trustgraph.store import open_store
from trustgraph.store.list_held import held

Maker = Callable[..., bytes]


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    with list_site(tmp_path) as opened:
        yield opened


@pytest.fixture(params=[pgp_mime, inline, header], ids=["pgp-mime", "inline", "header"])
def make(request: pytest.FixtureRequest) -> Maker:
    """A maker of each kind of post: ``make(key, text, author=…, To=…)``."""
    return request.param  # type: ignore[no-any-return]


def check(stash: Stash, octets: bytes, moment: int = NOW, **more: Any) -> Checked:
    return PostGate(stash, at(moment)).check(octets, **more)


def told(checked: Checked) -> str:
    assert checked.trouble == ""
    return f"{checked.decision.verdict} {checked.decision.reason}"


def exchanged(octets: bytes, old: bytes, new: bytes) -> bytes:
    assert octets.count(old) == 1
    return octets.replace(old, new)


def with_rules(stash: Stash, **rules: Any) -> Stash:
    return replace(stash, list=replace(stash.list, rules=replace(stash.list.rules, **rules)))


def test_rightly_signed(stash: Stash, make: Maker) -> None:
    checked = check(stash, make(ANNA))
    assert told(checked) == "accept accepted"
    assert checked.decision.author == ANNA.address
    assert checked.decision.seen_fingerprint == ANNA.fingerprint
    assert checked.decision.expected == (ANNA.fingerprint,)
    assert told(check(stash, make(ANNA, "Under another name.\n", author=f"A. Bell <{ANNAS_ALIAS.upper()}>"))) == (
        "accept accepted"
    )


def test_with_line_ends_of_a_file(stash: Stash, make: Maker) -> None:
    assert told(check(stash, make(ANNA).replace(b"\r\n", b"\n"))) == "accept accepted"


def test_not_signed(stash: Stash) -> None:
    assert told(check(stash, unsigned(ANNA.address))) == "reject unsigned"
    assert told(check(with_rules(stash, on_unsigned=Action.TAG), unsigned(ANNA.address))) == "tag unsigned"


def test_no_message_at_all(stash: Stash) -> None:
    for octets in (b"\0\xff" * 100, b"no header\r\n\r\n", b"", b"\r\n" * 5_000):
        assert check(stash, octets).decision.verdict is PostVerdict.REJECT


def test_one_octet_changed(stash: Stash, make: Maker) -> None:
    refused = check(stash, exchanged(make(ANNA), b"The swifts", b"The Swifts"))
    reason = "body-altered" if make is header else "signature-does-not-verify"
    assert told(refused) == f"reject {reason}"


def test_from_exchanged_with_another_subscriber(stash: Stash, make: Maker) -> None:
    forged = exchanged(make(ANNA), b"From: anna@example.org", b"From: boris@example.net")
    reason = "signature-does-not-verify" if make is header else "another-subscribers-key"
    assert told(check(stash, forged)) == f"reject {reason}"


def test_signed_by_another_subscriber(stash: Stash, make: Maker) -> None:
    checked = check(stash, make(BORIS, author=ANNA.address))
    assert told(checked) == "reject another-subscribers-key"
    assert checked.decision.seen_fingerprint == BORIS.fingerprint
    assert checked.decision.expected == (ANNA.fingerprint,)


def test_from_exchanged_where_the_signed_part_says_who(stash: Stash) -> None:
    """Under her own alias: the key is hers, and still it is not what she signed."""
    forged = pgp_mime(ANNA, bound=True).replace(b"From: anna@example.org", b"From: " + ANNAS_ALIAS.encode(), 1)
    assert told(check(stash, forged)) == "reject author-not-as-signed"


def test_subject_exchanged_where_the_signed_part_says_it(stash: Stash) -> None:
    assert told(check(stash, pgp_mime(ANNA, bound=True))) == "accept accepted"
    forged = pgp_mime(ANNA, "Another.\n", bound=True).replace(b"Subject: Swifts", b"Subject: Swallows", 1)
    assert told(check(stash, forged)) == "reject subject-not-as-signed"


def test_signature_moved_to_another_message(stash: Stash, make: Maker) -> None:
    whole, other = make(ANNA, "One.\n"), make(ANNA, "Two.\n")
    if make is header:
        moved = whole.partition(b"From:")[0] + b"From:" + other.partition(b"From:")[2]
        assert told(check(stash, moved)) == "reject signature-does-not-verify"
        return
    begin, end = b"-----BEGIN PGP SIGNATURE-----", b"-----END PGP SIGNATURE-----"
    signature = whole.partition(begin)[2].partition(end)[0]
    theirs = other.partition(begin)[2].partition(end)[0]
    assert told(check(stash, exchanged(other, theirs, signature))) == "reject signature-does-not-verify"


def test_signature_by_nobody_here(stash: Stash, make: Maker) -> None:
    stranger = make_key("carl@example.com")
    reasons = ("unsigned", "unsigned") if make is header else ("unknown-key", "not-a-subscriber")
    assert told(check(stash, make(stranger, author=ANNA.address))) == f"reject {reasons[0]}"
    assert told(check(stash, make(stranger))) == f"reject {reasons[1]}"


def test_key_revoked_here(stash: Stash, make: Maker) -> None:
    revoke(stash, ANNA.address, ANNA.fingerprint)
    assert told(check(stash, make(ANNA))) == "reject key-revoked"


def test_key_revoked_by_itself_and_another_has_an_older_copy(stash: Stash, make: Maker) -> None:
    """An older copy in somebody else's hands does not bring it back."""
    deposit(stash, BORIS.address, ANNA.public, UnixSeconds(AT - DAY))
    key = stash.subscriber(ANNA.address).keys[0]  # type: ignore[union-attr]
    with stash.store.writing() as connection:  # as it would be if only the certificate had been renewed
        from trustgraph.store.list_records import key_row  # noqa: PLC0415

        row = key_row(stash.keep, 1, replace(key, certificate=revoked(ANNA, AT - DAY)))
        table = sa.table("list_key", sa.column("id"), sa.column("sealed"))
        connection.execute(sa.update(table).where(table.c.id == key.number).values(sealed=row["sealed"]))
    assert told(check(stash, make(ANNA))) == "reject key-revoked"


def test_an_older_copy_in_other_hands_does_not_make_a_key_live_longer(stash: Stash, make: Maker) -> None:
    born, name = AT - 20 * DAY, "dora@example.org"
    short, endless = make_key(name, born=born, lives_seconds=19 * DAY), make_key(name, born=born)
    assert short.fingerprint == endless.fingerprint
    add_key(stash, short, at=UnixSeconds(born))
    deposit(stash, BORIS.address, endless.public, UnixSeconds(AT - DAY))
    assert told(check(stash, make(short))) == "hold key-expired"


def test_key_expired_before_signing(stash: Stash, make: Maker) -> None:
    born = AT - 20 * DAY
    short = make_key("dora@example.org", born=born, lives_seconds=19 * DAY)
    add_key(stash, short, at=UnixSeconds(born))
    assert told(check(stash, make(short))) == "hold key-expired"
    in_time = make(short.signing(at=born + 18 * DAY), lifetime_seconds=13 * DAY) if make is header else make(
        short.signing(at=born + 18 * DAY)
    )  # fmt: skip
    assert told(check(stash, in_time)) == "accept accepted"


def test_key_that_may_not_sign(stash: Stash, make: Maker) -> None:
    key = make_key("dora@example.org", subkey_flags=2)
    add_key(stash, key)
    assert told(check(stash, make(key))) == "accept accepted"
    wrong = PostKey(key.address, make_key("dora@example.org", flags=CERTIFY).primary, key.primary, b"", key.public)
    assert told(check(stash, make(wrong, "By the primary key.\n"))) == "accept accepted"
    encrypting = make_key("emil@example.org", subkey_flags=0x0C)
    add_key(stash, encrypting)
    reason = "unknown-key" if make is not header else "not-a-signing-key"
    assert told(check(stash, make(encrypting))) == f"reject {reason}"


def test_two_signatures_of_which_one_is_bad(stash: Stash) -> None:
    two = part("By two.\n")
    good = mail(usual_fields(ANNA.address), signed_entity(two, ANNA, ANNA.signing(at=AT + 1)))
    assert told(check(stash, good)) == "accept accepted"
    for other, reason in (
        (BORIS, "another-subscribers-key"),
        (make_key("carl@example.com"), "unknown-key"),
        (ANNA.signing(at=NOW + DAY), "signed-in-the-future"),
    ):
        for signers in ((ANNA, other), (other, ANNA)):
            entity = part("The swifts are back.\n")
            bad = mail(usual_fields(ANNA.address), signed_entity(entity, *signers))
            assert told(check(stash, bad)) == f"reject {reason}"


def test_two_signatures_in_two_ways(stash: Stash) -> None:
    both = header_signed(ANNA, pgp_mime(ANNA))
    assert told(check(stash, both)) == "accept accepted"
    altered = both.replace(b"Subject: Swifts", b"Subject: Swallows")
    assert told(check(stash, altered, delivery=b"another")) == "reject replayed"
    fresh = header_signed(ANNA, pgp_mime(ANNA, "More.\n")).replace(b"Subject: Swifts", b"Subject: Swallows")
    assert told(check(stash, fresh)) == "reject signature-does-not-verify"


def test_relays_sign_above_the_subscriber(stash: Stash) -> None:
    post = header(ANNA)
    for number in range(6):
        post = header_signed(make_key(f"relay{number}.example"), post)
    assert told(check(stash, post)) == "accept accepted"


def test_a_submission_host_that_signs_for_boris_relays_annas_post(stash: Stash) -> None:
    assert told(check(stash, header_signed(BORIS, pgp_mime(ANNA)))) == "accept accepted"
    assert told(check(stash, header_signed(BORIS, unsigned(ANNA.address)))) == "reject another-subscribers-key"


def test_a_retry_is_no_older_than_the_first_try(stash: Stash, make: Maker) -> None:
    longer = {"lifetime_seconds": 14 * DAY} if make is header else {}
    post, late = make(ANNA.signing(at=NOW - 7 * DAY + 10), **longer), NOW + 3_600
    assert told(check(stash, post, delivery=b"A1")) == "accept accepted"
    assert told(check(stash, post, late, delivery=b"A1")) == "accept accepted"
    assert told(check(stash, post, late, delivery=b"A2")) == "reject replayed"


def test_what_was_tagged_is_tagged_when_it_comes_again(stash: Stash, make: Maker) -> None:
    lenient = with_rules(stash, on_expired=Action.TAG)
    longer = {"lifetime_seconds": 14 * DAY} if make is header else {}
    post = make(ANNA.signing(at=NOW - 8 * DAY), **longer)
    for _ in range(2):
        assert told(check(lenient, post, delivery=b"A1", passed=False)) == "tag signed-too-long-ago"


def test_signed_too_long_ago(stash: Stash, make: Maker) -> None:
    old = ANNA.signing(at=AT - 8 * DAY)
    lasting = {"lifetime_seconds": 14 * DAY} if make is header else {}
    assert told(check(stash, make(old, **lasting))) == "hold signed-too-long-ago"


def test_rotation(stash: Stash, make: Maker) -> None:
    """The old key is good for what it signed until the end of the overlap, and for nothing after it."""
    new = make_key(ANNA.address, "anna's new key")
    rotated = UnixSeconds(AT - 20 * DAY)
    deposit(stash, ANNA.address, new.public, rotated, fingerprint_vouched=new.fingerprint)
    assert told(check(stash, make(new))) == "accept accepted"
    assert told(check(stash, make(ANNA))) == "hold key-retired"
    in_time = make(ANNA.signing(at=AT - 6 * DAY - 60))
    assert told(check(stash, in_time)) == "accept accepted"


def test_key_that_nobody_has_proved_to_hold(stash: Stash, make: Maker) -> None:
    new = make_key(ANNA.address, "anna's new key")
    rotate(stash, ANNA.address, new.public, UnixSeconds(AT - 60))
    assert told(check(stash, make(new))) == "reject key-pending"
    assert told(check(stash, make(ANNA))) == "accept accepted"


def test_another_has_deposited_the_authors_key(stash: Stash, make: Maker) -> None:
    deposit(stash, BORIS.address, ANNA.public, UnixSeconds(AT - 60))
    assert told(check(stash, make(ANNA))) == "accept accepted"
    assert told(check(stash, make(ANNA, "By whom?\n", author=BORIS.address))) == "reject another-subscribers-key"


def test_who_deposits_a_strangers_key_makes_it_nobodys(stash: Stash) -> None:
    carl = make_key("carl@example.com")
    deposit(stash, BORIS.address, carl.public, UnixSeconds(AT - 60))
    tagging = with_rules(stash, on_unknown=Action.TAG)
    assert told(check(tagging, pgp_mime(carl, author=ANNA.address))) == "tag unknown-key"


def test_a_replay(stash: Stash, make: Maker) -> None:
    post = make(ANNA)
    trace = b"Received: from %b by lists.example; Tue, 1 Sep 2026 00:05:00 +0000\r\n"
    first, again = trace % b"a.example" + post, trace % b"b.example" + post
    assert told(check(stash, first)) == "accept accepted"
    assert told(check(stash, again)) == "reject replayed"
    assert told(check(stash, first)) == "accept accepted", "a retry of the same delivery"
    assert told(check(stash, first, client="192.0.2.1")) == "reject replayed", "from somewhere else it is another"
    assert told(check(stash, first, NOW + 6 * 3_600 + 1)) == "reject replayed", "nobody tries again so late"


def test_a_replay_with_another_date_and_name(stash: Stash) -> None:
    post = pgp_mime(ANNA)
    assert told(check(stash, post)) == "accept accepted"
    dressed = post.replace(b"Subject: Swifts", b"Subject: Urgent").replace(b"Message-ID: <", b"Message-ID: <x")
    assert told(check(stash, dressed)) == "reject replayed"


def test_deliveries_by_name(stash: Stash, make: Maker) -> None:
    post = make(ANNA)
    assert told(check(stash, post, delivery=b"4XyZ")) == "accept accepted"
    assert told(check(stash, post, delivery=b"4XyZ")) == "accept accepted"
    assert told(check(stash, post, NOW + 3 * DAY, delivery=b"4XyZ")) == "accept accepted", "however late"
    assert told(check(stash, b"Received: again\r\n" + post, delivery=b"4XyZ")) == "reject replayed", "a name used again"
    assert told(check(stash, post, delivery=b"another")) == "reject replayed"
    assert told(check(stash, post)) == "reject replayed"


def test_a_replay_on_another_list(stash: Stash) -> None:
    """Nothing in this kind of signature says where the post was to go."""
    there = another(stash)
    for make in (pgp_mime, inline):
        post = make(ANNA)
        assert told(check(stash, post)) == "accept accepted"
        assert told(check(there, post)) == "reject replayed-from-another-list"
        assert told(check(there, exchanged(post, LIST.encode(), OTHER_LIST.encode()))) == (
            "reject replayed-from-another-list"
        )


def test_a_bound_post_on_another_list(stash: Stash) -> None:
    there = another(stash)
    for post in (pgp_mime(ANNA, bound=True), header(ANNA)):
        assert told(check(there, post)) == "reject for-another-list", "before it was seen anywhere"
        assert told(check(stash, post)) == "accept accepted"
        assert told(check(there, post)) == "reject for-another-list"


def test_a_post_to_both_lists(stash: Stash) -> None:
    there = another(stash)
    for post in (pgp_mime(ANNA, bound=True, To=f"{LIST}, {OTHER_LIST}"), header(ANNA, Cc=OTHER_LIST)):
        assert told(check(stash, post)) == "accept accepted"
        assert told(check(there, post)) == "accept accepted"
        assert told(check(there, post, delivery=b"another")) == "reject replayed"


def test_what_is_refused_burns_nothing(stash: Stash, make: Maker) -> None:
    post = make(ANNA)
    forged = exchanged(post, b"From: anna@example.org", b"From: boris@example.net")
    assert check(stash, forged).decision.verdict is PostVerdict.REJECT
    assert told(check(stash, post)) == "accept accepted"


def test_looking_leaves_nothing(stash: Stash, make: Maker) -> None:
    post = make(ANNA)
    assert told(check(stash, post, record=False, delivery=b"one")) == "accept accepted"
    assert told(check(stash, post, delivery=b"two")) == "accept accepted"
    assert told(check(stash, post, record=False, delivery=b"three")) == "reject replayed"
    holding = with_rules(stash, on_unsigned=Action.HOLD)
    looked_at = check(holding, unsigned(ANNA.address), record=False)
    assert (told(looked_at), looked_at.held_name) == ("hold unsigned", "")
    assert held(stash.keep) == []


def test_what_is_held_is_kept_once_a_delivery(stash: Stash) -> None:
    holding = with_rules(stash, on_unsigned=Action.HOLD, held_at_most=2)
    post = unsigned(ANNA.address, Subject="Hello")
    first = check(holding, post, sender="anna@example.org")
    assert (told(first), first.newly_held) == ("hold unsigned", True)
    again = check(holding, post)
    assert (again.held_name, again.newly_held) == (first.held_name, False)
    (kept,) = held(stash.keep)
    assert (kept.name, kept.author, kept.subject, kept.reason) == (first.held_name, ANNA.address, "Hello", "unsigned")
    assert (kept.size, kept.sender, kept.expected) == (len(post), "anna@example.org", (ANNA.fingerprint,))
    assert told(check(holding, post, delivery=b"two")) == "hold unsigned"
    assert told(check(holding, post, delivery=b"three")) == "reject hold-queue-full"
    assert told(check(holding, post)) == "hold unsigned", "what is held already stays so"


def test_a_post_that_is_too_large(tmp_path: Path) -> None:
    with list_site(tmp_path) as stash:
        limited = replace(
            stash,
            settings=stash.settings.model_copy(
                update={"lists": stash.settings.lists.model_copy(update={"max_post_bytes": 65_536})}
            ),
        )
        long = inline(ANNA, "The swifts are back, all of them.\n" * 4_000)
        checked = check(limited, long)
        assert told(checked) == "reject too-large"
        assert checked.decision.author == ANNA.address
        assert told(check(stash, long)) == "accept accepted"


def broken_check(stash: Stash, octets: bytes | None = None) -> Checked:
    checked = check(stash, octets or pgp_mime(ANNA))
    assert (checked.decision.verdict, checked.decision.reason) == (PostVerdict.TEMPFAIL, "broken")
    assert checked.trouble
    assert checked.decision.digests == ()
    return checked


def test_a_locked_database(stash: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else is writing and does not come to an end: nothing can be put on record, so nothing is let in."""
    sa.event.listen(stash.store.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=0"))
    path = stash.store.engine.url.database
    assert path
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert "held by another process" in broken_check(stash).trouble
        broken_check(with_rules(stash, on_unsigned=Action.HOLD), unsigned(ANNA.address))
        assert told(check(stash, pgp_mime(BORIS, author=ANNA.address))) == "reject another-subscribers-key"
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert told(check(stash, pgp_mime(ANNA))) == "accept accepted"


def test_a_full_disk(stash: Stash) -> None:
    with stash.store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    limit = f"PRAGMA max_page_count={pages}"
    sa.event.listen(stash.store.engine, "begin", lambda connection: connection.exec_driver_sql(limit))
    large = unsigned(ANNA.address, "All work and no play.\n" * 100_000)
    assert "full" in broken_check(with_rules(stash, on_unsigned=Action.HOLD), large).trouble
    assert held(stash.keep) == []


def test_a_damaged_stash(stash: Stash) -> None:
    with stash.store.writing() as connection:
        connection.execute(sa.text("UPDATE list_key SET sealed = x'00'"))
    broken_check(stash)


def test_a_database_that_is_gone(tmp_path: Path) -> None:
    with list_site(tmp_path) as stash:
        stash.store.close()
        (tmp_path / "trustgraph.db").write_bytes(b"This is no database, and it was one a moment ago." * 100)
        for rest in ("trustgraph.db-wal", "trustgraph.db-shm"):
            (tmp_path / rest).unlink(missing_ok=True)
        broken_check(replace(stash, store=open_unchecked(tmp_path)))


def open_unchecked(home: Path) -> Any:
    from trustgraph.store import Store  # noqa: PLC0415
    from trustgraph.store.engine import _make_engine  # noqa: PLC0415

    return Store(_make_engine(f"sqlite:///{home / 'trustgraph.db'}"))


@pytest.mark.parametrize("where", ["read_post", "judge_post", "subscriber_certificate", "decide", "remember"])
@pytest.mark.parametrize("error", [RuntimeError("a bug"), MemoryError(), RecursionError(), OSError(28, "No space")])
def test_whatever_goes_wrong_is_not_let_in(
    stash: Stash, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    def fails(*_arguments: Any, **_named: Any) -> Any:
        raise error

    monkeypatch.setattr(list_gate, where, fails)
    assert type(error).__name__ in broken_check(stash).trouble


def test_two_processes_and_one_post(stash: Stash, make: Maker, tmp_path: Path) -> None:
    """Both have looked before either has written; the database lets one of them in."""
    post = make(ANNA)
    store = open_store(stash.settings.database.url)
    other = replace(stash, store=store)
    verdicts: list[str] = []
    original = list_gate.remember

    def meanwhile(*arguments: Any, **more: Any) -> bool:
        list_gate.remember = original  # type: ignore[assignment]
        verdicts.append(told(check(other, post, delivery=b"theirs")))
        return original(*arguments, **more)

    list_gate.remember = meanwhile  # type: ignore[assignment]
    try:
        verdicts.append(told(check(stash, post, delivery=b"ours")))
    finally:
        list_gate.remember = original  # type: ignore[assignment]
        store.close()
    assert verdicts == ["accept accepted", "reject replayed"]


def test_what_was_let_in_is_on_disk(stash: Stash, make: Maker) -> None:
    post = make(ANNA)
    assert told(check(stash, post)) == "accept accepted"
    store = open_store(stash.settings.database.url)
    try:
        assert told(check(replace(stash, store=store), post, delivery=b"another")) == "reject replayed"
    finally:
        store.close()


def test_many_threads_and_one_post(stash: Stash, make: Maker) -> None:
    """The milter judges in threads: of copies that come at once one is let in."""
    gate, post = PostGate(stash, at()), make(ANNA)
    with ThreadPoolExecutor(6) as threads:
        verdicts = list(threads.map(lambda number: told(gate.check(post, delivery=bytes([number]))), range(6)))
    assert sorted(verdicts) == ["accept accepted", *["reject replayed"] * 5]


def test_parsed_certificates_are_kept_but_not_for_long(stash: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[int] = []
    original = list_gate.subscriber_certificate

    def counted(octets: bytes, now: UnixSeconds) -> Any:
        moments.append(now)
        return original(octets, now)

    monkeypatch.setattr(list_gate, "subscriber_certificate", counted)
    clock = [NOW]
    gate = PostGate(stash, lambda: UnixSeconds(clock[0]))
    for number, moment in enumerate((NOW, NOW + 599, NOW + 600, NOW + 601, NOW)):
        clock[0] = moment
        assert told(gate.check(pgp_mime(ANNA, f"Post {number}.\n"))) == "accept accepted"
    assert moments == [NOW, NOW + 600, NOW]
    with pytest.raises(BadInput, match="is revoked"):
        deposit(stash, ANNA.address, revoked(ANNA, AT - DAY), NOW)
    assert told(gate.check(pgp_mime(ANNA, "More.\n"))) == "reject key-revoked", "a newer copy is read at once"
