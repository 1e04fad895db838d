"""The workspace in a job's sandbox: the clone and its record, scripts, checkpoints."""

import shlex
from functools import partial

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import error_code
from activities.gateway_factory import GatewayFactory, external_call
from activities.jobs.context import JobContext, load_job_context, open_repository
from activities.jobs.lifecycle import TimedResult
from activities.jobs.snapshots import load_snapshot
from activities.projects.credentials import Credentials
from activities.sandboxes.checkpoints import save_checkpoint
from activities.sandboxes.lifecycle import SandboxRef
from activities.sandboxes.project_files import write_project_files
from gateways.errors import CredentialRefused, UpstreamFailed, UpstreamRefused
from gateways.git.repository import REPOSITORY, BaseBranchMissing, CloneBase, checkpoint_ref
from gateways.github.branches import Branches
from gateways.sandboxes.sandbox import SandboxHandle
from kit.database import Database
from kit.logs import logger
from kit.redaction import Redactor
from models import RunStep
from models.assets.asset import ScriptLanguage
from models.base import JsonObject
from models.event import Event, EventType, append_event
from models.jobs.job_lookup import get_job
from models.jobs.snapshot import ScriptSnapshot
from models.runs.run_step import mark_work_saved
from models.sandboxes.sandbox import SandboxEventType, append_sandbox_event_once, is_cloned, sandbox_event


async def record_clone(
    database: Database, ref: SandboxRef, place: JobContext, cloned: CloneBase, branch: str, files: int
) -> None:
    """Write down what was cloned, once a sandbox; nothing for a job that is over.

    What the clone says of itself later does not count: by then an agent may have written it.
    branch: the one to work on; files: how many of the project's came along.
    """
    message = f"Cloned {place.repository_slug} at {cloned.base_sha}."
    data: JsonObject = {
        "sandboxId": ref.sandbox_id,
        "branch": branch,
        "baseBranch": cloned.base_branch,
        "baseSha": cloned.base_sha,
    }
    async with database.transaction() as session:
        job = await get_job(session, ref.job_id, lock=True)
        if job.is_finished or await is_cloned(session, ref.sandbox_id):
            return
        job.mark_cloned(cloned.base_branch, cloned.base_sha)
        session.add(sandbox_event(ref.sandbox_id, SandboxEventType.clone, message))
        session.add(
            sandbox_event(ref.sandbox_id, SandboxEventType.install, f"Put {files} project files in place.")
        )
        append_event(session, job, EventType.repository_cloned, data)


log = logger(__name__)
SCRIPT_TIMEOUT_SECONDS = 1_800
INTERPRETERS = {ScriptLanguage.bash: "bash", ScriptLanguage.python: "python3", ScriptLanguage.node: "node"}


class StepScripts(BaseModel):
    job_id: str
    sandbox_id: str
    step_id: str
    index: int
    after: bool
    """Run the step's post-scripts instead of its pre-scripts."""


class WorkspaceActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def prepare(self, ref: SandboxRef) -> bool | None:
        """Clone at the base branch (or restore the last checkpoint), and put the project's files in place.

        A sandbox for a verification is cloned at the very commit that it is of.

        Killed anywhere, it is done again from the start: a half clone is removed, a whole one kept, and
        a base branch that was made for a chain is found.

        True when the job has scripts to set the sandbox up, which come next.
        """
        place, credentials = await self._load_context(ref)
        snapshot = await load_snapshot(self.database, ref.job_id)
        with external_call():
            handle = await self.outside.attach(credentials, place)
            repository = await open_repository(self.outside, credentials, handle, place.repository_slug)
            continues = snapshot.continues
            own = [checkpoint_ref(ref.job_id)] if place.has_checkpoint else []
            inherited = []
            if continues and continues.checkpoint_of and place.pushed_sha is None:
                inherited = [checkpoint_ref(continues.checkpoint_of)]
            clone = partial(
                repository.clone,
                place.base_branch,
                snapshot.branch_name,
                restore=[*own, *inherited],
                needs_checkpoint=bool(inherited),
                pushed=place.pushed_branch or (continues.pushed_branch if continues else None),
                pushed_sha=place.pushed_sha,
                others=snapshot.compare_branches,
                resume=snapshot.continues_branch,
                at=(place.commit_sha or place.base_sha) if place.is_verification else None,
            )
            try:
                cloned = await clone()
            except BaseBranchMissing:
                if not snapshot.creates_base_branch or place.base_branch is None:
                    raise
                github = await self.outside.github(credentials, place.repository_slug)
                branches = Branches(github, place.repository_slug)
                await branches.create_from_default(place.base_branch)
                try:
                    cloned = await clone()
                except BaseBranchMissing as error:  # git may be told of it later than the API
                    raise UpstreamFailed(f"The new base branch is not there yet: {error.message}") from error
            await repository.set_identity(snapshot.git_name, snapshot.git_email)
            files = await write_project_files(handle, snapshot)
        if place.is_verification and place.base_sha is not None:
            cloned = CloneBase(place.base_branch or cloned.base_branch, place.base_sha)
        await record_clone(self.database, ref, place, cloned, snapshot.branch_name, files)
        return bool(snapshot.setup_scripts)

    @activity.defn
    async def run_setup_scripts(self, ref: SandboxRef) -> None:
        """The scripts that the project configures for this kind of job, once in each of its sandboxes.

        Killed anywhere, it begins again: the sandbox's journal knows what ran, and what runs is waited for.
        """
        snapshot = await load_snapshot(self.database, ref.job_id)
        secrets = snapshot.job_secrets
        await self._run_all(ref, snapshot.setup_scripts, secrets, "setup", "setup", {})

    @activity.defn
    async def run_scripts(self, ask: StepScripts) -> TimedResult:
        """A step's pre- or post-scripts, each exactly once: the sandbox keeps a journal of them."""
        step = (await load_snapshot(self.database, ask.job_id)).steps[ask.index]
        if ask.after and not step.role.assesses:
            async with self.database.transaction() as session:
                row = await session.get_one(RunStep, ask.step_id, with_for_update=True)
                row.unsaved_in = ask.sandbox_id  # until the checkpoint that comes next
        when, scripts = ("post", step.post_scripts) if ask.after else ("pre", step.pre_scripts)
        await self._run_all(
            ask, scripts, step.secrets, when, f"{ask.step_id}-{when}", {"stepId": ask.step_id}
        )
        return TimedResult()

    @activity.defn(name="checkpoint")
    async def take_checkpoint(self, ref: SandboxRef) -> str | None:
        """Push the work tree to a hidden ref, to rebuild a lost sandbox from; again is harmless.

        Its commit.  None when it was refused, for a secret in it for instance: the work tree stays where it
        is, and with it the checkpoint before; that is told, and ends nothing.  None for a verification, which
        changes nothing.
        """
        place, credentials = await self._load_context(ref)
        if place.is_verification:
            return None
        try:
            with external_call():
                handle = await self.outside.attach(credentials, place)
                repository = await open_repository(self.outside, credentials, handle, place.repository_slug)
                sha = await save_checkpoint(self.database, repository, ref.job_id, place.base)
            async with self.database.transaction() as session:
                await mark_work_saved(session, ref.job_id, ref.sandbox_id)
            return sha
        except (UpstreamRefused, CredentialRefused) as refusal:
            await self._append_refusal(
                ref.job_id, error_code(refusal), credentials.redactor.redact_text(refusal.message)
            )
            return None

    async def _append_refusal(self, job_id: str, code: str, message: str) -> None:
        """Say why there is no newer checkpoint, once for each reason."""
        log.warning("checkpoint.refused", job_id=job_id, code=code)
        data: JsonObject = {"code": code, "message": message}
        async with self.database.transaction() as session:
            job = await get_job(session, job_id, lock=True)
            told = select(Event).where(
                col(Event.subject_id) == job_id,
                col(Event.type) == EventType.checkpoint_refused,
                col(Event.data)["code"].astext == code,
            )
            if not job.is_finished and (await session.execute(told)).first() is None:
                append_event(session, job, EventType.checkpoint_refused, data)

    async def _run_all(
        self,
        ref: SandboxRef | StepScripts,
        scripts: list[ScriptSnapshot],
        secrets: list[str] | None,
        when: str,
        call: str,
        data: JsonObject,
    ) -> None:
        place, credentials = await self._load_context(ref)
        environment = credentials.environment_for(secrets)
        handle = await self.outside.attach(credentials, place)
        for number, script in enumerate(scripts):
            call_id = f"{call}-{number}"
            with external_call():
                await self._run_script(handle, script, call_id, environment, credentials.redactor)
            async with self.database.transaction() as session:
                job = await get_job(session, ref.job_id, lock=True)
                message = f"Ran the {when}-script {script.name} ({call_id})."
                if not job.is_finished and await append_sandbox_event_once(
                    session, ref.sandbox_id, SandboxEventType.setup_script, message
                ):
                    event: JsonObject = {"name": script.name, "when": when, **data}
                    append_event(session, job, EventType.setup_script, event)

    async def _load_context(self, ref: SandboxRef | StepScripts) -> tuple[JobContext, Credentials]:
        place = await load_job_context(self.database, ref.job_id, ref.sandbox_id)
        return place, await self.outside.credentials(place.project_id)

    async def _run_script(
        self,
        handle: SandboxHandle,
        script: ScriptSnapshot,
        call_id: str,
        environment: dict[str, str],
        redactor: Redactor,
    ) -> None:
        """Run it in the repository, wherever the shell of the agent stands by now."""
        path = f"/home/user/.codecourier/scripts/{call_id}"
        await handle.write(path, script.content)
        run = shlex.join([INTERPRETERS[script.language], path])
        result = await handle.tool(
            call_id,
            {"tool": "bash", "command": f"(cd {REPOSITORY} && exec {run})"},
            envs=environment,
            timeout_seconds=SCRIPT_TIMEOUT_SECONDS,
        )
        if result.exit_code != 0:
            tail = redactor.redact_text(result.content)[-500:]
            sentence = f"The script '{script.name}' ended with exit code {result.exit_code}: {tail}"
            raise ApplicationError(sentence, type="SCRIPT_FAILED", non_retryable=True)
