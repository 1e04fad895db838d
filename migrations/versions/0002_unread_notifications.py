"""unread notifications are counted without a walk over the read ones"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "notification_unread",
        "notification",
        ["member_id", "id"],
        unique=False,
        postgresql_where=sa.text("read_at IS NULL AND dismissed_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("notification_unread", table_name="notification")
