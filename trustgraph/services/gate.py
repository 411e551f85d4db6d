"""The gate put together from the settings: keys, ratings, counters, policy and spool behind one ``judge``.

One for each event loop. The milter holds one for the life of a worker, `trustgraph verify` for one message.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from trustgraph.errors import BadInput, ConfigurationError, ServiceUnavailable
from trustgraph.feedback.copies import signature_digest
from trustgraph.feedback.recipients import NO_TRAPS, Traps, recipient_digest, voter_digest
from trustgraph.headersig.checking import replay_key
from trustgraph.headersig.message import Field
from trustgraph.ingest.formats.auth_results import best_findings
from trustgraph.ingest.formats.auth_results_field import authserv_id_of, parse_field
from trustgraph.keyserver.breaker import BreakerPolicy
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.server import ServerPolicy
from trustgraph.model import Identity, IdentityKind, Result, UnixSeconds, to_rfc3339
from trustgraph.openpgp.finding import LongCertificate
from trustgraph.policy.decide import Policy
from trustgraph.policy.decision import Verdict
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.verifier.counters import Counters
from trustgraph.verifier.examine import Client, Incoming, Judged, Verifier, responsible_signature
from trustgraph.verifier.keys import KeySource, KeyTimes
from trustgraph.verifier.names import HeloNames
from trustgraph.verifier.results import FIELD as RESULTS_FIELD
from trustgraph.verifier.spool import Record, Spool
from trustgraph.verifier.standing import StandingSource

#: What workers count together, in the directory of :func:`state_of`.
COUNTERS = "counters.db"

#: How often a process looks for what others have learnt: revocations, generations, hosts that sign.
REFRESH_SECONDS = 5.0

#: How long at most a keyserver that comes back goes unnoticed; mail waits for it.
LONGEST_BREAK_SECONDS = 30.0

#: Of very long certificates, so much may wait to be ingested; of one more, only what it says of itself is used until it
#: is fetched again.
MAX_WAITING_BYTES = 256 * 1024 * 1024


class Gate:
    """Judges messages and records the decisions."""

    def __init__(
        self, settings: Settings, store: Store, pool: Pool, spool: Spool | None, clock: Callable[[], UnixSeconds]
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._spool = spool
        # A message that is only looked at is not delivered, so it counts for nothing.
        self._counters = Counters(
            state_of(settings, COUNTERS), settings.policy.signature_recipients, counting=spool is not None
        )
        self.keys = KeySource(store, pool, key_times(settings), clock, self._keep_for_scoring, self._keep_long)
        self.standings = StandingSource(store)
        self._traps = Traps(settings.feedback.traps)
        self._names = HeloNames()
        self.verifier = Verifier(
            *(self.keys, self.standings, self._counters, policy_of(settings), clock),
            confirm_helo=self._names.confirm,
        )

    async def refresh(self) -> None:
        """Take over what other processes found out, and forget what is over."""
        await self.keys.learn()
        await self.standings.refresh()
        now = self._clock()
        await asyncio.to_thread(self._forget, now)

    def _forget(self, now: UnixSeconds) -> None:
        counters = Counters(state_of(self.settings, COUNTERS))  # a connection belongs to its thread
        try:
            counters.forget(now)
        finally:
            counters.close()

    def record(self, judged: Judged, incoming: Incoming, queue_id: str) -> None:
        """The decision on disk. Raises :class:`ServiceUnavailable`: what is not recorded is not to be accepted."""
        if self._spool is None:
            return
        try:
            record = record_of(judged, incoming, queue_id, self.settings.site.hostname, self._clock(), self._traps)
            self._spool.append(record)
        except ServiceUnavailable:
            if judged.drawn is not None:  # it will come again, and is not to pay twice
                self._counters.give_back(judged.drawn)
            raise

    async def aclose(self) -> None:
        """Give everything back."""
        await self.keys.aclose()
        self._names.close()
        self._counters.close()
        if self._spool is not None:
            self._spool.close()

    def _keep_for_scoring(self, fingerprint: str, octets: bytes) -> None:
        """A fetched certificate with all its certifications, left for the drain to ingest as a keyring."""
        self._leave(fingerprint, lambda file: file.write(octets))

    def _keep_long(self, fingerprint: str, certificate: LongCertificate) -> None:
        """The same for one that is very long. Raises :class:`ServiceUnavailable` when there is too much of that."""
        waiting = sum(path.stat().st_size for path in state_of(self.settings, "keys").glob("*.pgp"))
        if waiting > MAX_WAITING_BYTES:
            raise ServiceUnavailable(f"{waiting >> 20} MiB of fetched certificates wait to be ingested")
        self._leave(fingerprint, certificate.copy_to)

    def _leave(self, fingerprint: str, write: Callable[[BinaryIO], object]) -> None:
        directory = state_of(self.settings, "keys")
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        draft = directory / f"{fingerprint}.{os.getpid()}.new"
        with draft.open("wb") as file:
            write(file)
        draft.rename(directory / f"{fingerprint}.pgp")


@asynccontextmanager
async def open_gate(
    settings: Settings, *, recording: bool, clock: Callable[[], UnixSeconds] | None = None, create: bool = True
) -> AsyncIterator[Gate]:
    """A gate on the database of the settings; ``recording`` writes decisions to the spool.

    ``create`` makes a database where there is none; one that was there before must not be made anew, without ratings.

    Raises what opening its parts raises: a gate that is not whole is none.
    """
    if recording and not settings.site.hostname:
        raise ConfigurationError("site.hostname: expected this host's FQDN, under which decisions are recorded")
    clock = clock or (lambda: UnixSeconds(int(time.time())))
    store = open_store(settings.database.url, create=create)
    try:
        pool = Pool(
            settings.keyservers.urls,
            PoolPolicy(timeout_seconds=settings.keyservers.timeout_seconds),
            ServerPolicy(max_body_bytes=settings.keyservers.max_answer_bytes, scratch=state_of(settings, "")),
            breaker_policy=BreakerPolicy(longest_seconds=LONGEST_BREAK_SECONDS),
        )
        state_of(settings, "").mkdir(mode=0o750, parents=True, exist_ok=True)
        spool = Spool(state_of(settings, "spool"), f"{time.time_ns():x}-{os.getpid()}") if recording else None
        gate = Gate(settings, store, pool, spool, clock)
        try:
            await gate.standings.refresh()
            yield gate
        finally:
            await gate.aclose()
            await pool.aclose()
    finally:
        store.close()


def state_of(settings: Settings, name: str) -> Path:
    """A path in the directory for what the gate keeps beside the database."""
    return settings.milter.state / name


def policy_of(settings: Settings) -> Policy:
    """The settings' policy as the core reads it."""
    policy = settings.policy
    return Policy(
        profile=policy.profile,
        accept=policy.accept,
        refuse=policy.refuse,
        on_unreachable=policy.on_unreachable,
        on_forged=policy.on_forged,
        on_newcomer=policy.on_newcomer,
        on_unsigned_newcomer=policy.on_unsigned_newcomer,
        headers_suffice=policy.headers_suffice,
        newcomer_messages=policy.newcomer_messages,
        newcomer_messages_in_all=policy.newcomer_messages_in_all,
        newcomer_growth=policy.newcomer_growth,
        signature_recipients=policy.signature_recipients,
        overrides=tuple(one.override() for one in policy.override),
    )


