"""The REST front: one file per noun, each a router below `/api/v3`."""

from fastapi import APIRouter

from local.forge.routes import (
    check_runs,
    check_suites,
    commits,
    compare,
    contents,
    git_objects,
    issues,
    pulls,
    references,
    repositories,
    statuses,
)

# In this order: `/commits/{ref}` would also match what is below a commit.
PARTS = (
    repositories,
    references,
    git_objects,
    statuses,
    check_runs,
    check_suites,
    commits,
    compare,
    contents,
)

router = APIRouter()
for part in (*PARTS, pulls, issues):
    router.include_router(part.router)
