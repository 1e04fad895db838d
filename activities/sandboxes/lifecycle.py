"""A job's sandbox: made once, filled with the repository and the project's files, kept safe, and killed."""

import asyncio
from contextlib import suppress
from typing import Final

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.budgets.quotas import require_sandbox_quota
from activities.gateway_factory import GatewayFactory, external_call
from activities.jobs.resumption import note_already_done
from activities.jobs.snapshots import load_snapshot
from activities.sandboxes.checkpoints import delete_checkpoint
from activities.sandboxes.egress_refusals import append_refusals
from activities.sandboxes.records import (
    close_sandbox,
    get_or_create_sandbox_row,
    mark_running,
    mark_sandbox_lost,
)
from gateways.errors import GatewayError, SandboxNotRunning
from gateways.sandboxes.control import SandboxFacts
from kit.cancellation import run_to_completion
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from kit.logs import logger
from models import Sandbox
from models.jobs.job_lookup import get_job
from models.runs.checkpoints import is_checkpoint_retained
from models.sandboxes.sandbox import SandboxPurpose, SandboxStatus, count_lost_sandboxes, list_live_sandboxes
from models.sandboxes.sandbox_job import SANDBOX_LOST

log = logger(__name__)
SANDBOXES_LOST: Final = "SANDBOXES_LOST"
"""The code of a job that ends because it lost too many of them."""
DELETION_TIMEOUT_SECONDS: Final = 15
"""For a checkpoint's ref: a part of what the whole may take."""
MAX_REPLACEMENTS: Final = 5
"""How many sandboxes a job may lose and go on."""


class Provision(BaseModel):
    job_id: str
    lost: str | None = None
    """The sandbox that is gone and has to be replaced by another of its purpose."""
    purpose: SandboxPurpose = SandboxPurpose.work
    """What it is for, where it replaces none."""
    commit_sha: str | None = None
    """The commit that a verification is of; None: the job's base commit."""


class SandboxRef(BaseModel):
    job_id: str
    sandbox_id: str


class SandboxActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def provision(self, ask: Provision) -> str:
        """The job's sandbox of a purpose; returns our id of it.

        A cancel comes before or after it, so that none is left.  Killed after it was created and before it
        was recorded, the second execution finds it by its marker.
        A lost one is marked once, killed as far as it lives, and replaced, unless its job has lost too many.
        Where its project has as many at work with the server's key as it may, it waits for its turn.
        """
        return await run_to_completion(self._provision(ask))

    async def _provision(self, ask: Provision) -> str:
        snapshot = await load_snapshot(self.database, ask.job_id)
        purpose, commit_sha = ask.purpose, ask.commit_sha
        if ask.lost:
            replaced = await self._replace(ask.job_id, ask.lost)
            purpose, commit_sha = replaced.purpose, replaced.commit_sha
        wanted = await get_or_create_sandbox_row(
            self.database, ask.job_id, snapshot.config.sandbox, purpose, commit_sha
        )
        if wanted.status is SandboxStatus.running:
            note_already_done("The sandbox was running.")
            return wanted.id
        credentials = await self.outside.credentials(wanted.project_id)
        if credentials.quota.sandboxes is not None:
            await require_sandbox_quota(self.database, wanted, credentials.quota.sandboxes)
        with external_call():
            sandboxes = self.outside.sandboxes(credentials)
            handle = await sandboxes.ensure(
                {"job": ask.job_id, "sandbox": wanted.id, "purpose": purpose},
                template=wanted.template_id,
                timeout_seconds=wanted.timeout_ms // 1000,
                egress=credentials.egress.egress(ask.job_id, purpose, snapshot.config.sandbox.egress),
                size={"memoryMb": wanted.memory_mb, "cpuCount": wanted.cpu_count},
            )
            if wanted.memory_mb or wanted.cpu_count:
                require_size(wanted, await sandboxes.look_up(handle.id))
        await mark_running(self.database, ask.job_id, wanted.id, handle.id)
        return wanted.id

    async def _replace(self, job_id: str, sandbox_id: str) -> Sandbox:
        """Mark the sandbox as lost, once, so that there is room for another, if the job may have another."""
        async with self.database.transaction() as session:
            job = await get_job(session, job_id, lock=True)
            sandbox = await session.get_one(Sandbox, sandbox_id)
            await mark_sandbox_lost(session, job, sandbox, "The sandbox was lost.")
            await session.flush()
            losses = await count_lost_sandboxes(session, job_id)
        await self._kill_lost(sandbox)
        if not job.REPLACES_SANDBOX:
            raise ApplicationError("The sandbox is gone.", type=SANDBOX_LOST, non_retryable=True)
        if losses > MAX_REPLACEMENTS:
            raise ApplicationError(
                f"{losses} of its sandboxes were lost. See whether a command of its own ends them, as one "
                "does that takes all memory; else look at the provider's status. Then start it again.",
                type=SANDBOXES_LOST,
                non_retryable=True,
            )
        return sandbox

    async def _kill_lost(self, sandbox: Sandbox) -> None:
        """Kill what may be left of a sandbox that is replaced; what fails is left to the sweep."""
        if sandbox.provider_id is None:
            return
        credentials = await self.outside.credentials(sandbox.project_id)
        try:
            with external_call():
                await self.outside.sandboxes(credentials).kill(sandbox.provider_id)
        except GatewayError as error:
            log.warning("sandbox.not_killed", sandbox=sandbox.id, reason=error.message)

    @activity.defn
    async def retire(self, ref: SandboxRef) -> None:
        """Write down that a sandbox is not used any more, so that nobody finds it again; once.

        It is killed by `remove`, or by the sweep, as its row is over.
        """
        async with self.database.transaction() as session:
            job = await get_job(session, ref.job_id, lock=True)
            close_sandbox(session, job, await session.get_one(Sandbox, ref.sandbox_id))

    @activity.defn
    async def remove(self, ref: SandboxRef) -> None:
        """Kill one sandbox of a job; one that is gone already is fine, so repeating is harmless."""
        async with self.database.read_only() as session:
            sandbox = await session.get_one(Sandbox, ref.sandbox_id)
        credentials = await self.outside.credentials(sandbox.project_id)
        await append_refusals(self.database, self.outside, credentials, sandbox)
        with external_call():
            await self.outside.sandboxes(credentials).kill_all({"job": ref.job_id, "sandbox": sandbox.id})

    @activity.defn(name="rest")
    async def pause(self, ref: SandboxRef) -> None:
        """Pause the job's sandbox until it is attached to again.

        Killed anywhere, it is done again, which is harmless; of one that is gone, its next user is told.
        """
        async with self.database.read_only() as session:
            sandbox = await session.get_one(Sandbox, ref.sandbox_id)
        if sandbox.provider_id is None:
            return
        credentials = await self.outside.credentials(sandbox.project_id)
        with external_call(), suppress(SandboxNotRunning):
            await self.outside.sandboxes(credentials).pause(sandbox.provider_id)

    @activity.defn
    async def release(self, job_id: str) -> None:
        """Kill every sandbox of the job and remove its checkpoint, unless a restart may go on from that.

        What is gone already is fine, so repeating is harmless.
        """
        await self._kill(job_id)
        await self._delete_checkpoint(job_id)

    async def _kill(self, job_id: str) -> None:
        async with self.database.read_only() as session:
            live = await list_live_sandboxes(session, job_id)
        if not live:
            return
        credentials = await self.outside.credentials(live[0].project_id)
        for sandbox in live:
            await append_refusals(self.database, self.outside, credentials, sandbox)
        with external_call():
            await self.outside.sandboxes(credentials).kill_all({"job": job_id})
        async with self.database.transaction() as session:
            job = await get_job(session, job_id, lock=True)
            for sandbox in await list_live_sandboxes(session, job_id):
                close_sandbox(session, job, sandbox)

    async def _delete_checkpoint(self, job_id: str) -> None:
        """What fails, or takes long, is left to the sweep."""
        async with self.database.read_only() as session:
            job = await get_job(session, job_id)
            if await is_checkpoint_retained(session, job):
                return
        try:
            async with asyncio.timeout(DELETION_TIMEOUT_SECONDS):
                with external_call():
                    await delete_checkpoint(self.database, self.outside, job)
        except (GatewayError, RepositoryNotAllowed, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            log.warning("checkpoint.not_deleted", job_id=job_id, reason=reason)


def require_size(wanted: Sandbox, made: SandboxFacts | None) -> None:
    """The provider sizes sandboxes by their template: one that is smaller than was asked for is refused."""
    if made is None:
        return  # gone already, as whatever comes next finds out
    memory_mb, cpu_count = wanted.memory_mb or 0, wanted.cpu_count or 0
    if made.memory_mb < memory_mb or made.cpu_count < cpu_count:
        raise ApplicationError(
            f"The template {wanted.template_id!r} gives {made.memory_mb} MiB of memory and {made.cpu_count} "
            f"processors; {memory_mb} MiB and {cpu_count} were asked for. Choose a template that was built "
            "with as much, or ask for less.",
            type="TEMPLATE_TOO_SMALL",
            non_retryable=True,
        )
