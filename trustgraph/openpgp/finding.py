"""The one certificate asked for, cut out of an answer as it arrives, whatever stands before and after it.

A certificate is its primary key, User IDs, public subkeys and the signatures on them (RFC 9580 section 10.1); user
attributes and everything else is left out, and so are the signatures that stand on what is left out. It counts only if
nothing is damaged or cut off that can have been a part of it: what is missing may be a revocation.

Anybody can hang any number of signatures on a certificate. So one that is longer than :data:`MAX_GATHERED_BYTES` goes
to a file as it comes, and in memory stays what the key says of itself, verified.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from typing import BinaryIO, Generic, Protocol, TypeVar

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.arriving import ArrivingPackets
from trustgraph.openpgp.dearmoring import Dearmorer
from trustgraph.openpgp.framing import Packet, Tag, serialise
from trustgraph.openpgp.ownparts import OwnParts
from trustgraph.openpgp.publickey import parse_public_key

#: A certificate up to this length is held whole, whoever signed it.
MAX_GATHERED_BYTES = 1024 * 1024

COMPONENTS = frozenset({Tag.PUBLIC_KEY, Tag.USER_ID, Tag.PUBLIC_SUBKEY})

#: What holding a packet costs beside its octets.
_PACKET_COST = 64


class Keeper(Protocol):
    """Takes the packets of one certificate, the key first."""

    def add(self, packet: Packet) -> None:
        """The next packet, with its body."""
        ...


_Keeper = TypeVar("_Keeper", bound=Keeper)


class CertificateFinder(Generic[_Keeper]):
    """Takes an answer, armored or binary, in pieces of any size.

    ``fingerprint`` is lower-case hex. Each copy of the certificate is told to a keeper of its own, made by ``make``.
    """

    def __init__(self, fingerprint: str, make: Callable[[], _Keeper]) -> None:
        self._fingerprint = fingerprint
        self._make = make
        self._dearmorer = Dearmorer(self)
        self._binary: bool | None = None
        self._found: _Keeper | None = None
        self._damage = ""
        self.begin()

    @property
    def has_block(self) -> bool:
        """Whether there is anything that looks like keys."""
        return bool(self._binary) or self._dearmorer.began

    @property
    def has_end(self) -> bool:
        """Whether there is anything that looks like an end of them."""
        return bool(self._binary) or self._dearmorer.ended

    def feed(self, piece: bytes) -> None:
        """Take in the next piece."""
        if self._found is not None or not piece:
            return
        if self._binary is None:
            # every packet starts with a byte of 0x80 and above (section 4.2), text with one below
            self._binary = piece[0] >= 0x80
        if self._binary:
            self.data(piece)
        else:
            self._dearmorer.feed(piece)

    def finish(self) -> _Keeper | None:
        """The keeper of the first copy that is whole; None if the answer is whole and does not hold one.

        Raises :class:`BadInput` when it may have been there but for damage.
        """
        if self._binary:
            self.end("")
        else:
            self._dearmorer.finish()
        if self._found is None and self._damage:
            raise BadInput(self._damage)
        return self._found

    def begin(self) -> None:
        """A block of keys begins; each is judged alone."""
        self._problems: list[str] = []
        self._packets = ArrivingPackets(self._problems.append)
        self._candidate: _Keeper | None = None
        self._whole: _Keeper | None = None
        self._taking = False
        self._problems_before = 0

    def data(self, octets: bytes) -> None:
        """More of the block."""
        for packet in self._packets.feed(octets) if self._whole is None else ():
            if self._whole is None:
                self._take(packet)

    def end(self, damage: str) -> None:
        """The block is over; with ``damage`` nothing in it counts."""
        if self._whole is None:
            self._packets.finish()
            self._whole = self._undamaged()
        if not damage and self._whole is not None:
            self._found = self._found or self._whole
        else:
            self._damage = self._damage or damage or "; ".join(self._problems[:3])
        self._candidate = self._whole = None

    def _take(self, packet: Packet) -> None:
        tag, body = packet
        if tag in (Tag.PUBLIC_KEY, Tag.SECRET_KEY):
            self._whole = self._undamaged()
            if self._whole is not None:
                return
            self._taking = tag is Tag.PUBLIC_KEY and body is not None and self._is_it(body)
            self._candidate = self._make() if self._taking else None
            self._problems_before = len(self._problems)
        elif tag is not Tag.SIGNATURE:
            self._taking = self._candidate is not None and tag in COMPONENTS and body is not None
        if self._taking and self._candidate is not None and body is not None:
            self._candidate.add(packet)

    def _undamaged(self) -> _Keeper | None:
        return self._candidate if len(self._problems) == self._problems_before else None

    def _is_it(self, body: bytes) -> bool:
        try:
            return parse_public_key(body).fingerprint == self._fingerprint
        except BadInput:
            return False


class LongCertificate:
    """A certificate with all that others hung on it, in a file that goes with this object."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        weakref.finalize(self, file.close)

    def write(self, packet: Packet) -> None:
        """Append a packet."""
        self._file.write(serialise(packet))

    def open(self) -> BinaryIO:
        """The packets from the beginning; not to be closed."""
        self._file.seek(0)
        return self._file

    def copy_to(self, target: BinaryIO) -> None:
        """Write all of it."""
        shutil.copyfileobj(self.open(), target)


class Gathered:
    """Holds a certificate while it is short; then its own statements, and the whole of it in a file.

    ``at``: when self-signatures must be in force. ``open_file`` makes a file for reading and writing.
    """

    def __init__(self, fingerprint: str, at: UnixSeconds, open_file: Callable[[], BinaryIO]) -> None:
        self._packets: list[Packet] = []
        self._cost = 0
        self._own = OwnParts(fingerprint, at)
        self._open_file = open_file
        self._long: LongCertificate | None = None

    @property
    def long(self) -> LongCertificate | None:
        """The whole certificate, if it is too long to be held."""
        return self._long

    def add(self, packet: Packet) -> None:
        """The next packet. Raises what writing to the file raises."""
        if self._long is not None:
            self._long.write(packet)
            self._own.add(packet)
            return
        self._packets.append(packet)
        self._cost += len(packet.body or b"") + _PACKET_COST
        if self._cost > MAX_GATHERED_BYTES:
            self._long = LongCertificate(self._open_file())
            for one in self._packets:
                self._long.write(one)
                self._own.add(one)
            self._packets.clear()

    def octets(self) -> bytes:
        """The whole certificate if it is short, else what the key says of itself."""
        if self._long is not None:
            return self._own.certificate().octets
        return b"".join(map(serialise, self._packets))
