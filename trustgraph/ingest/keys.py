"""``ingest keys``: OpenPGP keyrings and keyserver dumps into the store, every certification verified.

Two passes, so that the order of files and of keys in them does not matter: the first collects every primary key, the
second verifies what they certified. Memory does not grow with the size of a file. What cannot be read costs one line in
``problems`` and nothing that follows it.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias, cast

from trustgraph.errors import UsageError
from trustgraph.ingest.source import DAMAGED, STDIN, open_bytes
from trustgraph.model import Certification, HostKey
from trustgraph.openpgp.armor import open_blocks
from trustgraph.openpgp.certificate import Certificate, Facts
from trustgraph.openpgp.framing import ALL_TAGS, CHUNK_BYTES, Packet, Tag, read_packets
from trustgraph.openpgp.issuers import IssuerIndex, primary_keys
from trustgraph.openpgp.parallel import BATCH_JOBS, verify_batches
from trustgraph.openpgp.publickey import PublicKey, parse_public_key
from trustgraph.openpgp.sections import Fate, Section, read_sections
from trustgraph.openpgp.selfsigned import KeyPolicy
from trustgraph.openpgp.verification import Job, Verdict

MAX_PROBLEMS = 1000

#: A certificate with this many signatures that prove nothing is named.
FLOOD_SIGNATURES = 10_000

#: Handed to the store at once.
STORE_CERTIFICATES = 256
STORE_CERTIFICATIONS = 10_000

_PROVING_NOTHING = (Fate.BAD, Fate.UNVERIFIABLE, Fate.MALFORMED, Fate.NOT_SELF_SIGNED, Fate.STRAY)

Progress: TypeAlias = Callable[[int, int], None]
Opener: TypeAlias = Callable[[Path], BinaryIO]
_Item: TypeAlias = Section | Counter[Fate]
Known: TypeAlias = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class KeyringCounts:
    """What was read. ``signatures`` is the sum of everything from ``own`` to ``stray``: each has exactly one fate.

    Certifications by third parties over User IDs are ``good``, ``bad``, weak for one of three reasons, or
    ``unverifiable`` when the issuer's key is neither in these files nor in the store; :class:`Fate` explains each word.
    ``user_ids`` are those that their keys claim; ``expired`` those of the good and weak that were no longer in force at
    the policy's time. A key that is in two files is counted twice. ``problems`` are at most ``MAX_PROBLEMS`` lines.
    """

    certificates: int = 0
    user_ids: int = 0
    signatures: int = 0
    own: int = 0
    own_bad: int = 0
    good: int = 0
    revocation: int = 0
    bad: int = 0
    weak_sha1: int = 0
    weak_hash: int = 0
    weak_key: int = 0
    unverifiable: int = 0
    unsupported: int = 0
    not_self_signed: int = 0
    duplicate: int = 0
    superfluous: int = 0
    local: int = 0
    not_understood: int = 0
    malformed: int = 0
    old_version: int = 0
    other_type: int = 0
    on_subkey: int = 0
    on_user_attribute: int = 0
    stray: int = 0
    expired: int = 0
    problems: tuple[str, ...] = ()

    @property
    def weak(self) -> int:
        """Certifications that do not count for their hash or the issuer's key."""
        return self.weak_sha1 + self.weak_hash + self.weak_key


class KeyStore(Protocol):
    """Where certificates are kept."""

    def known_keys(self) -> Iterable[Known]:
        """Fingerprint, key ID and key packet of every certificate kept, so that its certifications verify."""
        ...

    def add_certificates(self, batch: Sequence[tuple[HostKey, Sequence[Certification]]]) -> None:
        """Merge certificates into what is kept; a revocation that is known is never undone."""
        ...


def ingest_keys(
    paths: Sequence[Path],
    store: KeyStore,
    policy: KeyPolicy,
    progress: Progress | None = None,
    open_file: Opener = open_bytes,
) -> KeyringCounts:
    """Read keyrings, verify them, hand them to the store, and say how much of what there was.

    ``progress`` is told the certificates and signatures so far after each batch. ``open_file`` opens a path as a
    buffered stream; reading from it may raise any of ``source.DAMAGED``, which ends that file with a problem.

    Raises :class:`NoInput` when a file is not there or cannot be opened, before anything is stored, and
    :class:`UsageError` for standard input and pipes, which cannot be read twice.
    """
    for path in paths:
        if path == STDIN or path.is_fifo():
            raise UsageError(f"{path}: a keyring is read twice, so it must be a file, not a pipe")
    tally = _Tally(policy, store, progress)
    with IssuerIndex() as issuers:
        issuers.add(parse_public_key(packet) for _fingerprint, _key_id, packet in store.known_keys())
        for path in paths:
            issuers.add(_primary_keys(path, open_file))
        sections = (item for path in paths for item in _sections(path, open_file, issuers, tally))
        for batch, verdicts in verify_batches(_batches(sections), policy.workers):
            tally.add(batch, verdicts)
    return tally.finish()


