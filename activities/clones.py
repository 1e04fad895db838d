"""What was cloned into a job's sandbox, on the job's row, in the sandbox's log and in the job's (ADR 7)."""

from typing import Final

from activities.sandboxes import SandboxRef
from activities.telling import PROGRESSED, TELL, told
from activities.workplaces import Workplace
from gateways.repository import Cloned
from kit.direct import Direct, jsonb
from models.base import JsonObject
from models.event import EventType
from models.jobs import table_of
from models.sandbox import CLONED, SandboxEventType, said

_CLONED: Final = """
    WITH held AS (SELECT id FROM {job} WHERE id = %(job)s FOR UPDATE), cloned AS (
        INSERT INTO sandbox_event
        SELECT line.* FROM held, jsonb_populate_record(NULL::sandbox_event, %(cloned)s) AS line
        ON CONFLICT (sandbox_id, message) WHERE {cloned} DO NOTHING RETURNING id
    ), installed AS (
        INSERT INTO sandbox_event
        SELECT line.* FROM cloned, jsonb_populate_record(NULL::sandbox_event, %(installed)s) AS line
    ), based AS (
        UPDATE {job} AS job SET base_branch = %(baseBranch)s, base_sha = %(baseSha)s, {progressed},
            event_seq = event_seq + (SELECT count(*) FROM cloned)
        FROM held WHERE job.id = %(job)s RETURNING project_id, job.id, event_seq
    ), changed AS (SELECT based.* FROM based, cloned)
    {tell}
"""
"""The job's row is held first, as everywhere; the log's unique index keeps it from being told twice."""


async def keep_clone(
    direct: Direct, ref: SandboxRef, place: Workplace, cloned: Cloned, branch: str, files: int
) -> None:
    """Write down what was cloned; branch: the one to work on; files: how many of the project's came along."""
    clone = said(
        ref.sandbox_id, SandboxEventType.clone, f"Cloned {place.repository_slug} at {cloned.base_sha}."
    )
    install = said(ref.sandbox_id, SandboxEventType.install, f"Put {files} project files in place.")
    data: JsonObject = {
        "sandboxId": ref.sandbox_id, "branch": branch, "baseBranch": cloned.base_branch,
        "baseSha": cloned.base_sha,
    }  # fmt: skip
    values = {
        **data, "job": ref.job_id, "progress": "The repository is cloned.",
        "cloned": jsonb(clone.model_dump(mode="json")), "installed": jsonb(install.model_dump(mode="json")),
        **told(EventType.repository_cloned, data),
    }  # fmt: skip
    statement = _CLONED.format(job=table_of(ref.job_id), cloned=CLONED, progressed=PROGRESSED, tell=TELL)
    await direct.fetch(statement, values)
