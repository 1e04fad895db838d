"""how far into the internet a project's sandboxes reach"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    column = sa.Column("egress", postgresql.JSONB(), nullable=False, server_default="{}")
    op.add_column("project", column)


def downgrade() -> None:
    op.drop_column("project", "egress")
