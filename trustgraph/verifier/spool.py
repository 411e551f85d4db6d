"""Decisions on disk before the peer is answered, and from there into the store, off the accept path.

Each process appends to a file of its own, one write a decision, and holds a lock on it for as long as it lives: so what
it wrote survives its death, and whoever drains the spool can tell a file that is finished. Draining is safe to be
killed at any point: observations know themselves (:mod:`trustgraph.store.observations`), so what is read twice changes
nothing, and a file goes only when all of it is in the store.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from trustgraph.errors import BadInput, ServiceUnavailable
from trustgraph.feedback.votes import Source, Vote
from trustgraph.ingest.formats.base import LogContext, Reject
from trustgraph.ingest.formats.native import NativeParser
from trustgraph.model import Identity, Outcome, Result, UnixSeconds, from_rfc3339, parse_domain
from trustgraph.store.accepting import record_signing_hosts
from trustgraph.store.engine import Store
from trustgraph.store.feedback import Delivery, record_deliveries
from trustgraph.store.observations import ObservationWriter

#: After so many bytes a process takes a new file, so that the old one can go.
_MAX_FILE_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 8 * 1024 * 1024
_SUFFIX = ".jsonl"
_encoder = msgspec.json.Encoder()


class Record(msgspec.Struct, omit_defaults=True):
    """A line of the spool: an observation in the native log format, and the decision beside it.

    ``signing_host`` is the connecting host where this message came from its own address with its own passing signature,
    else empty: what nobody proved may not make anybody expected to sign.

    What feedback is joined by, as digests: ``recipients`` of a message that was let in, ``signature`` what its passing
    signature signs, 0 without one. ``traps`` are the recipients that are spamtraps, let in or not.
    """

    at: str
    observer: str
    identity: str
    result: Result
    message_id: str
    host: str = ""
    client_ip: str = ""
    verdict: str = ""
    reason: str = ""
    queue_id: str = ""
    signing_host: str = ""
    signature: int = 0
    recipients: list[int] = []
    traps: list[int] = []


class Spool:
    """One process's end of the spool. ``name`` must be its own, such as a process id with a start time."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._files = 0
        self._written = 0
        self._file: int | None = self._open()

    def append(self, record: Record) -> None:
        """Write one line in one piece. Raises :class:`ServiceUnavailable` if it is not all written."""
        line = _encoder.encode(record) + b"\n"
        if self._file is None:
            self._file = self._open()
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise ServiceUnavailable(f"{self._directory}: cannot write: {error.strerror}") from None
        self._written += written
        if written < len(line) or self._written > _MAX_FILE_BYTES:
            # After a part of a line, which ends without a line end, the next line must not become a part of it. The
            # next file is made when it is needed: this line is written, whether or not that can be.
            self.close()
        if written < len(line):
            raise ServiceUnavailable(f"{self._directory}: cannot write: no space for a whole line")

    def close(self) -> None:
        """Leave the file to whoever drains the spool."""
        # A number that was closed may be another file's soon, so it is forgotten first.
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _open(self) -> int:
        self._files += 1
        self._written = 0
        path = self._directory / f"{self._name}-{self._files}{_SUFFIX}"
        # It gets its name once it is locked: a file without a lock is one that its writer is done with.
        unlocked = path.with_suffix(".new")
        file = -1
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            file = os.open(unlocked, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlocked.rename(path)
        except OSError as error:
            if file >= 0:
                os.close(file)
            raise ServiceUnavailable(f"{path}: cannot be made: {error.strerror}") from None
        return file


@dataclass(frozen=True, slots=True)
class Drained:
    """A pass over the spool: lines read, observations new to the store, lines that are none, files removed."""

    lines: int = 0
    new: int = 0
    rejected: int = 0
    files: int = 0

    def __add__(self, other: Drained) -> Drained:
        return Drained(
            self.lines + other.lines, self.new + other.new, self.rejected + other.rejected, self.files + other.files
        )


class Drain:
    """The other end: takes every whole line to the store and removes finished files."""

    def __init__(self, directory: Path, store: Store) -> None:
        self._directory = directory
        self._store = store
        self._writer = ObservationWriter(store)
        self._offsets: dict[Path, int] = {}

    def run_once(self) -> Drained:
        """One pass over all files. Raises what the store raises; nothing is lost by it."""
        done = Drained()
        for path in sorted(self._directory.glob("*" + _SUFFIX)):
            with path.open("rb") as stream:
                finished = _is_finished(stream)
                done += self._take(path, stream, finished)
            if finished:
                path.unlink(missing_ok=True)
                self._offsets.pop(path, None)
                done += Drained(files=1)
        return done

    def _take(self, path: Path, stream: BinaryIO, finished: bool) -> Drained:
        done = Drained()
        stream.seek(self._offsets.get(path, 0))
        while chunk := stream.read(_CHUNK_BYTES):
            end = chunk.rfind(b"\n") + 1
            if finished and (not end or len(chunk) < _CHUNK_BYTES):
                end = len(chunk)  # nobody will write the rest of its last line
            if not end:
                break
            # The store's commit is what makes this durable; the file need not be on disk before.
            done += self._store_lines(chunk[:end])
            self._offsets[path] = stream.tell() - len(chunk) + end
            stream.seek(self._offsets[path])
        return done

    def _store_lines(self, octets: bytes) -> Drained:
        lines = octets.split(b"\n")
        items = list(NativeParser().parse(enumerate(lines, start=1), LogContext()))
        observations = [item for item in items if not isinstance(item, Reject)]
        added = self._writer.add(observations)
        record_signing_hosts(self._store, dict(_signers(lines)))
        records = list(_delivering(lines))
        record_deliveries(
            self._store,
            [_delivery(record) for record in records if record.recipients],
            [(_delivery(record), vote) for record in records for vote in _trap_votes(record)],
        )
        return Drained(sum(map(bool, lines)), added.new, len(items) - len(observations))


def _signers(lines: list[bytes]) -> Iterator[tuple[str, tuple[Identity, UnixSeconds]]]:
    """Hosts that signed their own mail, the latest time last."""
    for line in lines:
        if b'"signing_host":"' in line:
            try:
                record = msgspec.json.decode(line, type=Record)
                yield parse_domain(record.signing_host), (Identity.parse(record.identity), from_rfc3339(record.at))
            except (msgspec.MsgspecError, UnicodeDecodeError, BadInput):
                continue


def _delivering(lines: list[bytes]) -> Iterator[Record]:
    """Records of what was let in or tried a spamtrap, of those lines that are observations too."""
    for line in lines:
        if b'"recipients":[' in line or b'"traps":[' in line:
            try:
                record = msgspec.json.decode(line, type=Record)
                _delivery(record)
            except (msgspec.MsgspecError, UnicodeDecodeError, BadInput):
                continue
            yield record


def _delivery(record: Record) -> Delivery:
    return Delivery(
        from_rfc3339(record.at),
        record.message_id,
        parse_domain(record.observer),
        Identity.parse(record.identity),
        record.signature,
        tuple(record.recipients),
    )


def _trap_votes(record: Record) -> Iterator[Vote]:
    at = from_rfc3339(record.at)
    return (Vote(Source.TRAP, voter, Outcome.SPAM, at) for voter in record.traps)


def _is_finished(stream: BinaryIO) -> bool:
    """Whether the process that wrote the file has let go of it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
