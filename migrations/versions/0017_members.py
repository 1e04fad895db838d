"""members: invitations and other systems' ids of them; prices of a project's own; unread questions"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
THERE = "removed_at IS NULL"
UNREAD = "status = 'pending'"


def upgrade() -> None:
    op.add_column("cost_rate", sa.Column("id", sa.String(), nullable=True))
    op.add_column("cost_rate", sa.Column("project_id", sa.String(), nullable=True))
    op.execute("UPDATE cost_rate SET id = 'rate_' || replace(gen_random_uuid()::text, '-', '')")
    op.alter_column("cost_rate", "id", nullable=False)
    op.drop_constraint("cost_rate_pkey", "cost_rate", type_="primary")
    op.create_primary_key("cost_rate_pkey", "cost_rate", ["id"])
    op.create_foreign_key("cost_rate_project_id_fkey", "cost_rate", "project", ["project_id"], ["id"])
    op.create_index(
        "cost_rate_once",
        "cost_rate",
        ["project_id", "model_prefix"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )

    op.add_column("member", sa.Column("external_id", sa.String(), nullable=True))
    op.add_column("member", sa.Column("invited_by", sa.String(), nullable=True))
    op.add_column("member", sa.Column("invited_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("member", sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("member", sa.Column("event_seq", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("member", "event_seq", server_default=None)
    op.execute("UPDATE member SET accepted_at = created_at")
    op.drop_constraint("member_project_id_email_key", "member", type_="unique")
    # Two spellings of one address within a project stay as they are: they are two members already.
    op.execute(
        """
        UPDATE member SET email = lower(trim(email)) WHERE NOT EXISTS (
            SELECT FROM member AS other WHERE other.project_id = member.project_id AND other.id <> member.id
                AND lower(trim(other.email)) = lower(trim(member.email)))
        """
    )
    op.create_index("member_once", "member", ["project_id", "email"], unique=True, postgresql_where=THERE)
    op.create_index("member_by_email", "member", ["email"])
    op.create_index(
        "member_by_external_id", "member", ["external_id"], postgresql_where="external_id IS NOT NULL"
    )
    op.execute(
        """
        CREATE TRIGGER member_told AFTER UPDATE OF role, removed_at ON member
        FOR EACH ROW EXECUTE FUNCTION tell_api_key()
        """
    )
    op.create_index("question_unread", "session_question", ["project_id"], postgresql_where=UNREAD)


def downgrade() -> None:
    op.drop_index("question_unread", table_name="session_question", postgresql_where=UNREAD)
    op.execute("DROP TRIGGER member_told ON member")
    op.drop_index("member_by_external_id", table_name="member", postgresql_where="external_id IS NOT NULL")
    op.drop_index("member_by_email", table_name="member")
    op.drop_index("member_once", table_name="member", postgresql_where=THERE)
    op.execute("UPDATE member SET email = id || ' ' || email WHERE removed_at IS NOT NULL")
    op.create_unique_constraint("member_project_id_email_key", "member", ["project_id", "email"])
    for column in ("event_seq", "accepted_at", "invited_at", "invited_by", "external_id"):
        op.drop_column("member", column)
    op.execute("DELETE FROM cost_rate WHERE project_id IS NOT NULL")
    op.drop_index("cost_rate_once", table_name="cost_rate", postgresql_nulls_not_distinct=True)
    op.drop_constraint("cost_rate_project_id_fkey", "cost_rate", type_="foreignkey")
    op.drop_constraint("cost_rate_pkey", "cost_rate", type_="primary")
    op.create_primary_key("cost_rate_pkey", "cost_rate", ["model_prefix"])
    op.drop_column("cost_rate", "project_id")
    op.drop_column("cost_rate", "id")
