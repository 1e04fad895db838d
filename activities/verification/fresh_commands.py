"""A command in a fresh sandbox at one commit: what the platform itself finds out about a change.

Nothing has run in that sandbox but what the commit holds, and nothing else runs there afterwards.
"""

from typing import Final

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import SANDBOX_GONE
from activities.gateway_factory import GatewayFactory, external_call
from activities.jobs.context import load_job_context, open_repository
from activities.jobs.snapshots import load_snapshot
from activities.sandboxes.lifecycle import SandboxRef
from gateways.sandboxes.sandbox import TIMED_OUT, ToolResult
from kit.database import Database
from models.verification.changed_tests import changed_tests
from models.verification.runner_output import count_tests
from models.verification.verification import CommandResult

MAX_OUTPUT_CHARS: Final = 8_000
"""Of what a command printed, from its end."""
STOPPED_PREFIX: Final = "The command was stopped: "
"""How the last line begins that the toolbox adds to the output of a command that it ended."""


class FreshCommand(SandboxRef):
    command: str
    timeout_ms: int


class TestFiles(BaseModel):
    __test__ = False
    paths: list[str]
    """Tests that a commit changes, against its job's base commit."""


class FreshCommands:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database, self.outside = database, outside

    @activity.defn
    async def read_test_files(self, ref: SandboxRef) -> TestFiles:
        """Which tests the sandbox's commit changes; read before anything runs in it, and only read."""
        place = await load_job_context(self.database, ref.job_id, ref.sandbox_id)
        credentials = await self.outside.credentials(place.project_id)
        assert place.base_sha, "known since the clone"
        with external_call():
            handle = await self.outside.attach(credentials, place)
            repository = await open_repository(self.outside, credentials, handle, place.repository_slug)
            changed = await repository.list_changed_files(place.base_sha)
        return TestFiles(paths=changed_tests(file.path for file in changed))

    @activity.defn
    async def run_command(self, ask: FreshCommand) -> CommandResult:
        """Run a command once, to its end or its time-out.

        Killed while it runs, the second execution waits for the very same process.  A command that was begun
        and interrupted is not begun again in the same sandbox: that counts as lost.
        """
        place = await load_job_context(self.database, ask.job_id, ask.sandbox_id)
        credentials = await self.outside.credentials(place.project_id)
        secrets = (await load_snapshot(self.database, ask.job_id)).job_secrets
        with external_call():
            handle = await self.outside.attach(credentials, place)
            result = await handle.tool(
                "command",
                {"tool": "bash", "command": ask.command},
                envs=credentials.environment_for(secrets),
                timeout_seconds=max(1, ask.timeout_ms // 1000),
            )
        return _build_command_result(result, credentials.redactor.redact_text(result.content))


def _build_command_result(result: ToolResult, output: str) -> CommandResult:
    """`output`: of the command, secrets masked."""
    if result.exit_code is None:
        raise ApplicationError(
            f"The command was interrupted: {output[-300:]}", type=SANDBOX_GONE, non_retryable=True
        )
    last = output.rpartition("\n")[2]
    was_stopped = result.exit_code == TIMED_OUT and last.startswith(STOPPED_PREFIX)
    counted = count_tests(output)
    return CommandResult(
        exit_code=None if was_stopped else result.exit_code,
        timed_out=was_stopped and last.startswith(f"{STOPPED_PREFIX}it ran for"),
        duration_ms=result.duration_ms,
        output=output[-MAX_OUTPUT_CHARS:],
        reason=last if was_stopped else None,
        tests=counted.model_dump(mode="json", by_alias=True) if counted else None,
    )
