"""the trash: who deleted, what is deleted for good; runs outlive their blueprint"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
TABLES = (
    "run",
    "sandbox",
    "blueprint",
    "persona",
    "learning",
    "issue_session",
    "answering_session",
    "asset",
)
IN_TRASH = "deleted_at IS NOT NULL AND purged_at IS NULL"
OF_BLUEPRINTS = (
    ("run", "blueprint_id"),
    ("sprint_chain", "workflow_id"),
    ("work_chain", "workflow_id"),
    ("recurring_task", "target_workflow_id"),
)


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("deleted_by", sa.String(), nullable=True))
        op.add_column(table, sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
        op.create_index(
            f"{table}_trashed", table, ["project_id", "deleted_at", "id"], postgresql_where=IN_TRASH
        )
        op.create_index(f"{table}_purged", table, ["purged_at"], postgresql_where="purged_at IS NOT NULL")
    for table, column in OF_BLUEPRINTS:
        op.drop_constraint(f"{table}_{column}_fkey", table, type_="foreignkey")
    op.create_index(op.f("ix_merge_job_run_id"), "merge_job", ["run_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_merge_job_run_id"), table_name="merge_job")
    for table, column in OF_BLUEPRINTS:
        op.create_foreign_key(f"{table}_{column}_fkey", table, "blueprint", [column], ["id"])
    for table in TABLES:
        for name in ("purged", "trashed"):
            op.drop_index(f"{table}_{name}", table_name=table)
        op.drop_column(table, "purged_at")
        op.drop_column(table, "deleted_by")
