"""Requests per second of the API against the bare limit, in one run on one machine.

    python -m tests.bench.bench_api [--check]

Both are served by one uvicorn worker (uvloop, httptools), asked over 16 connections from another process, on
the same million rows; they take turns, and the best turn of each counts, as neighbours on the machine only
ever slow one down.  The thousandth page of the list is compared with the first in the same way.  `--check`
fails below the agreed shares.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
from cryptography.fernet import Fernet

from cli.deployment.migrate import upgrade
from local.stack.ports import free_ports
from local.stack.postgres import Postgres
from models.projects.api_key import SCOPES, ApiKey
from tests.support.checkout import ROOT

ROWS = 1_000_000
PAGE = 50
DEEP = 1_000
"""The page that is compared with the first one."""
SECONDS = 2.0
ROUNDS = 5
SHARES = {"get": 0.4, "list": 0.33, "deep": 0.9}
SEED = """
    INSERT INTO project (id, name, slug, created_at, run_count, learning_config, merging_config,
        issue_config, answering_config, evaluator_config, judge_config, git_commit_name,
        git_commit_email, env_vars)
    VALUES ('prj_bench', 'Bench', 'bench', now(), 0, '{}', '{}', '{}', '{}', '{}', '{}', 'x', 'x', '{}');
    INSERT INTO member (id, project_id, email, name, role, created_at, accepted_at, event_seq)
    VALUES ('user_bench', 'prj_bench', 'a@b', 'A', 'owner', now(), now(), 0);
    INSERT INTO blueprint (id, project_id, created_at, updated_at, name, version, pipeline_steps, config)
    VALUES ('wf_bench', 'prj_bench', now(), now(), 'Build and check', 1, '[]', '{}');
    INSERT INTO run (id, project_id, created_at, event_seq, run_number, name, status, source, prompt,
        github_repo_url, repository_slug, branch_name, base_branch, blueprint_id, blueprint_name,
        current_iteration, max_iterations, cost_usd, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, pr_status, pr_url, pr_number, started_at, completed_at, last_progress_at)
    SELECT 'r_' || lpad(to_hex(n), 32, '0'), 'prj_bench', now(), 12, n, 'Add a dark mode toggle ' || n,
        'completed', 'api', 'Add a dark mode toggle to the settings page and remember the choice.',
        'https://github.com/org/repo', 'org/repo', 'codecourier/' || n || '-add-a-dark-mode-toggle', 'main',
        'wf_bench', 'Build and check', 1, 3, 0.42, 5120, 940, 20480, 2048, 'created',
        'https://github.com/org/repo/pull/' || n, n, now(), now(), now()
    FROM generate_series(1, %d) AS n;
    ANALYZE;
"""


def seed(url: str, runs: int = ROWS) -> str:
    """Fill the database with so many runs; a key's secret."""
    key, secret = ApiKey.generate(
        project_id="prj_bench", member_id="user_bench", name="bench", scopes=[*SCOPES]
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((SEED % runs).encode())
        connection.execute(
            "INSERT INTO api_key (id, project_id, member_id, name, hash, key_prefix, scopes, created_at)"
            " VALUES (%s, 'prj_bench', 'user_bench', 'bench', %s, %s, %s, now())",
            (key.id, key.hash, key.key_prefix, key.scopes),
        )
    return secret


@contextmanager
def serving(application: str, url: str, log: Path) -> Iterator[int]:
    """One uvicorn worker; its port."""
    port = free_ports(1)[0]
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DATABASE_POOL_SIZE": "16",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
        "RATE_LIMIT_PER_KEY": "off",
    }
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", application, *options]
    command += ["--factory"] if application.endswith("create_app") else []
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=ROOT) as process,
    ):
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as http:
                http.get(f"http://127.0.0.1:{port}/healthz")
            yield port
        finally:
            process.terminate()


def measure(port: int, path: str, key: str) -> float:
    command = [sys.executable, str(Path(__file__).with_name("load.py")), str(port), path, key, str(SECONDS)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def deep_page(port: int, key: str) -> str:
    """The path of a page far back, found by reading all those before it."""
    path = f"/api/v1/runs/list?limit={PAGE}"
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}
    ) as http:
        cursor = ""
        for _ in range(DEEP - 1):
            cursor = "&cursor=" + quote(
                http.get(path + cursor).raise_for_status().json()["nextCursor"], safe=""
            )
    return path + cursor


def compare(url: str, key: str, logs: Path) -> dict[str, tuple[float, float]]:
    """Requests per second: of `get` and `list` bare and ours, of `deep` the first page and one far back."""
    some = "r_" + f"{ROWS // 2:032x}"
    with (
        serving("tests.bench.bare:app", url, logs / "bare.log") as bare,
        serving("api.app:create_app", url, logs / "api.log") as ours,
    ):
        asked = {
            "get": (bare, f"/get?id={some}"),
            "list": (bare, "/rows?limit=50"),
            "list, aggregated": (bare, "/aggregated?limit=50"),
            "our get": (ours, f"/api/v1/runs/get?id={some}"),
            "our list": (ours, f"/api/v1/runs/list?limit={PAGE}"),
            "our deep": (ours, deep_page(ours, key)),
        }
        rates: dict[str, list[float]] = {name: [] for name in asked}
        for port, path in asked.values():
            measure(port, path, key)  # connections opened, statements prepared
        for _ in range(ROUNDS):
            for name, (port, path) in asked.items():
                rates[name].append(measure(port, path, key))
    best = {name: max(values) for name, values in rates.items()}
    return {
        "get": (best["get"], best["our get"]),
        "list": (max(best["list"], best["list, aggregated"]), best["our list"]),
        "deep": (best["our list"], best["our deep"]),
    }


async def main(check: bool) -> int:
    with tempfile.TemporaryDirectory() as directory:
        logs = Path(directory)
        server = Postgres(logs / "postgres", free_ports(1)[0], logs / "postgres.log")
        await server.start()
        try:
            await asyncio.to_thread(upgrade, server.url)
            key = await asyncio.to_thread(seed, server.url)
            rates = await asyncio.to_thread(compare, server.url, key, logs)
        finally:
            await server.stop()
    missed = 0
    print(f"{'':34}{'bare':>10}{'ours':>10}{'share':>8}{'agreed':>8}")
    titles = {
        "get": "GET /runs/get",
        "list": f"GET /runs/list, {PAGE} of {ROWS:,}",
        "deep": f"its page 1, its page {DEEP:,}",
    }
    for name, (bare, ours) in rates.items():
        print(f"{titles[name]:34}{bare:10,.0f}{ours:10,.0f}{ours / bare:8.2f}{SHARES[name]:8.2f}")
        missed += ours / bare < SHARES[name]
    return missed if check else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main("--check" in sys.argv)))
