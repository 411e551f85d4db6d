"""Lines about one message, joined by its queue ID into observations; bounded in number and in time.

Nothing that is joined enters an observation's key (observer, identity, time, queue ID): a file that misses the client's
or the milter's line gives the same observations, only poorer ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from trustgraph.ingest.formats.base import make_observation
from trustgraph.ingest.formats.mail_facts import MessageFacts, better
from trustgraph.model import Identity, IdentityKind, Observation, Outcome, Result, UnixSeconds

#: Messages held open at once; the oldest are emitted when there are more.
MAX_OPEN_MESSAGES = 20_000
#: Seconds of log time after which a message is emitted although nothing said that it ended: no SMTP session is longer.
MAX_OPEN_SECONDS = 3600


@dataclass(slots=True)
class _OpenMessage:
    observer: str
    opened_at: UnixSeconds
    findings: dict[Identity, tuple[Result, UnixSeconds]] = field(default_factory=dict)
    verdict: tuple[Result, UnixSeconds] | None = None
    signer: Identity | None = None
    client_ip: str = ""
    host: str = ""
    outcome: Outcome = Outcome.UNKNOWN

    def add(self, facts: MessageFacts, moment: UnixSeconds) -> None:
        for identity, result in facts.findings:
            self._find(identity, result, moment)
        if facts.verdict is not None:
            self.verdict = (facts.verdict, moment)
        if facts.signer is not None:
            self.signer = facts.signer
        if facts.client_ip:
            self.client_ip, self.host = facts.client_ip, facts.host
        if facts.outcome is not Outcome.UNKNOWN:
            self.outcome = facts.outcome

    def close(self) -> None:
        """Give the verdict that names no domain to the domain that another line named."""
        if self.verdict is not None and self.signer is not None:
            self._find(self.signer, *self.verdict)

    def _find(self, identity: Identity, result: Result, moment: UnixSeconds) -> None:
        known = self.findings.get(identity)
        if known is None or better(result, known[0]):
            self.findings[identity] = (result, moment)


class OpenMessages:
    """Messages about which more may be said. Keys are (host of the log line, queue ID)."""

    def __init__(self, kinds: frozenset[IdentityKind]) -> None:
        self._prefixes = tuple(f"{kind}:" for kind in kinds)
        # Not a plain dict: finding the oldest in one that has lost many slows down.
        self._open: OrderedDict[tuple[bytes, str], _OpenMessage] = OrderedDict()

    def __contains__(self, key: tuple[bytes, str]) -> bool:
        return key in self._open

    def add(self, key: tuple[bytes, str], observer: str, facts: MessageFacts, moment: UnixSeconds) -> None:
        """Note what a line written at ``moment`` tells."""
        message = self._open.get(key)
        if message is None:
            message = self._open[key] = _OpenMessage(observer, moment)
        message.add(facts, moment)

    def finish(self, key: tuple[bytes, str]) -> list[Observation]:
        """The observations of a message that nothing more will be said about; none if it is not open."""
        message = self._open.pop(key, None)
        return [] if message is None else self._observations(key[1], message)

    def overdue(self, now: UnixSeconds) -> list[Observation]:
        """The observations of messages that are too many or too old at log time ``now``, oldest first."""
        completed: list[Observation] = []
        while self._open:
            key = next(iter(self._open))
            if len(self._open) <= MAX_OPEN_MESSAGES and now - self._open[key].opened_at <= MAX_OPEN_SECONDS:
                break
            completed += self.finish(key)
        return completed

    def rest(self) -> Iterator[Observation]:
        """The observations of all messages still open, at the end of the input."""
        for key in list(self._open):
            yield from self.finish(key)

    def _observations(self, queue_id: str, message: _OpenMessage) -> list[Observation]:
        message.close()
        return [
            make_observation(
                (moment, message.observer, identity, result, message.outcome, queue_id, message.host, message.client_ip)
            )
            for identity, (result, moment) in message.findings.items()
            if identity.startswith(self._prefixes)
        ]
