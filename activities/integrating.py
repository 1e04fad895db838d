"""Pull requests merged one by one in a sandbox: each is settled once, on the last commit that holds."""

from typing import Literal

from pydantic import BaseModel
from temporalio import activity

from activities.checkpoints import checkpoint_kept
from activities.integration_places import Place, place_of
from activities.outside import Outside, outside
from activities.sandboxes import SandboxRef
from gateways.conversation import cut
from gateways.github_pulls import PullRequests
from gateways.integration import Merged
from kit.database import Database
from models import MergeJob
from models.merge_ending import settle_pull
from models.merge_start import MergeConfig

CHECK_SECONDS = 1_800
TOLD = 10_000
"""Characters of a pull request's description that agents are told."""


class PullPlace(SandboxRef):
    number: int
    gave_up: str | None = None
    """Why its conflicts were not solved; None when they were, or there were none."""


_REASONS = {
    "unrelated": "Git cannot merge it: it shares no history with the base branch.",
    "markers": "Markers of its conflicts were left in {paths}.",
    "lost": "The sandbox was lost while its conflicts were solved: start the merge again.",
    "conflict": "It conflicts in {paths}.",
}


class PullOutcome(BaseModel):
    outcome: Literal["merged", "left_out", "conflict"]
    paths: list[str] = []
    """Those that conflict."""


class Integrating:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database, self.outside = database, outside

    @activity.defn
    async def describe_pulls(self, job_id: str) -> None:
        """What the pull requests say of themselves, and their common base; read again, it is the same row.

        What is not open any more is left out at once.
        """
        async with self.database.reading() as session:
            job = await session.get_one(MergeJob, job_id)
        credentials = await self.outside.credentials(job.project_id)
        with outside():
            pulls = PullRequests(self.outside.github(credentials), job.repository_slug)
            told = {number: await pulls.described(number) for number in job.numbers}
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            job.base_branch = job.base_branch or next(iter(told.values())).base
            job.descriptions = {str(n): cut(f"{each.title}\n\n{each.body}", TOLD) for n, each in told.items()}
            for number, each in told.items():
                if each.state != "open":
                    settle_pull(session, job, number, "left_out", f"It is {each.state} already.")

    @activity.defn
    async def merge_pull(self, ask: PullPlace) -> PullOutcome:
        """Merge one, and see whether the check command still passes.

        Killed anywhere, it begins again at the last commit that holds; once settled, it stays so.
        """
        place = await place_of(self.database, self.outside, ask)
        if settled := place.job.outcome_of(ask.number):
            return PullOutcome.model_validate({"outcome": settled})
        with outside():
            head = await place.integration.fetch_pull(ask.number)
            merged = await place.integration.merge(place.good, head, place.job.subject(ask.number), place.who)
            if merged.outcome == "conflict":
                return PullOutcome(outcome="conflict", paths=merged.paths)
            return await self._settle(ask, place, merged)

    @activity.defn
    async def conclude_pull(self, ask: PullPlace) -> PullOutcome:
        """Take what the agent made of the conflicts, if no marker is left and the check command passes.

        Killed after the commit, it finds it; once settled, it stays so.
        """
        place = await place_of(self.database, self.outside, ask)
        if settled := place.job.outcome_of(ask.number):
            return PullOutcome.model_validate({"outcome": settled})
        with outside():
            head = await place.integration.fetch_pull(ask.number)
            if ask.gave_up is not None:
                return await self._leave_out(ask, place, f"Its conflicts were not solved: {ask.gave_up}")
            subject = place.job.subject(ask.number)
            merged = await place.integration.conclude(place.good, head, subject, place.who)
            return await self._settle(ask, place, merged)

    async def _settle(self, ask: PullPlace, place: Place, merged: Merged) -> PullOutcome:
        if merged.outcome != "merged":
            reason = _REASONS[merged.outcome].format(paths=", ".join(merged.paths))
            return await self._leave_out(ask, place, reason)
        sha = await place.integration.head()
        if failure := await self._check(place, ask.number, sha):
            return await self._leave_out(ask, place, failure)
        if not await place.keep():
            return await self._leave_out(ask, place, "It holds one of the project's secrets.")
        await checkpoint_kept(self.database.direct, ask.job_id)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, ask.job_id, with_for_update=True)
            job.integrated_sha = sha
            settle_pull(session, job, ask.number, "merged")
        return PullOutcome(outcome="merged")

    async def _leave_out(self, ask: PullPlace, place: Place, reason: str) -> PullOutcome:
        await place.integration.go_back(place.good)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, ask.job_id, with_for_update=True)
            settle_pull(session, job, ask.number, "left_out", reason)
        return PullOutcome(outcome="left_out")

    async def _check(self, place: Place, number: int, sha: str) -> str | None:
        """Why the integrated commit does not hold; None when it does.  The sandbox keeps a journal of it."""
        command = MergeConfig.model_validate(place.job.config).check_command
        if command is None:
            return None
        result = await place.handle.tool(
            f"check-{number}-{sha[:12]}",
            {"tool": "bash", "command": command},
            envs=place.credentials.command_environment,
            timeout_seconds=CHECK_SECONDS,
        )
        if result.exit_code == 0:
            return None
        tail = place.credentials.scrubber.text(result.content)[-500:]
        return f"With it `{command}` ends with exit code {result.exit_code}: {tail}"
