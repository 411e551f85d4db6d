"""The milter's handler for lists: what it answers to one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.signed_posts import LIST, NOW, header, make_key, pgp_mime, unsigned
from tests.unit.services.list_site import ANNA, BORIS, OTHER_LIST, letters_in, list_site
from trustgraph.headersig.message import split_message
from trustgraph.mailinglist.model import Action
from trustgraph.milter.transaction import (
    Accept,
    ChangeHeader,
    Client,
    DeleteRecipient,
    Discard,
    InsertHeader,
    Refuse,
    Response,
    Transaction,
)
from trustgraph.model import UnixSeconds
from trustgraph.services import list_hook, list_moderation
from trustgraph.services.list_hook import ListHook
from trustgraph.services.list_making import change
from trustgraph.services.list_stash import Stash

ELSEWHERE = "clara@example.org"


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    with list_site(tmp_path) as made:
        yield made


def hook_of(stash: Stash, log: list[dict[str, Any]] | None = None, **changes: Any) -> ListHook:
    def note(event: str, /, **fields: object) -> None:
        if log is not None:
            log.append({"event": event, **fields})

    lists = stash.settings.lists.model_copy(update=changes)
    settings = stash.settings.model_copy(update={"lists": lists})
    return ListHook(settings, stash.store, note, lambda: UnixSeconds(NOW))


def said(
    hook: ListHook,
    octets: bytes,
    recipients: Sequence[str] = (LIST,),
    *,
    client: str = "192.0.2.1",
    leading_space: bool = True,
) -> Response:
    """The whole dialogue about one message, the body in two pieces and folds divided by LF as Postfix has them."""
    fields, body = split_message(octets)
    transaction = Transaction(Client("", client), "mx.example.org", b"anna@example.org", (), leading_space, {})
    transaction.recipients += [one.encode() for one in recipients]
    for name, value in fields:
        told = value.replace(b"\r\n", b"\n")
        transaction.fields.append((name, told if leading_space else told.removeprefix(b" ")))

    async def talk() -> Response:
        early = await hook.end_of_header(transaction)
        if early is not None:
            return Response(early)
        for piece in (body[: len(body) // 2], body[len(body) // 2 :]):
            hook.body(transaction, piece)
        return await hook.end_of_message(transaction)

    return asyncio.run(talk())


def results(response: Response) -> list[bytes]:
    return [one.value for one in response.edits if isinstance(one, InsertHeader)]


@pytest.mark.parametrize("leading_space", [True, False])
@pytest.mark.parametrize("make", [pgp_mime, header])
def test_a_signed_post_passes_with_the_field(stash: Stash, make: Any, leading_space: bool) -> None:
    post = make(ANNA, Subject="a subject\r\n that is folded")
    response = said(hook_of(stash), post, leading_space=leading_space)
    assert response.verdict == Accept()
    assert [b"x-pgp-post=pass" in one for one in results(response)] == [True]


@pytest.mark.parametrize("forged", [pgp_mime(BORIS, author=ANNA.address), pgp_mime(make_key("eve@stranger.example"))])
def test_the_client_is_not_told_whose_keys_are_here(stash: Stash, forged: bytes) -> None:
    refused = said(hook_of(stash), forged).verdict
    assert isinstance(refused, Refuse)
    assert "(not-verified)" in refused.line


@pytest.mark.parametrize("recipient", ["birds", "birds@lists.example.", "lists.example!birds", "birds+x@lists.example"])
def test_no_other_spelling_of_the_list_passes_ungated(stash: Stash, recipient: str) -> None:
    assert isinstance(said(hook_of(stash), unsigned(ANNA.address), [recipient]).verdict, Refuse)


def test_mail_for_no_list_is_none_of_its_business(stash: Stash) -> None:
    assert said(hook_of(stash), unsigned(ANNA.address), [ELSEWHERE]) == Response(Accept())
    assert said(hook_of(stash), unsigned(ANNA.address), ["birds-keys@lists.example"]) == Response(Accept())


@pytest.mark.parametrize("recipient", [LIST, LIST.upper(), "Birds@Lists.Example"])
def test_an_unsigned_post_is_refused_to_its_client(stash: Stash, recipient: str, tmp_path: Path) -> None:
    response = said(hook_of(stash), unsigned(ANNA.address), [recipient])
    assert response == Response(Refuse("550 5.7.1 Post refused (unsigned): it is not signed"))
    assert letters_in(tmp_path) == []


def test_a_replay_and_a_retry(stash: Stash) -> None:
    hook, post = hook_of(stash), pgp_mime(ANNA)
    assert said(hook, post).verdict == Accept()
    assert said(hook, post).verdict == Accept(), "a retry: the same octets from the same client"
    replayed = said(hook, post, client="198.51.100.9").verdict
    assert isinstance(replayed, Refuse)
    assert "posted before" in replayed.line


def test_posts_that_arrive_together_take_no_more_memory_than_there_is(
    stash: Stash, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, post = hook_of(stash), pgp_mime(ANNA)
    waiting = Transaction(Client(), "mx.example.org", b"", (), True, {}, [LIST.encode()])
    asyncio.run(hook.end_of_header(waiting))
    hook.body(waiting, b"x" * 1_000)
    monkeypatch.setattr(list_hook, "MAX_ARRIVING_OCTETS", 1_000 + len(post) // 2)
    big = Transaction(Client(), "mx.example.org", b"", (), True, {}, [LIST.encode()], [(b"X", b"y" * 99)])
    asyncio.run(hook.end_of_header(big))
    assert big.notes.kept == 100, "a header takes room, too"
    for _ in range(3):
        hook.body(big, b"x" * (len(post) // 3))
    assert (big.notes.kept, big.notes.chunks) == (0, []), "what is put off takes no room"
    put_off = asyncio.run(hook.end_of_message(big)).verdict
    assert isinstance(put_off, Refuse)
    assert put_off.temporary
    judged = said(hook, unsigned(ANNA.address, "short\n")).verdict
    assert isinstance(judged, Refuse)
    assert not judged.temporary, "there is room for a short one"
    del waiting
    monkeypatch.setattr(list_hook, "MAX_ARRIVING_OCTETS", len(post))
    assert said(hook, post).verdict == Accept()


def test_forged_results_are_taken_out(stash: Stash) -> None:
    forged = b"Authentication-Results: lists.example; x-pgp-post=pass\r\n"
    other = b"Authentication-Results: other.example; x-pgp-post=pass\r\n"
    name = stash.settings.site.name_in_results or "lists.example"
    post = forged.replace(b"lists.example", name.encode()) + other + pgp_mime(ANNA)
    response = said(hook_of(stash), post)
    assert response.verdict == Accept()
    assert [one for one in response.edits if isinstance(one, ChangeHeader)] == [
        ChangeHeader(1, b"Authentication-Results", b"")
    ]


def test_a_held_post_waits_here(tmp_path: Path) -> None:
    with list_site(tmp_path, on_unsigned=Action.HOLD) as stash:
        hook, post = hook_of(stash), unsigned(ANNA.address, Subject="held")
        assert said(hook, post) == Response(Discard())
        assert [one.subject for one in list_moderation.held(stash)] == ["held"]
        assert list_moderation.show(stash, list_moderation.held(stash)[0].name)[1] == post
        assert {str(one["To"]) for one in letters_in(tmp_path)} == {ANNA.address, "owner@lists.example"}
        assert said(hook, post) == Response(Discard()), "its client tries again"
        assert len(list_moderation.held(stash)) == 1
        assert len(letters_in(tmp_path)) == 2


def test_a_held_post_goes_to_its_other_recipients(tmp_path: Path) -> None:
    with list_site(tmp_path, on_unsigned=Action.HOLD) as stash:
        response = said(hook_of(stash), unsigned(ANNA.address), [ELSEWHERE, LIST])
        assert response == Response(Accept(), (DeleteRecipient(LIST.encode()),))
        assert len(list_moderation.held(stash)) == 1


def test_a_refused_post_is_refused_for_all(stash: Stash) -> None:
    assert isinstance(said(hook_of(stash), unsigned(ANNA.address), [ELSEWHERE, LIST]).verdict, Refuse)


def test_to_two_lists_that_both_take_it(stash: Stash) -> None:
    post = header(ANNA, To=f"{LIST}, {OTHER_LIST}")
    response = said(hook_of(stash), post, [LIST, OTHER_LIST])
    assert response.verdict == Accept()
    assert len(results(response)) == 1


def test_to_two_lists_in_one_transaction_a_post_that_names_neither(stash: Stash) -> None:
    hook, post = hook_of(stash), pgp_mime(ANNA)
    assert isinstance(said(hook, post, [LIST, OTHER_LIST]).verdict, Refuse)
    assert said(hook, post, client="198.51.100.9").verdict == Accept(), "it is not used up"


def test_to_two_lists_of_which_one_refuses(stash: Stash) -> None:
    """Nothing is on record as posted then: sent to the right list alone, it is no replay."""
    hook, post = hook_of(stash), header(ANNA)
    assert isinstance(said(hook, post, [LIST, OTHER_LIST]).verdict, Refuse)
    assert said(hook, post, client="198.51.100.9").verdict == Accept()


def test_tagged_posts_say_so(tmp_path: Path) -> None:
    with list_site(tmp_path, on_unsigned=Action.TAG) as stash:
        response = said(hook_of(stash), unsigned(ANNA.address))
        assert response.verdict == Accept()
        assert [b'x-pgp-post=none reason="unsigned"' in one for one in results(response)] == [True]


def test_a_post_that_is_too_large(stash: Stash) -> None:
    post = pgp_mime(ANNA, "x" * 70 + "\n" + "y\n" * 100_000)
    refused = said(hook_of(stash, max_post_bytes=64 * 1024), post).verdict
    assert isinstance(refused, Refuse)
    assert "too-large" in refused.line


def test_a_locked_database_puts_a_post_off(stash: Stash, tmp_path: Path) -> None:
    log: list[dict[str, Any]] = []
    hook = hook_of(stash, log)
    said(hook, pgp_mime(BORIS))
    database = stash.store.engine.url.database
    assert database
    stash.store.close()
    Path(database).rename(tmp_path / "away")
    assert said(hook, pgp_mime(ANNA)) == Response(
        Refuse("451 4.3.0 The post cannot be checked at the moment, try again later")
    )
    assert log[-1]["trouble"]
    with sqlite3.connect(tmp_path / "away") as kept:
        assert kept.execute("SELECT count(*) FROM list_seen").fetchone() == (1,)


def test_a_list_that_is_changed_is_noticed(stash: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_hook, "_FRESH_SECONDS", 0.0)
    hook = hook_of(stash)
    assert isinstance(said(hook, unsigned(ANNA.address)).verdict, Refuse)
    change(stash.store, LIST, rules=["on_unsigned=tag"])
    assert said(hook, unsigned(ANNA.address)).verdict == Accept()
