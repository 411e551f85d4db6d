"""A message as octets: as it came if the LMTP runner kept that (:mod:`.lmtp`), else out of Mailman's parsed form.

The standard library's generator folds header lines anew. Here every field of the message and of its parts is written
as the parser has kept it. What the parser itself drops is lost, and a signature over it with it: white space behind a
colon other than one space and behind a boundary, and whether a line end follows a nested multipart. Such a post is
refused, never let in.
"""

from __future__ import annotations

import io
import re
from email._policybase import Compat32
from email.generator import BytesGenerator
from email.message import Message

#: Where the LMTP runner puts what came, in a message's own dictionary, so that it stays with it in Mailman's queues.
_KEPT = "trustgraph_octets"

_LINE_END = re.compile(r"\r\n|\r|\n")


class _AsRead(Compat32):
    """Writes fields as the parser has kept them, folds and 8-bit octets included."""

    def fold_binary(self, name: str, value: object) -> bytes:
        """See Policy. What programs have put there since, as objects that encode themselves, is folded by these."""
        if not isinstance(value, str):
            return super().fold_binary(name, value)  # type: ignore[arg-type]
        gap = "" if value[:1] in ("\r", "\n") else " "
        lines = _LINE_END.split(f"{name}:{gap}{value}")
        return (self.linesep.join(lines) + self.linesep).encode("ascii", "surrogateescape")


_POLICY = _AsRead(linesep="\r\n", mangle_from_=False)


def keep(msg: Message, octets: bytes) -> None:
    """Have the message know the octets that it was read from."""
    msg.__dict__[_KEPT] = octets


def forget(msg: Message) -> None:
    """Nobody will ask for them any more."""
    msg.__dict__.pop(_KEPT, None)


def octets_of(msg: Message) -> bytes:
    """The message, without a ``From `` line. Raises what the generator raises for one that cannot be written down."""
    kept = msg.__dict__.get(_KEPT)
    if isinstance(kept, bytes):
        return kept
    stream = io.BytesIO()
    BytesGenerator(stream, mangle_from_=False, policy=_POLICY).flatten(msg, unixfrom=False)
    return stream.getvalue()
