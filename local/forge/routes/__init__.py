"""The REST front: one file per noun, each a router below `/api/v3`."""

from fastapi import APIRouter

from local.forge.routes import (
    check_runs,
    comments,
    commits,
    contents,
    pulls,
    references,
    repositories,
    statuses,
)

router = APIRouter()
for part in (repositories, references, statuses, check_runs, commits, contents, pulls, comments):
    router.include_router(part.router)
