"""scores from 0 to 100 with their reasons, rankings of branches"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
TABLES = ("run", "run_step")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("quality_reasons", postgresql.JSONB(), nullable=True))
        op.add_column(table, sa.Column("ranking", postgresql.JSONB(), nullable=True))
        _scale(table, 100)


def _scale(name: str, factor: float) -> None:
    table = sa.table(name, sa.column("quality_score", sa.Float()))
    op.execute(sa.update(table).values(quality_score=table.c.quality_score * factor))


def downgrade() -> None:
    for table in TABLES:
        _scale(table, 0.01)
        op.drop_column(table, "ranking")
        op.drop_column(table, "quality_reasons")
