"""The bare limit: Starlette, psycopg and orjson with hand-written SQL, and no feature at all.

One key check and one query a request, as our API does; no errors, no ids, no logs, no validation.  Lists come
in two ways, as rows turned to JSON here and as JSON made by PostgreSQL; the faster one counts.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONNECTIONS = 16
COLUMNS = """
    id, id AS "_id", run_number AS "runNumber", name, status, source, prompt,
    github_repo_url AS "githubRepoUrl",
    repository_slug AS "repositorySlug", branch_name AS "branchName", base_branch AS "baseBranch",
    blueprint_id AS "workflowId", blueprint_name AS "workflowName", chain_id AS "chainId",
    recurring_task_id AS "recurringTaskId", restarted_from AS "restartedFrom", cost_usd::float8 AS "costUsd",
    input_tokens AS "inputTokens", output_tokens AS "outputTokens", cache_read_tokens AS "cacheReadTokens",
    cache_write_tokens AS "cacheWriteTokens", current_iteration AS "currentIteration",
    max_iterations AS "maxIterations", current_step_label AS "currentStepLabel",
    current_step_progress AS "currentStepProgress", last_progress_at AS "lastProgressAt", waiting,
    pr_status AS "prStatus", pr_url AS "prUrl", pr_number AS "prNumber", ci_checks AS "ciChecks",
    scheduled_for AS "scheduledFor", timezone, recurrence_pattern AS "recurrencePattern",
    quality_score AS "qualityScore", error_code AS "errorCode", error_message AS "errorMessage",
    created_at AS "createdAt", started_at AS "startedAt", completed_at AS "completedAt"
"""
GET = f"SELECT {COLUMNS} FROM run WHERE project_id = %s AND id = %s AND deleted_at IS NULL"
LIST = f"SELECT {COLUMNS} FROM run WHERE project_id = %s AND deleted_at IS NULL ORDER BY id DESC LIMIT %s"
AGGREGATED = f"SELECT json_agg(row_to_json(shown))::text FROM ({LIST}) AS shown"

idle: asyncio.Queue[AsyncConnection] = asyncio.Queue()
keys: dict[str, str] = {}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    for _ in range(CONNECTIONS):
        idle.put_nowait(await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True))
    async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"]) as connection:
        cursor = await connection.execute("SELECT hash, project_id FROM api_key")
        keys.update(await cursor.fetchall())
    yield
    while not idle.empty():
        await idle.get_nowait().close()


def project(request: Request) -> str:
    return keys[sha256(request.headers["authorization"][7:].encode()).hexdigest()]


async def get(request: Request) -> Response:
    connection = await idle.get()
    try:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(GET, (project(request), request.query_params["id"]))
        row = await cursor.fetchone()
    finally:
        idle.put_nowait(connection)
    return Response(orjson.dumps({"data": row}), media_type="application/json")


async def rows(request: Request) -> Response:
    limit = int(request.query_params["limit"])
    connection = await idle.get()
    try:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(LIST, (project(request), limit + 1))
        found = await cursor.fetchall()
    finally:
        idle.put_nowait(connection)
    body = {"data": found[:limit], "nextCursor": found[-1]["id"], "hasMore": len(found) > limit}
    return Response(orjson.dumps(body), media_type="application/json")


async def aggregated(request: Request) -> Response:
    connection = await idle.get()
    try:
        cursor = connection.cursor()
        await cursor.execute(AGGREGATED, (project(request), int(request.query_params["limit"])))
        row = await cursor.fetchone()
    finally:
        idle.put_nowait(connection)
    body = b'{"data":' + row[0].encode() + b"}" if row else b"{}"
    return Response(body, media_type="application/json")


app = Starlette(
    routes=[Route("/get", get), Route("/rows", rows), Route("/aggregated", aggregated)], lifespan=lifespan
)
