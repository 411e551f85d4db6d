"""A message as octets, out of Mailman's parsed form, as near to how it came as the parser has kept it.

The standard library's generator folds header lines anew. Here every field of the message and of its parts is written
as it was read; what the parser itself has dropped (white space behind the colon, CRLF) no signature that counts
depends on, except for a part's field without, or with more than, one space there. Such a post is refused, never let in.
"""

from __future__ import annotations

import io
from email.generator import BytesGenerator
from email.message import Message
from email.policy import compat32

#: What Mailman's LMTP server adds itself before any rule sees the message.
_OF_MAILMAN = frozenset({"message-id-hash", "x-message-id-hash", "x-mailfrom"})


class _AsRead(BytesGenerator):
    """Writes header lines as the parser has kept them, folds and 8-bit octets included."""

    def _write_headers(self, msg: Message) -> None:
        for name, value in msg.raw_items():
            lines = str(value).splitlines() or [""]
            self.write(f"{name}: {lines[0]}{self._NL}" + "".join(f"{line}{self._NL}" for line in lines[1:]))
        self.write(self._NL)


def octets_of(msg: Message) -> bytes:
    """The message with CRLF line ends, without the fields that Mailman has added and the ``From `` line."""
    stream = io.BytesIO()
    generator = _AsRead(stream, mangle_from_=False, maxheaderlen=0, policy=compat32)
    stripped = _without(msg)
    generator.flatten(stripped, unixfrom=False, linesep="\r\n")
    return stream.getvalue()


def _without(msg: Message) -> Message:
    """A shallow copy: the message itself is not to be changed, and its parts are not."""
    copy = Message(policy=compat32)
    copy.__dict__.update(msg.__dict__)
    copy._headers = [(n, v) for n, v in msg.raw_items() if n.lower() not in _OF_MAILMAN]  # type: ignore[attr-defined]
    return copy
