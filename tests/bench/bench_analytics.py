"""A month's usage of one project among ten million records, against `GET /runs/get` of the same run.

    python -m tests.bench.bench_analytics [--check] [--rows=10000000]

All are answered by one uvicorn worker on the same database, asked over 16 connections from another process;
they take turns, and the best turn of each counts. `--check` fails when a month costs more than ten runs.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from cli.deployment.migrate import upgrade
from local.stack.ports import free_ports
from local.stack.postgres import Postgres
from tests.bench.bench_api import measure, seed, serving

RUNS = 100_000
RECORDS = 10_000_000
PROJECTS = 20
"""Of which the measured one has as much as each other: half a million records, of a year."""
ROUNDS = 3
MOST = 10.0
MOST_OF_HALF_HOURS = 20.0
"""Where days begin within an hour, quarters of hours are read, too."""
SPARED = ("usage_source", "usage_of_service", "usage_of_unit", "usage_of_run", "usage_of_chain")
"""Indexes that no measured request uses: to build them takes minutes."""
FILL = """
    INSERT INTO project SELECT (jsonb_populate_record(NULL::project, to_jsonb(project) || jsonb_build_object(
        'id', 'prj_bench' || n, 'slug', 'bench' || n))).*
    FROM project, generate_series(1, {others}) AS n WHERE id = 'prj_bench';
    UPDATE run SET created_at = timestamptz '2026-01-01Z' + run_number * interval '5 minutes',
        completed_at = timestamptz '2026-01-01Z' + run_number * interval '5 minutes';
    ALTER TABLE usage_record DISABLE TRIGGER USER;
    INSERT INTO usage_record (id, project_id, created_at, service, date, quantity, unit, cost_usd, run_id,
        source_id)
    SELECT 'use_' || lpad(to_hex(n), 32, '0'),
        CASE n % {projects} WHEN 0 THEN 'prj_bench' ELSE 'prj_bench' || n % {projects} END,
        timestamptz '2026-01-01Z' + n * (interval '365 days' / {records}),
        CASE WHEN n / {projects} % 50 = 0 THEN 'e2b' ELSE 'anthropic' END,
        (timestamptz '2026-01-01Z' + n * (interval '365 days' / {records}))::date,
        n % 5000,
        (ARRAY['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens'])
            [1 + n / {projects} % 4],
        0.0125, NULL, n::text
    FROM generate_series(1, {records}) AS n;
    INSERT INTO usage_rollup (project_id, span, since, service, unit, records, quantity, cost_usd)
    SELECT project_id, 900, date_bin('15 minutes', created_at, '2000-01-01Z'), service, unit, count(*),
        sum(quantity), sum(cost_usd)
    FROM usage_record GROUP BY 1, 2, 3, 4, 5 ORDER BY 3, 1;
    INSERT INTO usage_rollup (project_id, span, since, service, unit, records, quantity, cost_usd)
    SELECT project_id, seconds, date_bin(make_interval(secs => seconds), since, '2000-01-01Z'), service, unit,
        sum(records), sum(quantity), sum(cost_usd)
    FROM usage_rollup, (VALUES (3600), (86400)) AS spans (seconds) GROUP BY 1, 2, 3, 4, 5 ORDER BY 3, 1;
    ALTER TABLE usage_record ENABLE TRIGGER USER;
"""
MONTH = "startDate=2026-06-01&endDate=2026-06-30"


def fill(url: str, records: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
        indexes: dict[str, str] = dict(
            connection.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'usage_record'"
                " AND indexname <> 'usage_record_pkey'"
            ).fetchall()
        )
        for name in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        statement = FILL.format(others=PROJECTS - 1, projects=PROJECTS, records=records)
        connection.execute(statement.encode())
        for name, definition in indexes.items():
            if name not in SPARED:
                connection.execute(definition.encode())
        connection.execute("VACUUM ANALYZE")


def compare(url: str, key: str, logs: Path) -> dict[str, float]:
    """Requests per second of each request, by its title."""
    some = "r_" + f"{RUNS // 2:032x}"
    asked = {
        "GET /runs/get": f"/api/v1/runs/get?id={some}",
        "GET /analytics/usage, a month": f"/api/v1/analytics/usage?{MONTH}",
        "the same, of one service": f"/api/v1/analytics/usage?{MONTH}&service=anthropic",
        "the same, summed up by day": f"/api/v1/analytics/usage?{MONTH}&groupBy=day",
        "the same, days of Kolkata": f"/api/v1/analytics/usage?{MONTH}&groupBy=day&timezone=Asia/Kolkata",
        "GET /analytics/daily-stats": f"/api/v1/analytics/daily-stats?{MONTH}",
    }
    rates: dict[str, list[float]] = {title: [] for title in asked}
    with serving("api.app:create_app", url, logs / "api.log") as port:
        for path in asked.values():
            measure(port, path, key)  # connections opened, statements prepared
        for _ in range(ROUNDS):
            for title, path in asked.items():
                rates[title].append(measure(port, path, key))
    return {title: max(values) for title, values in rates.items()}


async def main(check: bool, records: int) -> int:
    with tempfile.TemporaryDirectory() as directory:
        logs = Path(directory)
        server = Postgres(logs / "postgres", free_ports(1)[0], logs / "postgres.log")
        await server.start()
        try:
            await asyncio.to_thread(upgrade, server.url)
            key = await asyncio.to_thread(seed, server.url, RUNS)
            begun = time.monotonic()
            await asyncio.to_thread(fill, server.url, records)
            print(
                f"{records:,} usage records of {PROJECTS} projects, made in {time.monotonic() - begun:.0f} s"
            )
            rates = await asyncio.to_thread(compare, server.url, key, logs)
        finally:
            await server.stop()
    run, *_ = rates.values()
    missed = 0
    print(f"{'':34}{'per s':>10}{'of a run':>10}{'agreed':>8}")
    for title, rate in rates.items():
        most = MOST_OF_HALF_HOURS if "Kolkata" in title else MOST
        print(f"{title:34}{rate:10,.0f}{run / rate:9.1f}x{most:7.0f}x")
        missed += run / rate > most
    return missed if check else 0


if __name__ == "__main__":
    given = next((int(each.split("=")[1]) for each in sys.argv if each.startswith("--rows=")), RECORDS)
    sys.exit(asyncio.run(main("--check" in sys.argv, given)))
