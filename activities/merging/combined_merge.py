"""Pull requests merged one by one in a sandbox: each is settled once, on the last commit that holds."""

from typing import Literal

from pydantic import Field
from temporalio import activity

from activities.gateway_factory import GatewayFactory, external_call
from activities.jobs.active_time import TimedResult
from activities.merging.merge_context import MergeContext, load_merge_context
from activities.sandboxes.checkpoints import save_checkpoint
from activities.sandboxes.lifecycle import SandboxRef
from gateways.anthropic.conversation import truncate
from gateways.git.combined_merge import MergeResult
from gateways.git.repository import (
    ChangeMalformed,
    ChangeTooLarge,
    ExpectedMerge,
    ProtectedPath,
    SecretInChange,
    WorkTreeDamaged,
)
from gateways.github.pull_requests import PullRequests
from kit.database import Database
from models import MergeJob
from models.merging.combined_merge_start import MergeConfig
from models.merging.merge_outcome import record_pull_request_merged, record_pull_request_outcome

MAX_DESCRIPTION_CHARS = 10_000
"""Characters of a pull request's description that agents are told."""


class PullMerge(SandboxRef):
    number: int
    gave_up: str | None = None
    """Why its conflicts were not solved; None when they were, or there were none."""


_LEFT_OUT_REASONS = {
    "unrelated": "Git cannot merge it: it shares no history with the base branch.",
    "markers": "Markers of its conflicts were left in {paths}.",
    "lost": "The sandbox was lost while its conflicts were solved: start the merge again.",
    "conflict": "It conflicts in {paths}.",
}


class PullMergeResult(TimedResult):
    outcome: Literal["merged", "left_out", "conflict", "unchecked"]
    """`unchecked`: merged and saved, but it counts only once the check command has passed on it."""
    paths: list[str] = Field(default_factory=list)
    """Those that conflict."""
    commit_sha: str | None = None
    """Of the merge that is to be checked."""


class CombinedMergeActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database, self.outside = database, outside

    @activity.defn
    async def describe_pulls(self, job_id: str) -> None:
        """What the pull requests say of themselves, and their common base; read again, it is the same row.

        What is not open any more, or never was there, is left out at once.
        """
        async with self.database.reading() as session:
            job = await session.get_one(MergeJob, job_id)
        credentials = await self.outside.credentials(job.project_id)
        with external_call():
            github = await self.outside.github(credentials, job.repository_slug)
            pulls = PullRequests(github, job.repository_slug)
            described = {number: await pulls.described(number) for number in job.numbers}
        told = {number: each for number, each in described.items() if each is not None}
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            job.base_branch = job.base_branch or next((each.base for each in told.values()), None)
            job.descriptions = {
                str(n): truncate(f"{each.title}\n\n{each.body}", MAX_DESCRIPTION_CHARS)
                for n, each in told.items()
            }
            for number in job.numbers:
                if number not in told:
                    record_pull_request_outcome(
                        session, job, number, "left_out", "There is no such pull request."
                    )
                elif told[number].state != "open":
                    record_pull_request_outcome(
                        session, job, number, "left_out", f"It is {told[number].state} already."
                    )

    @activity.defn
    async def merge_pull(self, ask: PullMerge) -> PullMergeResult:
        """Merge one; where there is a check command, that comes next.

        Killed anywhere, it begins again at the last commit that holds; once settled, it stays so.
        """
        place = await load_merge_context(self.database, self.outside, ask)
        if settled := place.job.outcome_of(ask.number):
            return PullMergeResult.model_validate({"outcome": settled})
        with external_call():
            head = await place.integration.fetch_pull(ask.number, place.base)
            merged = await place.integration.merge(place.good, head, place.job.subject(ask.number), place.who)
            if merged.outcome == "conflict":
                return PullMergeResult(outcome="conflict", paths=merged.paths)
            return await self._settle(ask, place, head, merged)

    @activity.defn
    async def conclude_pull(self, ask: PullMerge) -> PullMergeResult:
        """Take what the agent made of the conflicts, if no marker is left; the check command comes next.

        Killed after the commit, it finds it; once settled, it stays so.
        """
        place = await load_merge_context(self.database, self.outside, ask)
        if settled := place.job.outcome_of(ask.number):
            return PullMergeResult.model_validate({"outcome": settled})
        with external_call():
            head = await place.integration.fetch_pull(ask.number, place.base)
            if ask.gave_up is not None:
                return await self._leave_out(ask, place, f"Its conflicts were not solved: {ask.gave_up}")
            subject = place.job.subject(ask.number)
            merged = await place.integration.conclude(place.good, head, subject, place.who)
            return await self._settle(ask, place, head, merged)

    async def _settle(
        self, ask: PullMerge, place: MergeContext, head: str, merged: MergeResult
    ) -> PullMergeResult:
        """head: the pull request's commit."""
        if merged.outcome != "merged":
            reason = _LEFT_OUT_REASONS[merged.outcome].format(paths=", ".join(merged.paths))
            return await self._leave_out(ask, place, reason)
        sha = await place.integration.head()
        try:
            await self._keep(place, sha, head)
        except SecretInChange:
            return await self._leave_out(ask, place, "It holds one of the project's secrets.")
        except ProtectedPath as refusal:
            paths = ", ".join(refusal.paths)
            return await self._leave_out(ask, place, f"Merged, it is not as anybody proposed: {paths}.")
        except (ChangeTooLarge, ChangeMalformed, WorkTreeDamaged) as refusal:
            return await self._leave_out(ask, place, refusal.message)
        if MergeConfig.model_validate(place.job.config).check_command is not None:
            return PullMergeResult(outcome="unchecked", commit_sha=sha)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, ask.job_id, with_for_update=True)
            record_pull_request_merged(session, job, ask.number, sha)
        return PullMergeResult(outcome="merged")

    async def _keep(self, place: MergeContext, sha: str, head: str) -> None:
        """Save what is integrated before it counts, for a new sandbox to go on from.

        Foreign code may have run in the sandbox, as agents' commands do: the commit has to hold what was to
        be merged all the same, and protected paths as the pull request or the merge before has them.
        """
        merge = ExpectedMerge(sha, place.good, head)
        await save_checkpoint(self.database, place.integration, place.job.id, place.base, merge)

    async def _leave_out(self, ask: PullMerge, place: MergeContext, reason: str) -> PullMergeResult:
        await place.integration.go_back(place.good)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, ask.job_id, with_for_update=True)
            record_pull_request_outcome(session, job, ask.number, "left_out", reason)
        return PullMergeResult(outcome="left_out")
