"""`codecourier up`, `status`, `down` and `demo` as processes, with everything that they start."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.detached_stack import DetachedStack
from tests.support.waiting import TEST_TIMEOUT_SECONDS

KEYS = [
    *(
        "apiUrl",
        "apiKey",
        "projectId",
        "temporalAddress",
        "temporalNamespace",
        "temporalUiUrl",
        "databaseUrl",
    ),
    *("forgeUrl", "forgeToken", "sandboxUrl", "modelUrl", "pids"),
]
PARTS = ["postgres", "temporal", "api", "worker", "sandboxes", "forge", "model"]
REAL = ("DATABASE_URL", "TEMPORAL_ADDRESS", "E2B_API_KEY", "ANTHROPIC_API_KEY", "GITHUB_TOKEN")
WHOLE_DEMO = 900.0
"""Seconds that all of it may take, the start and the stop of the stack included."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in REAL}

pytestmark = pytest.mark.stack


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *words]


def codecourier(*words: str, status: int = 0, limit: float = TEST_TIMEOUT_SECONDS) -> str:
    """What a command printed; it must leave with that status, and within so many seconds."""
    ran = subprocess.run(
        command(*words), env=ENVIRONMENT, capture_output=True, text=True, timeout=limit, check=False
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert "\x1b" not in ran.stdout, "plain lines in a pipe"
    return ran.stdout + ran.stderr


def left_of(directory: Path) -> list[str]:
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = [*process.cmdline(), process.environ().get("CODECOURIER_STACK", "")]
            if process.pid != os.getpid() and any(str(directory) in word for word in words):
                left.append(" ".join(process.cmdline()))
    return left


def eventually(condition: Callable[[], bool], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def foreground(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`codecourier up` that has started everything and goes on."""
    with (data.parent / "up.log").open("w") as log:
        up = subprocess.Popen(
            command("up", "--data", str(data)), env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT
        )
    with up:
        try:
            eventually(lambda: "Ctrl-C stops everything." in said_by(data))
            yield up
        finally:
            up.terminate()


def said_by(data: Path) -> str:
    """What the last of them printed."""
    return (data.parent / "up.log").read_text()


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory; whatever a test left running there is stopped."""
    directory = tmp_path / "data"
    yield directory
    codecourier("down", "--data", str(directory))
    eventually(lambda: left_of(directory) == [])  # what wrapped a server ends a moment after it


def stack(data: Path) -> dict[str, str]:
    loaded: dict[str, str] = json.loads((data / "stack.json").read_text())
    return loaded


def pids(data: Path) -> dict[str, int]:
    loaded: dict[str, int] = json.loads((data / "stack.json").read_text())["pids"]
    return loaded


def is_up(data: Path) -> bool:
    """Whether the API, which needs the database, answers."""
    try:
        return whoami(data).status_code == 200
    except httpx.TransportError:
        return False


def whoami(data: Path) -> httpx.Response:
    headers = {"Authorization": f"Bearer {stack(data)['apiKey']}"}
    return httpx.get(f"{stack(data)['apiUrl']}/api/v1/whoami", headers=headers)


@pytest.mark.soak
def test_a_detached_stack_survives_kills_and_keeps_its_data(data: Path) -> None:
    said = codecourier("up", "--detach", "--data", str(data))
    assert re.search(r"^api +ready +\d+\.\d\d s  pid \d+$", said, re.MULTILINE)
    first = stack(data)
    assert list(first) == KEYS
    assert list(pids(data)) == PARTS
    assert stat.S_IMODE((data / "stack.json").stat().st_mode) == 0o600
    assert whoami(data).status_code == 200
    assert first["apiKey"] not in said

    assert "The stack was already running." in codecourier("up", "--detach", "--data", str(data))
    assert stack(data) == first

    before = pids(data)
    for part in ("postgres", "sandboxes"):
        os.kill(before[part], signal.SIGKILL)
    assert "Not running: postgres, sandboxes." in codecourier("status", "--data", str(data), status=1)
    codecourier("up", "--detach", "--data", str(data))
    codecourier("status", "--data", str(data))
    assert {name: value for name, value in stack(data).items() if name != "pids"} == {
        name: value for name, value in first.items() if name != "pids"
    }
    assert whoami(data).status_code == 200

    os.kill(pids(data)["sandboxes"], signal.SIGKILL)
    assert "Nothing is running." in codecourier("down", "--data", str(data))
    eventually(lambda: left_of(data) == [])
    assert "No stack is running" in codecourier("status", "--data", str(data), status=1)


@pytest.mark.soak
def test_in_the_foreground_it_restarts_what_dies_and_ends_with_ctrl_c(data: Path) -> None:
    with foreground(data) as up:
        assert "already running, in the foreground" in codecourier("up", "--data", str(data))
        before = pids(data)["model"]
        os.kill(before, signal.SIGKILL)
        eventually(lambda: pids(data)["model"] != before)
        assert re.search(
            r"^model +died +killed by SIGKILL; starting it again in 1 s$", said_by(data), re.MULTILINE
        )
        said = codecourier("status", "--data", str(data))
        assert re.search(
            r"^model +running +pid \d+ since [\d:]+, died once, last at [\d:]+: killed by SIGKILL",
            said,
            re.MULTILINE,
        )
        assert "Nobody watches" not in said
        up.send_signal(signal.SIGINT)
        assert up.wait(TEST_TIMEOUT_SECONDS) == 0, said_by(data)
    eventually(lambda: left_of(data) == [])


@pytest.mark.soak
def test_runs_survive_the_death_of_every_part_without_another_command(data: Path) -> None:
    with foreground(data):
        stack, runs = DetachedStack(data), {}
        for part in PARTS:
            runs[part] = stack.start_run(f"Goes on without {part}")
            stack.until(runs[part], "sandbox.running")
            before = pids(data)[part]
            stack.kill(part)
            eventually(lambda part=part, before=before: pids(data)[part] != before)  # type: ignore[misc]
            eventually(lambda: is_up(data))
        for part, run_id in runs.items():
            run = stack.ended(run_id)
            assert (part, run["status"], run["prStatus"]) == (part, "completed", "created")
        said = codecourier("status", "--data", str(data))
        for part in PARTS:
            assert re.search(rf"^{part} +running .+died once", said, re.MULTILINE)


@pytest.mark.soak
def test_after_a_killed_command_another_goes_on_and_down_stops_it(data: Path) -> None:
    with foreground(data) as up:
        up.kill()
    before = pids(data)
    os.kill(before["sandboxes"], signal.SIGKILL)
    with foreground(data) as up:
        eventually(lambda: pids(data)["sandboxes"] != before["sandboxes"])
        assert {**pids(data), "sandboxes": 0} == {**before, "sandboxes": 0}
        codecourier("down", "--data", str(data))
        assert up.wait(TEST_TIMEOUT_SECONDS) == 0
    eventually(lambda: left_of(data) == [])


def test_the_demo_shows_a_whole_run_and_says_why_another_fails(data: Path) -> None:
    said = codecourier("demo", "--keep", "--data", str(data))
    assert "The model is scripted" in said
    assert re.search(r"Check \[fail\]", said)
    assert re.search(r"Check \[pass\]", said)
    assert re.search(r"^Pull request  http://127.0.0.1:\d+/org/repo/pull/1$", said, re.MULTILINE)
    assert '+    parser.add_argument("--shout"' in said
    assert re.search(r"^Cost +\$\d\.\d{4}", said, re.MULTILINE)
    assert re.search(r"^Temporal UI +http://127.0.0.1:\d+/", said, re.MULTILINE)
    missing = ["--repository", "https://github.com/nobody/nothing"]
    said = codecourier("demo", "--data", str(data), *missing, status=1)
    assert re.search(r"The run failed: [A-Z_]+: .+|400: .+", said)
    assert whoami(data).status_code == 200, "it leaves running what ran before it"


@pytest.mark.soak
def test_the_whole_demo_plays_every_orchestration(data: Path) -> None:
    said = codecourier("demo", "--all", "--data", str(data), limit=WHOLE_DEMO)
    parts = re.findall(r"^(\d+) of (\d+)  (.+)$", said, re.MULTILINE)
    assert [(int(number), int(count)) for number, count, _ in parts] == [(each, 11) for each in range(1, 12)]
    for _, _, name in parts:
        assert re.search(rf"^{name}: \d+\.\d s$", said, re.MULTILINE), f"{name} tells what it took"
    assert re.search(r"^in all +\d+\.\d s$", said, re.MULTILINE)
    links = re.findall(r"^Temporal UI +http://127.0.0.1:\d+/\S+/workflows/([a-z]+)_", said, re.MULTILINE)
    assert links == ["r", "is", "as", "wc", "sc", "r", "mj", "mj", "r", "r", "r"]

    assert re.search(r"learning found +\[scripted model\] A new flag of greet.py needs a test", said)
    assert re.search(r"^Agent +\[scripted model\] Added --formal with a test", said, re.MULTILINE), (
        "it was told"
    )
    assert re.search(r"(?s)cap reached +The run's budget is reached.+cap raised +to \$5", said)
    assert re.search(r"(?s)CI +failed on .+ fixed +by the agent.+ merged +as [0-9a-f]{10} into demo-ci", said)
    assert re.search(r"^Verified +by the library svix", said, re.MULTILINE)
    assert re.search(r"issue found +\[high\] A blank name greets nobody$", said, re.MULTILINE)
    assert re.search(r"approved .+\n.+ declined +No: promise only what is tested", said)
    assert re.search(r"^Answer +README.md promises only what is tested: Python 3.11", said, re.MULTILINE)
    branches = re.findall(r"^Pull request +\S+/pull/\d+  (\S+) onto (\S+)$", said, re.MULTILINE)
    assert len(branches) == 2
    assert branches[1][1] == branches[0][0], "the second issue's pull request is on top of the first's"
    assert re.search(r"paused +2 s later the second sprint has not begun\n.+ resume", said)
    assert len(re.findall(r"^Sprint \d +http://\S+/pull/\d+$", said, re.MULTILINE)) == 3
    assert re.search(
        r"(?s)blocked_on_ci +CI is at work: demo\..+ has passed\n.+ merged +as [0-9a-f]{10}", said
    )
    assert len(set(re.findall(r"progress +Conflicts of (#\d+): ", said))) == 2
    assert re.search(r"^Pull request +http://\S+/pull/\d+  holds 3 of 3$", said, re.MULTILINE)
    assert not re.search(r"progress +: ", said), "every step of an agent names what it belongs to"
    eventually(lambda: left_of(data) == [])  # without --keep the demo stops what it started


def test_down_without_a_stack_says_so(tmp_path: Path) -> None:
    assert "There is no stack" in codecourier("down", "--data", str(tmp_path))