def _packets(path: Path, open_file: Opener, report: Callable[[str], None], wanted: frozenset[Tag]) -> Iterator[Packet]:
    """Every packet of a file; where it cannot be read any further, it ends there with a problem."""
    with open_file(path) as stream, io.BufferedReader(_Readable(stream, report), CHUNK_BYTES) as readable:
        for block in open_blocks(readable, report):
            yield from read_packets(block, report, wanted)


class _Readable(io.RawIOBase):
    """What of a stream can be read: damage, as in a truncated compressed file, is its end."""

    def __init__(self, stream: BinaryIO, report: Callable[[str], None]) -> None:
        # one read at a time, because an error in a second would lose the first
        self._stream = cast(io.BufferedReader, stream)
        self._report = report
        self._damaged = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the caller is BufferedReader
        try:
            piece = self._stream.read1(len(buffer))
        except DAMAGED as error:
            if not self._damaged:
                self._report(f"reading ends early: {error or type(error).__name__}")
            self._damaged = True
            return 0
        buffer[: len(piece)] = piece
        return len(piece)


def _primary_keys(path: Path, open_file: Opener) -> Iterator[PublicKey]:
    """Every primary key of a file; the second pass reports what is wrong with it."""
    return primary_keys(_packets(path, open_file, lambda _problem: None, frozenset({Tag.PUBLIC_KEY})))


def _sections(path: Path, open_file: Opener, issuers: IssuerIndex, tally: _Tally) -> Iterator[_Item]:
    def report(problem: str) -> None:
        tally.report(f"{path}: {problem}")

    empty = True
    packets = _packets(path, open_file, report, ALL_TAGS)
    for item in read_sections(packets, issuers, report):
        empty &= not isinstance(item, Section)
        yield item
    if empty:
        report("no certificate in it: expected OpenPGP public keys, binary or armored")


def _batches(items: Iterable[_Item]) -> Iterator[tuple[list[_Item], list[Job]]]:
    """Whole sections, until they need enough verifications to be worth a message to another process."""
    batch: list[_Item] = []
    jobs: list[Job] = []
    for item in items:
        batch.append(item)
        if isinstance(item, Section):
            jobs += item.jobs()
        if len(jobs) >= BATCH_JOBS or len(batch) >= BATCH_JOBS:
            yield batch, jobs
            batch, jobs = [], []
    if batch:
        yield batch, jobs


class _Tally:
    """The certificate being built, those waiting for the store, and the counts."""

    def __init__(self, policy: KeyPolicy, store: KeyStore, progress: Progress | None) -> None:
        self._policy = policy
        self._store = store
        self._progress = progress
        self._certificate: Certificate | None = None
        self._waiting: list[tuple[HostKey, Sequence[Certification]]] = []
        self._waiting_certifications = 0
        self._fates: Counter[Fate] = Counter()
        self._certificates = self._user_ids = self._expired = 0
        self._problems: list[str] = []
        self._unsaid = 0

    def report(self, problem: str) -> None:
        """Keep a line for the operator, up to the bound."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem)
        else:
            self._unsaid += 1

    def add(self, batch: list[_Item], verdicts: list[Verdict]) -> None:
        """Take in verified sections in the order of the file."""
        at = 0
        for item in batch:
            if not isinstance(item, Section):
                self._fates += item
                continue
            if self._certificate is None:
                self._certificate = Certificate(item.key, self._policy)
            count = item.job_count()
            self._certificate.add(item, verdicts[at : at + count])
            at += count
            if item.last:
                self._add_facts(self._certificate.finish())
                self._certificate = None
        if self._progress:
            self._progress(self._certificates, self._fates.total())

    def finish(self) -> KeyringCounts:
        """Hand over the rest and sum up."""
        self._flush()
        if self._unsaid:
            self._problems.append(f"{self._unsaid:,} more problems")
        return KeyringCounts(
            certificates=self._certificates,
            user_ids=self._user_ids,
            signatures=self._fates.total(),
            expired=self._expired,
            problems=tuple(self._problems),
            **{fate.value: self._fates[fate] for fate in Fate},
        )

    def _add_facts(self, facts: Facts) -> None:
        self._certificates += 1
        self._user_ids += len(facts.host_key.user_ids)
        self._expired += facts.expired
        self._fates += facts.fates
        self._report_oddities(facts)
        self._waiting.append((facts.host_key, facts.certifications))
        self._waiting_certifications += len(facts.certifications)
        if len(self._waiting) >= STORE_CERTIFICATES or self._waiting_certifications >= STORE_CERTIFICATIONS:
            self._flush()

    def _report_oddities(self, facts: Facts) -> None:
        fingerprint = facts.host_key.fingerprint
        if facts.user_ids_left_out:
            self.report(f"{fingerprint}: {facts.user_ids_left_out:,} User IDs left out: not signed by the key itself")
        flood = sum(facts.fates[fate] for fate in _PROVING_NOTHING)
        if flood >= FLOOD_SIGNATURES:
            self.report(f"{fingerprint}: flooded with {flood:,} signatures that prove nothing")

    def _flush(self) -> None:
        if self._waiting:
            self._store.add_certificates(self._waiting)
        self._waiting, self._waiting_certifications = [], 0
