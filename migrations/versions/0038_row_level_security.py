"""PostgreSQL itself shows the API one project's rows; every table has a policy

Two roles that own nothing: the API sees the project that its transaction names, the worker sees all.  Whoever
owns the tables is bound as well, unless it is a superuser; migrations name every project (`migrations/env.py`).
"""

from alembic import op

revision = "0038"
down_revision = "0037"

API, WORKER = "codecourier_api", "codecourier_worker"
OF_A_PROJECT = (
    *("agent_session", "allowed_repository", "answering_session", "api_key", "asset", "blueprint", "budget"),
    *("cost_rate", "event", "follow_up", "github_hook", "idempotency_record", "issue", "issue_session"),
    *("learning", "learning_extraction", "learning_version", "member", "merge_job", "notification"),
    *("open_call", "persona", "project_quota", "provider_key", "recurring_task", "reservation", "run"),
    *("run_step", "sandbox", "sandbox_job", "session_question", "sprint_chain", "uploaded_file"),
    *("usage_record", "usage_rollup", "webhook_delivery", "webhook_endpoint", "work_chain"),
)
"""Tables that have a `project_id`."""
OF_A_ROW = {
    "asset_version": ("asset_id", "asset"),
    "blueprint_version": ("blueprint_id", "blueprint"),
    "budget_wait": ("session_id", "agent_session"),
    "file_content": ("file_id", "uploaded_file"),
    "github_hint": ("run_id", "run"),
    "job_file": ("file_id", "uploaded_file"),
    "learning_occurrence": ("learning_id", "learning"),
    "message": ("session_id", "agent_session"),
    "rate_bucket": ("key_id", "api_key"),
    "sandbox_event": ("sandbox_id", "sandbox"),
    "tool_call": ("session_id", "agent_session"),
    "verification": ("run_id", "run"),
}
"""Tables whose rows are seen with the row that they belong to."""
OF_A_JOB = {"effect": "subject_id", "job_snapshot": "job_id"}
"""Tables whose rows are seen with the job that they name, of whichever kind."""
JOBS = (
    *("answering_session", "issue_session", "learning_extraction", "merge_job", "recurring_task", "run"),
    *("sandbox_job", "sprint_chain", "work_chain"),
)
SEARCHED = ("run", "blueprint")
"""Tables whose names are searched, by a function of the worker's role: `LIKE` is not leakproof, so that
PostgreSQL applies a policy first and cannot use the trigram index."""


def named(column: str) -> str:
    """A row of the project that the transaction names, or of any when it names every one.

    Written so that the planner supposes that it holds for nearly all rows: statements have the condition
    themselves, and counted twice it would make each list look too short for its index.
    """
    setting = "current_setting('codecourier.project', true)"
    return f"(CASE {setting} WHEN {column} THEN 1 WHEN '*' THEN 1 END) IS NOT NULL"


def upgrade() -> None:
    rights = "SELECT, INSERT, UPDATE, DELETE"
    for role in (API, WORKER):
        op.execute(f"""
            DO $$ BEGIN
                BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
                IF current_setting('server_version_num')::int >= 160000 THEN
                    IF NOT pg_has_role(current_user, '{role}', 'SET') THEN
                        -- to take it on, not to see as it sees; older servers cannot even read it
                        EXECUTE 'GRANT {role} TO CURRENT_USER WITH INHERIT FALSE';
                    END IF;
                ELSIF NOT pg_has_role(current_user, '{role}', 'MEMBER') THEN
                    GRANT {role} TO CURRENT_USER;
                END IF;
            END $$
        """)
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        op.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA public TO {role}")
        op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
    # A new table is the workers' at once, and the API's when a migration has given it a policy and the rights.
    op.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {rights} ON TABLES TO {WORKER}")
    op.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {WORKER}")
    op.execute(f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {API}, {WORKER}")
    some_job = " UNION ALL ".join(f"SELECT FROM {table} WHERE {table}.id = named" for table in JOBS)
    op.execute(f"""
        CREATE FUNCTION sees_job(named text) RETURNS boolean LANGUAGE sql STABLE
        RETURN EXISTS ({some_job})
    """)
    protect("project", named("id"))
    for table in OF_A_PROJECT:
        protect(table, named("project_id"))
    op.execute("CREATE POLICY every_projects_prices ON cost_rate FOR SELECT USING (project_id IS NULL)")
    for table, (column, parent) in OF_A_ROW.items():
        protect(table, f"EXISTS (SELECT FROM {parent} WHERE {parent}.id = {table}.{column})")
    for table, column in OF_A_JOB.items():
        protect(table, f"sees_job({column})")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {WORKER}")
    for table in SEARCHED:
        some = f"SELECT id FROM {table} WHERE deleted_at IS NULL AND name ILIKE pattern AND {named('project_id')} LIMIT most"  # noqa: S608
        op.execute(f"""
            CREATE FUNCTION {table}s_named_like(pattern text, most integer) RETURNS SETOF text
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
            BEGIN ATOMIC {some}; END
        """)
        op.execute(f"ALTER FUNCTION {table}s_named_like OWNER TO {WORKER}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {WORKER}")


def protect(table: str, condition: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY named_project ON {table} USING ({condition})")
    op.execute(f"CREATE POLICY every_project ON {table} TO {WORKER} USING (true)")


def downgrade() -> None:
    for table in ("project", *OF_A_PROJECT, *OF_A_ROW, *OF_A_JOB):
        for policy in ("named_project", "every_project"):
            op.execute(f"DROP POLICY {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("DROP POLICY every_projects_prices ON cost_rate")
    op.execute("DROP FUNCTION sees_job")
    for table in SEARCHED:
        op.execute(f"DROP FUNCTION {table}s_named_like")
    for role in (API, WORKER):
        for kind in ("TABLES", "SEQUENCES"):
            op.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {kind} FROM {role}")
            op.execute(f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE USAGE ON SCHEMA public FROM {role}")
    # The roles stay: they are the server's, and other databases of it may use them.
