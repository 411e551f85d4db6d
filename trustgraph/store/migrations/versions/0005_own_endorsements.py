"""The endorsements that this host has made."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From feedback."""
    op.create_table(
        "own_endorsement",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("packet", sa.LargeBinary(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )
    op.create_index("own_endorsement_in_turn", "own_endorsement", ["subject", "user_id", "serial"], unique=True)
    op.create_table(
        "own_publication",
        sa.Column("endorsement_id", _ID, sa.ForeignKey("own_endorsement.id"), primary_key=True, autoincrement=False),
        sa.Column("server", sa.Text(), primary_key=True),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "pinned_key",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("pinned_at", sa.BigInteger(), nullable=False),
    )
