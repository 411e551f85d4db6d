"""A list, Anna and Boris on it, and what a signature of Anna's comes to when all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trustgraph.mailinglist.model import (
    Binding,
    KeyState,
    Kind,
    MailingList,
    Post,
    PostFinding,
    Rules,
    SignedContent,
    StashKey,
    Subscriber,
)
from trustgraph.model import Result, UnixSeconds

DAY, HOUR = 86_400, 3_600
NOW = UnixSeconds(1_788_220_800)
SIGNED_AT = UnixSeconds(NOW - 600)
DELIVERY, ANOTHER_DELIVERY = b"d" * 16, b"e" * 16
RETRY_SECONDS = 6 * HOUR

ANNA, ANNAS_ALIAS, BORIS = "anna@example.org", "a.bell@work.example", "boris@example.net"
ANNAS_KEY, ANNAS_OLD, ANNAS_NEW, ANNAS_LOST, BORISS_KEY, STRANGE_KEY = (letter * 40 for letter in "abcdef")


def stash_key(fingerprint: str, state: KeyState = KeyState.ACTIVE, **changes: Any) -> StashKey:
    good_from = None if state is KeyState.PENDING else UnixSeconds(NOW - 100 * DAY)
    return replace(StashKey(1, fingerprint, b"", state, UnixSeconds(NOW - 100 * DAY), good_from), **changes)


LIST = MailingList(7, "birds@lists.example", "birds.lists.example", Rules(), "", ("owner@lists.example",), NOW)
ANNA_SUBSCRIBED = Subscriber(
    1,
    ANNA,
    (ANNAS_ALIAS,),
    (
        stash_key(ANNAS_KEY),
        stash_key(ANNAS_OLD, KeyState.RETIRING, good_until=UnixSeconds(NOW - HOUR)),
        stash_key(ANNAS_NEW, KeyState.PENDING),
        stash_key(ANNAS_LOST, KeyState.REVOKED),
    ),
    UnixSeconds(NOW - 200 * DAY),
)
HOLDERS = {**{key.fingerprint: (ANNA,) for key in ANNA_SUBSCRIBED.keys}, BORISS_KEY: (BORIS,)}


def ruled(**rules: Any) -> MailingList:
    return replace(LIST, rules=replace(Rules(), **rules))


def post(author: str = ANNA, *kinds: Kind, **changes: Any) -> Post:
    contents = tuple(SignedContent(kind, b"", b"", Binding()) for kind in kinds or (Kind.PGP_MIME,))
    return replace(Post(author, contents, "", "<1@example.org>", "Swifts", automatic=False), **changes)


def passed(fingerprint: str = ANNAS_KEY, **changes: Any) -> PostFinding:
    whole = PostFinding(Kind.PGP_MIME, Result.PASS, "", fingerprint, SIGNED_AT, b"1" * 16, Binding())
    return replace(whole, **changes)


def failed(reason: str, result: Result = Result.PERMERROR, **changes: Any) -> PostFinding:
    return passed(result=result, reason=reason, **changes)
