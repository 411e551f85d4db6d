"""What ``trustgraph list`` prints of posts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trustgraph.cli.output import note, print_json, say
from trustgraph.model import to_rfc3339

if TYPE_CHECKING:
    from trustgraph.services.list_gate import Checked
    from trustgraph.services.list_stash import Stash
    from trustgraph.store.list_held import HeldPost

#: Of a held post, so much is shown; `--raw` prints all of it.
_SHOWN_OCTETS = 8 * 1024


def print_checked(checked: Checked, stash: Stash, json: bool) -> None:
    """What became of a post, and what its signatures came to."""
    from trustgraph.mailinglist.wording import MEANINGS, rule_of

    decision = checked.decision
    if checked.trouble:
        note(f"not judged: {checked.trouble}")
    signatures: list[dict[str, Any]] = [
        {
            "kind": one.kind,
            "result": one.result,
            "reason": one.reason,
            "fingerprint": one.fingerprint,
            "signed_at": None if one.signed_at is None else to_rfc3339(one.signed_at),
        }
        for one in checked.findings
    ]
    if json:
        print_json(
            {
                "list": stash.list.address,
                "verdict": decision.verdict,
                "reason": decision.reason,
                "meaning": MEANINGS.get(decision.reason, ""),
                "flaw": decision.flaw,
                "rule": rule_of(decision.reason, stash.list.rules),
                "author": decision.author,
                "fingerprint": decision.seen_fingerprint,
                "expected": list(decision.expected),
                "held": checked.held_name or None,
                "message_id": checked.post.message_id,
                "automatic": checked.post.automatic,
                "signatures": signatures,
            }
        )
        return
    say(f"{decision.verdict}: {decision.reason}" + (f" (held as {checked.held_name})" if checked.held_name else ""))
    for one in signatures:
        say(f"  signature: {one['kind']} {one['result']} {one['reason']} {one['fingerprint']}")
    if decision.flaw and decision.expected:
        say(f"  expected: {', '.join(decision.expected)}")


def held_json(post: HeldPost) -> dict[str, Any]:
    """A held post as an object."""
    return {
        "id": post.name,
        "held_at": to_rfc3339(post.held_at),
        "size": post.size,
        "author": post.author,
        "subject": post.subject,
        "message_id": post.message_id,
        "reason": post.reason,
        "fingerprint": post.seen_fingerprint,
        "expected": list(post.expected),
        "sender": post.sender,
        "damaged": post.damaged,
    }


def held_row(post: HeldPost, at: int) -> tuple[Any, ...]:
    """A held post as a row of the table; ``at`` is now."""
    reason = "damaged" if post.damaged else post.reason
    keys = (post.seen_fingerprint or "-", ", ".join(post.expected) or "-")
    return (post.name, _age(at - post.held_at), post.size, post.author or "-", post.subject[:60], reason, *keys)


def show_held(post: HeldPost, octets: bytes) -> None:
    """A held post and the beginning of the message, without what a terminal would obey."""
    from trustgraph.mailinglist.wording import MEANINGS

    say(f"{post.name}, held since {to_rfc3339(post.held_at)} because {MEANINGS.get(post.reason, post.reason)}")
    say(f"  reason:    {post.reason}")
    say(f"  author:    {post.author or '-'}")
    say(f"  subject:   {post.subject}".replace("\n", " "))
    say(f"  signed by: {post.seen_fingerprint or '-'}")
    say(f"  expected:  {', '.join(post.expected) or '-'}")
    say("")
    say(octets[:_SHOWN_OCTETS].replace(b"\r\n", b"\n").decode("utf-8", "replace"))
    if len(octets) > _SHOWN_OCTETS:
        note(f"{len(octets):,} octets in all: --raw prints them")


def _age(seconds: int) -> str:
    if seconds < 3_600:
        return f"{max(0, seconds) // 60}m"
    return f"{seconds // 3_600}h" if seconds < 172_800 else f"{seconds // 86_400}d"
