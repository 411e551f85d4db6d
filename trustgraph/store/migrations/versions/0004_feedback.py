"""What mail turned out to be, said after it was judged, and what that is joined to observations by."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From the record of changes."""
    op.create_table(
        "message_seen",
        sa.Column("message", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("observed_at", sa.BigInteger(), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO message_seen SELECT DISTINCT message, observed_at FROM observation ORDER BY message")
    op.create_table(
        "vote",
        sa.Column("observed_at", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("message", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("observer_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("identity_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("source", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("voter", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("voted_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivery",
        sa.Column("observed_at", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("message", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("observer_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("identity_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("signature", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("recipient", sa.BigInteger(), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("delivery_by_message", "delivery", ["message"])
    op.create_table(
        "feedback_read",
        sa.Column("piece", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
