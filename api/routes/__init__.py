"""Every operation, one file a resource."""

from api.http.route import Route
from api.routes import assets
from api.routes.analytics import counters as analytics_counters
from api.routes.analytics import daily_stats, usage
from api.routes.blueprints import persona_actions, personas, workflow_insight, workflow_versions, workflows
from api.routes.budgets import caps, cost_rates
from api.routes.chains import sprint_chain_control, sprint_chains, work_chain_control, work_chains
from api.routes.github import branches
from api.routes.github import hooks as github_hooks
from api.routes.github import webhook as github_webhook
from api.routes.issues import (
    answering_session_control,
    answering_sessions,
    issue_sessions,
    issues,
    session_questions,
)
from api.routes.learnings import learning_versions, learnings
from api.routes.merging import (
    combined_merges,
    merge_jobs,
    pull_request_merges,
    pull_requests,
)
from api.routes.notifications import notifications
from api.routes.projects import api_keys, clerk_webhook, counters, identity, members, project, provider_keys
from api.routes.projects import deletion as project_deletion
from api.routes.runs import files, run_control, run_events, runs, status_reason
from api.routes.sandboxes import own_sandboxes, sandbox_files, sandbox_previews, sandboxes
from api.routes.schedules import recurring_task_firings, recurring_tasks
from api.routes.trash import resources as trashable_resources
from api.routes.trash import trash
from api.routes.webhooks import deliveries as webhook_deliveries
from api.routes.webhooks import endpoints as webhook_endpoints
from api.routes.webhooks import events as project_events

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
    status_reason.router,
    caps.router,
    pull_requests.router,
    issues.router,
    work_chains.router,
    work_chain_control.router,
    pull_request_merges.router,
    merge_jobs.router,
    combined_merges.router,
    branches.router,
    sprint_chains.router,
    sprint_chain_control.router,
    issue_sessions.router,
    answering_sessions.router,
    answering_session_control.router,
    session_questions.router,
    recurring_tasks.router,
    recurring_task_firings.router,
    sandboxes.router,
    own_sandboxes.router,
    sandbox_files.router,
    sandbox_previews.router,
    notifications.router,
    github_webhook.router,
    github_hooks.router,
    workflow_versions.router,
    workflow_insight.router,
    persona_actions.router,
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
