"""Every operation, one file a resource."""

from api.route import Route
from api.routes import (
    answering_session_control,
    answering_sessions,
    api_keys,
    assets,
    branches,
    files,
    github_webhook,
    identity,
    issue_sessions,
    issues,
    merging,
    merging_start,
    notifications,
    own_sandboxes,
    personas,
    provider_keys,
    pull_request_merging,
    pull_requests,
    recurring_firings,
    recurring_tasks,
    run_control,
    run_events,
    run_why,
    runs,
    sandbox_files,
    sandbox_previews,
    sandboxes,
    session_questions,
    sprint_chain_control,
    sprint_chains,
    work_chain_control,
    work_chains,
    workflows,
)
from api.routes.analytics import counters as analytics_counters
from api.routes.analytics import daily_stats, usage
from api.routes.blueprints import personas as persona_copies
from api.routes.blueprints import workflow_insight, workflow_versions
from api.routes.budgets import caps
from api.routes.learnings import learning_versions, learnings
from api.routes.projects import clerk_webhook, cost_rates, counters, members, project
from api.routes.projects import deletion as project_deletion
from api.routes.trash import resources as trashable_resources
from api.routes.trash import trash
from api.routes.webhooks import deliveries as webhook_deliveries
from api.routes.webhooks import endpoints as webhook_endpoints
from api.routes.webhooks import events as project_events
from api.routes.webhooks import github_hooks

_ROUTERS = [
    *identity.routers,
    project.router,
    members.router,
    counters.router,
    cost_rates.router,
    api_keys.router,
    provider_keys.router,
    workflows.router,
    personas.router,
    *assets.routers,
    runs.router,
    run_control.router,
    run_events.router,
    run_why.router,
    caps.router,
    pull_requests.router,
    issues.router,
    work_chains.router,
    work_chain_control.router,
    pull_request_merging.router,
    merging.router,
    merging_start.router,
    branches.router,
    sprint_chains.router,
    sprint_chain_control.router,
    issue_sessions.router,
    answering_sessions.router,
    answering_session_control.router,
    session_questions.router,
    recurring_tasks.router,
    recurring_firings.router,
    sandboxes.router,
    own_sandboxes.router,
    sandbox_files.router,
    sandbox_previews.router,
    notifications.router,
    github_webhook.router,
    github_hooks.router,
    workflow_versions.router,
    workflow_insight.router,
    persona_copies.router,
    usage.router,
    daily_stats.router,
    analytics_counters.router,
    learnings.router,
    learning_versions.router,
    webhook_endpoints.router,
    webhook_deliveries.router,
    project_events.router,
    files.router,
    clerk_webhook.router,
    project_deletion.router,
    trash.router,
    *trashable_resources.routers,
]
ROUTES: list[Route] = [route for router in _ROUTERS for route in router.routes]
