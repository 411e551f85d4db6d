"""The milter's handler: signs what goes out, judges what comes in, by the gate and the host key.

Mail of authenticated and internal clients, and mail made on the machine itself, goes out; all else comes in.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from trustgraph.errors import BadInput, ConfigurationError, ServiceUnavailable
from trustgraph.headersig.canonical import BodyHash
from trustgraph.headersig.message import Field
from trustgraph.headersig.signing import Envelope
from trustgraph.milter.transaction import (
    Accept,
    ChangeHeader,
    Discard,
    Edit,
    InsertHeader,
    Refuse,
    Response,
    Transaction,
    Verdict,
)
from trustgraph.model import UnixSeconds, parse_address
from trustgraph.openpgp.signer import MessageSigner
from trustgraph.policy.decision import Decision
from trustgraph.policy.decision import Verdict as Judgement
from trustgraph.services.clients import Clients
from trustgraph.services.gate import Gate, others_in
from trustgraph.services.log import EventLog
from trustgraph.services.messages import BodyShape, sign_fields
from trustgraph.settings import Settings
from trustgraph.verifier.examine import Client, Examined, Incoming, Judged
from trustgraph.verifier.results import AUTHSERV_ID, forged_results, render_results
from trustgraph.verifier.results import FIELD as RESULTS_FIELD


@dataclass(slots=True)
class _Outgoing:
    """A message that is to be signed; the body is None where only the header is."""

    fields: list[Field]
    body: tuple[BodyHash, BodyShape] | None


@dataclass(slots=True)
class _Incoming:
    """A message that is being judged."""

    examined: Examined
    body: BodyHash | None
    began: float


class Hook:
    """Implements :class:`trustgraph.milter.transaction.MessageHandler`. Whatever it raises is a temporary failure."""

    def __init__(
        self,
        settings: Settings,
        gate: Gate | None,
        signer: MessageSigner | None,
        log: EventLog,
        clock: Callable[[], UnixSeconds],
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._signer = signer
        self._log = log
        self._clock = clock
        self._unusable = ""
        self._authserv_id = settings.site.name_in_results
        if not AUTHSERV_ID.fullmatch(self._authserv_id):
            raise ConfigurationError(f"site.authserv_id: expected a name such as a FQDN, not {self._authserv_id!r}")
        self._clients = Clients(settings)
        self._is_internal = lru_cache(maxsize=4096)(_membership(settings.milter.internal_hosts))

    @property
    def signer(self) -> MessageSigner | None:
        """The host key that signs now."""
        return self._signer

    def sign_with(self, signer: MessageSigner | None, why: str = "") -> None:
        """Another host key from now on; with None, mail that would be signed has to wait, and ``why`` says it."""
        self._signer, self._unusable = signer, "" if signer else why

    async def end_of_header(self, transaction: Transaction) -> Verdict | None:
        """Judge the header; a verdict now only where the body cannot change it."""
        fields = _fields(transaction)
        if self._goes_out(transaction):
            with_body = self._signer is not None and self._settings.milter.signature_mode == "message"
            transaction.notes = _Outgoing(fields, (BodyHash(), BodyShape()) if with_body else None)
            transaction.body_wanted = with_body
            return None
        if self._gate is None:
            transaction.body_wanted = False
            return None
        began = time.perf_counter()
        incoming = Incoming(
            fields,
            Envelope(transaction.mail_from, tuple(transaction.recipients)),
            self._client(transaction),
            others_in(fields, self._settings.milter.trusted_results),
        )
        examined = await self._gate.verifier.examine(incoming)
        if self._settings.milter.early and (early := await self._gate.verifier.conclude_early(examined)):
            self._finish(early, examined, transaction, began)
            return _verdict(early.decision, self._settings.site.hostname)
        transaction.body_wanted = examined.needs_body
        transaction.notes = _Incoming(examined, BodyHash() if examined.needs_body else None, began)
        return None

    def body(self, transaction: Transaction, chunk: bytes) -> None:
        """Feed a piece of the body."""
        notes = transaction.notes
        if isinstance(notes, _Incoming) and notes.body is not None:
            notes.body.update(chunk)
        elif isinstance(notes, _Outgoing) and notes.body is not None:
            for one in notes.body:
                one.update(chunk)

    async def end_of_message(self, transaction: Transaction) -> Response:
        """Sign, or give the verdict."""
        notes = transaction.notes
        if isinstance(notes, _Outgoing):
            return self._sign(notes, transaction)
        if isinstance(notes, _Incoming) and self._gate is not None:
            judged = await self._gate.verifier.conclude(notes.examined, notes.body.digest() if notes.body else None)
            self._finish(judged, notes.examined, transaction, notes.began)
            return self._response(judged, notes.examined)
        if self._gate is None and notes is None:  # told to sign only, and this is not ours to sign
            return Response(Accept())
        raise BadInput("a message ended that had not begun")

    def _goes_out(self, transaction: Transaction) -> bool:
        client = transaction.client
        if not client.address:  # submitted on the machine itself, or the MTA does not know by whom
            return client.name == "localhost" or client.name.endswith("@localhost")
        return bool(transaction.macro("auth_authen")) or self._is_internal(client.address)

    def _client(self, transaction: Transaction) -> Client:
        client = self._clients.client(transaction.client.address, transaction.client.name, transaction.helo)
        if not client.ip:
            raise BadInput("a client without an address")
        return client

    def _sign(self, outgoing: _Outgoing, transaction: Transaction) -> Response:
        if self._unusable:
            raise ServiceUnavailable(f"the host key cannot sign: {self._unusable}")
        if self._signer is None:
            return Response(Accept())
        envelope = Envelope(transaction.mail_from, tuple(transaction.recipients))
        try:
            signed = sign_fields(outgoing.fields, outgoing.body, envelope, self._settings, self._signer, self._clock())
        except BadInput as error:
            # It is our own client's mail, and unsigned it is for the receiver to judge.
            self._log("message_not_signed", queue_id=transaction.queue_id, why=str(error))
            return Response(Accept())
        self._log("message_signed", queue_id=transaction.queue_id, without_body=signed.without_body or None)
        return Response(Accept(), tuple(_insert(name, value) for name, value in reversed(signed.fields)))

    def _finish(self, judged: Judged, examined: Examined, transaction: Transaction, began: float) -> None:
        """On disk first, then in the log, and only then is the peer answered."""
        if self._gate is None:
            raise BadInput("nothing to record with")
        self._gate.record(judged, examined.incoming, transaction.queue_id)
        evidence, decision = judged.evidence, judged.decision
        responsible = evidence.responsible
        self._log(
            "message_judged",
            queue_id=transaction.queue_id,
            verdict=decision.verdict,
            reason=decision.reason,
            would_be=decision.would_be if decision.would_be != decision.verdict else None,
            result=evidence.result,
            result_reason=evidence.reason or None,
            identity=responsible.identity if responsible else None,
            host=responsible.host if responsible else None,
            rating=responsible.rating if responsible else None,
            standing=decision.standing,
            client_host=evidence.client_host or None,
            client_ip=evidence.client_ip,
            note=decision.note or None,
            milliseconds=round((time.perf_counter() - began) * 1000, 2),
        )

    def _response(self, judged: Judged, examined: Examined) -> Response:
        verdict = _verdict(judged.decision, self._settings.site.hostname)
        if not isinstance(verdict, Accept):
            return Response(verdict)
        value = render_results(self._authserv_id, judged.checked, judged.evidence, judged.decision)
        forged = forged_results(examined.incoming.fields, self._authserv_id, self._settings.milter.trusted_results)
        edits: list[Edit] = [ChangeHeader(index, RESULTS_FIELD, b"") for index in forged]
        edits.append(InsertHeader(0, RESULTS_FIELD, value))
        held = judged.decision.verdict is Judgement.QUARANTINE
        return Response(verdict, tuple(edits), quarantine=f"trustgraph: {judged.decision.reason}" if held else "")


def _verdict(decision: Decision, hostname: str) -> Verdict:
    """What the MTA is told. Nothing but an accept or a quarantine lets a message pass."""
    if decision.verdict in (Judgement.ACCEPT, Judgement.QUARANTINE):
        return Accept()
    if decision.verdict is Judgement.DISCARD:
        return Discard()
    reply = decision.reply
    if reply is None:
        raise BadInput(f"{decision.verdict} without a reply")
    return Refuse(reply.line(hostname))


def _fields(transaction: Transaction) -> list[Field]:
    """The fields as they were on the wire: the space that an MTA takes away is put back."""
    if transaction.leading_space:
        return transaction.fields
    return [(name, b" " + value) for name, value in transaction.fields]


def _insert(name: bytes, value: bytes) -> InsertHeader:
    return InsertHeader(0, name, value.removeprefix(b" "))


def _membership(networks: Iterable[str]) -> Callable[[str], bool]:
    parsed = [ipaddress.ip_network(network, strict=False) for network in networks]

    def is_internal(address: str) -> bool:
        parsed_address = ipaddress.ip_address(parse_address(address))
        return any(parsed_address.version == one.version and parsed_address in one for one in parsed)

    return is_internal
