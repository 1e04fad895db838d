"""Jobs of GitHub Actions: each check run is one, with the same id; its text is the job's log."""

import hmac
import secrets
from hashlib import sha256

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, RedirectResponse

from local.forge.errors import Forbidden, NotFound
from local.forge.rest.dependencies import (
    CurrentLogin,
    CurrentStore,
    CurrentViewer,
    PositiveId,
    ReadableRepository,
    WritableRepository,
)
from local.forge.store import check_runs
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/actions/jobs/{key}")
SIGNING_KEY = secrets.token_bytes(32)


@router.get("/logs", status_code=302)
async def logs(key: PositiveId, found: ReadableRepository, site: CurrentViewer) -> RedirectResponse:
    """A redirect to a signed address that needs no token, as on GitHub."""
    run = await check_runs.get(found, key)
    if not run.output_text:
        raise NotFound
    return RedirectResponse(
        f"{site.repo_api(found)}/actions/jobs/{key}/log.txt?signature={_log_signature(key)}", 302
    )


@router.get("/log.txt")
async def log(
    owner: str, repo: str, key: PositiveId, signature: str, store: CurrentStore
) -> PlainTextResponse:
    if not hmac.compare_digest(signature, _log_signature(key)):
        raise NotFound
    run = await check_runs.get(await store.find(owner, repo), key)
    return PlainTextResponse(run.output_text or "")


@router.post("/rerun", status_code=201)
async def rerun(key: PositiveId, found: WritableRepository, login: CurrentLogin) -> Json:
    run = await check_runs.get(found, key)
    if run.status != "completed":
        raise Forbidden("This job is already running.")
    await check_runs.rerun(found, run, login)
    return {}


def _log_signature(key: int) -> str:
    return hmac.new(SIGNING_KEY, str(key).encode(), sha256).hexdigest()
