"""A forge of its own process, the real PyGithub and the real git against it."""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from github import Auth, Github
from github.Repository import Repository

from local.stack.ports import LOOPBACK, free_ports
from tests.support.waiting import TEST_TIMEOUT_SECONDS

TOKEN = "forge-token-of-the-tests-0123456789"
REVIEWER_TOKEN = "reviewer-token-of-the-tests-0123456789"


def run_git(*arguments: str, cwd: Path, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    """git as a client runs it, with the token in the environment only."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in WHO.items()},
    }
    if token is not None:
        credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credentials}",
        }
    return subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


WHO = {"NAME": "Ada", "EMAIL": "ada@example.com"}


class ForgeProcess:
    """One `python -m local.forge`."""

    def __init__(self, data: Path, flags: Sequence[str] = (), webhook_secret: str = "") -> None:
        self.data = data
        self.flags, self.webhook_secret = flags, webhook_secret
        (self.port,) = free_ports(1)
        self.token = TOKEN
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.api = f"{self.url}/api/v3"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        command = [sys.executable, "-m", "local.forge", "--host", LOOPBACK, "--port", str(self.port)]
        environment = {
            "PATH": os.environ["PATH"],
            "FORGE_TOKEN": TOKEN,
            "FORGE_REVIEWER_TOKEN": REVIEWER_TOKEN,
            "FORGE_WEBHOOK_SECRET": self.webhook_secret,
        }
        self.process = subprocess.Popen([*command, "--data", str(self.data), *self.flags], env=environment)
        deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health").status_code == 204:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        code = self.process.returncode
        self.stop()
        raise AssertionError("the forge did not start" if code is None else f"the forge ended with {code}")

    def stop(self, *, hard: bool = False) -> None:
        """Ends it, with `kill -9` if `hard`."""
        assert self.process is not None
        if hard:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(TEST_TIMEOUT_SECONDS)

    def github(self, token: str = TOKEN) -> Github:
        """The real PyGithub, set up as the product does."""
        return Github(
            base_url=self.api,
            auth=Auth.Token(token),
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )


@dataclass(frozen=True)
class Clone:
    """A work tree of a repository on the forge."""

    path: Path

    def git(self, *arguments: str) -> str:
        """Standard output of a git command that must succeed."""
        done = run_git(*arguments, cwd=self.path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str, **files: str) -> str:
        """Commits files (`a__txt` means `a.txt`) and returns the sha."""
        for name, content in files.items():
            (self.path / name.replace("__", ".")).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, message: str = "A change", **files: str) -> str:
        """A pushed branch off main with one commit; its sha."""
        self.git("checkout", "--quiet", "-B", name, "origin/main")
        sha = self.commit(message, **(files or {"change__txt": name}))
        self.git("push", "--quiet", "origin", name)
        return sha


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """git in an empty directory; `token=` replaces the right one, None sends none."""

    def run(*arguments: str, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
        return run_git(*arguments, cwd=tmp_path, token=token)

    return run


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeProcess]:
    process = ForgeProcess(tmp_path_factory.mktemp("forge"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def github(forge: ForgeProcess) -> Iterator[Github]:
    client = forge.github()
    yield client
    client.close()


@pytest.fixture(scope="session")
def reviewer(forge: ForgeProcess) -> Iterator[Github]:
    """Somebody else, who can approve what `github` opened."""
    client = forge.github(REVIEWER_TOKEN)
    yield client
    client.close()


@pytest.fixture(scope="session")
def new_repo(github: Github) -> Callable[[], Repository]:
    """Makes private repositories with a README on main."""
    owner = github.get_user()
    return lambda: owner.create_repo(f"repo-{uuid4().hex[:12]}", auto_init=True, private=True)


@pytest.fixture
def repo(new_repo: Callable[[], Repository]) -> Repository:
    return new_repo()


@pytest.fixture(scope="session")
def clone_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Repository], Clone]:
    def clone(repository: Repository) -> Clone:
        target = tmp_path_factory.mktemp("clone")
        done = run_git("clone", "--quiet", repository.clone_url, ".", cwd=target)
        assert done.returncode == 0, done.stderr
        return Clone(target)

    return clone


@pytest.fixture
def clone(repo: Repository, clone_of: Callable[[Repository], Clone]) -> Clone:
    return clone_of(repo)
