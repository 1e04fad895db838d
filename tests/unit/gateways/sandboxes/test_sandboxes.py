"""One sandbox per marker; commands, files and tool calls in it; and what is said of one that is gone."""

import asyncio
import time
from uuid import uuid4

import pytest

from gateways.errors import (
    CredentialRefused,
    ProviderLimit,
    SandboxGone,
    SandboxNotRunning,
    UpstreamFailed,
    UpstreamRefused,
)
from gateways.sandboxes.control import SandboxHandle, SandboxProvider
from gateways.sandboxes.sandbox import HeadAndTail
from tests.support.canned_server import CannedResponse, run_canned_server
from tests.support.sandbox_faults import SandboxFaults
from tests.support.servers import ServedDirectory


async def test_the_same_marker_is_the_same_sandbox(
    sandboxes: SandboxProvider, marker: dict[str, str]
) -> None:
    first = await sandboxes.ensure(marker, template="base", timeout_seconds=60, envs={"GIVEN": "yes"})
    again = await sandboxes.ensure(marker, template="base", timeout_seconds=60)
    assert first.id == again.id
    assert (await again.run("echo $GIVEN", timeout_seconds=10)).stdout == "yes\n"
    (facts,) = await sandboxes.find(marker)
    assert (facts.id, facts.state, facts.template) == (first.id, "running", "base")
    assert facts.metadata == {**marker, "owner": "tests"}
    assert await sandboxes.kill_all(marker) == 1
    assert not await sandboxes.kill(first.id)
    assert await sandboxes.find(marker) == []


async def test_those_that_create_at_once_end_up_with_one(
    sandboxes: SandboxProvider, marker: dict[str, str]
) -> None:
    handles = await asyncio.gather(
        *(sandboxes.ensure(marker, template="base", timeout_seconds=60) for _ in range(3))
    )
    last = await sandboxes.ensure(marker, template="base", timeout_seconds=60)
    assert {handle.id for handle in handles} == {last.id}
    assert len(await sandboxes.find(marker)) == 1
    await sandboxes.kill_all(marker)


async def test_a_paused_one_is_found_and_goes_on(sandboxes: SandboxProvider, marker: dict[str, str]) -> None:
    first = await sandboxes.ensure(marker, template="base", timeout_seconds=60)
    await first.write("note", "kept")
    await sandboxes.pause(first.id)
    await sandboxes.pause(first.id)
    assert [facts.state for facts in await sandboxes.find(marker)] == ["paused"]
    resumed = await sandboxes.ensure(marker, template="base", timeout_seconds=60)
    assert resumed.id == first.id
    assert await resumed.read("note", 100) == b"kept"
    await sandboxes.extend(first.id, 120)
    assert ((await sandboxes.find(marker))[0].ends_at.timestamp() - time.time()) > 100
    await sandboxes.kill(first.id)


async def test_other_owners_are_never_listed(
    servers: tuple[ServedDirectory, ServedDirectory], handle: SandboxHandle, marker: dict[str, str]
) -> None:
    options = {"api_url": servers[1].url, "sandbox_url": servers[1].url}
    others = SandboxProvider("e2b_key_of_the_tests_0123456789", **options, owner="somebody else")
    assert await others.find(marker) == []
    assert await others.kill_all({}) == 0
    assert (await handle.run(["true"], timeout_seconds=10)).exit_code == 0
    with pytest.raises(CredentialRefused):
        await SandboxProvider("e2b_wrong", **options, owner="tests").find(marker)


async def test_a_killed_sandbox_is_gone_once_the_control_plane_says_so(
    sandboxes: SandboxProvider, marker: dict[str, str]
) -> None:
    handle = await sandboxes.ensure(marker, template="base", timeout_seconds=60)
    running = asyncio.ensure_future(handle.run("sleep 30", timeout_seconds=40))
    await asyncio.sleep(0.5)
    await sandboxes.kill(handle.id)
    with pytest.raises(SandboxNotRunning):
        await asyncio.wait_for(running, 10)
    for work in (
        handle.run(["true"], timeout_seconds=10),
        handle.read("x", 1),
        handle.write("x", "y"),
        handle.tool("c1", {"tool": "bash", "command": "true"}, timeout_seconds=10),
        sandboxes.pause(handle.id),
        sandboxes.extend(handle.id, 60),
    ):
        with pytest.raises(SandboxNotRunning):
            await work
    with pytest.raises(SandboxGone):
        await sandboxes.attach(handle.id, 60)


async def test_a_sandbox_is_not_gone_because_one_look_did_not_find_it(
    faults: SandboxFaults, sandboxes: SandboxProvider, handle: SandboxHandle
) -> None:
    await handle.write("note", "kept")
    await faults.lay(handle.id, unknownLookups=1)
    again = await sandboxes.attach(handle.id, 60)
    assert await again.read("note", 100) == b"kept"


