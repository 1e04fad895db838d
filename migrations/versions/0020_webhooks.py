"""outgoing webhooks and the project's feed"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column(
        "event",
        sa.Column(
            "xact_id",
            sa.BigInteger(),
            server_default=sa.text("((pg_current_xact_id())::text)::bigint"),
            nullable=False,
        ),
    )
    op.add_column("event", sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False))
    op.create_index("event_feed", "event", ["project_id", "xact_id", "position"])
    op.execute(
        """
        CREATE OR REPLACE FUNCTION tell_event() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN
            PERFORM pg_notify('events', NEW.subject_id);
            PERFORM pg_notify('events', NEW.project_id);
            RETURN NULL;
        END $$
        """
    )
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("project_id", sa.String(), sa.ForeignKey("project.id"), nullable=False, index=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("deleted_at", moment),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("description", sa.String()),
        sa.Column("events", JSONB(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", moment),
        sa.Column("disabled_reason", sa.String()),
        sa.Column("failing_since", moment),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("replaced_secrets", JSONB(), nullable=False),
        sa.Column("xact_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("skipped_before", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("project_id", sa.String(), sa.ForeignKey("project.id"), nullable=False, index=True),
        sa.Column(
            "endpoint_id",
            sa.String(),
            sa.ForeignKey("webhook_endpoint.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("attempts", JSONB(), nullable=False),
        sa.Column("next_attempt_at", moment),
        sa.Column("delivered_at", moment),
        sa.Column("created_at", moment, nullable=False),
        sa.UniqueConstraint("endpoint_id", "event_id"),
    )
    op.create_index("webhook_delivery_listed", "webhook_delivery", ["endpoint_id", "id"])
    op.create_index("webhook_delivery_by_status", "webhook_delivery", ["endpoint_id", "status", "id"])
    op.create_index(
        "webhook_delivery_due",
        "webhook_delivery",
        ["endpoint_id", "next_attempt_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )


def downgrade() -> None:
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_endpoint")
    op.execute(
        """
        CREATE OR REPLACE FUNCTION tell_event() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('events', NEW.subject_id); RETURN NULL; END $$
        """
    )
    op.drop_index("event_feed", table_name="event")
    op.drop_column("event", "position")
    op.drop_column("event", "xact_id")
