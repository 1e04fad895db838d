"""What a run leaves behind on GitHub: one branch, one pull request, and what CI says of them.

Every effect is looked up before it is made and carries the run's id, so that repeating finds it.
"""

from typing import Final

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.opened_pull_requests import intend, marker_of, opened
from activities.outgoing import holds_secret
from activities.outside import Outside, outside
from activities.pull_request_text import body_of
from activities.sandboxes import SandboxRef
from activities.snapshots import snapshot_of
from activities.telling import PROGRESSED, TELL, told
from activities.workplaces import repository_of, workplace
from gateways.repository import PushRejected, Repository, checkpoint_ref
from kit.database import Database
from kit.shielding import finish_first
from models import Run
from models.base import JsonObject
from models.event import EventType

_PUSHED: Final = """
    WITH changed AS (
        UPDATE run SET event_seq = event_seq + 1, head_sha = %(sha)s, branch_name = %(branch)s, {progressed}
        WHERE id = %(run)s AND head_sha IS DISTINCT FROM %(sha)s RETURNING project_id, id, event_seq
    ) {tell}
"""
_SKIPPED: Final = """
    WITH changed AS (
        UPDATE run SET event_seq = event_seq + 1, pr_status = 'skipped'
        WHERE id = %(run)s AND pr_status IS DISTINCT FROM 'skipped' RETURNING project_id, id, event_seq
    ) {tell}
"""


class Pushed(BaseModel):
    sha: str | None
    """None: the run changed nothing."""


class OpenPullRequest(BaseModel):
    run_id: str
    draft: bool = False
    """Open it as a draft although the blueprint does not say so: its checker never passed it."""


class Delivery:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def push_branch(self, ref: SandboxRef) -> Pushed:
        """Commit what was changed and push the run's branch; a cancel comes before or after it.

        Killed before the push, both are done again; killed after it, the same commit is found and pushing it
        once more changes nothing.
        """
        return await finish_first(self._push(ref))

    async def _push(self, ref: SandboxRef) -> Pushed:
        place = await workplace(self.database.direct, ref.job_id, ref.sandbox_id)
        snapshot = await snapshot_of(self.database.direct, ref.job_id)
        credentials = await self.outside.credentials(place.project_id)
        assert place.base_sha, "known since the clone"
        with outside():
            handle = await self.outside.attach(credentials, place)
            repository = repository_of(self.outside, credentials, handle, place.repository_slug)
            sha = await repository.commit(
                place.base_sha, place.name, name=snapshot.git_name, email=snapshot.git_email,
                trailers={"CodeCourier-Run": ref.job_id},
            )  # fmt: skip
            if sha is not None:
                if await holds_secret(repository, credentials.scrubber, place.base_sha, sha):
                    raise ApplicationError(
                        "The change holds one of the project's secrets: it was not pushed. Tell the agent "
                        "in the prompt to read it from the environment instead, and start the run again.",
                        type="SECRET_IN_CHANGE",
                        non_retryable=True,
                    )
                branch = await _push_to_own_branch(repository, sha, ref.job_id, snapshot.branch_name)
            await repository.delete_ref(checkpoint_ref(ref.job_id))
        if sha is None:
            values = told(EventType.pr_skipped, {"reason": "Nothing was changed."})
            await self.database.direct.fetch(_SKIPPED.format(tell=TELL), {"run": ref.job_id, **values})
        else:
            data: JsonObject = {"branch": branch, "sha": sha}
            values = {**data, "progress": "The branch is pushed.", **told(EventType.branch_pushed, data)}
            statement = _PUSHED.format(progressed=PROGRESSED, tell=TELL)
            await self.database.direct.fetch(statement, {"run": ref.job_id, **values})
        return Pushed(sha=sha)

    @activity.defn
    async def open_pull_request(self, ask: OpenPullRequest) -> None:
        """One pull request for the run's branch; a cancel comes before or after it.

        Killed before it was made, it is made again; killed after, it is found by its branch and marker.
        """
        await finish_first(self._open(ask))

    async def _open(self, ask: OpenPullRequest) -> None:
        found = await intend(self.database.direct, ask.run_id)
        if found is None:
            return
        run, outputs = found
        snapshot = await snapshot_of(self.database.direct, run.id)
        credentials = await self.outside.credentials(run.project_id)
        assert run.base_branch, "known since the clone"
        assert run.branch_name, "known since the start"
        marker = marker_of(run.id)
        with outside():
            facts = await self.outside.github(credentials).ensure_pull_request(
                run.repository_slug,
                head=run.branch_name,
                base=run.base_branch,
                title=credentials.scrubber.text(run.name),
                body=credentials.scrubber.text(f"{body_of(run, outputs)}\n\n{marker}"),
                draft=snapshot.config.draft_pr or ask.draft,
                marker=marker,
            )
        async with self.database.transaction() as session:
            run = await session.get_one(Run, ask.run_id, with_for_update=True)
            if not run.pr_url:
                run.progress("The pull request is open.")
                await opened(session, run, facts)


async def _push_to_own_branch(repository: Repository, sha: str, run_id: str, branch: str) -> str:
    """Push; if somebody else's commits are on a branch of this name, under a name that only we can have."""
    try:
        await repository.push(sha, f"refs/heads/{branch}")
    except PushRejected:
        branch = f"{branch}-{run_id[-8:]}"
        await repository.push(sha, f"refs/heads/{branch}")
    return branch
