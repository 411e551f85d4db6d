"""Mailing lists: the stash of subscribers' keys, what was posted, what is held."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From owner approval."""
    op.create_table(
        "mailing_list",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("address", sa.Text(), nullable=False, unique=True),
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("deliver", sa.Text(), nullable=False),
        sa.Column("moderators", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("key_path", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "list_subscriber",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("list_id", _ID, sa.ForeignKey("mailing_list.id"), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("subscribed_at", sa.BigInteger(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "list_address",
        sa.Column("list_id", _ID, sa.ForeignKey("mailing_list.id"), primary_key=True, autoincrement=False),
        sa.Column("address", sa.LargeBinary(), primary_key=True),
        sa.Column("subscriber_id", _ID, sa.ForeignKey("list_subscriber.id"), nullable=False),
    )
    op.create_table(
        "list_key",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("list_id", _ID, sa.ForeignKey("mailing_list.id"), nullable=False),
        sa.Column("subscriber_id", _ID, sa.ForeignKey("list_subscriber.id"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("deposited_at", sa.BigInteger(), nullable=False),
        sa.Column("good_from", sa.BigInteger()),
        sa.Column("good_until", sa.BigInteger()),
        sa.Column("token_nonce", sa.Text(), nullable=False),
        sa.Column("token_until", sa.BigInteger()),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("proved", sa.Boolean(), nullable=False),
        sa.Column("additional", sa.Boolean(), nullable=False),
        sa.Column("reminded_of", sa.BigInteger()),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    op.create_index("list_key_of_subscriber", "list_key", ["subscriber_id", "fingerprint"], unique=True)
    op.create_index("list_key_by_fingerprint", "list_key", ["list_id", "fingerprint"])
    op.create_table(
        "list_key_name",
        sa.Column("list_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("name", sa.LargeBinary(), primary_key=True),
        sa.Column("key_id", _ID, sa.ForeignKey("list_key.id"), primary_key=True, autoincrement=False),
    )
    op.create_index("list_key_name_of_key", "list_key_name", ["key_id"])
    op.create_table(
        "list_seen",
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("list_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("delivery", sa.LargeBinary(16), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
    )
    op.create_index("list_seen_by_end", "list_seen", ["until"])
    op.create_table(
        "list_held",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("list_id", _ID, sa.ForeignKey("mailing_list.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        sa.Column("delivery", sa.LargeBinary(16), nullable=False),
        sa.Column("held_at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("post", sa.LargeBinary(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger()),
    )
    op.create_index("list_held_of_list", "list_held", ["list_id", "delivery"], unique=True)
    op.create_table(
        "list_told",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("list_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("what", sa.LargeBinary(16), primary_key=True),
        sa.Column("times", sa.Integer(), nullable=False),
    )
