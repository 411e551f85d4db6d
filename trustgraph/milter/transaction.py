"""What a handler sees of one mail transaction, and what it may answer.

Default deny: nothing here accepts unless :class:`Accept` is written down. No class has it for a default, an absent or
odd answer is an error, and every error is a temporary failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trustgraph.milter import replies


@dataclass(frozen=True, slots=True)
class Client:
    """Who speaks SMTP to the MTA.

    ``name`` is the one that the MTA has confirmed by address, empty if there is none; ``address`` is an IP address or
    empty (mail submitted on the machine itself).
    """

    name: str = ""
    address: str = ""


@dataclass(slots=True)
class Transaction:
    """One message on its way in. All but ``body_wanted`` and ``notes`` is the server's to write.

    ``helo`` and ``client`` are text, with bytes that are not ASCII written as ``\\xNN``. Addresses are bytes without
    angle brackets; ``mail_from`` is empty for a bounce. ``fields`` are names and values as they came, 8-bit bytes and
    folding included. With ``leading_space`` a value begins right behind the colon; without, the MTA has removed one
    space there (if there was one), and it has to be put back where the bytes matter.

    Set ``body_wanted`` to False in ``end_of_header`` to be spared the body and still be asked at the end.
    """

    client: Client
    helo: str
    mail_from: bytes
    mail_arguments: tuple[bytes, ...]
    leading_space: bool
    macros: dict[bytes, bytes]
    recipients: list[bytes] = field(default_factory=list)
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body_wanted: bool = True
    notes: Any = None  # the handler's own, from one call to the next

    def macro(self, name: str) -> str:
        """A macro's value as text, empty if the MTA did not send it; ``{auth_authen}`` and ``auth_authen`` are one."""
        bare = name.strip("{}").encode()
        value = self.macros.get(b"{" + bare + b"}") or self.macros.get(bare) or b""
        return text_of(value)

    @property
    def queue_id(self) -> str:
        """The MTA's name for the message, for the log; Postfix has it from the first recipient on."""
        return self.macro("i")


def text_of(value: bytes) -> str:
    """ASCII text; other bytes as ``\\xNN``, so that it can be logged and equals no name it should not."""
    return value.decode("ascii", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Accept:
    """Let the message pass as far as this filter is concerned."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Tell the client that the message is accepted, and throw it away."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the client with this SMTP reply: ``550 5.7.7 text`` refuses for good, ``451 4.7.5 text`` for now.

    Raises ValueError for anything but one line of that form in printable ASCII.
    """

    line: str

    def __post_init__(self) -> None:
        replies.replycode(self.line)

    @property
    def temporary(self) -> bool:
        """Whether the client is to try again."""
        return self.line.startswith("4")


Verdict = Accept | Discard | Refuse


@dataclass(frozen=True, slots=True)
class AddHeader:
    """A new field below all others; ``value`` without the space behind the colon."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class InsertHeader:
    """A new field at ``index``, 0 being the top; ``value`` without the space behind the colon."""

    index: int
    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class ChangeHeader:
    """Another value for the ``index``-th field of this name, counted from 1 at the top; an empty one deletes it.

    Deleting moves the later ones up, so delete from the bottom.
    """

    index: int
    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class DeleteRecipient:
    """Deliver the message to the others only; ``address`` is one of the transaction's ``recipients``."""

    address: bytes


Edit = AddHeader | InsertHeader | ChangeHeader | DeleteRecipient


@dataclass(frozen=True, slots=True)
class Response:
    """The answer at the end of a message: the verdict, and what to do to a message that is accepted.

    ``quarantine`` is the reason for holding it, empty for not holding it. Raises ValueError for edits or quarantine of
    a message that is not accepted: whoever writes that means something else.
    """

    verdict: Verdict
    edits: tuple[Edit, ...] = ()
    quarantine: str = ""

    def __post_init__(self) -> None:
        if (self.edits or self.quarantine) and not isinstance(self.verdict, Accept):
            raise ValueError("only an accepted message can be edited or quarantined")


class MessageHandler(Protocol):
    """Judges messages, several at a time, each by its own transaction. Whatever it raises becomes a temporary failure.

    Both coroutines may wait for what they like within the time that the server's limits give them; one that is given up
    (the client has gone, the time is over) is cancelled.
    """

    async def end_of_header(self, transaction: Transaction) -> Verdict | None:
        """A verdict now, or None to be asked again at the end of the message. There are no edits here."""

    def body(self, transaction: Transaction, chunk: bytes) -> None:
        """A piece of the body, if it is wanted. Called in the event loop: no waiting."""

    async def end_of_message(self, transaction: Transaction) -> Response:
        """The verdict."""


_VERDICTS: Mapping[type[Verdict], bytes] = {Accept: replies.ACCEPT, Discard: replies.DISCARD}


def encode_verdict(verdict: Verdict) -> bytes:
    """The packet of a verdict. Raises TypeError for anything else, None above all."""
    if type(verdict) is Refuse:
        return replies.replycode(verdict.line)
    try:
        return _VERDICTS[type(verdict)]
    except KeyError:
        raise TypeError(f"{verdict!r} is not a verdict") from None


def encode_edit(edit: Edit, leading_space: bool) -> bytes:
    """The packet of an edit. Raises ValueError where the edit would break the header."""
    match edit:
        case AddHeader(name, value):
            return replies.add_header(name, value, leading_space)
        case InsertHeader(index, name, value):
            return replies.insert_header(index, name, value, leading_space)
        case ChangeHeader(index, name, value):
            return replies.change_header(index, name, value, leading_space)
        case DeleteRecipient(address):
            return replies.delete_recipient(address)
        case _:
            raise TypeError(f"{edit!r} is not an edit")
