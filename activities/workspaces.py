"""What is done in a job's sandbox besides the agent's work: the clone, scripts, checkpoints."""

import shlex

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.checkpoints import checkpoint_kept, save
from activities.clones import keep_clone
from activities.credentials import Credentials
from activities.outside import Outside, outside
from activities.project_files import project_files
from activities.sandboxes import SandboxRef
from activities.snapshots import snapshot_of
from activities.workplaces import Workplace, repository_of, workplace
from gateways.repository import checkpoint_ref
from gateways.sandbox import SandboxHandle
from kit.database import Database
from kit.logs import logger
from models.asset import ScriptLanguage
from models.base import JsonObject
from models.event import EventType, append
from models.job_snapshot import ScriptSnapshot
from models.jobs import job_of
from models.sandbox import SandboxEventType, happened

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
        place, credentials = await self._find(ref)
        snapshot = await snapshot_of(self.database.direct, ref.job_id)
        with outside():
            handle = await self.outside.attach(credentials, place)
            repository = repository_of(self.outside, credentials, handle, place.repository_slug)
            kept = checkpoint_ref(ref.job_id) if place.has_checkpoint else None
            cloned = await repository.clone(place.base_branch, snapshot.branch_name, restore=kept)
            await repository.identity(snapshot.git_name, snapshot.git_email)
            files = await project_files(handle, snapshot)
        await keep_clone(self.database.direct, ref, place, cloned, snapshot.branch_name, files)

    @activity.defn
    async def run_scripts(self, ask: StepScripts) -> None:
        """A step's pre- or post-scripts, each exactly once: the sandbox keeps a journal of them."""
        place, credentials = await self._find(ask)
        step = (await snapshot_of(self.database.direct, ask.job_id)).steps[ask.index]
        when, scripts = ("post", step.post_scripts) if ask.after else ("pre", step.pre_scripts)
        handle = await self.outside.attach(credentials, place)
        for number, script in enumerate(scripts):
            call_id = f"{ask.step_id}-{when}-{number}"
            with outside():
                await self._run_script(handle, script, call_id, credentials)
            async with self.database.transaction() as session:
                job = await job_of(session, ask.job_id, lock=True)
                message = f"Ran the {when}-script {script.name} ({call_id})."
                if await happened(session, ask.sandbox_id, SandboxEventType.setup_script, message):
                    data: JsonObject = {"name": script.name, "when": when, "stepId": ask.step_id}
                    append(session, job, EventType.setup_script, data)

    @activity.defn
    async def checkpoint(self, ref: SandboxRef) -> None:
        """Push the work tree to a hidden ref, to rebuild a lost sandbox from; again is harmless.

        A work tree that holds a secret stays where it is, and with it the checkpoint before.
        """
        place, credentials = await self._find(ref)
        assert place.base_sha, "known since the clone"
        with outside():
            handle = await self.outside.attach(credentials, place)
            repository = repository_of(self.outside, credentials, handle, place.repository_slug)
            saved = await save(repository, credentials.scrubber, ref.job_id, place.base_sha)
        if saved:
            await checkpoint_kept(self.database.direct, ref.job_id)
        else:
            log.warning("no checkpoint was taken, as the work tree holds a secret", job_id=ref.job_id)

    async def _find(self, ref: SandboxRef | StepScripts) -> tuple[Workplace, Credentials]:
        place = await workplace(self.database.direct, ref.job_id, ref.sandbox_id)
        return place, await self.outside.credentials(place.project_id)

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
