"""What changed since scoring last read, and on which identity."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From the tables of the gate."""
    table = op.create_table(
        "change",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("identity_id", _ID, autoincrement=False, nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
    )
    # The beginning, for readers who come before anything changes: kind 0, of no identity.
    op.bulk_insert(table, [{"kind": 0, "identity_id": 0, "mark": secrets.randbits(63)}])
