"""Postfix's hold queue: what the milter put there is judged again, and released or removed.

With ``policy.on_unreachable = "quarantine"`` mail that could not be checked waits here, not in the sender's queue.
A message is ours if the Authentication-Results field on top of it is: the milter takes out every other that claims to
be. Nothing but a plain accept releases a message, and whatever goes wrong leaves it where it is.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trustgraph.errors import BadInput, ServiceUnavailable, TrustgraphError
from trustgraph.headersig.message import split_message
from trustgraph.headersig.signing import Envelope
from trustgraph.ingest.formats.auth_results_field import authserv_id_of
from trustgraph.policy.decision import Decision, Verdict
from trustgraph.services.clients import Clients
from trustgraph.services.gate import Gate
from trustgraph.services.messages import judge_message
from trustgraph.verifier.examine import Client
from trustgraph.verifier.results import FIELD

_SECONDS = 60.0
_QUEUE_ID = re.compile(r"[0-9A-Za-z]{5,40}")
_ATTRIBUTE = re.compile(rb"named_attribute: (log_client_name|log_client_address|log_helo_name)=(.*)")


@dataclass(frozen=True, slots=True)
class Held:
    """A message in the hold queue. ``arrived_at`` in Unix seconds, ``size`` in octets."""

    queue_id: str
    arrived_at: int
    size: int
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a held message: ``released``, ``removed``, ``kept`` or ``failed``, and why."""

    queue_id: str
    action: str
    reason: str


class HoldQueue:
    """One Postfix instance's hold queue, through Postfix's own commands; so it needs to run as root or postfix."""

    def __init__(self, config: Path) -> None:
        self._config = config

    def held(self) -> list[Held]:
        """Every held message, whoever holds it. Raises :class:`ServiceUnavailable` when Postfix cannot say."""
        rows = [json.loads(line) for line in self._run("postqueue", "-j").splitlines()]
        return [
            Held(
                *(row["queue_id"], row["arrival_time"], row["message_size"], row["sender"]),
                tuple(one["address"] for one in row["recipients"]),
            )
            for row in rows
            if row["queue_name"] == "hold"
        ]

    def message(self, queue_id: str) -> bytes:
        """Header and body, with CRLF line ends."""
        return self._run("postcat", "-hb", "-q", _checked(queue_id)).replace(b"\n", b"\r\n")

    def envelope(self, queue_id: str, clients: Clients) -> tuple[Envelope, Client]:
        """MAIL FROM, RCPT TO and the client that brought it."""
        sender, recipients, known = b"", list[bytes](), dict[bytes, str]()
        for line in self._run("postcat", "-e", "-q", _checked(queue_id)).splitlines():
            if line.startswith(b"sender: "):
                sender = line.removeprefix(b"sender: ")
            elif line.startswith(b"recipient: "):
                recipients.append(line.removeprefix(b"recipient: "))
            elif found := _ATTRIBUTE.fullmatch(line):
                known[found[1]] = found[2].decode("ascii", "backslashreplace")
        told = (known.get(name, "") for name in (b"log_client_address", b"log_client_name", b"log_helo_name"))
        return Envelope(sender, tuple(recipients)), clients.client(*told)

    def release(self, queue_id: str) -> None:
        """Let it go on its way, at once."""
        self._run("postsuper", "-H", _checked(queue_id))
        self._run("postqueue", "-i", _checked(queue_id))

    def remove(self, queue_id: str) -> None:
        """Delete it for good."""
        self._run("postsuper", "-d", _checked(queue_id))

    def _run(self, program: str, *arguments: str) -> bytes:
        path = shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if path is None:
            raise ServiceUnavailable(f"{program}: not found; is Postfix on this machine?")
        command = [path, "-c", str(self._config), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - no shell, checked words
        except subprocess.TimeoutExpired:
            raise ServiceUnavailable(f"{program} does not answer within {_SECONDS:.0f} s") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise ServiceUnavailable(f"{program} {' '.join(arguments)}: {said or f'ended with {done.returncode}'}")
        return done.stdout


def is_ours(message: bytes, authserv_id: str) -> bool:
    """Whether the milter of this host has judged the message: its result is the first of its kind, above any Received.

    Raises :class:`BadInput` for what is no message.
    """
    fields, _body = split_message(message)
    for name, value in fields:
        if name.lower() == FIELD.lower():
            return authserv_id_of(value) == authserv_id.lower()
        if name.lower() == b"received":
            return False
    return False


async def judge_held(
    gate: Gate, queue: HoldQueue, wanted: Sequence[str], *, dry_run: bool, progress: Callable[[int, int], None]
) -> AsyncIterator[Outcome]:
    """Judge held messages again, all of ours or those named. ``progress`` is told (done, of how many)."""
    named = set(wanted)
    messages = [one for one in queue.held() if not named or one.queue_id in named]
    for queue_id in named - {one.queue_id for one in messages}:
        yield Outcome(queue_id, "failed", "not in the hold queue")
    for number, one in enumerate(messages, start=1):
        outcome = await _judge_one(gate, queue, one.queue_id, dry_run=dry_run)
        progress(number, len(messages))
        if outcome is not None:
            yield outcome


async def _judge_one(gate: Gate, queue: HoldQueue, queue_id: str, *, dry_run: bool) -> Outcome | None:
    try:
        message = queue.message(queue_id)
        if not is_ours(message, gate.settings.site.name_in_results):
            return None
        envelope, client = queue.envelope(queue_id, Clients(gate.settings))
        judged = await judge_message(gate, message, envelope, client, queue_id)
        action = _action(judged.decision)
        if action == "released" and not dry_run:
            queue.release(queue_id)
        elif action == "removed" and not dry_run:
            queue.remove(queue_id)
        return Outcome(queue_id, action, judged.decision.reason)
    except TrustgraphError as error:
        return Outcome(queue_id, "failed", str(error))


def _action(decision: Decision) -> str:
    if decision.verdict is Verdict.ACCEPT:
        return "released"
    return "removed" if decision.verdict in (Verdict.REJECT, Verdict.DISCARD) else "kept"


def _checked(queue_id: str) -> str:
    if not _QUEUE_ID.fullmatch(queue_id):
        raise BadInput(f"{queue_id[:60]!r} is no queue ID")
    return queue_id
