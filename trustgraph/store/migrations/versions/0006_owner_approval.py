"""Which endorsements the owner of the endorsed key approves of."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """From own endorsements."""
    op.add_column("user_id", sa.Column("approvals_at", sa.BigInteger()))
    op.add_column("certification", sa.Column("approved_at", sa.BigInteger()))
