"""which secret variables the commands of a step are given"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    op.add_column("agent_session", sa.Column("secrets", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("agent_session", "secrets")
