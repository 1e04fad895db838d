"""The preview server of a live sandbox: started, looked at, stopped."""

from datetime import UTC, datetime

from fastapi import Request

from activities.jobs.snapshots import load_snapshot
from api.auth import requires
from api.http.router import Router
from api.sandboxes.live import LiveSandbox, open_live_sandbox
from api.state import unit_of_work_of
from gateways.sandboxes.inspection import PreviewFacts
from models.sandboxes.live_sandbox_schemas import PreviewRead, PreviewStart, SandboxId

router = Router("/sandboxes", "Sandboxes", upstream=True)
READ, WRITE = requires("sandboxes:read"), requires("sandboxes:write")
MAX_OUTPUT_LINES = 100


@router.get("/preview", READ)
async def get_sandbox_preview(id: str, request: Request) -> PreviewRead:
    """Tell what the preview server of a live sandbox is doing, where it is reached, and what it printed last.

    409 when the sandbox is gone or not ready.
    """
    async with open_live_sandbox(unit_of_work_of(request), id) as found:
        return _read(found, await found.inspection.preview())


@router.post("/preview/start", WRITE, creates=True)
async def start_sandbox_preview(body: PreviewStart, request: Request) -> PreviewRead:
    """Start a server in a live sandbox; one that runs already with this command and port is the one.

    The command runs in the repository with the project's environment variables; without its secret ones where
    a step of the job names the `secrets` that it is given. 409 when another server runs there, or when the
    sandbox is gone or not ready.
    """
    unit = unit_of_work_of(request)
    async with open_live_sandbox(unit, body.sandbox_id) as found:
        snapshot = await load_snapshot(unit.database, found.job_id)
        environment = found.credentials.environment_for(snapshot.job_secrets)
        return _read(found, await found.inspection.start_preview(body.command, body.port, environment))


@router.post("/preview/stop", WRITE)
async def stop_sandbox_preview(body: SandboxId, request: Request) -> PreviewRead:
    """Stop the preview server of a live sandbox; none, or one that has ended, is fine."""
    async with open_live_sandbox(unit_of_work_of(request), body.sandbox_id) as found:
        return _read(found, await found.inspection.stop_preview())


def _read(found: LiveSandbox, facts: PreviewFacts) -> PreviewRead:
    port = facts.port if facts.port is not None and 0 < facts.port < 65_536 else None
    is_up = facts.state in ("starting", "running")
    return PreviewRead(
        sandbox_id=found.id,
        state=facts.state,
        command=found.redact(facts.command) if facts.command is not None else None,
        port=port,
        url=found.sandboxes.preview_url(found.handle, port) if port is not None and is_up else None,
        exit_code=facts.exit,
        started_at=_moment(facts.at),
        output=found.redact(facts.output.replace("\0", "")).splitlines()[-MAX_OUTPUT_LINES:],
    )


def _moment(seconds: float | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
    except (OverflowError, ValueError, OSError):
        return None
