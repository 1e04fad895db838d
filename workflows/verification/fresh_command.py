"""A command in a fresh sandbox at one commit: for the gate of a run and the checks of a combined merge."""

from activities.sandboxes.lifecycle import SandboxRef
from activities.verification.fresh_commands import FreshCommand, FreshCommands, TestFiles
from kit.temporal import EXTERNAL, LONG_RUNNING
from models.verification.verification import CommandResult
from workflows.activity_calls import run_with_provider_waits
from workflows.sandboxes.lifecycle import provision_fresh_sandbox, release_fresh, with_sandbox_recovery


async def run_fresh_command(
    job_id: str, commit_sha: str, command: str, timeout_ms: int, *, reads_tests: bool = False
) -> CommandResult:
    """What came of a command at a commit; `reads_tests`: also which tests that commit changes.

    It only reads, so that it is run again, from the start, in another sandbox when its own is lost.
    """

    async def run_in(sandbox_id: str) -> CommandResult:
        ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
        tests: TestFiles | None = None
        if reads_tests:
            tests = await run_with_provider_waits(
                job_id, FreshCommands.read_test_files, ref, EXTERNAL, summary="read what was changed"
            )
        ask = FreshCommand(job_id=job_id, sandbox_id=sandbox_id, command=command, timeout_ms=timeout_ms)
        result = await run_with_provider_waits(
            job_id, FreshCommands.run_command, ask, LONG_RUNNING, summary="run the command"
        )
        return result.model_copy(update={"test_files": tests and tests.paths})

    sandbox_id = await provision_fresh_sandbox(job_id, commit_sha)
    result, sandbox_id = await with_sandbox_recovery(job_id, sandbox_id, run_in)
    await release_fresh(job_id, sandbox_id)
    return result
