"""proof of done: sandboxes have a purpose, and runs have verifications"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
LIVE = "status IN ('creating', 'running', 'paused')"


def upgrade() -> None:
    op.add_column("sandbox", sa.Column("purpose", sa.String(40), nullable=False, server_default="work"))
    op.add_column("sandbox", sa.Column("commit_sha", sa.String(), nullable=True))
    op.drop_index("sandbox_at_work", table_name="sandbox", postgresql_where=LIVE)
    op.create_index("sandbox_at_work", "sandbox", ["job_id", "purpose"], unique=True, postgresql_where=LIVE)
    op.create_table(
        "verification",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("commit_sha", sa.String(), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("timeout_ms", sa.Integer(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("output", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("tests", postgresql.JSONB(), nullable=True),
        sa.Column("test_files", postgresql.JSONB(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "number"),
    )
    op.create_index("verification_by_commit", "verification", ["commit_sha"])


def downgrade() -> None:
    op.drop_table("verification")
    op.execute(f"UPDATE sandbox SET status = 'killed' WHERE purpose = 'verification' AND {LIVE}")  # noqa: S608
    op.drop_index("sandbox_at_work", table_name="sandbox", postgresql_where=LIVE)
    op.create_index("sandbox_at_work", "sandbox", ["job_id"], unique=True, postgresql_where=LIVE)
    op.drop_column("sandbox", "commit_sha")
    op.drop_column("sandbox", "purpose")
