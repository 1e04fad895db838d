"""The stack without API and worker: order, locks, restarts, and that nothing is left running."""

import asyncio
import hashlib
import hmac
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from local.stack.parts import INFRASTRUCTURE
from local.stack.plan import REPLACING_VARIABLES, STACK_VARIABLE, choose_ports
from local.stack.ports import LOOPBACK, free_ports, is_free
from local.stack.process import ProcessIdentity, StartError, spawn
from local.stack.state import State, lock_stack, make_private
from local.stack.supervisor import Stack, make_plan, restart_delay
from tests.support.forge_webhook_receiver import Receiver
from tests.support.waiting import TEST_TIMEOUT_SECONDS

REPLACED = {"DATABASE_URL": "postgresql://elsewhere/db", "TEMPORAL_ADDRESS": "elsewhere:7233"}
Make = Callable[..., Stack]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes stacks without rows; all of them are stopped at the end, and nothing may be left of them."""
    made: dict[Path, Stack] = {}

    def make(environment: Mapping[str, str], name: str = "one") -> Stack:
        plan = make_plan(tmp_path / name, {}, environment)
        made[plan.directory] = Stack(plan, None, lambda *_: None)
        return made[plan.directory]

    yield make
    for directory, stack in made.items():
        await stack.stop()
        assert left_of(directory) == []


def left_of(directory: Path) -> list[str]:
    """Command lines of processes that belong to the stack of a directory."""
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_marked = process.environ().get(STACK_VARIABLE) == str(directory)
            if is_marked or any(str(directory) in word for word in process.cmdline()):
                left.append(" ".join(process.cmdline()))
    return left


async def test_every_part_starts_survives_a_kill_and_keeps_its_port(make: Make, tmp_path: Path) -> None:
    stack = make({})
    await stack.start()
    state = State.read(tmp_path / "one")
    assert state.parts.keys() == INFRASTRUCTURE.keys()
    assert state.alive().keys() == INFRASTRUCTURE.keys()
    assert stack.is_running is True

    for identity in state.parts.values():
        os.kill(identity.pid, signal.SIGKILL)
    assert all([await identity.ended(TEST_TIMEOUT_SECONDS) for identity in state.parts.values()])
    again = make({})
    assert again.is_running is False
    await again.start()
    assert again.plan.ports == state.ports
    assert State.read(tmp_path / "one").alive().keys() == INFRASTRUCTURE.keys()
    secrets = [*(tmp_path / "one" / "keys").iterdir(), tmp_path / "one" / "state.json"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secrets] == [0o600] * len(secrets)
    commands = " ".join(left_of(tmp_path / "one"))
    assert not any(path.read_text() in commands for path in secrets)


async def test_a_second_start_leaves_what_runs_alone(make: Make, tmp_path: Path) -> None:
    await make(REPLACED).start()
    first = State.read(tmp_path / "one").parts
    await make(REPLACED).start()
    assert State.read(tmp_path / "one").parts == first


async def test_a_variable_replaces_its_part(make: Make, tmp_path: Path) -> None:
    await make({**REPLACED, "E2B_API_KEY": "e2b_real", "GITHUB_TOKEN": "ghp_real"}).start()
    assert State.read(tmp_path / "one").parts.keys() == {"model"}
    assert REPLACING_VARIABLES.keys() == INFRASTRUCTURE.keys()


async def test_the_forge_tells_the_api_and_signs_with_a_secret_that_both_know(make: Make) -> None:
    stack = make({**REPLACED, "E2B_API_KEY": "e2b_real", "ANTHROPIC_API_KEY": "sk-ant-real"})
    secret = stack.plan.settings("postgresql://elsewhere/db")["GITHUB_WEBHOOK_SECRET"]
    with Receiver(port=stack.plan.ports["api"]).listening() as api:
        await stack.start()
        (ping,) = await asyncio.to_thread(api.wait, "ping")
    assert ping.path == "/github/webhook"
    expected = hmac.new(secret.encode(), ping.body, hashlib.sha256).hexdigest()
    assert ping.headers["x-hub-signature-256"] == f"sha256={expected}"
    assert stack.plan.application_environment("")["GITHUB_WEBHOOK_SECRET"] == secret
    own = make({**REPLACED, "GITHUB_WEBHOOK_SECRET": "of the operator"}, "two").plan
    assert own.settings("")["GITHUB_WEBHOOK_SECRET"] == "of the operator"


async def test_two_stacks_live_side_by_side(make: Make, tmp_path: Path) -> None:
    one, two = make(REPLACED, "one"), make(REPLACED, "two")
    await asyncio.gather(one.start(), two.start())
    await one.stop()
    assert left_of(tmp_path / "one") == []
    assert len(State.read(tmp_path / "two").alive()) == 3


@asynccontextmanager
async def watched(stack: Stack) -> AsyncIterator[None]:
    """The stack, watched over until the block ends."""
    await stack.start()
    watch = asyncio.create_task(stack.watch())
    yield
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


async def eventually(condition: Callable[[State], bool], directory: Path) -> State:
    """What the stack remembers once the condition holds."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while not condition(state := State.read(directory)):
            await asyncio.sleep(0.05)
    return state


