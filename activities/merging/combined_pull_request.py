"""What the merge of several pull requests leaves on GitHub: one branch, one pull request, a word on each.

Every effect is looked up before it is made and carries the job's id, so that repeating finds it.
"""

from temporalio import activity

from activities.gateway_factory import GatewayFactory, external_call
from activities.sandboxes.lifecycle import SandboxRef
from gateways.anthropic.conversation import truncate
from gateways.git.repository import CloneBase, PushPolicy, Repository
from gateways.github.inert_markdown import neutralize_markdown
from gateways.github.markers import marker, without_markers
from gateways.github.pull_requests import PullRequests
from kit.cancellation import run_to_completion
from kit.database import Database
from models import MergeJob, Sandbox
from models.merging.combined_merge_start import MergeConfig

MAX_BODY_CHARS = 60_000
"""Characters of a body; GitHub takes 65,536."""


class CombinedPullRequestActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database, self.outside = database, outside

    @activity.defn(name="push_integration")
    async def push_combined_branch(self, ref: SandboxRef) -> bool:
        """Push the integration branch; False when nothing could be merged.  Again, it changes nothing."""
        return await run_to_completion(self._push(ref))

    async def _push(self, ref: SandboxRef) -> bool:
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, ref.job_id)
            sandbox = await session.get_one(Sandbox, ref.sandbox_id)
        credentials = await self.outside.credentials(job.project_id)
        if job.integrated_sha is None:
            return False
        with external_call():
            handle = await self.outside.attach(credentials, sandbox)
            url, token = await self.outside.remote(credentials, job.repository_slug)
            policy = PushPolicy(credentials.redactor)  # protected paths were held to each pull request's
            repository = Repository(handle, url, token, self.outside.git, policy)
            base = CloneBase(str(job.base_branch), str(job.base_sha))
            await repository.push(job.integrated_sha, str(job.branch_name), base)
        return True

    @activity.defn(name="open_unified")
    async def open_combined_pull_request(self, job_id: str) -> None:
        """One pull request of the branch; killed after it was made, it is found by its branch and marker."""
        await run_to_completion(self._open(job_id))

    async def _open(self, job_id: str) -> None:
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id)
        credentials = await self.outside.credentials(job.project_id)
        if job.pr_url:
            return
        own = marker("merge", job.id)
        config = MergeConfig.model_validate(job.config)
        with external_call():
            github = await self.outside.github(credentials, job.repository_slug)
            facts = await github.ensure_pull_request(
                job.repository_slug,
                head=str(job.branch_name),
                base=str(job.base_branch),
                title=credentials.redactor.redact_text(job.name),
                body=credentials.redactor.redact_text(f"{without_markers(_body(job, config))}\n\n{own}"),
                draft=config.draft_pr,
                marker=own,
            )
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            job.mark_opened(facts.url, facts.head_sha)

    @activity.defn(name="tell_originals")
    async def comment_on_originals(self, job_id: str) -> None:
        """A comment on each of the pull requests that there are: in what it is held, or why not; one each."""
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id)
        credentials = await self.outside.credentials(job.project_id)
        reasons = {entry["prNumber"]: str(entry["message"]) for entry in job.conflicts}
        with external_call():
            github = await self.outside.github(credentials, job.repository_slug)
            pulls = PullRequests(github, job.repository_slug)
            for number in (number for number in job.pull_request_numbers if str(number) in job.descriptions):
                reason = reasons.get(number)
                told = (
                    f"Held by {job.pr_url}."
                    if reason is None
                    else f"Left out of {job.pr_url}: {neutralize_markdown(reason)}"
                )
                await pulls.comment_once(
                    number, credentials.redactor.redact_text(told), marker("merge", job.id)
                )


def _body(job: MergeJob, config: MergeConfig) -> str:
    """Markdown: what it holds, what was left out and why, and how it was checked."""
    held = "\n".join(
        f"- #{number}: {neutralize_markdown(job.title_of(number))}" for number in job.numbers_with("merged")
    )
    parts = [f"## What it holds\n\n{held}"]
    if job.conflicts:
        left = "\n".join(
            f"- #{each['prNumber']}: {neutralize_markdown(str(each['message']))}" for each in job.conflicts
        )
        parts.append(f"## What was left out\n\n{left}")
    command = config.check_command
    how = f"`{command}` passed on every commit." if command else "No check command was given."
    parts.append(f"## How it was checked\n\n{how} No conflict marker is left.")
    parts.append(f"---\nCodeCourier merge `{job.id}`.")
    return truncate("\n\n".join(parts), MAX_BODY_CHARS)
