"""Every primary key that may have certified something, found by fingerprint or key ID.

The index lies in a temporary SQLite database that spills to disk, so that a dump of millions of keys costs no memory;
the file has no name and is gone with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import TracebackType

from trustgraph.errors import BadInput
from trustgraph.openpgp.framing import Packet
from trustgraph.openpgp.publickey import PublicKey, parse_public_key
from trustgraph.openpgp.signature import Signature

#: Key IDs are 64 bits, so more than one key may claim one; nobody honest makes more than this.
MAX_SAME_KEY_ID = 4

_CACHE_KIB = 32 * 1024

#: A bit for each value of so many bits of a key ID says whether there may be such a key: a flood is by keys that are
#: not there, and asking the database takes longer than all else.
_SIEVE_BITS = 24


class IssuerIndex:
    """Keys by what signatures name them by. A context manager: it holds a temporary database."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE key (fingerprint BLOB PRIMARY KEY, key_id BLOB, packet BLOB) WITHOUT ROWID"
        )
        self._database.execute("CREATE INDEX key_by_id ON key (key_id)")
        self._find = lru_cache(maxsize=16_384)(self._query)
        self._sieve = bytearray(1 << _SIEVE_BITS - 3)

    def __enter__(self) -> IssuerIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, keys: Iterable[PublicKey]) -> None:
        """Keep keys; one that is there already is the same one, since the fingerprint is computed from it."""
        self._database.executemany("INSERT OR IGNORE INTO key VALUES (?, ?, ?)", map(self._row, keys))
        self._find.cache_clear()

    def _row(self, key: PublicKey) -> tuple[bytes, bytes, bytes]:
        byte, bit = _place(key.key_id)
        self._sieve[byte] |= bit
        return bytes.fromhex(key.fingerprint), bytes.fromhex(key.key_id), key.packet

    def issuers(self, signature: Signature) -> tuple[PublicKey, ...]:
        """The keys that may have made a signature: the one whose fingerprint it names, else those with its key ID.

        A signature's version is its key's (RFC 9580 section 5.2.3), so others are left out.
        """
        byte, bit = _place(_key_id(signature))
        if not self._sieve[byte] & bit:
            return ()
        found = self._find(signature.issuer_fingerprint, signature.issuer_key_id)
        return tuple(key for key in found if key.version == signature.version)

    def _query(self, fingerprint: str, key_id: str) -> tuple[PublicKey, ...]:
        column, value = ("fingerprint", fingerprint) if fingerprint else ("key_id", key_id)
        rows = self._database.execute(
            f"SELECT packet FROM key WHERE {column} = ? ORDER BY fingerprint LIMIT ?",  # noqa: S608  # one of two literals
            (bytes.fromhex(value), MAX_SAME_KEY_ID),
        )
        return tuple(parse_public_key(packet) for (packet,) in rows)


def _key_id(signature: Signature) -> str:
    """Of the key that it names; a fingerprint of version 4 ends with the key ID, one of version 6 begins with it."""
    fingerprint = signature.issuer_fingerprint
    if not fingerprint:
        return signature.issuer_key_id
    return fingerprint[-16:] if signature.version == 4 else fingerprint[:16]


def _place(key_id: str) -> tuple[int, int]:
    number = int(key_id[: _SIEVE_BITS // 4], 16)
    return number >> 3, 1 << (number & 7)


def primary_keys(packets: Iterable[Packet]) -> Iterator[PublicKey]:
    """The keys of public-key packets. One that cannot be read makes no issuer; reading sections says what is wrong."""
    for packet in packets:
        if packet.body is None:
            continue
        try:
            yield parse_public_key(packet.body)
        except BadInput:
            continue
