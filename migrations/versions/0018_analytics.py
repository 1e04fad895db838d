"""analytics: usage rolled up by quarters of an hour, indexes of filters and figures, who changed a workflow"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
THERE = "deleted_at IS NULL"
INDEXES = [
    ("blueprint_newest_first", "blueprint", ["project_id", "id"], THERE),
    ("persona_newest_first", "persona", ["project_id", "id"], THERE),
    ("persona_by_type", "persona", ["project_id", "type", "id"], THERE),
    ("persona_disabled", "persona", ["project_id", "id"], "NOT is_enabled AND deleted_at IS NULL"),
    ("run_of_status", "run", ["project_id", "status", "id"], THERE),
    ("run_of_source", "run", ["project_id", "source", "id"], THERE),
    ("run_of_pr_status", "run", ["project_id", "pr_status", "id"], f"pr_status IS NOT NULL AND {THERE}"),
    ("run_of_blueprint", "run", ["project_id", "blueprint_id", "id"], None),
    ("run_of_blueprint_by_time", "run", ["blueprint_id", "created_at"], None),
    ("run_of_chain", "run", ["project_id", "chain_id", "id"], "chain_id IS NOT NULL"),
    ("run_by_chain", "run", ["chain_id"], "chain_id IS NOT NULL"),
    (
        "run_of_recurring_task",
        "run",
        ["project_id", "recurring_task_id", "id"],
        "recurring_task_id IS NOT NULL",
    ),
    ("sandbox_event_in_order", "sandbox_event", ["sandbox_id", "id"], None),
    ("run_timeline", "run", ["project_id", "created_at", "id"], THERE),
    ("issue_of_status", "issue", ["project_id", "status", "id"], THERE),
    ("issue_session_of_status", "issue_session", ["project_id", "status", "id"], THERE),
    ("answering_session_of_status", "answering_session", ["project_id", "status", "id"], THERE),
    ("work_chain_of_status", "work_chain", ["project_id", "status", "id"], THERE),
    ("sprint_chain_of_status", "sprint_chain", ["project_id", "status", "id"], THERE),
    ("api_key_newest_first", "api_key", ["project_id", "id"], None),
    ("merge_job_of_status", "merge_job", ["project_id", "status", "id"], THERE),
    ("recurring_task_newest_first", "recurring_task", ["project_id", "id"], THERE),
    ("recurring_task_of_activity", "recurring_task", ["project_id", "is_active", "id"], THERE),
    ("sandbox_newest_first", "sandbox", ["project_id", "id"], THERE),
    ("sandbox_of_status", "sandbox", ["project_id", "status", "id"], THERE),
    ("run_step_of_persona", "run_step", ["persona_id", "started_at"], "persona_id IS NOT NULL"),
    ("usage_timeline", "usage_record", ["project_id", "created_at", "id"], None),
    ("usage_of_service", "usage_record", ["project_id", "service", "created_at", "id"], None),
    ("usage_of_unit", "usage_record", ["project_id", "unit", "created_at", "id"], None),
    ("usage_of_run", "usage_record", ["run_id", "created_at", "id"], "run_id IS NOT NULL"),
    ("usage_of_chain", "usage_record", ["chain_id", "created_at", "id"], "chain_id IS NOT NULL"),
    (
        "usage_of_issue_session",
        "usage_record",
        ["issue_session_id", "created_at", "id"],
        "issue_session_id IS NOT NULL",
    ),
]
NAMED = [("blueprint_by_name", "blueprint"), ("run_by_name", "run")]
REPLACED = [
    ("ix_run_blueprint_id", "run", ["blueprint_id"]),
    ("ix_run_chain_id", "run", ["chain_id"]),
    ("ix_run_recurring_task_id", "run", ["recurring_task_id"]),
    ("ix_api_key_project_id", "api_key", ["project_id"]),
    ("ix_sandbox_event_sandbox_id", "sandbox_event", ["sandbox_id"]),
    ("ix_usage_record_run_id", "usage_record", ["run_id"]),
    ("ix_usage_record_project_id", "usage_record", ["project_id"]),
    ("usage_by_day", "usage_record", ["project_id", "date"]),
]
ENDED = "completed_at IS NOT NULL AND deleted_at IS NULL"
KEY = "project_id, span, date_bin(make_interval(secs => span), created_at, '2000-01-01Z') AS since, service, unit"
SPANS = "(VALUES (86400), (3600), (900)) AS spans (span)"


def upgrade() -> None:
    op.add_column("blueprint_version", sa.Column("created_by", sa.String(), nullable=True))
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, columns, unique=False, postgresql_where=where)
    for name, table in NAMED:
        op.create_index(
            name,
            table,
            ["name"],
            unique=False,
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
            postgresql_where=THERE,
        )
    op.create_index(
        "run_endings",
        "run",
        ["project_id", "completed_at"],
        unique=False,
        postgresql_include=["status", "pr_status"],
        postgresql_where=ENDED,
    )
    for name, table, _ in REPLACED:
        op.drop_index(name, table_name=table)
    _replace_index("notification_newest_first", "notification", ["project_id", "member_id", "id"])
    op.create_table(
        "usage_rollup",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("span", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(precision=20, scale=8), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "usage_rollup_key", "usage_rollup", ["project_id", "span", "since", "service", "unit"], unique=False
    )
    op.execute("ALTER TABLE usage_rollup SET (fillfactor = 80)")
    op.execute(
        f"""
        INSERT INTO usage_rollup (project_id, span, since, service, unit, records, quantity, cost_usd)
        SELECT {KEY}, count(*), sum(quantity), sum(cost_usd) FROM usage_record, {SPANS} GROUP BY 1, 2, 3, 4, 5
        """  # noqa: S608
    )
    # A sum whose row somebody holds is not waited for: another row takes the difference. One function a verb,
    # because only the verb's own transition table exists.
    for verb, changes in (
        ("insert", "SELECT *, 1 AS sign FROM added"),
        ("delete", "SELECT *, -1 AS sign FROM removed"),
        ("update", "SELECT *, 1 AS sign FROM added UNION ALL SELECT *, -1 AS sign FROM removed"),
    ):
        op.execute(
            f"""
            CREATE FUNCTION roll_up_usage_{verb}() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE
                sums record;
            BEGIN
                FOR sums IN
                    SELECT {KEY}, sum(sign) AS records, sum(sign * quantity::bigint) AS quantity,
                        sum(sign * cost_usd) AS cost_usd
                    FROM ({changes}) AS change, {SPANS} GROUP BY 1, 2, 3, 4, 5
                    HAVING sum(sign) <> 0 OR sum(sign * quantity::bigint) <> 0 OR sum(sign * cost_usd) <> 0
                LOOP
                    UPDATE usage_rollup SET records = records + sums.records,
                        quantity = quantity + sums.quantity, cost_usd = cost_usd + sums.cost_usd
                    WHERE id = (
                        SELECT id FROM usage_rollup WHERE project_id = sums.project_id AND span = sums.span
                            AND since = sums.since AND service = sums.service AND unit = sums.unit
                        LIMIT 1 FOR UPDATE SKIP LOCKED);
                    IF NOT FOUND THEN
                        INSERT INTO usage_rollup
                            (project_id, span, since, service, unit, records, quantity, cost_usd)
                        VALUES (sums.project_id, sums.span, sums.since, sums.service, sums.unit, sums.records,
                            sums.quantity, sums.cost_usd);
                    END IF;
                END LOOP;
                RETURN NULL;
            END $$
            """  # noqa: S608
        )
        tables = {
            "insert": "NEW TABLE AS added",
            "delete": "OLD TABLE AS removed",
            "update": "NEW TABLE AS added OLD TABLE AS removed",
        }[verb]
        op.execute(
            f"""
            CREATE TRIGGER usage_rolled_up_{verb} AFTER {verb.upper()} ON usage_record
            REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION roll_up_usage_{verb}()
            """
        )


def downgrade() -> None:
    for verb in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER usage_rolled_up_{verb} ON usage_record")
        op.execute(f"DROP FUNCTION roll_up_usage_{verb}()")
    op.drop_table("usage_rollup")
    _replace_index("notification_newest_first", "notification", ["member_id", "id"])
    for name, table, columns in REPLACED:
        op.create_index(name, table, columns, unique=False)
    op.drop_index("run_endings", table_name="run", postgresql_where=ENDED)
    for name, table in NAMED:
        op.drop_index(name, table_name=table, postgresql_where=THERE)
    for name, table, _, where in INDEXES:
        op.drop_index(name, table_name=table, postgresql_where=where)
    op.drop_column("blueprint_version", "created_by")


def _replace_index(name: str, table: str, columns: list[str]) -> None:
    op.drop_index(name, table_name=table)
    op.create_index(name, table, columns, unique=False)
