"""What ``trustgraph list`` prints of subscribers and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from trustgraph.cli.output import note, print_json, say
from trustgraph.model import UnixSeconds, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustgraph.mailinglist.model import StashKey, Subscriber
    from trustgraph.services.list_deposits import Confirmed, Deposited
    from trustgraph.services.list_reminders import Due
    from trustgraph.services.list_subscribers import KeyFacts


def print_subscriber(subscriber: Subscriber, json: bool) -> None:
    """Who is subscribed."""
    if json:
        print_json({"address": subscriber.address, "aliases": list(subscriber.aliases), "keys": len(subscriber.keys)})
        return
    also = f", also as {', '.join(subscriber.aliases)}" if subscriber.aliases else ""
    say(f"{subscriber.address} is subscribed{also}; {len(subscriber.keys)} keys")


def print_deposited(done: Deposited, json: bool, *, token: bool) -> None:
    """What became of a deposit; with ``token`` what is to be signed, too."""
    facts = _change_json(done.subscriber, done.key, done.missing, done.retired)
    if json:
        print_json(facts | {"token": done.token_text})
        return
    _say_change(facts)
    if token and done.token_text:
        typer.echo(done.token_text, nl=False)
        note("this is what the subscriber has to sign, and nobody else may get")


def print_confirmed(done: Confirmed, json: bool) -> None:
    """What a proof came to."""
    facts = _change_json(done.subscriber, done.key, done.missing, done.retired)
    if json:
        print_json(facts)
    else:
        _say_change(facts)


def _say_change(facts: dict[str, Any]) -> None:
    say(f"{facts['address']}: {facts['fingerprint']} is {facts['state']}")
    if facts["missing"]:
        say(f"still missing: {facts['missing']}")
    for one in facts["retired"]:
        say(f"it takes over from {one['fingerprint']}, which is good until {one['until']}")


def _change_json(subscriber: Subscriber, key: StashKey, missing: str, retired: Sequence[StashKey]) -> dict[str, Any]:
    return {
        "address": subscriber.address,
        "fingerprint": key.fingerprint,
        "state": key.state,
        "missing": missing,
        "retired": [{"fingerprint": one.fingerprint, "until": _time(one.good_until)} for one in retired],
    }


def key_json(subscriber: Subscriber, facts: KeyFacts) -> dict[str, Any]:
    """One key as a row or an object."""
    return {
        "address": subscriber.address,
        "aliases": list(subscriber.aliases),
        "fingerprint": facts.key.fingerprint,
        "state": facts.state,
        "since": _time(facts.since),
        "until": _time(facts.until),
        "expires": _time(facts.expires_at),
        "note": facts.key.note,
    }


def _time(at: UnixSeconds | None) -> str | None:
    return None if at is None else to_rfc3339(at)


def print_reminder(one: Due, json: bool, *, sent: bool) -> None:
    """Who is told of the end of which key."""
    if json:
        facts = {"list": one.list_address, "address": one.address, "fingerprint": one.fingerprint}
        print_json(facts | {"expires_at": to_rfc3339(one.expires_at), "expired": one.over, "sent": sent})
        return
    what = "has expired" if one.over else "expires"
    say(f"{one.list_address}: {one.address}: {one.fingerprint} {what} {to_rfc3339(one.expires_at)}")
