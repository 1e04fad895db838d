"""Hints of GitHub's webhooks, checked: what GitHub itself says is written to the run, and nothing else."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes

from activities.gateway_factory import GatewayFactory, external_call
from gateways.errors import CredentialMissing, CredentialRefused, UpstreamRefused
from gateways.github.branches import Branches
from gateways.github.pull_requests import PullRequests, PullRequestState
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from kit.logs import logger
from kit.temporal import KIND, RUN_ID, TASK_QUEUE
from models import GithubHint, Run
from models.github.hint import PULL_REQUEST, delete_hints, find_hints
from models.merging.merge_job import record_merged
from models.verification.verification import void_verifications_of_commit

GITHUB_HINTS_WORKFLOW: Final = "GithubHints"
HINT_SIGNAL: Final = "hint_noted"
"""The signal to the workflow: there is another hint."""

log = logger(__name__)


class HintsInput(BaseModel):
    run_id: str


@dataclass(frozen=True)
class _Facts:
    """What GitHub says of a run's branch and pull request."""

    pull: PullRequestState | None
    branch_sha: str | None
    """Where the branch ends; None when there is none, or nobody asked."""

    @property
    def head_sha(self) -> str | None:
        """A branch that was deleted after its pull request ended where that does."""
        return self.branch_sha or (self.pull.head_sha if self.pull else None)


async def start_hint_workflow(client: Client, run_id: str) -> None:
    """Have the hints about a run read on GitHub; a workflow that is reading them already reads once more.

    Raises RPCError when Temporal cannot be reached.
    """
    attributes = [SearchAttributePair(RUN_ID, run_id), SearchAttributePair(KIND, "github-hints")]
    await client.start_workflow(
        GITHUB_HINTS_WORKFLOW,
        HintsInput(run_id=run_id),
        id=f"github-hints-{run_id}",
        task_queue=TASK_QUEUE,
        start_signal=HINT_SIGNAL,
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=f"Reads on GitHub the hints about run {run_id}",
        priority=Priority(fairness_key=run_id),
    )


class GithubHintActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database, self.outside = database, outside

    @activity.defn(name="look_into_hints")
    async def apply_hints(self, run_id: str) -> bool:
        """Read on GitHub the hints about a run, and write what is true; whether there are newer ones.

        Killed before its commit, it reads again; after it, no hint is left.  Two at once write one after the
        other, and the second finds it written.  What GitHub does not let us read is given up.
        """
        async with self.database.read_only() as session:
            run, hints = await session.get(Run, run_id), await find_hints(session, run_id)
        if run is None or not hints:
            return False
        left = [hint.left_sha for hint in hints if hint.left_sha != PULL_REQUEST]
        try:
            facts = await self._fetch_facts(run, asks_for_branch=bool(left))
        except (CredentialMissing, CredentialRefused, RepositoryNotAllowed, UpstreamRefused) as refused:
            log.warning("github.hint_given_up", run_id=run_id, reason=refused.message)
            return await self._apply_facts(run_id, hints)
        return await self._apply_facts(run_id, hints, facts, left)

    async def _fetch_facts(self, run: Run, *, asks_for_branch: bool) -> _Facts:
        credentials = await self.outside.credentials(run.project_id)
        github = await self.outside.github(credentials, run.repository_slug)
        pull = branch = None
        with external_call():
            if run.pr_number is not None:
                pull = await PullRequests(github, run.repository_slug).get(run.pr_number)
            if asks_for_branch and run.branch_name:
                branch = await Branches(github, run.repository_slug).get(run.branch_name)
        return _Facts(pull, branch.sha if branch else None)

    async def _apply_facts(
        self, run_id: str, hints: list[GithubHint], facts: _Facts | None = None, left: list[str] | None = None
    ) -> bool:
        async with self.database.transaction() as session:
            run = await session.get(Run, run_id, with_for_update=True)
            if run is None:
                return False
            if facts is not None:
                if facts.pull is not None and facts.pull.state == "merged":
                    await record_merged(session, run, {"mergeSha": facts.pull.merge_sha})
                for sha in left or []:
                    if facts.head_sha != sha:
                        await void_verifications_of_commit(session, run, sha, facts.head_sha)
            await delete_hints(session, hints)
            return await find_hints(session, run_id) != []