async def test_the_watch_starts_a_dead_part_again_and_remembers_it(make: Make, tmp_path: Path) -> None:
    stack = make(REPLACED)
    async with watched(stack):
        before = State.read(tmp_path / "one").parts["model"]
        before.send(signal.SIGKILL)
        state = await eventually(
            lambda state: state.parts["model"] != before and not is_free(stack.plan.ports["model"]),
            tmp_path / "one",
        )
    assert state.parts["model"].is_alive
    assert state.is_watched
    assert state.restarts.keys() == {"model"}
    assert (state.restarts["model"].count, state.restarts["model"].in_a_row) == (1, 1)
    assert state.restarts["model"].last_exit == "killed by SIGKILL"
    assert not state.restarts["model"].is_hopeless


async def test_a_part_that_dies_again_and_again_is_remembered_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.stack.supervisor.MIN_RESTART_DELAY_SECONDS", 0.01)
    (tmp_path / "scenarios").mkdir()
    broken = tmp_path / "scenarios" / "broken.json"
    stack = Stack(make_plan(tmp_path / "one", {}, REPLACED, (tmp_path / "scenarios",)), None, lambda *_: None)
    try:
        async with watched(stack):
            broken.write_text("{")
            State.read(tmp_path / "one").parts["model"].send(signal.SIGKILL)
            state = await eventually(
                lambda state: "model" in state.restarts and state.restarts["model"].is_hopeless,
                tmp_path / "one",
            )
            assert state.restarts["model"].last_exit == "exit status 1"
            assert "broken.json: not JSON" in state.restarts["model"].log_tail
            broken.unlink()
            await eventually(lambda state: not is_free(stack.plan.ports["model"]), tmp_path / "one")
    finally:
        await stack.stop()
    assert left_of(tmp_path / "one") == []


