"""A thousand runs a day for five weeks: what is kept is bounded by its retention, and sweeps stay short.

    python -m tests.bench.bench_growth [--check] [--days=37]

One run is played; all that it left in the database is copied, a thousand times for each day, with the ids
and moments of that day. `--check` fails when anything older than its retention is left, or when all
sweeps together take a second although they find nothing.
"""

import asyncio
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from activities.gateway_factory import GatewayFactory
from activities.reconcile.checks import checks
from activities.trash.retention import TrashRetention
from kit.ids import lowest_id
from models.base import now
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import outcome_of
from tests.support.scenarios import bash, create, finish, register_scenario
from tests.support.stack import run_servers

DAYS: Final = 37
RUNS_A_DAY: Final = 1_000
RETENTION_DAYS: Final = 30
MAX_ALL_SWEEPS_SECONDS: Final = 1.0
WORK: Final = register_scenario(
    "growth", create("a.txt", "a\n"), *(bash(f"echo {number}") for number in range(8)), finish("Made it.")
)
COPIED: Final = {
    "run": "id",
    "job_snapshot": "job_id",
    "run_step": "run_id",
    "sandbox": "job_id",
    "agent_session": "job_id",
    "message": None,
    "tool_call": None,
    "event": "subject_id",
}
"""Tables in the order of their references; by which column a row is the run's, None: by its session."""
IDS: Final = r"((?:r|ses|msg|tool|evt|step|s)_)[0-9a-f]{12}([0-9a-f]{12})[0-9a-f]{8}"
KEPT: Final = {"event": "evt", "message": "msg", "tool_call": "tool"}
"""Tables that a retention bounds, and what their ids begin with."""


# OFFSET 0: otherwise the record is made anew for each of its columns.
COPY: Final = """
    INSERT INTO {table} ({columns})
    SELECT {copied} FROM {table} AS one, generate_series(1, {copies}) AS n,
        LATERAL (SELECT now() - {days} * interval '1 day' + n * interval '1 day' / {a_day} AS at) AS day,
        LATERAL (SELECT lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS ms) AS begun,
        LATERAL (SELECT jsonb_populate_record(NULL::{table}, regexp_replace(to_jsonb(one)::text, {ids},
            {new}, 'g')::jsonb || {changes}) AS copy OFFSET 0) AS made
    WHERE {owned}
"""
NEW_ID: Final = r"'\1' || ms || '\2' || lpad(to_hex(n), 8, '0')"
OF_RUNS: Final = """jsonb_build_object('run_number', n + 1, 'unique_key', NULL, 'created_at', at,
    'started_at', at, 'completed_at', at)"""


def multiply(connection: psycopg.Connection[tuple[object, ...]], run_id: str, days: int) -> None:
    """Copy the run's rows for each of the days before now."""
    connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for table, column in COPIED.items():
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'NO'",
            [table],
        )
        names = [sql.Identifier(str(name)) for [name] in found]
        of_session = "session_id IN (SELECT id FROM agent_session WHERE job_id = {})"
        statement = sql.SQL(COPY).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(names),
            copied=sql.SQL(", ").join(sql.SQL("(copy).{}").format(name) for name in names),
            copies=days * RUNS_A_DAY,
            days=days,
            a_day=RUNS_A_DAY,
            ids=IDS,
            new=sql.SQL(NEW_ID),
            changes=sql.SQL(OF_RUNS if table == "run" else "'{}'"),
            owned=sql.SQL(f"{column} = {{}}" if column else of_session).format(run_id),
        )
        begun = time.monotonic()
        made = connection.execute(statement).rowcount
        print(f"{made:12,} rows of {table:16}{time.monotonic() - begun:6.0f} s", flush=True)
    connection.execute("RESET session_replication_role")
    connection.execute("VACUUM ANALYZE")


async def sweeps(site: Installation) -> dict[str, float]:
    """Seconds that each check of the reconciler takes to look at everything; nothing is to be found."""
    outside = GatewayFactory(site.settings, site.database)
    seconds: dict[str, float] = {}
    for kind, check in checks(site.database, site.client, outside).items():
        begun = time.monotonic()
        found = [finding async for finding in check.find()]
        seconds[kind.value] = time.monotonic() - begun
        assert not found, f"{kind}: {found[:3]}"
    return seconds


async def keep(site: Installation) -> float:
    """Seconds that one keeping of the trash takes, by which everything older than its retention goes."""
    days = {"event_retention_days": RETENTION_DAYS, "transcript_retention_days": RETENTION_DAYS}
    keeping = TrashRetention(site.database, site.client, site.settings.model_copy(update=days))
    begun = time.monotonic()
    await keeping.purge_expired()
    return time.monotonic() - begun


def older(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, int]:
    """Rows beyond the retention, by table."""
    found: dict[str, int] = {}
    for table, prefix in KEPT.items():
        count = sql.SQL("SELECT count(*) FROM {} WHERE id < {}")
        before = lowest_id(prefix, now() - timedelta(days=RETENTION_DAYS))
        row = connection.execute(count.format(sql.Identifier(table), before)).fetchone()
        assert row is not None
        found[table] = int(str(row[0]))
    return found


async def main(check: bool, days: int) -> int:
    missed = 0
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        directory = Path(name)
        async with (
            run_servers(directory / "parts") as parts,
            open_installation(parts, "growth", directory / "site") as site,
        ):
            worker = await site.start_worker()
            run = await site.start(f"Work {WORK}")
            await outcome_of(site, run)
            await worker.stop()
            with psycopg.connect(parts.database_url(site.name), autocommit=True) as connection:
                await asyncio.to_thread(multiply, connection, run.id, days)
                print(f"\n{days * RUNS_A_DAY:,} runs; older than {RETENTION_DAYS} days: {older(connection)}")
                print(f"after {await keep(site):.1f} s of keeping: {older(connection)}")
                missed += sum(older(connection).values())
                print(f"once more, with nothing to do: {await keep(site):.2f} s\n")
                await sweeps(site)  # connections opened, statements prepared
                seconds = await sweeps(site)
    print(f"{'a sweep that finds nothing':32}{'seconds':>10}")
    for kind, taken in seconds.items():
        print(f"{kind:32}{taken:10.3f}")
    print(f"{'all of them':32}{sum(seconds.values()):10.3f}")
    missed += sum(seconds.values()) > MAX_ALL_SWEEPS_SECONDS
    return missed if check else 0


if __name__ == "__main__":
    given = next((int(each.split("=")[1]) for each in sys.argv if each.startswith("--days=")), DAYS)
    sys.exit(asyncio.run(main("--check" in sys.argv, given)))
