"""The field on an accepted post, and the forged ones that go."""

from __future__ import annotations

import pytest

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.auth_results_field import parse_field
from trustgraph.mailinglist.model import Flaw, PostDecision, PostVerdict
from trustgraph.services.list_results import forged_post_results, render_post_results, with_results

OURS = "lists.example"
KEY = "0123456789abcdef0123456789abcdef01234567"
ACCEPTED = PostDecision(PostVerdict.ACCEPT, "accepted", None, "anna@example.org", KEY)
POST = b"Received: from x\r\nFrom: anna@example.org\r\nSubject:  two  spaces\r\n\r\nHi\r\n"


def test_an_accepted_post_is_as_it_came_below_the_field() -> None:
    marked = with_results(POST, OURS, ACCEPTED)
    assert marked.endswith(POST)
    assert marked.removesuffix(POST) == (
        b"Authentication-Results: lists.example;\r\n"
        b'\tx-pgp-post=pass reason="accepted" header.from=anna@example.org\r\n'
        b"\theader.fp=0123456789abcdef0123456789abcdef01234567\r\n"
    )


def test_the_field_is_one_that_readers_of_such_fields_read() -> None:
    parse_field(b" " + render_post_results(OURS, ACCEPTED))


@pytest.mark.parametrize(
    ("decision", "result"),
    [
        (ACCEPTED, b"pass"),
        (PostDecision(PostVerdict.TAG, "unsigned", Flaw.UNSIGNED), b"none"),
        (PostDecision(PostVerdict.TAG, "key-expired", Flaw.EXPIRED), b"fail"),
    ],
)
def test_results(decision: PostDecision, result: bytes) -> None:
    value = render_post_results(OURS, decision)
    assert b"x-pgp-post=" + result + b" reason=" in value


@pytest.mark.parametrize("verdict", [PostVerdict.HOLD, PostVerdict.REJECT, PostVerdict.TEMPFAIL])
def test_what_is_not_let_in_has_none(verdict: PostVerdict) -> None:
    with pytest.raises(BadInput):
        render_post_results(OURS, PostDecision(verdict, "unsigned", Flaw.UNSIGNED))
    with pytest.raises(BadInput):
        render_post_results(OURS, PostDecision(PostVerdict.ACCEPT, "unsigned", Flaw.UNSIGNED))
    with pytest.raises(BadInput):
        render_post_results(OURS, PostDecision(PostVerdict.TAG, "accepted", None))


@pytest.mark.parametrize(
    "author",
    ['"a b"@example.org', "a;x-pgp-post=pass@example.org", "ü@example.org", "a@b\r\nX: y", "a(b@example.org", ""],
)
def test_an_author_that_would_need_quoting_is_left_out(author: str) -> None:
    value = render_post_results(OURS, PostDecision(PostVerdict.ACCEPT, "accepted", None, author, "not hex; x"))
    assert value == b'lists.example;\r\n\tx-pgp-post=pass reason="accepted"'


@pytest.mark.parametrize(
    ("value", "goes"),
    [
        (b" lists.example; x-pgp-post=pass", True),
        (b" LISTS.example ; dkim=pass; X-PGP-Post=pass", True),
        (b' "lists.example" 1; x-pgp-post=pass', True),
        (b" (comment) lists.example; x-pgp-post=pass", True),
        (b" lists.example;\r\n\tx-pgp-\r\n\tpost=pass", True),
        (b' "lists.example; x-pgp-post=pass', True),
        (b" lists.example; x-pgp-header=pass header.d=mx.example.org", False),  # the host's own milter's
        (b" other.example; x-pgp-post=pass", False),
        (b" lists.example; none", False),
    ],
)
def test_which_fields_are_taken_for_forged(value: bytes, goes: bool) -> None:
    fields = [(b"Authentication-Results", b" first.example; none"), (b"authentication-results", value)]
    assert forged_post_results(fields, OURS) == ([2] if goes else [])


def test_forged_fields_go_and_others_stay() -> None:
    forged = b"AUTHENTICATION-RESULTS: lists.example; x-pgp-post=pass\r\n"
    other = b"Authentication-Results: other.example; dkim=pass header.d=example.org\r\n"
    marked = with_results(forged + other + forged + POST, OURS, ACCEPTED)
    assert marked.endswith(b"\r\n" + other + POST)
    assert marked.lower().count(b"x-pgp-post") == 1