async def test_a_part_that_was_well_for_long_starts_again_soon(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.stack.supervisor.MIN_RESTART_DELAY_SECONDS", 0.01)
    monkeypatch.setattr("local.stack.supervisor.STABLE_AFTER_SECONDS", 0.0)
    async with watched(make(REPLACED)):
        for count in range(1, 4):
            await eventually(lambda state: state.parts["model"].is_alive, tmp_path / "one")
            State.read(tmp_path / "one").parts["model"].send(signal.SIGKILL)
            state = await eventually(
                lambda state, count=count: (
                    "model" in state.restarts  # type: ignore[misc]
                    and state.restarts["model"].count == count
                ),
                tmp_path / "one",
            )
    assert state.restarts["model"].in_a_row == 1


def test_pauses_double_up_to_a_minute() -> None:
    assert [restart_delay(number) for number in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_number_used_again_is_not_the_same_process(tmp_path: Path) -> None:
    stranger = spawn(["sleep", "60"], {}, tmp_path / "log")
    try:
        remembered = ProcessIdentity(pid=stranger.pid, started=stranger.started - 100)
        assert remembered.is_alive is False
        await remembered.stop()
        assert stranger.is_alive
    finally:
        await stranger.stop()


async def test_stop_finds_what_a_killed_command_had_started(make: Make, tmp_path: Path) -> None:
    stack = make(REPLACED)
    await stack.start()
    State(ports=dict(stack.plan.ports)).write(
        tmp_path / "one"
    )  # as if the command died before it wrote them down
    await make(REPLACED).stop()
    assert left_of(tmp_path / "one") == []


async def test_a_part_that_fails_is_named_and_the_rest_is_stopped(make: Make, tmp_path: Path) -> None:
    stack = make(REPLACED)
    (tmp_path / "one").mkdir(exist_ok=True)
    (tmp_path / "one" / "forge").write_text("in the way")
    with pytest.raises(
        StartError, match=r"(?s)forge ended while starting; the end of .*logs/forge.log.*File"
    ):
        await stack.start()
    assert left_of(tmp_path / "one") == []


def test_ports_are_the_given_the_kept_or_free_ones() -> None:
    given, kept = free_ports(2)
    with socket.create_server((LOOPBACK, 0)) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(StartError, match=f"port {taken} for forge is taken by another program"):
            choose_ports({"forge": taken}, {}, ())
        chosen = choose_ports(
            {"api": given}, {"model": kept, "forge": taken, "temporal_ui": taken}, ("temporal",)
        )
    assert (chosen["api"], chosen["model"], chosen["temporal_ui"]) == (given, kept, taken)
    assert chosen["forge"] != taken


def test_a_directory_that_was_open_to_others_is_made_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("temporal/temporal.db", "logs/api.log", "keys/api_key", "stack.json", "forge/repo/config"):
        (data / name).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        (data / name).write_text("secret")
        (data / name).chmod(0o644)
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / "elsewhere").chmod(0o644)
    (data / "logs" / "link").symlink_to(tmp_path / "elsewhere")
    data.chmod(0o755)
    make_private(data)
    modes = {path: mode_of(data / path) for path in (".", "temporal", "logs", "keys")}
    assert set(modes.values()) == {0o700}, modes
    files = [data / name for name in ("temporal/temporal.db", "logs/api.log", "keys/api_key", "stack.json")]
    assert {mode_of(path) for path in files} == {0o600}
    assert mode_of(tmp_path / "elsewhere") == 0o644, "what a link leads to is not ours"


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "data")
    assert mode_of(tmp_path / "a" / "data") == 0o700


def test_a_directory_of_other_things_is_not_closed(tmp_path: Path) -> None:
    data = tmp_path / "home"
    data.mkdir(mode=0o755)
    (data / "lock").touch()
    (data / "letter.txt").touch()
    data.chmod(0o755)
    with pytest.raises(StartError, match="a directory of its own"):
        make_private(data)
    assert mode_of(data) == 0o755
    data.chmod(0o700)
    make_private(data)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_stack_per_directory(tmp_path: Path) -> None:
    with lock_stack(tmp_path) as first, lock_stack(tmp_path) as second:
        assert (first, second) == (True, False)
    with lock_stack(tmp_path) as again:
        assert again is True


def test_a_damaged_state_is_reported(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(StartError, match=r"state.json is damaged"):
        State.read(tmp_path)


def test_no_port_is_chosen_twice_in_a_row() -> None:
    chosen = [port for _ in range(50) for port in free_ports(10)]
    assert len(set(chosen)) == len(chosen)


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_APP_ID"])
def test_a_token_and_an_app_replace_the_forge(make: Make, name: str) -> None:
    assert make(REPLACED).plan.is_embedded("forge")
    assert not make({**REPLACED, name: "1"}).plan.is_embedded("forge")
