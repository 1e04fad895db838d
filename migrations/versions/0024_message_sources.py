"""messages to a job at work say who wrote them"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("follow_up", sa.Column("source", sa.String(40), nullable=False, server_default="user"))
    op.alter_column("follow_up", "source", server_default=None)


def downgrade() -> None:
    op.drop_column("follow_up", "source")
