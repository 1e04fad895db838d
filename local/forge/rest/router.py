"""The REST front: one file per noun, each a router below `/api/v3`."""

from fastapi import APIRouter

from local.forge.rest import (
    actions,
    apps,
    branch_protection,
    check_runs,
    check_suites,
    commits,
    compare,
    contents,
    git_objects,
    hook_deliveries,
    hooks,
    issues,
    pull_requests,
    references,
    repositories,
    reviews,
    statuses,
)

# In this order: `/commits/{ref}` would also match what is below a commit, `/branches/{name}` its protection.
ROUTER_MODULES = (
    apps,
    actions,
    branch_protection,
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
for part in (*ROUTER_MODULES, pull_requests, reviews, issues, hooks, hook_deliveries):
    router.include_router(part.router)
