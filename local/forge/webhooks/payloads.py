"""What is sent: GitHub's webhook payloads, made of the facts that an event kept."""

import json

from pydantic import TypeAdapter

from local.forge.git import commits
from local.forge.git.refs import list_refs
from local.forge.rest import pull_request_shapes
from local.forge.store import branch_protections, check_runs, check_suites
from local.forge.store.check_runs import CheckRun
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository, Store
from local.forge.store.statuses import Status
from local.forge.viewer import Json, Viewer, node_id
from local.forge.webhooks import hooks, push_payload
from local.forge.webhooks.deliveries import Delivery
from local.forge.webhooks.hooks import INSTALLATION_ID, Hook

ZEN = "Approachable is better than simple."
MAX_BRANCHES = 10
STATUS_FIELDS = (
    *("id", "avatar_url", "context", "state", "description", "target_url", "created_at", "updated_at"),
)
# Rows as the facts keep them.
PULL, RUN, RUNS, REPORT = (
    TypeAdapter(PullRequest),
    TypeAdapter(CheckRun),
    TypeAdapter(list[CheckRun]),
    TypeAdapter(Status),
)


async def build_payload(store: Store, root: str, hook: Hook, delivery: Delivery) -> Json:
    """The whole payload; links start with `root`."""
    site = Viewer(root, delivery.sender, authenticated=True)
    facts: Json = json.loads(delivery.facts)
    whole: Json = {} if delivery.action is None else {"action": delivery.action}
    repo = None if delivery.repository_id is None else await store.get(delivery.repository_id)
    if delivery.event == "ping":
        last = await hooks.last_deliveries(store.db, [hook])
        shape = hook.shape(site, repo, last.get(hook.id))
        whole |= {"zen": ZEN, "hook_id": hook.id, "hook": shape}
    whole |= {"repository": site.repository(repo)} if repo else {}
    whole["sender"] = site.user(delivery.sender)
    if hook.repository_id is None:
        installation = node_id("IntegrationInstallation", INSTALLATION_ID)
        whole["installation"] = {"id": INSTALLATION_ID, "node_id": installation}
    own = {
        "push": push_payload.push_details,
        "pull_request": pull_request,
        "check_run": check_run,
        "check_suite": check_suite,
        "status": status,
    }.get(delivery.event)
    return whole | await own(site, repo, facts) if own and repo else whole


async def pull_request(site: Viewer, repo: Repository, facts: Json) -> Json:
    """facts: `pull`, and what else the action tells: `before` and `after`, or `changes`."""
    kept = dict(facts)
    pull = PULL.validate_python(kept.pop("pull"))
    return {
        "number": pull.number,
        "pull_request": await pull_request_shapes.detail_shape(site, repo, pull),
        **kept,
    }


async def check_run(site: Viewer, repo: Repository, facts: Json) -> Json:
    """facts: `run`, and the `runs` that formed its suite then."""
    run = RUN.validate_python(facts["run"])
    suite = await check_suites.shape(site, repo, suite_runs(facts))
    pulls = await check_suites.pull_requests(site, repo, run.head_sha)
    return {"check_run": run.shape(site, repo, pulls) | {"check_suite": suite}}


async def check_suite(site: Viewer, repo: Repository, facts: Json) -> Json:
    """facts: the `runs` that formed it then."""
    return {"check_suite": await check_suites.shape(site, repo, suite_runs(facts))}


async def status(site: Viewer, repo: Repository, facts: Json) -> Json:
    """facts: `report`."""
    report = REPORT.validate_python(facts["report"])
    (commit,) = await commits.log(repo, "-1", report.sha)
    whole = report.shape(site, repo)
    containing = await list_refs(
        repo.git, f"--contains={report.sha}", f"--count={MAX_BRANCHES}", "refs/heads"
    )
    guarded = await branch_protections.of_repository(repo.db, repo.id)
    return {name: whole[name] for name in STATUS_FIELDS} | {
        "sha": report.sha,
        "name": repo.full_name,
        "commit": commits.shape(site, repo, commit),
        "branches": [
            {
                "name": ref.name.removeprefix("refs/heads/"),
                "commit": {"sha": ref.sha, "url": f"{site.repo_api(repo)}/commits/{ref.sha}"},
                "protected": ref.name.removeprefix("refs/heads/") in guarded,
            }
            for ref in containing
        ],
    }


def suite_runs(facts: Json) -> list[CheckRun]:
    return check_runs.latest_by_name(RUNS.validate_python(facts["runs"]))