async def test_a_call_in_a_sandbox_that_is_paused_under_it_goes_on_where_it_was(
    sandboxes: SandboxProvider, handle: SandboxHandle
) -> None:
    request = {"tool": "bash", "command": "echo begun >> effects; sleep 2; echo ended >> effects"}
    call = asyncio.ensure_future(handle.tool("paused", request, timeout_seconds=40))
    while await handle.read("repo/effects", 100) is None and await handle.read("effects", 100) is None:
        await asyncio.sleep(0.05)
    await sandboxes.pause(handle.id)
    with pytest.raises(SandboxNotRunning):
        await call
    again = await sandboxes.attach(handle.id, 60)
    result = await again.tool("paused", request, timeout_seconds=40)
    assert (result.exit_code, result.is_error) == (0, False)
    assert await again.read("effects", 100) == b"begun\nended\n"


async def test_a_sandbox_that_comes_back_without_its_latest_files_is_gone(
    faults: SandboxFaults, sandboxes: SandboxProvider, handle: SandboxHandle
) -> None:
    request = {"tool": "bash", "command": "echo done >> effects"}
    await handle.tool("early", request, timeout_seconds=20)
    await faults.lay(handle.id, forgets=True)
    await handle.tool("late", request, after="early", timeout_seconds=20)
    await sandboxes.pause(handle.id)
    again = await sandboxes.attach(handle.id, 60)
    with pytest.raises(SandboxGone):
        await again.tool("next", request, after="late", timeout_seconds=20)
    assert await again.read("effects", 100) == b"done\n"
    assert not (await again.tool("next", request, after="early", timeout_seconds=20)).is_error


async def test_an_unreachable_sandbox_is_tried_again_and_not_given_up(
    faults: SandboxFaults, sandboxes: SandboxProvider, handle: SandboxHandle
) -> None:
    await handle.write("note", "kept")
    await faults.lay(handle.id, unreachableSeconds=60)
    with pytest.raises(UpstreamFailed) as failed:
        await handle.read("note", 100)
    assert type(failed.value) is UpstreamFailed
    await faults.lay(handle.id)
    assert await handle.read("note", 100) == b"kept"


async def test_a_sandbox_that_is_slow_to_die_is_gone_at_once(
    faults: SandboxFaults, sandboxes: SandboxProvider, marker: dict[str, str]
) -> None:
    handle = await sandboxes.ensure(marker, template="base", timeout_seconds=60)
    await faults.lay(handle.id, diesInSeconds=60)
    with pytest.raises(SandboxGone):
        await sandboxes.attach(handle.id, 60)
    assert (await handle.run("echo alive", timeout_seconds=10)).stdout == "alive\n"
    assert await sandboxes.find(marker) == []


async def test_a_lease_is_prolonged_while_a_command_runs_and_ends_after_it(
    sandboxes: SandboxProvider, marker: dict[str, str]
) -> None:
    handle = await sandboxes.ensure(marker, template="base", timeout_seconds=3)
    done = await handle.run("sleep 9; echo done", timeout_seconds=40)
    assert done.stdout == "done\n"
    [facts] = await sandboxes.find(marker)
    assert facts.state == "running"
    while facts.state == "running":
        await asyncio.sleep(0.2)
        [facts] = await sandboxes.find(marker)
    await sandboxes.kill(handle.id)


async def test_a_server_that_cannot_be_reached_failed(marker: dict[str, str]) -> None:
    nowhere = SandboxProvider(
        "e2b_x", api_url="http://127.0.0.1:9", sandbox_url="http://127.0.0.1:9", owner="tests"
    )
    with pytest.raises(UpstreamFailed):
        await nowhere.find(marker)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            CannedResponse(429, {"code": 429, "message": "too many sandboxes"}, {"Retry-After": "1"}),
            ProviderLimit,
        ),
        (CannedResponse(401, {"code": 401, "message": "no"}), CredentialRefused),
        (CannedResponse(403, {"code": 403, "message": "team is blocked"}), CredentialRefused),
        (CannedResponse(400, {"code": 400, "message": "template is missing"}), UpstreamRefused),
        (CannedResponse(500, {"code": 500, "message": "oops"}), UpstreamFailed),
        (CannedResponse(503, {"code": 503, "message": "no capacity"}), UpstreamFailed),
        (CannedResponse(200, "<html>"), UpstreamFailed),
    ],
)
async def test_refusals_have_names_and_are_not_tried_again(
    marker: dict[str, str], answer: CannedResponse, error: type[Exception]
) -> None:
    with run_canned_server(CannedResponse(200, []), answer) as server:
        refused = SandboxProvider(
            "e2b_secret_0123", api_url=server.url, sandbox_url=server.url, owner="tests"
        )
        with pytest.raises(error) as raised:
            await refused.ensure(marker, template="base", timeout_seconds=60)
    assert len(server.asked) == 2
    assert "e2b_secret" not in str(raised.value)


