"""The letters of this internet, and what became of each one: by the logs, queues and mailboxes of real servers."""

from __future__ import annotations

import re
import smtplib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from email.parser import BytesHeaderParser
from email.utils import format_datetime
from pathlib import Path

from tests.system.gate_lab import DEADLINE, wait_for
from tests.system.internet.host import CLIENT, InternetHost

SPAM_SUBJECT = "Cheap watches"
GOOD_SUBJECT = "Minutes of our meeting"

_MESSAGE_ID = re.compile(r"postfix/cleanup\[\d+\]: ([0-9A-F]+): message-id=(<[^>]*>)")
_STATUS = re.compile(r"postfix/smtp\[\d+\]: ([0-9A-F]+): to=<[^>]*>.* status=(\w+) \((.*)\)$")
_REPLY = re.compile(r"\b([245]\d\d [245]\.\d+\.\d+)\b")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message that one host's user sends to one user elsewhere on one day."""

    sender: str
    recipient: str
    day: int
    number: int
    spam: bool

    @property
    def message_id(self) -> str:
        """Unlike all others."""
        return f"<day{self.day}-{self.number}-to-{self.recipient}@{self.sender}>"

    def octets(self, at: datetime) -> bytes:
        """As its author submits it."""
        subject = SPAM_SUBJECT if self.spam else GOOD_SUBJECT
        text = "Nothing else keeps time like these." if self.spam else "We met, talked, and will meet again."
        return (
            f"From: Somebody <someone@{self.sender}>\r\nTo: <box@{self.recipient}>\r\nSubject: {subject}\r\n"
            f"Date: {format_datetime(at)}\r\nMessage-ID: {self.message_id}\r\n\r\n{text}\r\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a letter: ``delivered``, ``refused``, ``waiting`` or ``lost``, and the last reply on the wire."""

    what: str
    reply: str = ""


@dataclass
class PostOffice:
    """Sends letters through the hosts and knows what became of all of them."""

    hosts: Mapping[str, InternetHost]
    sent: list[Letter] = field(default_factory=list)

    def send(self, letters: Sequence[Letter], at: datetime) -> None:
        """Submit letters, and return when each has arrived or was refused; what was put off is tried again at once.

        A busy machine puts letters off too. Raises AssertionError when some wait for longer than that explains.
        """
        self.submit(letters, at)
        senders = [self.hosts[name] for name in {letter.sender for letter in letters}]
        wait_for(lambda: not sum(self.retry(host) for host in senders), "no letter should have to wait")

    def submit(self, letters: Sequence[Letter], at: datetime) -> None:
        """Give each letter to its sender's host, and return when all are taken."""
        by_sender: dict[str, list[Letter]] = {}
        for letter in letters:
            by_sender.setdefault(letter.sender, []).append(letter)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda mine: self._submit(self.hosts[mine[0].sender], mine, at), by_sender.values()))
        self.sent += letters

    def settle(self) -> None:
        """Wait until no letter moves: each has arrived, was refused, or was put off."""
        quiet = 0

        def still() -> bool:
            nonlocal quiet
            quiet = 0 if any(_moving(host) for host in self.hosts.values()) else quiet + 1
            return quiet >= 2  # a letter may go from a host not yet looked at to one already looked at, but once only

        wait_for(still, "the letters should arrive, be refused or wait")

    def retry(self, sender: InternetHost) -> int:
        """Have a host try again what waits, if anything does; how many letters wait now."""
        self.settle()
        if _waits(sender):
            sender.flush()
            self.settle()
        return _waits(sender)

    def fates(self, letters: Iterable[Letter] | None = None) -> dict[Letter, Fate]:
        """What became of these letters, default all ever sent."""
        wanted = list(self.sent if letters is None else letters)
        arrived = {name: {message_id_of(path) for path in host.mail()} for name, host in self.hosts.items()}
        tried = {name: _outcomes(host) for name, host in self.hosts.items()}
        found = {}
        for letter in wanted:
            status, reply = tried[letter.sender].get(letter.message_id, ("", ""))
            if letter.message_id in arrived[letter.recipient]:
                found[letter] = Fate("delivered", reply)
            elif status == "bounced":
                found[letter] = Fate("refused", reply)
            else:
                found[letter] = Fate("waiting" if status == "queued" else "lost", reply)
        return found

    def counts(self, letters: Iterable[Letter]) -> Counter[str]:
        """How many of these letters had which fate."""
        return Counter(fate.what for fate in self.fates(letters).values())

    def tally(self) -> dict[str, Counter[str]]:
        """Of each host's letters, how many had which fate."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in self.hosts}
        for letter, fate in self.fates().items():
            counts[letter.sender][fate.what] += 1
        return counts

    @staticmethod
    def _submit(host: InternetHost, letters: Sequence[Letter], at: datetime) -> None:
        with smtplib.SMTP(host.address, host.port, "client.example", DEADLINE, (CLIENT, 0)) as session:
            for letter in letters:
                session.sendmail(f"someone@{host.name}", [f"box@{letter.recipient}"], letter.octets(at))


def is_spam(path: Path) -> bool:
    """What the content filter of this internet thinks: it reads the subject, and it is right."""
    with path.open("rb") as file:
        return str(BytesHeaderParser().parse(file)["Subject"]).startswith(SPAM_SUBJECT)


def message_id_of(path: Path) -> str:
    """Of a letter in a mailbox."""
    with path.open("rb") as file:
        return str(BytesHeaderParser().parse(file)["Message-ID"])


def _moving(host: InternetHost) -> bool:
    """Whether a letter is on its way in or out; those that were put off are not."""
    queue = host.home / "queue"
    return any(next((queue / name).iterdir(), None) for name in ("maildrop", "incoming", "active"))


def _waits(host: InternetHost) -> int:
    """How many messages were put off; looking is cheaper than asking Postfix."""
    return sum(path.is_file() for path in (host.home / "queue/deferred").rglob("*"))


def _outcomes(host: InternetHost) -> dict[str, tuple[str, str]]:
    """By Message-ID: how the last attempt to send it elsewhere ended and with what reply; ``queued`` if it waits."""
    ids: dict[str, str] = {}
    outcomes: dict[str, tuple[str, str]] = {}
    queued = {str(entry["queue_id"]) for entry in host.queue()}
    for line in host.log().splitlines():
        if match := _MESSAGE_ID.search(line):
            ids[match[1]] = match[2]
        elif (match := _STATUS.search(line)) and match[1] in ids:
            reply = _REPLY.search(match[3])
            status = "queued" if match[1] in queued else match[2]
            outcomes[ids[match[1]]] = (status, reply[1] if reply else match[3])
    return outcomes
