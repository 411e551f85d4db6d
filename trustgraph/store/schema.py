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

#: The last migration; a test holds it equal to what Alembic finds.
REVISION = "0007"

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

#: Where the observations of a message are, for feedback. Not an index of ``observation``: that would have a row for
#: each identity, in no order, and took as long as all the rest of ingesting a log.
message_seen = Table(
    "message_seen",
    metadata,
    Column("message", BigInteger, primary_key=True, autoincrement=False),
    Column("observed_at", BigInteger, primary_key=True, autoincrement=False),
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
#: ``approvals_at``: when the key last said which certifications over this User ID it approves.
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
    Column("approvals_at", BigInteger),
    Index("user_id_of_key", "identity_id", "digest", unique=True),
)

#: Verified certifications, and the operator's rows (``user_id_id`` 0, ``scope`` 0). ``scope`` is that of the User ID,
#: plus 4 where the key approves of the certification, 8 where it approves of others only; ``approved_at``: since when.
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
    Column("approved_at", BigInteger),
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

#: What this host's keys said of others', a row a signature packet: certifications (``type`` 0x10) and their revocations
#: (0x30), which end with what they revoke. ``serial`` counts what was said of one User ID, so that two who decide from
#: the same state collide. ``cause`` is a word of :class:`trustgraph.endorsement.subject.Cause`, or ``revoked``.
own_endorsement = Table(
    "own_endorsement",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("subject", String(64), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("issuer", String(64), nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("packet", LargeBinary, nullable=False),
    Column("cause", Text, nullable=False),
    Column("why", Text, nullable=False),
    Index("own_endorsement_in_turn", "subject", "user_id", "serial", unique=True),
)

#: Keyservers that gave a packet back, and when they first did.
own_publication = Table(
    "own_publication",
    metadata,
    Column("endorsement_id", _Id, ForeignKey("own_endorsement.id"), primary_key=True, autoincrement=False),
    Column("server", Text, primary_key=True),
    Column("published_at", BigInteger, nullable=False),
)

#: Keys that the operator vouches for by hand, with a note why.
pinned_key = Table(
    "pinned_key",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("note", Text, nullable=False),
    Column("pinned_at", BigInteger, nullable=False),
)

#: What was said of the message of an observation after it was made (:mod:`trustgraph.feedback.votes`), a row a voter.
#: ``voter`` is a digest. The outcome that the observation came with is a vote too: the row of source 0.
vote = Table(
    "vote",
    metadata,
    Column("observed_at", BigInteger, primary_key=True, autoincrement=False),
    Column("message", BigInteger, primary_key=True, autoincrement=False),
    _number("observer_id", primary_key=True),
    _number("identity_id", primary_key=True),
    Column("source", SmallInteger, primary_key=True, autoincrement=False),
    Column("voter", BigInteger, primary_key=True, autoincrement=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("voted_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Messages that the gate let in: the key of its observation, a digest of what the passing signature signs (0 without
#: one) and of each recipient.
delivery = Table(
    "delivery",
    metadata,
    Column("observed_at", BigInteger, primary_key=True, autoincrement=False),
    Column("message", BigInteger, primary_key=True, autoincrement=False),
    _number("observer_id", primary_key=True),
    _number("identity_id", primary_key=True),
    Column("signature", BigInteger, primary_key=True, autoincrement=False),
    Column("recipient", BigInteger, primary_key=True, autoincrement=False),
    Index("delivery_by_message", "message"),
    sqlite_with_rowid=False,
)

#: Digests of pieces of feedback that nothing more can come of, so that they need not be read again.
feedback_read = Table(
    "feedback_read",
    metadata,
    Column("piece", BigInteger, primary_key=True, autoincrement=False),
    Column("read_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Mailing lists (:mod:`trustgraph.mailinglist`). ``rules`` and ``moderators`` are JSON.
mailing_list = Table(
    "mailing_list",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("address", Text, nullable=False, unique=True),
    Column("list_id", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("deliver", Text, nullable=False),
    Column("moderators", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("key_path", Text, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
)

#: Where a stash is encrypted, addresses and fingerprints are keyed digests here and in the next two, and everything
#: that says more is in ``sealed``.
list_subscriber = Table(
    "list_subscriber",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("list_id", _Id, ForeignKey("mailing_list.id"), nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("subscribed_at", BigInteger, nullable=False),
    Column("provisional", Boolean, nullable=False),
)

#: Every address that a subscriber posts under, the first one and the aliases: each belongs to one subscriber of a list.
list_address = Table(
    "list_address",
    metadata,
    Column("list_id", _Id, ForeignKey("mailing_list.id"), primary_key=True, autoincrement=False),
    Column("address", LargeBinary, primary_key=True),
    Column("subscriber_id", _Id, ForeignKey("list_subscriber.id"), nullable=False),
)

#: The stash. ``state`` counts the members of :class:`trustgraph.mailinglist.model.KeyState` from 0.
list_key = Table(
    "list_key",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("list_id", _Id, ForeignKey("mailing_list.id"), nullable=False),
    Column("subscriber_id", _Id, ForeignKey("list_subscriber.id"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("deposited_at", BigInteger, nullable=False),
    Column("good_from", BigInteger),
    Column("good_until", BigInteger),
    Column("token_nonce", Text, nullable=False),
    Column("token_until", BigInteger),
    Column("approved", Boolean, nullable=False),
    Column("proved", Boolean, nullable=False),
    Column("additional", Boolean, nullable=False),
    Column("reminded_of", BigInteger),
    Column("sealed", LargeBinary, nullable=False),
    Index("list_key_of_subscriber", "subscriber_id", "fingerprint", unique=True),
    Index("list_key_by_fingerprint", "list_id", "fingerprint"),
)

#: What a signature may name a key of the stash by: fingerprints and key IDs of its primary key and signing subkeys.
list_key_name = Table(
    "list_key_name",
    metadata,
    Column("list_id", _Id, primary_key=True, autoincrement=False),
    Column("name", LargeBinary, primary_key=True),
    Column("key_id", _Id, ForeignKey("list_key.id"), primary_key=True, autoincrement=False),
    Index("list_key_name_of_key", "key_id"),
)

#: Signed contents that lists have accepted, until long after they are too old. One table for all lists of the host, so
#: that one list's post is known when it turns up at another. Not ``passed``: let in, and not taken by the next hop yet.
list_seen = Table(
    "list_seen",
    metadata,
    Column("digest", LargeBinary(16), primary_key=True),
    Column("list_id", _Id, primary_key=True, autoincrement=False),
    Column("delivery", LargeBinary(16), nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("passed", Boolean, nullable=False),
    Index("list_seen_by_end", "until"),
)

#: Posts that wait for a moderator; ``name`` is what commands call them by. ``sealed`` says what is known of the post,
#: ``post`` is the message itself under seal. ``claimed_at``: since when a moderator has it in hand.
list_held = Table(
    "list_held",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("list_id", _Id, ForeignKey("mailing_list.id"), nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("delivery", LargeBinary(16), nullable=False),
    Column("held_at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("post", LargeBinary, nullable=False),
    Column("claimed_at", BigInteger),
    Index("list_held_of_list", "list_id", "delivery", unique=True),
)

#: How often each thing was said in a list's name on a day: letters that strangers can cause are counted.
list_told = Table(
    "list_told",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("list_id", _Id, primary_key=True, autoincrement=False),
    Column("what", LargeBinary(16), primary_key=True),
    Column("times", Integer, nullable=False),
)
