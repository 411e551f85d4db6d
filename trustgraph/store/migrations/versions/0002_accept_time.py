"""What the gate keeps: certificates fetched from keyservers, and hosts that were seen to sign their mail."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From the tables of ingestion and scoring."""
    op.create_table(
        "cached_certificate",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("cached_certificate_by_change", "cached_certificate", ["changed_at"])
    op.create_table(
        "signing_host",
        sa.Column("host", sa.Text(), primary_key=True),
        sa.Column("identity_id", _ID, autoincrement=False, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
    )
