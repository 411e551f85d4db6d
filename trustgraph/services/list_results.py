"""What the gate of a list found, on top of the post, for the list program and for readers (RFC 8601).

lists.example; x-pgp-post=pass reason="accepted" header.from=anna@example.org header.fp=0123…

``x-pgp-post`` is ``pass`` for a post that nothing speaks against, ``none`` for an unsigned one and ``fail`` for one
with a flaw that the list lets in tagged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trustgraph.errors import BadInput
from trustgraph.headersig.message import Field, join_message, split_message, with_network_line_ends
from trustgraph.ingest.formats.auth_results_field import parse_field
from trustgraph.mailinglist.model import Flaw, MailingList, PostDecision, PostVerdict
from trustgraph.settings import Settings
from trustgraph.verifier.results import AUTHSERV_ID, FIELD, forged_results

METHOD = "x-pgp-post"

#: An address that needs no quotation marks in a pvalue (RFC 8601 section 2.2).
_PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9.-]{1,255}")
_HEX = re.compile(r"[0-9a-f]{16,64}")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_PADDING = re.compile(rb"[\s\"\\\0]+")


def authserv_of(settings: Settings, list_: MailingList) -> str:
    """The name in the field: the host's, or that of the list's domain where the host has none."""
    name = settings.site.name_in_results
    return name if AUTHSERV_ID.fullmatch(name) else list_.address.rpartition("@")[2]


def render_post_results(authserv_id: str, decision: PostDecision) -> bytes:
    """The value of the field without the space behind the colon. Raises :class:`BadInput` for a post not let in."""
    said = f'{METHOD}={_result(decision)} reason="{decision.reason}"'
    if _PLAIN.fullmatch(decision.author):
        said += f" header.from={decision.author}"
    if _HEX.fullmatch(decision.seen_fingerprint):
        said += f"\r\n\theader.fp={decision.seen_fingerprint}"
    return f"{authserv_id};\r\n\t{said}".encode("ascii")


def _result(decision: PostDecision) -> str:
    if decision.verdict is PostVerdict.ACCEPT and decision.flaw is None:
        return "pass"
    if decision.verdict is PostVerdict.TAG and decision.flaw is not None:
        return "none" if decision.flaw is Flaw.UNSIGNED else "fail"
    raise BadInput(f"a post that is not let in has no results: {decision.verdict}")


def forged_post_results(fields: Sequence[Field], authserv_id: str) -> list[int]:
    """Which Authentication-Results fields (counted from 1, the top) claim that we judged the post, bottom first.

    Those that the host's own milter has written speak of other methods and stay.
    """
    values = [value for name, value in fields if name.strip().lower() == FIELD.lower()]
    return [number for number in forged_results(fields, authserv_id) if _may_speak_of_posts(values[number - 1])]


def _may_speak_of_posts(value: bytes) -> bool:
    if METHOD.encode() in _PADDING.sub(b"", value.lower()):
        return True
    try:
        parse_field(value)
    except BadInput:
        return True
    return False


def with_results(octets: bytes, authserv_id: str, decision: PostDecision) -> bytes:
    """The post with the field on top and without forged ones; every other octet as it came, line ends CRLF.

    Raises :class:`BadInput` for what is no message, or has line ends of both kinds.
    """
    message = with_network_line_ends(octets)
    fields, body = split_message(message)
    if _BARE_LF.search(message):
        raise BadInput("line ends of both kinds: programs cut this message into fields differently")
    gone = set(forged_post_results(fields, authserv_id))
    kept: list[Field] = [(FIELD, b" " + render_post_results(authserv_id, decision))]
    number = 0
    for name, value in fields:
        is_result = name.strip().lower() == FIELD.lower()
        number += is_result
        if not (is_result and number in gone):
            kept.append((name, value))
    return join_message(kept, body)
