"""What is done in a job's sandbox besides the agent's work: the clone, scripts, checkpoints."""

import shlex

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.credentials import Credentials
from activities.outgoing import holds_secret
from activities.outside import Outside, outside
from activities.project_files import project_files
from activities.sandboxes import SandboxRef
from activities.snapshots import snapshot_of
from gateways.repository import Repository, checkpoint_ref
from gateways.sandbox import SandboxHandle
from kit.database import Database
from kit.logs import logger
from models import Effect, Sandbox
from models.asset import ScriptLanguage
from models.base import JsonObject
from models.effect import checkpoint_kept
from models.event import EventType, append
from models.job import Job
from models.job_snapshot import ScriptSnapshot, Snapshot
from models.jobs import job_of
from models.sandbox import SandboxEventType, happened, said

log = logger(__name__)
SCRIPT_SECONDS = 1_800
INTERPRETERS = {ScriptLanguage.bash: "bash", ScriptLanguage.python: "python3", ScriptLanguage.node: "node"}


class StepScripts(BaseModel):
    job_id: str
    sandbox_id: str
    step_id: str
    index: int
    after: bool
    """Run the step's post-scripts instead of its pre-scripts."""


class Workspaces:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def prepare(self, ref: SandboxRef) -> None:
        """Clone at the base branch (or restore the last checkpoint), and put the project's files in place.

        Killed anywhere, it is done again from the start: a half clone is removed, a whole one kept.
        """
        async with self.database.reading() as session:
            job, snapshot, sandbox, credentials = await self._load(session, ref)
            saved = await session.get(Effect, f"{job.id}:checkpoint")
        with outside():
            handle = await self.outside.attach(credentials, sandbox)
            repository = repository_of(self.outside, credentials, handle, job)
            kept = checkpoint_ref(job.id) if saved and saved.done_at else None
            cloned = await repository.clone(job.base_branch, snapshot.branch_name, restore=kept)
            await repository.identity(snapshot.git_name, snapshot.git_email)
            files = await project_files(handle, snapshot)
        async with self.database.transaction() as session:
            job = await job_of(session, ref.job_id, lock=True)
            cloning = f"Cloned {job.repository_slug} at {cloned.base_sha}."
            is_new = await happened(session, sandbox.id, SandboxEventType.clone, cloning)
            job.base_branch, job.base_sha = cloned.base_branch, cloned.base_sha
            job.progress("The repository is cloned.")
            data: JsonObject = {
                "sandboxId": sandbox.id, "branch": snapshot.branch_name, "baseBranch": cloned.base_branch,
                "baseSha": cloned.base_sha,
            }  # fmt: skip
            if is_new:
                append(session, job, EventType.repository_cloned, data)
                session.add(
                    said(sandbox.id, SandboxEventType.install, f"Put {files} project files in place.")
                )

    @activity.defn
    async def run_scripts(self, ask: StepScripts) -> None:
        """A step's pre- or post-scripts, each exactly once: the sandbox keeps a journal of them."""
        async with self.database.reading() as session:
            job, snapshot, sandbox, credentials = await self._load(session, ask)
        step = snapshot.steps[ask.index]
        when, scripts = ("post", step.post_scripts) if ask.after else ("pre", step.pre_scripts)
        handle = await self.outside.attach(credentials, sandbox)
        for place, script in enumerate(scripts):
            call_id = f"{ask.step_id}-{when}-{place}"
            with outside():
                await self._run_script(handle, script, call_id, credentials)
            async with self.database.transaction() as session:
                job = await job_of(session, ask.job_id, lock=True)
                message = f"Ran the {when}-script {script.name} ({call_id})."
                if await happened(session, sandbox.id, SandboxEventType.setup_script, message):
                    data: JsonObject = {"name": script.name, "when": when, "stepId": ask.step_id}
                    append(session, job, EventType.setup_script, data)

    @activity.defn
    async def checkpoint(self, ref: SandboxRef) -> None:
        """Push the work tree to a hidden ref, to rebuild a lost sandbox from; again is harmless.

        A work tree that holds a secret stays where it is, and with it the checkpoint before.
        """
        async with self.database.reading() as session:
            job, _, sandbox, credentials = await self._load(session, ref)
        assert job.base_sha, "known since the clone"
        with outside():
            handle = await self.outside.attach(credentials, sandbox)
            repository = repository_of(self.outside, credentials, handle, job)
            sha = await repository.snapshot(f"Checkpoint of {job.id}")
            if await holds_secret(repository, credentials.scrubber, job.base_sha, sha):
                log.warning("no checkpoint was taken, as the work tree holds a secret", job_id=job.id)
                return
            await repository.push(sha, checkpoint_ref(job.id), force=True)
        async with self.database.transaction() as session:
            await checkpoint_kept(session, job.id)

    async def _load(
        self, session: AsyncSession, ref: SandboxRef | StepScripts
    ) -> tuple[Job, Snapshot, Sandbox, Credentials]:
        job = await job_of(session, ref.job_id)
        snapshot = await snapshot_of(session, job.id)
        sandbox = await session.get_one(Sandbox, ref.sandbox_id)
        return job, snapshot, sandbox, await self.outside.credentials(job.project_id)

    async def _run_script(
        self, handle: SandboxHandle, script: ScriptSnapshot, call_id: str, credentials: Credentials
    ) -> None:
        path = f"/home/user/.codecourier/scripts/{call_id}"
        await handle.write(path, script.content)
        result = await handle.tool(
            call_id,
            {"tool": "bash", "command": shlex.join([INTERPRETERS[script.language], path])},
            envs=credentials.command_environment,
            timeout_seconds=SCRIPT_SECONDS,
        )
        if result.exit_code != 0:
            tail = credentials.scrubber.text(result.content)[-500:]
            sentence = f"The script '{script.name}' ended with exit code {result.exit_code}: {tail}"
            raise ApplicationError(sentence, type="SCRIPT_FAILED", non_retryable=True)


def repository_of(outside: Outside, credentials: Credentials, handle: SandboxHandle, job: Job) -> Repository:
    """The clone in the job's sandbox; the token is passed to the one git command that needs it."""
    url, token = outside.clone_url(job.repository_slug), outside.github_token(credentials)
    return Repository(handle, url, token)
