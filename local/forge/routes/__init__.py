"""The REST front: one file per noun, each a router below `/api/v3`."""

from fastapi import APIRouter

from local.forge.routes import (
    check_runs,
    check_suites,
    commits,
    contents,
    issues,
    pulls,
    references,
    repositories,
    statuses,
)

router = APIRouter()
for part in (repositories, references, statuses, check_runs, check_suites, commits, contents, pulls, issues):
    router.include_router(part.router)
