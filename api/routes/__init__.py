"""Every operation, one file a resource."""

from api.route import Route
from api.routes import (
    api_keys,
    identity,
    issue_session_trash,
    issue_sessions,
    issues,
    notifications,
    personas,
    projects,
    provider_keys,
    pull_requests,
    recurring_firings,
    recurring_tasks,
    run_control,
    run_events,
    run_why,
    runs,
    sandboxes,
    sprint_chain_control,
    sprint_chains,
    workflows,
)

_ROUTERS = [
    *identity.routers,
    projects.router,
    api_keys.router,
    provider_keys.router,
    workflows.router,
    personas.router,
    runs.router,
    run_control.router,
    run_events.router,
    run_why.router,
    pull_requests.router,
    issues.router,
    sprint_chains.router,
    sprint_chain_control.router,
    issue_sessions.router,
    issue_session_trash.router,
    recurring_tasks.router,
    recurring_firings.router,
    sandboxes.router,
    notifications.router,
]
ROUTES: list[Route] = [route for router in _ROUTERS for route in router.routes]
