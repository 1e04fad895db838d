"""A clone in a sandbox against a forge: what is kept, what is refused, and that no one sees the token."""

import base64
import subprocess
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from gateways.errors import UpstreamFailed, UpstreamRefused
from gateways.repository import (
    BaseBranchMissing,
    GitAuthenticationRefused,
    PushRejected,
    Repository,
    RepositoryNotFound,
    WorkTreeDamaged,
    branch_name,
    checkpoint_ref,
)
from gateways.sandboxes import Sandboxes, SandboxHandle
from local.forge.seed import seed
from tests.gateways.servers import FORGE_TOKEN, Server

FILES = {"README.md": "# Hello\n", "src/app.py": "print('hi')\n", ".gitignore": "ignored\n"}


@pytest.fixture
async def url(forge: Server) -> str:
    name = f"repo-{uuid4().hex[:12]}"
    assert await seed(forge.data, "codecourier", name, FILES)
    return f"{forge.url}/codecourier/{name}.git"


@pytest.fixture
def repository(handle: SandboxHandle, url: str) -> Repository:
    return Repository(handle, url, FORGE_TOKEN)


def remote(url: str, *arguments: str) -> str:
    """What git says of the remote repository, asked from outside."""
    basic = base64.b64encode(f"x-access-token:{FORGE_TOKEN}".encode()).decode()
    command = ["git", "-c", f"http.extraHeader=Authorization: Basic {basic}", *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def commit(
    repository: Repository, base: str, message: str, trailers: Mapping[str, str] | None = None
) -> str | None:
    return await repository.commit(base, message, name="Ada L", email="ada@example.com", trailers=trailers)


async def in_repo(handle: SandboxHandle, command: str) -> str:
    done = await handle.run(command, cwd="/home/user/repo", timeout_seconds=30)
    assert done.exit_code == 0, done.stderr
    return done.stdout


async def test_clone_change_commit_push(repository: Repository, handle: SandboxHandle, url: str) -> None:
    cloned = await repository.clone(None, "codecourier/1-a")
    assert cloned.base_branch == "main"
    assert await repository.head() == cloned.base_sha
    assert await in_repo(handle, "git branch --show-current; git status --porcelain") == "codecourier/1-a\n"
    assert await commit(repository, cloned.base_sha, "Nothing") is None
    await repository.identity("Agent", "agent@example.com")
    await in_repo(
        handle, "echo more >>README.md; mkdir d; printf '\\0' >'d/ü x.bin'; rm src/app.py; touch ignored"
    )
    assert await repository.clone(None, "codecourier/1-a") == cloned
    trailers = {"Run-Id": "r_1", "Two": "li\nnes"}
    sha = await commit(repository, cloned.base_sha, "Do it\n\nWell.", trailers)
    assert sha is not None
    assert await commit(repository, cloned.base_sha, "Do it again") == sha
    said = await in_repo(handle, "git log -1 --format='%an <%ae>%n%B'")
    assert said == "Ada L <ada@example.com>\nDo it\n\nWell.\n\nRun-Id: r_1\nTwo: li nes\n\n"
    files = {
        file.path: (file.additions, file.deletions) for file in await repository.changed(cloned.base_sha)
    }
    assert files == {"README.md": (1, 0), "d/ü x.bin": (None, None), "src/app.py": (0, 1)}
    diff = await repository.diff(cloned.base_sha, 100_000)
    assert "+more" in diff.text
    assert not diff.truncated
    cut = await repository.diff(cloned.base_sha, 50)
    assert (len(cut.text.encode()), cut.truncated) == (50, True)
    for _ in range(2):
        await repository.push(sha, "refs/heads/codecourier/1-a")
    assert f"{sha}\trefs/heads/codecourier/1-a" in remote(url, "ls-remote")


async def test_commits_of_the_agent_are_kept(repository: Repository, handle: SandboxHandle) -> None:
    base = (await repository.clone("main", "work")).base_sha
    await repository.identity("Agent", "agent@example.com")
    await in_repo(handle, "git checkout -q --detach; echo 1 >a; git add a; git commit -qm mine")
    assert await commit(repository, base, "Ours") == await repository.head()
    await in_repo(handle, "echo 2 >>a")
    assert await commit(repository, base, "Ours") == await repository.head()
    assert await in_repo(handle, "git log --format=%s") == "Ours\nmine\nInitial commit\n"
    await in_repo(handle, "git rm -q a")
    assert await commit(repository, base, "Undone") is None


async def test_what_a_push_would_add_is_read_to_its_last_byte(
    repository: Repository, handle: SandboxHandle
) -> None:
    base = (await repository.clone(None, "work")).base_sha
    await repository.identity("Agent", "agent@example.com")
    await in_repo(handle, "echo buried >gone; git add .; git commit -qm mine; git rm -q gone; echo b >named")
    sha = await commit(repository, base, "Subject")
    assert sha is not None
    whole = await repository.outgoing(base, sha, 0, 100_000)
    assert all(word in whole for word in ("buried", "named", "mine", "Subject"))
    assert "Hello" not in whole
    pieces = [await repository.outgoing(base, sha, start, 100) for start in range(0, 2_000, 100)]
    assert "".join(pieces).count("buried") == whole.count("buried") == 1
    assert pieces[-1] == ""


async def test_a_lost_sandbox_is_rebuilt_from_its_checkpoint(
    sandboxes: Sandboxes, repository: Repository, handle: SandboxHandle, url: str, marker: dict[str, str]
) -> None:
    ref = checkpoint_ref("r_1")
    cloned = await repository.clone(None, "work", restore=ref)
    await repository.identity("Agent", "agent@example.com")
    await in_repo(
        handle, "echo 1 >committed; git add .; git commit -qm mine; echo 2 >>README.md; git add README.md"
    )
    await in_repo(handle, "echo 3 >new; rm src/app.py; echo no >ignored")
    status = await in_repo(handle, "git status --porcelain")
    first = await repository.snapshot("Checkpoint 1")
    await repository.push(first, ref, force=True)
    assert await in_repo(handle, "git status --porcelain") == status
    await in_repo(handle, "echo 4 >>new")
    second = await repository.snapshot("Checkpoint 2")
    assert second != first
    await repository.push(second, ref, force=True)
    assert f"\t{ref}" in remote(url, "ls-remote")

    await sandboxes.kill(handle.id)
    anew = await sandboxes.ensure({**marker, "second": "yes"}, template="base", timeout_seconds=120)
    rebuilt = Repository(anew, url, FORGE_TOKEN)
    assert await rebuilt.clone("main", "work", restore=ref) == cloned
    said = await in_repo(
        anew, "git log --format=%s; git status --porcelain; cat new; git branch --show-current"
    )
    assert said == "mine\nInitial commit\n M README.md\n D src/app.py\n?? new\n3\n4\nwork\n"
    for _ in range(2):
        await rebuilt.delete_ref(ref)
    assert f"\t{ref}" not in remote(url, "ls-remote")


async def test_what_the_agent_left_behind_never_sees_the_token(
    repository: Repository, handle: SandboxHandle
) -> None:
    base = (await repository.clone(None, "work")).base_sha
    spy = "#!/bin/sh\n{ env; cat /proc/$PPID/environ; } >>/home/user/seen 2>/dev/null\nexec /bin/true\n"
    await handle.write_many(
        {f"repo/.git/hooks/{name}": spy for name in ("pre-push", "pre-commit", "reference-transaction")}
    )
    await handle.write_many({"bin/git": spy, "bin/spy": spy, ".bash_profile": ". /home/user/bin/spy\n"})
    await handle.write(".profile", ". /home/user/bin/spy\nexport PATH=/home/user/bin:$PATH\n")
    await handle.write(
        ".gitconfig", '[core]\n\tsshCommand = /home/user/bin/spy\n[http]\n\tproxy = "http://127.0.0.1:9"\n'
    )
    await in_repo(
        handle, "chmod +x .git/hooks/* ../bin/*; rm -f ../seen; echo '* filter=spy' >.gitattributes"
    )
    for key, value in {
        "filter.spy.clean": "/home/user/bin/spy",
        "credential.helper": "!/home/user/bin/spy",
        "core.fsmonitor": "/home/user/bin/spy",
        "core.hooksPath": "/home/user/repo/.git/hooks",
        "gpg.program": "/home/user/bin/spy",
        "commit.gpgSign": "true",
        "url.http://127.0.0.1:9/.insteadOf": "http://",
        "remote.origin.pushurl": "ext::/home/user/bin/spy",
    }.items():
        await handle.run(["git", "config", key, value], cwd="/home/user/repo", timeout_seconds=10)
    await in_repo(handle, "echo 1 >a")
    sha = await commit(repository, base, "Work")
    assert sha is not None
    await repository.push(sha, "refs/heads/work")
    checkpoint = await repository.snapshot("Checkpoint")
    await repository.push(checkpoint, checkpoint_ref("r_1"), force=True)
    basic = base64.b64encode(f"x-access-token:{FORGE_TOKEN}".encode()).decode()
    assert await handle.read("seen", 100), "the spy was run by our own git add, without the token"
    searched = await handle.run(
        f"ls -la /tmp; grep -rlaE '{FORGE_TOKEN}|{basic}' /home/user /tmp", timeout_seconds=30
    )
    assert "\n/home" not in searched.stdout
    assert "\n/tmp/" not in searched.stdout
    assert ".git" not in searched.stdout


async def test_a_half_clone_is_begun_anew(repository: Repository, handle: SandboxHandle) -> None:
    await handle.run("mkdir -p repo/.git .codecourier/clone/.git; echo x >repo/half", timeout_seconds=10)
    await repository.clone("main", "work")
    assert await in_repo(handle, "ls -A") == ".git\n.gitignore\nREADME.md\nsrc\n"


async def test_refusals_say_what_to_do(handle: SandboxHandle, forge: Server, url: str) -> None:
    cases: list[tuple[str, str, str | None, type[Exception], str]] = [
        (url, "wrong-token-0123456789", None, GitAuthenticationRefused, "check that it is valid"),
        (f"{forge.url}/codecourier/none.git", FORGE_TOKEN, None, RepositoryNotFound, "Check its address"),
        (url, FORGE_TOKEN, "missing", BaseBranchMissing, "choose another"),
        (url, FORGE_TOKEN, "-x", UpstreamRefused, "is not a branch name"),
        ("http://127.0.0.1:1/o/r.git", FORGE_TOKEN, None, UpstreamFailed, "Reading the repository failed"),
    ]
    for address, token, base, error, words in cases:
        with pytest.raises(error, match=words) as raised:
            await Repository(handle, address, token).clone(base, "work")
        assert token not in str(raised.value)


async def test_pushes_that_would_lose_commits_are_rejected(
    repository: Repository, handle: SandboxHandle, url: str
) -> None:
    base = (await repository.clone(None, "work")).base_sha
    shas = []
    for number in range(2):
        await in_repo(handle, f"git reset -q --hard {base}; echo {number} >a")
        shas.append(str(await commit(repository, base, f"Change {number}")))
    await repository.push(shas[0], "refs/heads/work")
    with pytest.raises(PushRejected, match="other commits on the remote"):
        await repository.push(shas[1], "refs/heads/work")
    hidden = "refs/codecourier/hidden"
    await repository.push(shas[0], hidden)
    with pytest.raises(PushRejected):
        await repository.push(shas[1], hidden)
    await repository.push(shas[1], hidden, force=True)
    assert f"{shas[1]}\t{hidden}" in remote(url, "ls-remote")
    for sha, ref in [
        ("HEAD", "refs/heads/x"),
        (base, "main"),
        (base, "refs/tags/x"),
        (base, "refs/heads/a..b"),
    ]:
        with pytest.raises(UpstreamRefused):
            await repository.push(sha, ref)
    await in_repo(handle, "rm -rf .git")
    with pytest.raises(WorkTreeDamaged):
        await commit(repository, base, "x")


@pytest.mark.parametrize("name", ["main", "codecourier/1-fix_it.2", "ü", "a/b/c", "@a", "a-"])
def test_branch_names(name: str) -> None:
    assert branch_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "/a", "a/", "a//b", ".a", "a/.b",
     "a.lock", "a.lock/b", "a.", "@", "a@{b", "a\nb", "a\0", "x" * 300],
)  # fmt: skip
def test_names_that_are_no_branch(name: str, tmp_path: Path) -> None:
    with pytest.raises(UpstreamRefused):
        branch_name(name)
