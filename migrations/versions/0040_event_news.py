"""new events are polled for, and nobody is notified of them: NOTIFY holds one lock of the whole server"""

from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # writers go on while it is built
        op.drop_index("event_news", "event", if_exists=True, postgresql_concurrently=True)
        op.create_index("event_news", "event", ["xact_id"], postgresql_concurrently=True)
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TRIGGER event_told ON event")
    op.execute("DROP FUNCTION tell_event")


def downgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION tell_event() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN
            PERFORM pg_notify('events', NEW.subject_id);
            PERFORM pg_notify('events', NEW.project_id);
            RETURN NULL;
        END $$
        """
    )
    op.execute("CREATE TRIGGER event_told AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION tell_event()")
    op.drop_index("event_news", "event")
