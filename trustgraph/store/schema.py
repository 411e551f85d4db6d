"""The tables. Migrations build them (``migrations/``); this is what the code reads and a test holds both equal.

Identities are numbered once in ``identity`` and everything else uses the number. ``observation`` is the raw record for
a retention period; ``daily_count`` is what scoring reads and is kept. Times are Unix seconds, days are whole days since
1970-01-01. Tables that are read in key order are WITHOUT ROWID in SQLite, so that the table is its own index.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData()

#: SQLite numbers rows by itself only in a column of the very type INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _number(name: str, *, primary_key: bool = False) -> Column[int]:
    """A number of another table without a foreign key: in bulk tables its check costs more than the row itself."""
    return Column(name, _Id, primary_key=primary_key, nullable=False, autoincrement=False)


identity = Table(
    "identity",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False, server_default=""),
    Column("operator", Text, nullable=False, server_default=""),
)

#: The primary key is the idempotency key; time comes first, so that inserts and pruning stay at the two ends.
#: ``message`` is a 64-bit digest of what names the message.
observation = Table(
    "observation",
    metadata,
    Column("observed_at", BigInteger, primary_key=True, autoincrement=False),
    Column("message", BigInteger, primary_key=True, autoincrement=False),
    _number("observer_id", primary_key=True),
    _number("identity_id", primary_key=True),
    Column("result", SmallInteger, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Only mail whose identity passed counts as good, spam, malware or unknown; the rest is ``unauthenticated``.
daily_count = Table(
    "daily_count",
    metadata,
    _number("identity_id", primary_key=True),
    _number("observer_id", primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("good", BigInteger, nullable=False),
    Column("spam", BigInteger, nullable=False),
    Column("malware", BigInteger, nullable=False),
    Column("unknown", BigInteger, nullable=False),
    Column("unauthenticated", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Daily counts that the operator vouches for (``ingest table history``); a later table replaces the same day.
reported_count = Table(
    "reported_count",
    metadata,
    _number("identity_id", primary_key=True),
    _number("observer_id", primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("good", BigInteger, nullable=False),
    Column("spam", BigInteger, nullable=False),
    _number("source_id"),
    sqlite_with_rowid=False,
)

host_key = Table(
    "host_key",
    metadata,
    Column("identity_id", _Id, ForeignKey("identity.id"), primary_key=True, autoincrement=False),
    Column("key_id", String(16), nullable=False),
    Column("key_packet", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("hard_revoked", Boolean, nullable=False),
    Column("self_signed_at", BigInteger, nullable=False),
    Index("host_key_by_key_id", "key_id"),
)

#: ``scope``: 1 smtp://, 2 postmaster mailbox, 3 anything else. ``digest`` keeps the unique index small.
user_id = Table(
    "user_id",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("identity_id", _Id, ForeignKey("identity.id"), nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("scope", SmallInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("revoked_at", BigInteger),
    Index("user_id_of_key", "identity_id", "digest", unique=True),
)

#: Verified certifications, and the operator's rows (``user_id_id`` 0, ``scope`` 0).
certification = Table(
    "certification",
    metadata,
    _number("subject_id", primary_key=True),
    _number("endorser_id", primary_key=True),
    Column("user_id_id", _Id, primary_key=True, autoincrement=False),
    Column("made_at", BigInteger, primary_key=True, autoincrement=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("scope", SmallInteger, nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("depth", SmallInteger, nullable=False),
    Column("amount", SmallInteger, nullable=False),
    Column("regex", Text, nullable=False, server_default=""),
    Column("weak", Boolean, nullable=False),
    Column("notations", Text, nullable=False, server_default=""),
    _number("source_id"),
    sqlite_with_rowid=False,
)

#: What was ingested: one row a run and file, with its counts as JSON.
source = Table(
    "source",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("ingested_at", BigInteger, nullable=False),
    Column("counts", Text, nullable=False, server_default="{}"),
)

#: One run of scoring. Readers take the newest one; it is written with its ratings in one transaction.
generation = Table(
    "generation",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("reference_time", BigInteger, nullable=False),
    Column("generated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("identities", BigInteger, nullable=False),
    Column("endorsements", BigInteger, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("parameters", Text, nullable=False),
)

rating = Table(
    "rating",
    metadata,
    _number("generation_id", primary_key=True),
    _number("identity_id", primary_key=True),
    Column("rating", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("sample_size", BigInteger, nullable=False),
    Column("endorsers", Integer, nullable=False),
    sqlite_with_rowid=False,
)

#: What changed of which identity since scoring last read it, numbered in order (:mod:`trustgraph.store.changes`).
change = Table(
    "change",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    _number("identity_id"),
    Column("mark", BigInteger, nullable=False),
)

#: Single values: ``pruned_before`` is the day before which raw observations were folded and dropped.
fact = Table(
    "fact",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

#: Certificates that keyservers gave, cut down to what their keys say of themselves. ``found_at`` is when a keyserver
#: last had it, ``changed_at`` when the octets last changed.
cached_certificate = Table(
    "cached_certificate",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("octets", LargeBinary, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("cached_certificate_by_change", "changed_at"),
)

#: Hosts whose mail came from their own address with their own passing signature: unsigned mail from them is odd.
signing_host = Table(
    "signing_host",
    metadata,
    Column("host", Text, primary_key=True),
    _number("identity_id"),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)
