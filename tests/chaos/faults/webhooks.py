"""Webhooks of GitHub that come twice, and out of order."""

import asyncio
from typing import Any

from tests.chaos.environment import SMALL, Accepted, FaultEnvironment
from tests.chaos.fault import fault
from tests.support.github import FILES_WITH_CI, ApiServer, ForgeRepository


@fault(
    "webhooks-twice",
    "Every webhook of GitHub comes twice and out of order while pull requests merge.",
    tries=2,
)
async def webhooks_twice(stage: FaultEnvironment) -> None:
    api = ApiServer(stage.http, stage.site.parts.plan.webhook_secret)
    async with asyncio.TaskGroup() as group:
        for _ in range(stage.tries):
            group.create_task(merged_amid_webhooks(stage, api))


async def merged_amid_webhooks(stage: FaultEnvironment, api: ApiServer) -> None:
    job = await stage.accept(SMALL, files=FILES_WITH_CI)
    await stage.ended(job)
    slug, sha = job.run.repository_slug, str(job.run.head_sha)
    github = ForgeRepository(stage.site, slug)
    check = await github.begin_check(sha)
    await stage.merge(job)
    begun = webhooks(job, slug, sha, "created")
    await deliver(stage, api, begun)
    await github.end_check(check)
    await deliver(stage, api, [*begun, *webhooks(job, slug, sha, "completed")])


def webhooks(job: Accepted, slug: str, sha: str, action: str) -> list[dict[str, Any]]:
    """What GitHub tells of one check, in its order."""
    pull = {"number": job.run.pr_number, "head": {"sha": sha}}
    return [
        {"event": "check_run", "slug": slug, "action": action, "check_run": {"head_sha": sha}},
        {"event": "check_suite", "slug": slug, "action": action, "check_suite": {"head_sha": sha}},
        {"event": "pull_request", "slug": slug, "action": "synchronize", "pull_request": pull},
        {"event": "status", "slug": slug, "action": action, "sha": sha},
    ]


async def deliver(stage: FaultEnvironment, api: ApiServer, told: list[dict[str, Any]]) -> None:
    """Each twice under the same delivery id, in any order."""
    deliveries = [(f"{id(each):x}", each) for each in told] * 2
    stage.chance.shuffle(deliveries)
    await asyncio.gather(*(api.tell(delivery=delivery, **each) for delivery, each in deliveries))
