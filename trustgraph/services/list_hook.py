"""The milter's handler for lists: posts pass the gate while their client waits; all other mail is none of its business.

A client that is refused has the post still and tells its own user, so no letter is written here; one that is held is
answered like one that is accepted, and kept in the list's own queue. Of a post to several lists the strictest decision
holds for all of them, and a post that is refused is refused for its other recipients, too: it is forged.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from weakref import WeakSet

from trustgraph.errors import BadInput, TrustgraphError
from trustgraph.headersig.message import Field, join_message
from trustgraph.mailinglist.model import Flaw, MailingList, PostVerdict
from trustgraph.mailinglist.reasons import REASONS
from trustgraph.mailinglist.wording import MEANINGS
from trustgraph.milter.transaction import (
    Accept,
    ChangeHeader,
    DeleteRecipient,
    Discard,
    Edit,
    InsertHeader,
    Refuse,
    Response,
    Transaction,
    Verdict,
)
from trustgraph.model import UnixSeconds
from trustgraph.services.list_answers import follow_up
from trustgraph.services.list_gate import Checked, PostGate
from trustgraph.services.list_recipients import list_of
from trustgraph.services.list_results import authserv_of, forged_post_results, render_post_results
from trustgraph.services.list_stash import stash_of
from trustgraph.services.log import EventLog
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.lists import all_lists
from trustgraph.verifier.results import FIELD

_STRICTNESS = (PostVerdict.ACCEPT, PostVerdict.TAG, PostVerdict.HOLD, PostVerdict.REJECT, PostVerdict.TEMPFAIL)
_LATER = Refuse("451 4.3.0 The post cannot be checked at the moment, try again later")

_BARE_LF = re.compile(rb"(?<!\r)\n")

#: These too depend on what is in the stash.
_TELLING = frozenset({"signature-does-not-verify", "key-expired", "key-retired", "not-a-signing-key", "weak-key"})

#: How long a list that was just made or changed may go unnoticed.
_FRESH_SECONDS = 2.0


#: Posts on their way into one worker, together; what would be more comes again.
MAX_ARRIVING_OCTETS = 256 * 1024 * 1024


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Arriving:
    """A post on its way in, and the lists that it is for, each with the recipient that says so.

    ``kept`` is how many octets of it are; ``put_off``: there is no room for it.
    """

    lists: dict[bytes, MailingList]
    chunks: list[bytes] = field(default_factory=list)
    octets: int = 0
    kept: int = 0
    put_off: bool = False


class ListHook:
    """Implements :class:`trustgraph.milter.transaction.MessageHandler`. Whatever it raises is a temporary failure."""

    def __init__(self, settings: Settings, store: Store, log: EventLog, clock: Callable[[], UnixSeconds]) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._clock = clock
        self._gates: dict[int, PostGate] = {}
        self._known: dict[str, MailingList] = {}
        self._known_at = float("-inf")
        self._lock = Lock()
        self._arriving: WeakSet[_Arriving] = WeakSet()
        # Of its own: posts that wait for the database must not keep other mail waiting.
        self._lookups = ThreadPoolExecutor(1, "lists")

    async def end_of_header(self, transaction: Transaction) -> Verdict | None:
        """Mail for no list passes, without its body."""
        if time.monotonic() - self._known_at >= _FRESH_SECONDS:
            await asyncio.get_running_loop().run_in_executor(self._lookups, self._look_up_lists)
        lists = self._lists_among(transaction.recipients)
        if not lists:
            return Accept()
        transaction.notes = arriving = _Arriving(lists, kept=sum(map(len, chain(*transaction.fields))))
        self._arriving.add(arriving)
        return None

    def body(self, transaction: Transaction, chunk: bytes) -> None:
        """A piece of a post; of one that is too large no more is kept than shows it."""
        arriving = transaction.notes
        arriving.octets += len(chunk)
        if arriving.put_off or arriving.octets > self._settings.lists.max_post_bytes + len(chunk):
            return
        if sum(one.kept for one in self._arriving) + len(chunk) > MAX_ARRIVING_OCTETS:
            arriving.put_off, arriving.kept = True, 0
            arriving.chunks.clear()
            return
        arriving.chunks.append(chunk)
        arriving.kept += len(chunk)

    async def end_of_message(self, transaction: Transaction) -> Response:
        """The strictest decision of all its lists."""
        arriving = transaction.notes
        if not isinstance(arriving, _Arriving) or not arriving.lists:
            raise BadInput("a post without a list")
        if arriving.put_off:
            self._log("list_post_put_off", queue_id=transaction.queue_id, why="too many posts arrive at once")
            return Response(_LATER)
        octets = join_message(_fields(transaction), b"".join(arriving.chunks))
        arriving.chunks.clear()
        return await asyncio.to_thread(self._judged, transaction, arriving, octets)

    def _judged(self, transaction: Transaction, arriving: _Arriving, octets: bytes) -> Response:
        gates = [self._gate_of(one) for one in {one.number: one for one in arriving.lists.values()}.values()]
        client, sender = transaction.client.address, _text(transaction.mail_from)
        # Looked at first: a post that one of its lists refuses must not be on record as posted to another.
        looks = [gate.check(octets, client=client, sender=sender, record=False) for gate in gates]
        strictest = _strictest(looks)
        if strictest.decision.verdict not in (PostVerdict.REJECT, PostVerdict.TEMPFAIL):
            looks = [gate.check(octets, client=client, sender=sender) for gate in gates]
            strictest = _strictest(looks)
            if strictest.decision.verdict is PostVerdict.REJECT:  # by a copy of itself on another list, or a full queue
                for gate, one in zip(gates, looks, strict=True):
                    gate.forget(one, octets, None, client)
        self._log(
            "list_post_judged",
            queue_id=transaction.queue_id,
            lists=[gate.stash.list.address for gate in gates],
            verdict=strictest.decision.verdict,
            reason=strictest.decision.reason,
            client_ip=transaction.client.address or None,
            held=[one.held_name for one in looks if one.held_name] or None,
            trouble=strictest.trouble or None,
        )
        return self._response(transaction, arriving, list(zip(gates, looks, strict=True)), strictest)

    def _response(
        self,
        transaction: Transaction,
        arriving: _Arriving,
        judged: Sequence[tuple[PostGate, Checked]],
        strictest: Checked,
    ) -> Response:
        verdict, reason = strictest.decision.verdict, strictest.decision.reason
        if verdict is PostVerdict.TEMPFAIL:
            return Response(_LATER)
        if verdict is PostVerdict.REJECT:
            return Response(Refuse(f"550 5.7.1 Post refused {_said_to_peer(reason)}"))
        kept = {gate.stash.list.number for gate, one in judged if one.decision.verdict is PostVerdict.HOLD}
        for gate, one in judged:
            self._tell(gate, one)
        taken_out = [recipient for recipient, one in arriving.lists.items() if one.number in kept]
        if set(taken_out) == set(transaction.recipients):
            return Response(Discard())
        edits: list[Edit] = [DeleteRecipient(recipient) for recipient in taken_out]
        if let_in := [(gate, one) for gate, one in judged if gate.stash.list.number not in kept]:
            edits += self._marks(transaction, let_in)
        return Response(Accept(), tuple(edits))

    def _marks(self, transaction: Transaction, let_in: Sequence[tuple[PostGate, Checked]]) -> list[Edit]:
        """The field for the least of what was found: a list program cannot tell which of several is its own."""
        gate, checked = max(let_in, key=lambda one: _STRICTNESS.index(one[1].decision.verdict))
        name = authserv_of(self._settings, gate.stash.list)
        edits: list[Edit] = [ChangeHeader(n, FIELD, b"") for n in forged_post_results(_fields(transaction), name)]
        return [*edits, InsertHeader(0, FIELD, render_post_results(name, checked.decision))]

    def _tell(self, gate: PostGate, checked: Checked) -> None:
        """Who posted and who moderates hear of what waits; whether they can be told changes nothing about the post."""
        if checked.newly_held:
            try:
                follow_up(gate.stash, checked, self._clock())
            except TrustgraphError as error:
                self._log("list_letter_not_sent", list=gate.stash.list.address, why=str(error))

    def _lists_among(self, recipients: Sequence[bytes]) -> dict[bytes, MailingList]:
        led = ((recipient, list_of(_text(recipient), self._known)) for recipient in recipients)
        return {recipient: one for recipient, one in led if one is not None}

    def _look_up_lists(self) -> None:
        now = time.monotonic()
        self._known = {one.address: one for one in all_lists(self._store)}
        self._known_at = now

    def _gate_of(self, list_: MailingList) -> PostGate:
        """One for each list, made anew when its settings change; opening an encrypted stash takes a moment."""
        with self._lock:
            gate = self._gates.get(list_.number)
            if gate is None or gate.stash.list != list_:
                gate = PostGate(stash_of(self._store, list_, self._settings), self._clock)
                self._gates[list_.number] = gate
            return gate


def _said_to_peer(reason: str) -> str:
    """Why, without what would tell a stranger who is subscribed and whose keys are here."""
    if REASONS.get(reason) in (Flaw.UNKNOWN, Flaw.FORGED) or reason in _TELLING:
        return "(not-verified): it is not signed by a key of its author that counts here, or was posted before"
    return f"({reason}): {MEANINGS.get(reason, reason)}"


def _strictest(checked: Sequence[Checked]) -> Checked:
    return max(checked, key=lambda one: _STRICTNESS.index(one.decision.verdict))


def _fields(transaction: Transaction) -> list[Field]:
    """The fields as they were on the wire: the space that an MTA takes away is put back, and so are its line ends."""
    space = b"" if transaction.leading_space else b" "
    return [(name, space + _BARE_LF.sub(b"\r\n", value)) for name, value in transaction.fields]


def _text(address: bytes) -> str:
    return address.decode("utf-8", "backslashreplace")
