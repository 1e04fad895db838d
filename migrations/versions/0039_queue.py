"""a project may bound how many runs are at work, and the others wait for their turn"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    op.add_column("project", sa.Column("max_concurrent_runs", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("priority", sa.Integer(), server_default="3", nullable=False))
    op.add_column("run", sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("run", "queued_at")
    op.drop_column("run", "priority")
    op.drop_column("project", "max_concurrent_runs")
