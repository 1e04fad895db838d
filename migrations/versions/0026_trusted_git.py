"""paths that a project's jobs may not change"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"

PROTECTED = (
    '[".github/workflows/**", ".github/actions/**", "CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS"]'
)


def upgrade() -> None:
    column = sa.Column("protected_paths", postgresql.JSONB(), nullable=False, server_default=PROTECTED)
    op.add_column("project", column)


def downgrade() -> None:
    op.drop_column("project", "protected_paths")
