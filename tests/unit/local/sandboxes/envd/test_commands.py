"""Commands in a sandbox through the real SDK."""

import asyncio

import pytest
from e2b import AsyncSandbox, CommandExitException, InvalidArgumentException, NotFoundException
from e2b.exceptions import AuthenticationException, TimeoutException

from tests.support.sandbox_server import SandboxServer
from tests.support.waiting import TEST_TIMEOUT_SECONDS


async def _appears(sandbox: AsyncSandbox, path: str) -> None:
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while not await sandbox.files.exists(path):
            await asyncio.sleep(0.05)


async def test_output_exit_code_environment_and_directory(server: SandboxServer) -> None:
    sandbox = await AsyncSandbox.create("base", envs={"A": "of the sandbox", "B": "b"}, **server.options)
    result = await sandbox.commands.run("echo $A; echo $B; pwd; echo no >&2", envs={"A": "mine"}, cwd="/tmp")
    assert (result.stdout, result.stderr, result.exit_code) == ("mine\nb\n/tmp\n", "no\n", 0)
    with pytest.raises(CommandExitException) as failure:
        await sandbox.commands.run("echo out; exit 3")
    assert (failure.value.exit_code, failure.value.stdout) == (3, "out\n")
    with pytest.raises(InvalidArgumentException, match="/nowhere"):
        await sandbox.commands.run("true", cwd="/nowhere")
    await sandbox.kill()


async def test_the_tools_of_the_host_work_inside(sandbox: AsyncSandbox) -> None:
    script = (
        "git init -q r && cd r && git commit -q --allow-empty -m x && git log --format=%s"
        " && python3 -c 'print(6*7)'"
    )
    who = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    assert (await sandbox.commands.run(script, envs=who)).stdout == "x\n42\n"
    assert (
        await sandbox.commands.run("id -un; id -u; echo ~; hostname")
    ).stdout == "user\n1000\n/home/user\nsandbox\n"
    assert (await sandbox.commands.run("python3 -c 'import multiprocessing as m; m.Lock()'")).exit_code == 0


async def test_a_background_command_is_listed_reattached_and_killed(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("echo one; sleep 0.3; echo two; sleep 60", background=True, timeout=0)
    await handle.disconnect()
    assert [process.pid for process in await sandbox.commands.list()] == [handle.pid]
    again = await sandbox.commands.connect(handle.pid)
    assert await sandbox.commands.kill(handle.pid)
    with pytest.raises(CommandExitException) as failure:
        await again.wait()
    assert failure.value.exit_code == -1
    assert not await sandbox.commands.kill(handle.pid)
    with pytest.raises(NotFoundException):
        await sandbox.commands.connect(handle.pid)


async def test_what_is_written_while_nobody_listens_is_kept_for_the_next(sandbox: AsyncSandbox) -> None:
    script = "echo first; while [ ! -e go ]; do sleep 0.02; done; echo second"
    handle = await sandbox.commands.run(script, background=True, timeout=0)
    await handle.disconnect()
    again = await sandbox.commands.connect(handle.pid)
    await sandbox.files.write("go", "")
    assert (await again.wait()).stdout.endswith("second\n")


async def test_a_command_ends_with_its_timeout_and_not_with_its_client(sandbox: AsyncSandbox) -> None:
    with pytest.raises(TimeoutException):
        await sandbox.commands.run("sleep 50", timeout=0.3)
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while await sandbox.commands.list():
            await asyncio.sleep(0.05)
    task = asyncio.create_task(sandbox.commands.run("touch begun; sleep 0.5; touch done", timeout=0))
    await _appears(sandbox, "begun")
    task.cancel()
    await _appears(sandbox, "done")


async def test_input_reaches_a_command_until_it_is_closed(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("cat", background=True, stdin=True)
    await sandbox.commands.send_stdin(handle.pid, "hello ")
    async with sandbox.commands.stream_input(handle.pid) as stream:
        await stream.send("world")
    await sandbox.commands.close_stdin(handle.pid)
    assert (await handle.wait()).stdout == "hello world"


async def test_a_child_in_the_background_does_not_hold_the_command(sandbox: AsyncSandbox) -> None:
    result = await sandbox.commands.run("sleep 30 & echo started", timeout=10)
    assert result.stdout == "started\n"


async def test_large_output_arrives_whole(sandbox: AsyncSandbox) -> None:
    size = 20_000_000
    result = await sandbox.commands.run(f"head -c {size} /dev/zero | tr '\\0' x; echo end >&2")
    assert (len(result.stdout), result.stderr) == (size, "end\n")


async def test_a_slow_reader_makes_the_command_wait_and_envd_stays_small(sandbox: AsyncSandbox) -> None:
    released = asyncio.Event()

    async def slow(_: str) -> None:
        await released.wait()

    script = "head -c 80000000 /dev/zero | tr '\\0' x | tee >(wc -c > /dev/null); touch finished"
    handle = await sandbox.commands.run(
        script, background=True, timeout=0, on_stdout=slow, retain_output=False
    )
    waiting = asyncio.create_task(handle.wait())
    await asyncio.sleep(1)
    memory = await sandbox.commands.run("grep VmRSS /proc/$(pgrep -f sandboxes.envd | head -1)/status")
    assert int(memory.stdout.split()[1]) < 80_000, "envd holds what nobody has read"
    assert not await sandbox.files.exists("finished")
    released.set()
    await waiting
    assert await sandbox.files.exists("finished")


async def test_without_a_reader_a_command_goes_on_and_the_newest_output_is_kept(
    sandbox: AsyncSandbox,
) -> None:
    script = (
        "sleep 0.2; head -c 5000000 /dev/zero | tr '\\0' x; touch finished;"
        " while [ ! -e go ]; do sleep 0.02; done; echo end"
    )
    handle = await sandbox.commands.run(script, background=True, timeout=0)
    await handle.disconnect()
    await _appears(sandbox, "finished")
    again = await sandbox.commands.connect(handle.pid)
    await sandbox.files.write("go", "")
    output = (await again.wait()).stdout
    assert output.endswith("end\n")
    assert 900_000 < len(output) < 1_200_000


async def test_another_user_is_refused_by_name(sandbox: AsyncSandbox) -> None:
    with pytest.raises(AuthenticationException, match="root"):
        await sandbox.commands.run("id", user="root")


async def test_a_sandbox_whose_processes_were_all_killed_inside_boots_again(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("kept", "yes")
    handle = await sandbox.commands.run("chmod 700 ~; sleep 0.1; kill -9 -1", background=True)
    with pytest.raises(Exception, match=r".+"):
        await handle.wait()
    assert await sandbox.files.read("kept") == "yes"