async def test_commands(handle: SandboxHandle) -> None:
    said = await handle.run(
        ["bash", "-c", 'echo "$1|$X|$PWD|$HOME"; echo problem >&2; exit 3', "bash", "a 'b' $c"],
        envs={"X": "x y"},
        cwd="/tmp",
        timeout_seconds=10,
    )
    assert (said.exit_code, said.stdout, said.stderr) == (3, "a 'b' $c|x y|/tmp|/home/user\n", "problem\n")
    slow = await handle.run("echo begun; sleep 20", timeout_seconds=1)
    assert (slow.exit_code, slow.stdout) == (124, "begun\n")
    long = await handle.run("seq 1 1000000", timeout_seconds=20)
    assert len(long.stdout) < 2_000_100
    assert long.stdout.startswith("1\n2\n")
    assert long.stdout.endswith("\n1000000\n")


async def test_start_up_files_of_the_agent_are_not_read(handle: SandboxHandle) -> None:
    for name in (".bash_profile", ".bashrc", ".profile"):
        await handle.write(name, "echo intruder; export STOLEN=$SECRET; exit 9")
    said = await handle.run("echo ${STOLEN-none}", envs={"SECRET": "s"}, timeout_seconds=10)
    assert (said.exit_code, said.stdout) == (0, "none\n")


async def test_it_stops_waiting_at_once(handle: SandboxHandle) -> None:
    kept = "touch begun-tool; sleep 3; echo kept >> effects"
    for name, work in (
        ("run", handle.run("touch begun-run; sleep 30", timeout_seconds=40)),
        ("tool", handle.tool("c1", {"tool": "bash", "command": kept}, timeout_seconds=40)),
    ):
        task = asyncio.ensure_future(work)
        while await handle.read(f"begun-{name}", 1) is None:
            await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    result = await handle.tool("c1", {"tool": "bash", "command": "never"}, timeout_seconds=40)
    assert (result.exit_code, result.is_error) == (0, False)
    assert await handle.read("effects", 100) == b"kept\n"


async def test_files(handle: SandboxHandle) -> None:
    data = bytes(range(256)) * 8000
    await handle.write_many({"a/b.bin": data, "/tmp/c.txt": "text"})
    assert await handle.read("/home/user/a/b.bin", 10_000_000) == data
    assert await handle.read("a/b.bin", 1000) == data[:1000]
    assert await handle.read("/tmp/c.txt", 100) == b"text"
    assert await handle.read("missing", 100) is None
    with pytest.raises(UpstreamRefused):
        await handle.read("/tmp", 100)


async def test_a_tool_call_runs_once_whoever_asks_how_often(
    sandboxes: SandboxProvider, handle: SandboxHandle
) -> None:
    call_id = f"toolu_{uuid4().hex}"
    request = {"tool": "bash", "command": "echo once >> effects; sleep 1; cat effects; echo $SECRET"}
    envs = {"SECRET": "hidden-value-1", "CODECOURIER_SECRETS": "SECRET"}
    second = await sandboxes.attach(handle.id, 60)
    results = await asyncio.gather(
        *(each.tool(call_id, request, envs=envs, timeout_seconds=20) for each in (handle, second, handle))
    )
    assert {result.content for result in results} == {"once\n[secret]"}
    listing = await handle.run(
        "ls ~/.codecourier ~/.codecourier/inbox; grep -r hidden-value ~", timeout_seconds=10
    )
    assert "toolbox-" in listing.stdout
    assert ".json" not in listing.stdout.replace("shell.json", "")
    assert "hidden-value" not in listing.stdout
    edited = await handle.tool(
        "c2",
        {"tool": "edit", "command": "create", "path": "big", "file_text": "ü" * 400_000},
        timeout_seconds=20,
    )
    assert not edited.is_error
    slow = await handle.tool(
        "c3", {"tool": "bash", "command": "sleep 9", "timeout_seconds": 1}, timeout_seconds=20
    )
    assert (slow.is_error, slow.exit_code) == (True, 124)
    with pytest.raises(UpstreamRefused):
        await handle.tool("../c", request, timeout_seconds=20)


async def test_a_toolbox_that_is_killed_is_started_again_and_keeps_no_secret(handle: SandboxHandle) -> None:
    envs = {"SECRET": "hidden-value-2", "CODECOURIER_SECRETS": "SECRET"}
    await handle.tool("k1", {"tool": "bash", "command": "cd /; export A=1"}, envs=envs, timeout_seconds=20)
    seen = await handle.run("grep -la hidden-value-2 /proc/[0-9]*/environ", timeout_seconds=10)
    assert seen.stdout == ""
    killing = (
        "for p in /proc/[0-9]*; do grep -qa 'toolbox-[^ ]*[.]pyz' $p/cmdline && kill -9 ${p#/proc/}; done"
    )
    await handle.run(killing, timeout_seconds=10)
    again = await handle.tool("k2", {"tool": "bash", "command": "pwd; echo $A"}, timeout_seconds=20)
    assert again.content == "/\n1"


def test_ends_keep_the_first_and_the_last() -> None:
    ends = HeadAndTail(10)
    for chunk in ("abc", "defgh", "", "ijklmnop", "q"):
        ends.add(chunk)
    assert ends.text() == "abcde\n[… 7 characters left out …]\nmnopq"