def key_times(settings: Settings) -> KeyTimes:
    """How long keyservers' answers hold."""
    keyservers = settings.keyservers
    return KeyTimes(keyservers.positive_ttl_seconds, keyservers.negative_ttl_seconds, keyservers.stale_limit_seconds)


def others_in(fields: Sequence[Field], trusted: Sequence[str]) -> tuple[Identity, ...]:
    """DKIM and SPF identities that passed, by the Authentication-Results of filters that ran before this one.

    Only fields above the first Received are read, and only by ``trusted`` authserv-ids: those filters must remove
    forged ones themselves, for a client can put such a field on top of its message.
    """
    if not trusted:
        return ()
    believed = []
    ours = {name.lower() for name in trusted}
    for name, value in fields:
        if name.lower() == b"received":
            break
        if name.lower() == RESULTS_FIELD.lower() and authserv_id_of(value) in ours:
            try:
                believed.append(parse_field(value))
            except BadInput:
                continue
    findings, _complaints = best_findings(believed)
    wanted = (IdentityKind.DKIM, IdentityKind.SPF)
    return tuple(identity for identity, result in findings.items() if result is Result.PASS and identity.kind in wanted)


def record_of(
    judged: Judged, incoming: Incoming, queue_id: str, observer: str, at: UnixSeconds, traps: Traps = NO_TRAPS
) -> Record:
    """The decision as a line of the spool: about the signature's key if that was looked at, else about the client.

    A fingerprint alone is anybody's to write: a made-up one leaves nothing in the store, and the client's name is put
    beside a key only where that key has signed in this name.
    """
    counting = responsible_signature(judged.checked)
    signature = counting.presented.signature if counting and counting.finding.result in _LOOKED_AT else None
    evidence, client = judged.evidence, incoming.client
    passed = counting if evidence.result is Result.PASS else None
    signed_host = signature.domain if signature and passed else ""
    recipients = [one.decode("utf-8", "surrogateescape") for one in incoming.envelope.recipients[:_MOST_RECIPIENTS]]
    let_in = judged.decision.verdict in (Verdict.ACCEPT, Verdict.QUARANTINE)
    return Record(
        at=_rfc3339(at),
        observer=observer,
        identity=f"openpgp:{signature.fingerprint}" if signature else _client_identity(client),
        result=evidence.result,
        message_id=_message_id(incoming.fields) or queue_id,
        host=signed_host if signature else evidence.client_host,
        client_ip=client.ip,
        verdict=judged.decision.verdict,
        reason=judged.decision.reason,
        queue_id=queue_id,
        signing_host=signed_host if evidence.by_client else "",
        signature=signature_digest(replay_key(passed.presented)) if passed and let_in else 0,
        recipients=[one for one in map(recipient_digest, recipients) if one is not None] if let_in else [],
        traps=[voter_digest(one) for one in traps.catch(recipients)],
    )


#: Of one message, so many recipients are told apart; Postfix takes no more at once.
_MOST_RECIPIENTS = 1_000

#: Results that take the key itself; ``permerror`` may be of a signature whose key nobody has ever seen.
_LOOKED_AT = frozenset({Result.PASS, Result.FAIL, Result.POLICY})

_rfc3339 = lru_cache(maxsize=4)(to_rfc3339)


def _client_identity(client: Client) -> str:
    if client.ip:
        return f"ip:{client.ip}"
    return f"helo:{min(client.names)}" if client.names else "ip:127.0.0.1"


def _message_id(fields: Sequence[Field]) -> str:
    found = next((value for name, value in fields if name.lower() == b"message-id"), b"")
    return found.strip().decode("utf-8", "replace")[:998]
