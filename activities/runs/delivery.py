"""What a run leaves behind on GitHub: one branch, one pull request, and what CI says of them.

Every effect is looked up before it is made and carries the run's id, so that repeating finds it.
"""

from typing import Final

from pydantic import BaseModel
from temporalio import activity

from activities.gateway_factory import GatewayFactory, external_call
from activities.jobs.context import load_job_context, open_repository
from activities.jobs.resumption import note_already_done
from activities.jobs.snapshots import load_snapshot
from activities.runs.pull_request import (
    pull_request_body,
    pull_request_marker,
    pull_request_title,
    record_opened,
    record_pull_request_intent,
)
from activities.runs.step_outputs import earlier_outputs
from activities.sandboxes.lifecycle import SandboxRef
from activities.verification.pull_request_section import replace_section, verification_section
from gateways.git.repository import CloneBase, PushRejected, Repository
from gateways.github.pull_requests import PullRequests
from kit.cancellation import run_to_completion
from kit.database import Database
from models import Run
from models.effect import EffectKind, record_intent
from models.event import EventType, append_event
from models.runs.run_step import mark_work_saved
from models.verification.verification import VerificationStatus, get_last_verification, void_verifications

MADE_DRAFT_KEY: Final = "wasMadeDraft"
"""In the ledger: whether the open pull request was made a draft because of its verification."""
NOTHING_CHANGED_REASON: Final = "Nothing was changed."
WORK_LOST_MESSAGE: Final = (
    "A sandbox was lost with work in it that was in no checkpoint yet, and the run ended without a change. "
    "Restart the run."
)


class PushRequest(SandboxRef):
    work_lost: bool = False
    """A sandbox of the run was lost with work in it that was in no checkpoint."""


class PushResult(BaseModel):
    sha: str | None
    """None: the run changed nothing, or undid what it had changed."""
    branch: str | None = None
    """Where it was pushed to."""


class OpenPullRequest(BaseModel):
    run_id: str
    draft: bool = False
    """Open it as a draft although the blueprint does not say so: its checker or its gate never passed it."""


class RunDeliveryActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def push_branch(self, ref: PushRequest) -> PushResult:
        """Commit what was changed and push the run's branch; a cancel comes before or after it.

        Killed before the push, both are done again; killed after it, the same commit is found and pushing it
        once more changes nothing.  The checkpoint goes when the sandbox is released: a lost one is rebuilt
        from it until the push is written down.
        """
        return await run_to_completion(self._push(ref))

    async def _push(self, ref: PushRequest) -> PushResult:
        place = await load_job_context(self.database, ref.job_id, ref.sandbox_id)
        snapshot = await load_snapshot(self.database, ref.job_id)
        credentials = await self.outside.credentials(place.project_id)
        with external_call():
            handle = await self.outside.attach(credentials, place)
            repository = await open_repository(self.outside, credentials, handle, place.repository_slug)
            sha = await repository.commit(
                place.base.base_sha,
                place.name,
                name=snapshot.git_name,
                email=snapshot.git_email,
                trailers={"CodeCourier-Run": ref.job_id},
            )
            if sha is not None:
                own = f"{snapshot.branch_name}-{ref.job_id[-8:]}"
                wanted = place.pushed_branch or snapshot.branch_name
                branch, sha = await _push_to_own_branch(repository, sha, wanted, own, place.base)
        if sha is None:
            await self._record_skip(
                ref.job_id, WORK_LOST_MESSAGE if ref.work_lost else NOTHING_CHANGED_REASON
            )
        else:
            await self._record_push(ref, branch, sha)
        return PushResult(sha=sha, branch=None if sha is None else branch)

    async def _record_skip(self, run_id: str, reason: str) -> None:
        """Write down that there is nothing to open a pull request for."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run_id, with_for_update=True)
            if not run.is_finished and run.mark_pr_skipped():
                append_event(session, run, EventType.pr_skipped, {"reason": reason})

    async def _record_push(self, ref: PushRequest, branch: str, sha: str) -> None:
        """Write down what is on the remote, whatever became of the run; it is told only while that lasts."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, ref.job_id, with_for_update=True)
            await mark_work_saved(session, run.id, ref.sandbox_id)
            if run.mark_branch_pushed(branch, sha) and not run.is_finished:
                run.set_progress("The branch is pushed.")
                append_event(session, run, EventType.branch_pushed, {"branch": branch, "sha": sha})
            await void_verifications(session, run, head_sha=sha)

    @activity.defn
    async def skip_push(self, run_id: str) -> PushResult:
        """Write down that nothing was changed; again is harmless."""
        await self._record_skip(run_id, NOTHING_CHANGED_REASON)
        return PushResult(sha=None)

    @activity.defn
    async def open_pull_request(self, ask: OpenPullRequest) -> None:
        """One pull request for the run's branch; a cancel comes before or after it.

        Killed before it was made, it is made again; killed after, it is found by its branch and marker.
        """
        await run_to_completion(self._open(ask))

    async def _open(self, ask: OpenPullRequest) -> None:
        found = await record_pull_request_intent(self.database, ask.run_id)
        if found is None:
            note_already_done("The pull request was open.")
            return
        run, own = found
        snapshot = await load_snapshot(self.database, run.id)
        outputs = [*earlier_outputs(snapshot), *own]
        async with self.database.read_only() as session:
            verification = await get_last_verification(session, run.id)
        credentials = await self.outside.credentials(run.project_id)
        assert run.base_branch, "known since the clone"
        assert run.branch_name, "known since the start"
        marker = pull_request_marker(run.id)
        with external_call():
            github = await self.outside.github(credentials, run.repository_slug)
            facts = await github.ensure_pull_request(
                run.repository_slug,
                head=run.branch_name,
                base=run.base_branch,
                title=credentials.redactor.redact_text(pull_request_title(run)),
                body=credentials.redactor.redact_text(
                    f"{pull_request_body(run, outputs, verification)}\n\n{marker}"
                ),
                draft=snapshot.config.draft_pr or ask.draft,
                marker=marker,
            )
        async with self.database.transaction() as session:
            run = await session.get_one(Run, ask.run_id, with_for_update=True)
            if not run.pr_url:
                run.set_progress("The pull request is open.")
                await record_opened(session, run, facts)
                await void_verifications(session, run, head_sha=facts.head_sha)

    @activity.defn
    async def describe_verification(self, run_id: str) -> None:
        """Let the open pull request say what was verified last; again, it says the same.

        Only that section of its text is replaced: the rest may have been edited.  One that does not pass any
        more is a draft from now on, and one that was made a draft here is none once it passes.  The ledger
        knows before it is done: killed in between, the second execution knows whose doing it was.
        """
        async with self.database.read_only() as session:
            run = await session.get_one(Run, run_id)
            verification = await get_last_verification(session, run_id)
        if run.pr_number is None or verification is None:
            return
        credentials = await self.outside.credentials(run.project_id)
        section = credentials.redactor.redact_text(verification_section(verification))
        with external_call():
            github = await self.outside.github(credentials, run.repository_slug)
            pulls = PullRequests(github, run.repository_slug)
            await pulls.change_body(run.pr_number, lambda body: replace_section(body, section))
            is_draft = (await pulls.get(run.pr_number)).is_draft
        if verification.status is VerificationStatus.void:
            return
        wants_draft = verification.status is not VerificationStatus.passed
        async with self.database.transaction() as session:
            effect = await record_intent(session, run_id, EffectKind.pull_request)
            if wants_draft and not is_draft:
                effect.add_facts({MADE_DRAFT_KEY: True})
            is_ours = bool((effect.result or {}).get(MADE_DRAFT_KEY))
        if is_ours and wants_draft != is_draft:
            with external_call():
                await pulls.set_draft(run.pr_number, wants_draft)
            if not wants_draft:
                async with self.database.transaction() as session:
                    (await record_intent(session, run_id, EffectKind.pull_request)).add_facts(
                        {MADE_DRAFT_KEY: False}
                    )


async def _push_to_own_branch(
    repository: Repository, sha: str, branch: str, own: str, base: CloneBase
) -> tuple[str, str]:
    """Push; if somebody else's commits are on a branch of this name, under `own`, which only we can have.

    The branch, and the commit that is on it then.
    """
    try:
        return branch, await repository.push(sha, branch, base)
    except PushRejected:
        return own, await repository.push(sha, own, base)
