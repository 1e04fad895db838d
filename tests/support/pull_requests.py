"""Runs with an open pull request, and merges asked for by REST."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import col

from models import ApiKey, Event, Member, MergeJob, Notification, Run
from models.blueprints.blueprint import BlueprintConfig
from models.event import EventType
from models.merging.merge_job import MergeStatus
from models.projects.api_key import SCOPES
from models.runs.run import PrStatus, RunStatus
from tests.support.github import FILES_WITH_CI, ApiServer, ForgeRepository
from tests.support.installation import Installation, wait_until
from tests.support.waiting import TEST_TIMEOUT_SECONDS


@dataclass(frozen=True)
class OpenPullRequest:
    """The open pull request of a run that has ended, and a key of the run's project."""

    site: Installation
    api: ApiServer
    github: ForgeRepository
    run: Run
    headers: dict[str, str]

    @property
    def sha(self) -> str:
        return str(self.run.head_sha)

    @property
    def branch(self) -> str:
        return str(self.run.branch_name)

    async def merge(self, **body: object) -> str:
        """Ask for its merge; the job's id."""
        path = f"/api/v1/pull-requests/{self.run.id}/merge"
        answer = await self.api.http.post(path, json=body, headers=self.headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["mergeJobId"])

    async def merge_on_github(self) -> None:
        """Merge it there, past this installation."""
        await self.github.ask("PUT", f"/pulls/{self.run.pr_number}/merge", {})

    async def shown(self, job_id: str) -> dict[str, Any]:
        """The job as clients see it."""
        answer = await self.api.http.get("/api/v1/merging/get", params={"id": job_id}, headers=self.headers)
        found: dict[str, Any] = answer.json()["data"]
        return found

    async def reaches(
        self, job_id: str, status: MergeStatus, patience: float = TEST_TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        async def is_there() -> bool:
            return bool((await self.shown(job_id))["status"] == status)

        await wait_until(is_there, f"merge {job_id} is {status}", patience)
        return await self.shown(job_id)

    async def blocked(self, job_id: str, sha: str | None = None) -> dict[str, Any]:
        """Wait until CI blocks it at a commit, the run's own unless given."""

        async def is_blocked() -> bool:
            job = await self.shown(job_id)
            return bool(job["waiting"] and job["headSha"] == (sha or self.sha))

        await wait_until(is_blocked, f"merge {job_id} is blocked")
        assert (await self.status()) is PrStatus.blocked_on_ci
        return await self.shown(job_id)

    async def status(self) -> PrStatus | None:
        return (await self.site.read(self.run)).pr_status

    async def events(self, *types: EventType) -> list[Event]:
        return [event for event in await self.site.events(self.run) if event.type in types]

    async def told(self) -> list[Notification]:
        of_project = col(Notification.project_id) == self.run.project_id
        return await self.site.rows(Notification, of_project, col(Notification.id))

    async def job(self, job_id: str) -> MergeJob:
        [row] = await self.site.rows(MergeJob, col(MergeJob.id) == job_id, col(MergeJob.id))
        return row


async def make_pull_request(
    site: Installation,
    api: ApiServer,
    *,
    ci: bool = True,
    draft: bool = False,
    config: BlueprintConfig | None = None,
) -> OpenPullRequest:
    """A run that has opened a pull request, which adds `new.txt`, and has ended.

    ci: checks of its commits are to be expected.
    """
    slug = await site.repository(FILES_WITH_CI if ci else {"greet.py": "print('hi')\n"})
    github, project = ForgeRepository(site, slug), await site.project()
    run = await site.accept("Add a file", project=project, repository=slug, config=config)
    sha = await github.commit("main", {"new.txt": "new\n"}, "Add new.txt")
    await github.branch(str(run.branch_name), sha)
    body = {"title": run.name, "head": run.branch_name, "base": "main", "draft": draft}
    pull = await github.ask("POST", "/pulls", body)
    async with site.database.transaction() as session:
        run = await session.get_one(Run, run.id, with_for_update=True)
        run.close(RunStatus.completed)
        run.base_branch, run.head_sha, run.pr_status = "main", sha, PrStatus.created
        run.pr_number, run.pr_url = pull["number"], pull["html_url"]
    return OpenPullRequest(site, api, github, run, await make_key_headers(site, project.id))


async def make_key_headers(site: Installation, project_id: str) -> dict[str, str]:
    """With a new key of the project's member."""
    [member] = await site.rows(Member, col(Member.project_id) == project_id, col(Member.id))
    key, secret = ApiKey.generate(project_id=project_id, member_id=member.id, name="test", scopes=[*SCOPES])
    await site.add(key)
    return {"Authorization": f"Bearer {secret}"}
