"""issues"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "issue",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("priority", sa.String(40), nullable=False),
        sa.Column("suggested_prompt", sa.String(), nullable=True),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("session_id", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("chain_id", sa.String(), nullable=True),
        sa.Column("source_key", sa.String(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("issue_by_source_key", "issue", ["source_key"], unique=True)
    op.create_index(
        "issue_newest_first",
        "issue",
        ["project_id", "id"],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(op.f("ix_issue_chain_id"), "issue", ["chain_id"], unique=False)
    op.create_index(op.f("ix_issue_project_id"), "issue", ["project_id"], unique=False)
    op.create_index(op.f("ix_issue_run_id"), "issue", ["run_id"], unique=False)
    op.create_index(op.f("ix_issue_session_id"), "issue", ["session_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_issue_session_id"), table_name="issue")
    op.drop_index(op.f("ix_issue_run_id"), table_name="issue")
    op.drop_index(op.f("ix_issue_project_id"), table_name="issue")
    op.drop_index(op.f("ix_issue_chain_id"), table_name="issue")
    op.drop_index("issue_newest_first", table_name="issue", postgresql_where="deleted_at IS NULL")
    op.drop_index("issue_by_source_key", table_name="issue")
    op.drop_table("issue")
