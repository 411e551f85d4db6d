"""What one HTTP response to a lookup by fingerprint says. Total: every response is one of three answers.

The body is taken in pieces as it comes, so that one of any length costs a bounded amount of memory.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, TypeAlias

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.finding import CertificateFinder, Gathered, LongCertificate


class Cause(NamedTuple):
    """Why one server gave no answer; ``reason`` is a static word such as ``timeout`` or ``http-503``."""

    server: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """``certificate`` is the binary packets of the certificate asked for and nothing else; ``server`` gave it.

    Of a certificate that is too long to be held, these are what the key itself says, verified; ``long`` is all of it.
    """

    certificate: bytes
    server: str
    long: LongCertificate | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Absent:
    """Each of ``servers`` answered that it has no such certificate."""

    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody could say. ``reason`` is the first cause's word, or the pool's own when it asked nobody."""

    reason: str
    causes: tuple[Cause, ...] = ()


Answer: TypeAlias = Found | Absent | Unreachable

#: Why there is no answer yet: one is under way and takes longer than a message waits.
LONG_ANSWER = "long-answer"

#: Reasons that lie in what was asked for. Whoever names a fingerprint can cause them (a flooded key, a subkey's
#: fingerprint, one of a version that the server does not know), so they must not count against the server.
OF_THE_REQUEST = frozenset(
    {"wrong-key", "damaged", "oversize", LONG_ANSWER, "http-400", "http-422", "http-500", "http-501"}
)

# The machine-readable index of the HKP draft (draft-shaw-openpgp-hkp-00 section 5.2): info:<version>:<count>. Some
# servers add colons, some end lines with CRLF. A missing info line says nothing, and one before keys contradicts them.
_NO_KEYS = re.compile(rb"\s*info:1:0:*\s*")

# What onak says with status 200: one line of text for options=mr, else a page with this title and this footer.
_TAG = re.compile(rb"<[^<>]{0,200}>")
_NOT_FOUND_LINES = frozenset({b"key not found", b"key not found."})
_AROUND_IT = (b"lookup of key", b"produced by onak")
_MAX_PAGE_BYTES = 4096


def unreachable(server: str, reason: str) -> Unreachable:
    """One server's failure."""
    return Unreachable(reason, (Cause(server, reason),))


def read_response(server: str, status: int, body: bytes, fingerprint: str, at: UnixSeconds) -> Answer:
    """The answer in a complete response. ``fingerprint`` is lower-case hex, 40 or 64 digits; ``at`` is now.

    SKS answers 500 to requests it does not like and overloaded proxies 403 and 429, so only 404 and an explicit "none"
    are Absent.
    """
    if status == 404:
        return Absent((server,))
    if status != 200:
        return unreachable(server, f"http-{status}")
    reader = BodyReader(server, fingerprint, at)
    reader.feed(body)
    return reader.finish()


class BodyReader:
    """The body of a response with status 200. ``open_file`` makes the file for a certificate that is very long."""

    def __init__(
        self,
        server: str,
        fingerprint: str,
        at: UnixSeconds,
        open_file: Callable[[], BinaryIO] = tempfile.TemporaryFile,
    ) -> None:
        self._server = server
        self._finder = CertificateFinder(fingerprint, lambda: Gathered(fingerprint, at, open_file))
        self._page = b""

    def feed(self, piece: bytes) -> None:
        """Take in the next piece of the body. Raises what writing to the file raises."""
        self._page += piece[: _MAX_PAGE_BYTES + 1 - len(self._page)]
        self._finder.feed(piece)

    def finish(self) -> Answer:
        """The answer, once the body is complete."""
        finder = self._finder
        try:
            found = finder.finish()
        except BadInput:
            return unreachable(self._server, "damaged" if finder.has_end else "truncated")
        if found is not None:
            return Found(found.octets(), self._server, found.long)
        if finder.has_block:
            return unreachable(self._server, "wrong-key")
        return Absent((self._server,)) if _says_none(self._page) else unreachable(self._server, "no-certificate")


def _says_none(body: bytes) -> bool:
    if len(body) > _MAX_PAGE_BYTES:
        return False
    if _NO_KEYS.fullmatch(body):
        return True
    # tags become line ends, so that a sentence of some error page that merely holds the words is not taken for it
    lines = {line.strip().lower() for line in _TAG.sub(b"\n", body).splitlines()} - {b""}
    said = {line for line in lines if not line.startswith(_AROUND_IT)}
    return bool(said) and said <= _NOT_FOUND_LINES


def combine(answers: Mapping[str, Answer]) -> Answer:
    """One answer out of those of all configured servers, by server in the configured order.

    Any Found is the answer. Absent takes every server that could be reached, and two of them where two are configured:
    gossip lags, so one server alone may just not have heard yet.
    """
    found = [answer for answer in answers.values() if isinstance(answer, Found)]
    if found:
        return found[0]
    absent = tuple(server for server, answer in answers.items() if isinstance(answer, Absent))
    if absent and len(absent) >= min(2, len(answers)):
        return Absent(absent)
    causes = tuple(cause for answer in answers.values() if isinstance(answer, Unreachable) for cause in answer.causes)
    return Unreachable(causes[0].reason if causes else "no-keyservers", causes)
