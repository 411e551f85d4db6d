"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "certification",
        sa.Column("subject_id", _ID, autoincrement=False, nullable=False),
        sa.Column("endorser_id", _ID, autoincrement=False, nullable=False),
        sa.Column("user_id_id", _ID, autoincrement=False, nullable=False),
        sa.Column("made_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("scope", sa.SmallInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("depth", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.SmallInteger(), nullable=False),
        sa.Column("regex", sa.Text(), server_default="", nullable=False),
        sa.Column("weak", sa.Boolean(), nullable=False),
        sa.Column("notations", sa.Text(), server_default="", nullable=False),
        sa.Column("source_id", _ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "endorser_id", "user_id_id", "made_at"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daily_count",
        sa.Column("identity_id", _ID, autoincrement=False, nullable=False),
        sa.Column("observer_id", _ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("good", sa.BigInteger(), nullable=False),
        sa.Column("spam", sa.BigInteger(), nullable=False),
        sa.Column("malware", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.BigInteger(), nullable=False),
        sa.Column("unauthenticated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("identity_id", "observer_id", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fact",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "generation",
        sa.Column("id", _ID, nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("reference_time", sa.BigInteger(), nullable=False),
        sa.Column("generated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("identities", sa.BigInteger(), nullable=False),
        sa.Column("endorsements", sa.BigInteger(), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "identity",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("operator", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "observation",
        sa.Column("observed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("observer_id", _ID, autoincrement=False, nullable=False),
        sa.Column("identity_id", _ID, autoincrement=False, nullable=False),
        sa.Column("result", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("observed_at", "message", "observer_id", "identity_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rating",
        sa.Column("generation_id", _ID, autoincrement=False, nullable=False),
        sa.Column("identity_id", _ID, autoincrement=False, nullable=False),
        sa.Column("rating", sa.Float(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("sample_size", sa.BigInteger(), nullable=False),
        sa.Column("endorsers", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("generation_id", "identity_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reported_count",
        sa.Column("identity_id", _ID, autoincrement=False, nullable=False),
        sa.Column("observer_id", _ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("good", sa.BigInteger(), nullable=False),
        sa.Column("spam", sa.BigInteger(), nullable=False),
        sa.Column("source_id", _ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("identity_id", "observer_id", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "source",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ingested_at", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "host_key",
        sa.Column("identity_id", _ID, autoincrement=False, nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("key_packet", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("hard_revoked", sa.Boolean(), nullable=False),
        sa.Column("self_signed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["identity.id"],
        ),
        sa.PrimaryKeyConstraint("identity_id"),
    )
    op.create_index("host_key_by_key_id", "host_key", ["key_id"], unique=False)
    op.create_table(
        "user_id",
        sa.Column("id", _ID, nullable=False),
        sa.Column("identity_id", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("scope", sa.SmallInteger(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["identity.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("user_id_of_key", "user_id", ["identity_id", "digest"], unique=True)
