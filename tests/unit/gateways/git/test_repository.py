"""A clone in a sandbox against a forge: what is kept, what is refused, and that no one sees the token."""

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from gateways.errors import UpstreamFailed, UpstreamRefused
from gateways.git.cache import CloneCache
from gateways.git.hidden_refs import HiddenRefs
from gateways.git.repository import (
    BaseBranchMissing,
    BranchMissing,
    ChangeMalformed,
    ChangeTooLarge,
    CloneBase,
    GitAuthenticationRefused,
    ProtectedPath,
    PushPolicy,
    PushRejected,
    Repository,
    RepositoryNotFound,
    SecretInChange,
    WorkTreeDamaged,
    branch_name,
    checkpoint_ref,
)
from gateways.sandboxes.control import SandboxHandle, SandboxProvider
from kit.redaction import Redactor
from local.forge.seed import seed
from tests.support.servers import FORGE_TOKEN, ServedDirectory

SECRET = "s3cr3t-of-the-project-4711"
FILES = {"README.md": "# Hello\n", "src/app.py": "print('hi')\n", ".gitignore": "ignored\n"}


@pytest.fixture
async def url(forge: ServedDirectory) -> str:
    name = f"repo-{uuid4().hex[:12]}"
    assert await seed(forge.data, "codecourier", name, FILES)
    return f"{forge.url}/codecourier/{name}.git"


@pytest.fixture
def repository(handle: SandboxHandle, url: str, cache: CloneCache) -> Repository:
    return Repository(handle, url, FORGE_TOKEN, cache)


@pytest.fixture
async def second(sandboxes: SandboxProvider) -> AsyncIterator[SandboxHandle]:
    marker = {"test": uuid4().hex}
    yield await sandboxes.ensure(marker, template="base", timeout_seconds=300)
    await sandboxes.kill_all(marker)


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
    assert await repository.read_head() == cloned.base_sha
    assert await in_repo(handle, "git branch --show-current; git status --porcelain") == "codecourier/1-a\n"
    assert await commit(repository, cloned.base_sha, "Nothing") is None
    await repository.set_identity("Agent", "agent@example.com")
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
    for _ in range(2):
        await repository.push(sha, "codecourier/1-a", cloned)
    assert f"{sha}\trefs/heads/codecourier/1-a" in remote(url, "ls-remote")


async def test_commits_of_the_agent_are_kept(repository: Repository, handle: SandboxHandle) -> None:
    base = (await repository.clone("main", "work")).base_sha
    await repository.set_identity("Agent", "agent@example.com")
    await in_repo(handle, "git checkout -q --detach; echo 1 >a; git add a; git commit -qm mine")
    assert await commit(repository, base, "Ours") == await repository.read_head()
    await in_repo(handle, "echo 2 >>a")
    assert await commit(repository, base, "Ours") == await repository.read_head()
    assert await in_repo(handle, "git log --format=%s") == "Ours\nmine\nInitial commit\n"
    await in_repo(handle, "git rm -q a")
    assert await commit(repository, base, "Undone") is None


async def test_a_lost_sandbox_is_rebuilt_from_its_checkpoint(
    sandboxes: SandboxProvider,
    repository: Repository,
    handle: SandboxHandle,
    url: str,
    marker: dict[str, str],
    cache: CloneCache,
) -> None:
    ref = checkpoint_ref("r_1")
    cloned = await repository.clone(None, "work", restore=[ref])
    await repository.set_identity("Agent", "agent@example.com")
    await in_repo(
        handle, "echo 1 >committed; git add .; git commit -qm mine; echo 2 >>README.md; git add README.md"
    )
    await in_repo(handle, "echo 3 >new; rm src/app.py; echo no >ignored")
    status = await in_repo(handle, "git status --porcelain")
    first = await repository.snapshot("Checkpoint 1")
    await repository.push_hidden_ref(first, ref, cloned)
    assert await in_repo(handle, "git status --porcelain") == status
    await in_repo(handle, "echo 4 >>new")
    second = await repository.snapshot("Checkpoint 2")
    assert second != first
    await repository.push_hidden_ref(second, ref, cloned)
    assert f"\t{ref}" in remote(url, "ls-remote")

    await sandboxes.kill(handle.id)
    anew = await sandboxes.ensure({**marker, "second": "yes"}, template="base", timeout_seconds=120)
    rebuilt = Repository(anew, url, FORGE_TOKEN, cache)
    assert await rebuilt.clone("main", "work", restore=[ref]) == cloned
    said = await in_repo(
        anew, "git log --format=%s; git status --porcelain; cat new; git branch --show-current"
    )
    assert said == "mine\nInitial commit\n M README.md\n D src/app.py\n?? new\n3\n4\nwork\n"
    refs = HiddenRefs(cache, url, FORGE_TOKEN)
    assert await refs.list_names() == {ref}
    deleted = [await refs.delete([ref, checkpoint_ref("r_2")]) for _ in range(2)]
    assert (deleted, await refs.list_names()) == ([1, 0], set())


async def test_what_the_agent_left_behind_never_sees_the_token(
    repository: Repository, handle: SandboxHandle
) -> None:
    cloned = await repository.clone(None, "work")
    base = cloned.base_sha
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
    await repository.push(sha, "work", cloned)
    checkpoint = await repository.snapshot("Checkpoint")
    await repository.push_hidden_ref(checkpoint, checkpoint_ref("r_1"), cloned)
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


async def test_refusals_say_what_to_do(
    handle: SandboxHandle, forge: ServedDirectory, url: str, cache: CloneCache
) -> None:
    cases: list[tuple[str, str, str | None, type[Exception], str]] = [
        (url, "wrong-token-0123456789", None, GitAuthenticationRefused, "check that it is valid"),
        (f"{forge.url}/codecourier/none.git", FORGE_TOKEN, None, RepositoryNotFound, "Check its address"),
        (url, FORGE_TOKEN, "missing", BaseBranchMissing, "choose another"),
        (url, FORGE_TOKEN, "-x", UpstreamRefused, "is not a branch name"),
        ("http://127.0.0.1:1/o/r.git", FORGE_TOKEN, None, UpstreamFailed, "Reading the repository failed"),
    ]
    for address, token, base, error, words in cases:
        with pytest.raises(error, match=words) as raised:
            await Repository(handle, address, token, cache).clone(base, "work")
        assert token not in str(raised.value)


async def test_pushes_that_would_lose_commits_are_rejected(
    repository: Repository, handle: SandboxHandle, url: str
) -> None:
    cloned = await repository.clone(None, "work")
    base = cloned.base_sha
    shas = []
    for number in range(2):
        await in_repo(handle, f"git reset -q --hard {base}; echo {number} >a")
        shas.append(str(await commit(repository, base, f"Change {number}")))
    await repository.push(shas[0], "work", cloned)
    with pytest.raises(PushRejected, match="other commits on the remote"):
        await repository.push(shas[1], "work", cloned)
    hidden = "refs/codecourier/hidden"
    for sha in shas:
        await repository.push_hidden_ref(sha, hidden, cloned)
    assert f"{shas[1]}\t{hidden}" in remote(url, "ls-remote")
    for sha, branch in [("HEAD", "x"), (base, "a..b")]:
        with pytest.raises(UpstreamRefused):
            await repository.push(sha, branch, cloned)
    for sha, ref in [("HEAD", hidden), (base, "main"), (base, "refs/tags/x"), (base, f"{hidden}/a..b")]:
        with pytest.raises(UpstreamRefused):
            await repository.push_hidden_ref(sha, ref, cloned)
    await in_repo(handle, "rm -rf .git")
    with pytest.raises(WorkTreeDamaged):
        await commit(repository, base, "x")


@pytest.mark.parametrize(
    "name", ["main", "codecourier/1-fix_it.2", "ü/ö", "a/b/c", "@a", "a-", "a#1", "x" * 244]
)
def test_branch_names(name: str) -> None:
    assert branch_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a b",
        "a..b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a.",
        "@",
        "a@{b",
        "a\nb",
        "a\0",
        "a\n",
        "x" * 245,
        "ü" * 123,
    ],
)
def test_names_that_are_no_branch(name: str, tmp_path: Path) -> None:
    with pytest.raises(UpstreamRefused):
        branch_name(name)


async def test_what_git_ignores_is_in_no_checkpoint(
    repository: Repository, handle: SandboxHandle, url: str
) -> None:
    cloned = await repository.clone(None, "work")
    await in_repo(handle, "echo key >ignored; mkdir d; echo key >d/ignored; echo 1 >seen")
    checkpoint = await repository.snapshot("Checkpoint")
    await repository.push_hidden_ref(checkpoint, checkpoint_ref("r_1"), cloned)
    names = await in_repo(handle, f"git ls-tree -r --name-only {checkpoint}")
    assert names.split() == [".gitignore", "README.md", "seen", "src/app.py"]


async def test_the_last_commit_is_by_the_platform_whoever_the_agent_says_it_is(
    repository: Repository, handle: SandboxHandle
) -> None:
    base = (await repository.clone(None, "work")).base_sha
    await repository.set_identity("Somebody else", "else@example.com")
    await in_repo(handle, "echo 1 >a; git add a; git commit -qm 'mine\n\nCodeCourier-Run: r_2'")
    own = await repository.read_head()
    sha = await commit(repository, base, "Ours", {"CodeCourier-Run": "r_1"})
    assert sha is not None
    assert sha != own
    assert await commit(repository, base, "Ours", {"CodeCourier-Run": "r_1"}) == sha
    said = await in_repo(handle, "git log -1 --format='%an %ae %cn %ce%n%B'; git status --porcelain")
    who = "Ada L ada@example.com Ada L ada@example.com"
    assert said == f"{who}\nmine\n\nCodeCourier-Run: r_2\n\nCodeCourier-Run: r_1\n\n"


async def test_commits_of_the_remote_are_never_made_anew(
    repository: Repository, handle: SandboxHandle, url: str, cache: CloneCache
) -> None:
    cloned = await repository.clone(None, "work")
    await in_repo(handle, "echo 1 >a")
    sha = await commit(repository, cloned.base_sha, "Pushed")
    assert sha is not None
    await repository.push(sha, "work", cloned)
    await in_repo(handle, "git checkout -q --detach; cd ..; rm -rf repo")
    again = await repository.clone("main", "work", pushed="work")
    assert await repository.commit(again.base_sha, "Again", name="B", email="b@example.com") == sha


async def test_a_commit_is_checked_out_as_it_is(
    repository: Repository, handle: SandboxHandle, second: SandboxHandle, url: str, cache: CloneCache
) -> None:
    cloned = await repository.clone(None, "work")
    shas = []
    for number in range(2):
        await in_repo(handle, f"echo {number} >a")
        shas.append(str(await commit(repository, cloned.base_sha, f"Change {number}")))
    await repository.push(shas[1], "work", cloned)
    fresh = Repository(second, url, FORGE_TOKEN, cache)
    assert await fresh.clone("main", "work", pushed="work", at=shas[0]) == cloned
    assert await fresh.read_head() == shas[0]
    assert await in_repo(second, "cat a; git status --porcelain") == "0\n"
    await in_repo(second, "cd ..; rm -rf repo")
    with pytest.raises(BranchMissing, match="is not in the repository"):
        await fresh.clone("main", "work", at="1" * 40)


async def test_a_secret_that_grafts_hide_is_found(handle: SandboxHandle, url: str, cache: CloneCache) -> None:
    policy = PushPolicy(Redactor([SECRET]))
    repository = Repository(handle, url, FORGE_TOKEN, cache, policy)
    cloned = await repository.clone(None, "work")
    await repository.set_identity("Agent", "agent@example.com")
    await in_repo(
        handle, f"echo {SECRET} >a; git add a; git commit -qm one; git rm -q a; echo 1 >b; git add b"
    )
    await in_repo(handle, "git commit -qm two")
    await in_repo(handle, "mkdir -p .git/info")
    await in_repo(handle, f"echo $(git rev-parse HEAD) {cloned.base_sha} >.git/info/grafts")
    await in_repo(handle, "git replace --force HEAD~1 HEAD || true")
    sha = await commit(repository, cloned.base_sha, "Clean")
    assert sha is not None
    with pytest.raises((SecretInChange, WorkTreeDamaged, ChangeMalformed)):
        await repository.push(sha, "work", cloned)
    assert "refs/heads/work" not in remote(url, "ls-remote")
    await in_repo(handle, "rm .git/info/grafts")
    with pytest.raises(SecretInChange, match="one of the project's secrets"):
        await repository.push(sha, "work", cloned)
    with pytest.raises(SecretInChange):
        await repository.push_hidden_ref(sha, checkpoint_ref("r_1"), cloned)


async def test_a_clone_that_lies_about_its_base_hides_nothing(
    handle: SandboxHandle, url: str, cache: CloneCache
) -> None:
    """It says that its base is its own commit, so that nothing would be new."""
    repository = Repository(handle, url, FORGE_TOKEN, cache, PushPolicy(Redactor([SECRET])))
    cloned = await repository.clone(None, "work")
    await repository.set_identity("Agent", "agent@example.com")
    await in_repo(handle, f"echo {SECRET} >a; git add a; git commit -qm one")
    sha = await repository.read_head()
    await in_repo(handle, f"git update-ref refs/codecourier/base {sha}")
    lie = await repository.clone(None, "work")
    assert lie == CloneBase(cloned.base_branch, sha)
    with pytest.raises((UpstreamFailed, UpstreamRefused)):
        await repository.push(sha, "work", lie)
    assert "refs/heads/work" not in remote(url, "ls-remote")


async def test_protected_paths_are_not_pushed_to_a_branch(
    handle: SandboxHandle, url: str, cache: CloneCache
) -> None:
    policy = PushPolicy(Redactor([]), (".github/workflows/**",))
    repository = Repository(handle, url, FORGE_TOKEN, cache, policy)
    cloned = await repository.clone(None, "work")
    await in_repo(handle, "mkdir -p .github/workflows; echo 'on: push' >.github/workflows/x.yml")
    sha = await commit(repository, cloned.base_sha, "Evil")
    assert sha is not None
    with pytest.raises(ProtectedPath, match=r"\(\.github/workflows/x\.yml\)"):
        await repository.push(sha, "work", cloned)
    kept = await repository.push_hidden_ref(await repository.snapshot("Kept"), checkpoint_ref("r_1"), cloned)
    assert list(kept.touched_paths) == [".github/workflows/x.yml"]
    allowed = Repository(handle, url, FORGE_TOKEN, cache)
    assert await allowed.push(sha, "work", cloned) == sha


async def test_a_change_that_is_too_large_is_refused(
    repository: Repository, handle: SandboxHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.git.repository.MAX_PACK_BYTES", 1_000_000)
    cloned = await repository.clone(None, "work")
    await in_repo(handle, "head -c 3000000 /dev/urandom >large")
    sha = await commit(repository, cloned.base_sha, "Large")
    assert sha is not None
    with pytest.raises(ChangeTooLarge, match="not pushed"):
        await repository.push(sha, "work", cloned)
    done = await handle.run("ls .codecourier", timeout_seconds=30)
    assert "outgoing" not in done.stdout


async def test_what_was_pushed_before_a_sandbox_was_lost_is_found(
    repository: Repository, second: SandboxHandle, handle: SandboxHandle, url: str, cache: CloneCache
) -> None:
    """Made anew, the commit has another date; it is the same work, and so the same branch."""
    cloned = await repository.clone(None, "work")
    await in_repo(handle, "echo 1 >a")
    first = await commit(repository, cloned.base_sha, "Work", {"CodeCourier-Run": "r_1"})
    assert first is not None
    await repository.push(first, "work", cloned)
    rebuilt = Repository(second, url, FORGE_TOKEN, cache)
    await rebuilt.clone(None, "work")
    await in_repo(second, "sleep 1; echo 1 >a")
    other = await commit(rebuilt, cloned.base_sha, "Work", {"CodeCourier-Run": "r_1"})
    assert other is not None
    assert other != first
    assert await rebuilt.push(other, "work", cloned) == first


async def test_a_checkpoint_that_is_older_than_the_push_is_passed_over(
    repository: Repository, second: SandboxHandle, handle: SandboxHandle, url: str, cache: CloneCache
) -> None:
    ref = checkpoint_ref("r_1")
    cloned = await repository.clone(None, "work")
    await in_repo(handle, "echo 1 >a")
    await repository.push_hidden_ref(await repository.snapshot("Checkpoint"), ref, cloned)
    pushed = await commit(repository, cloned.base_sha, "Work")
    assert pushed is not None
    await repository.push(pushed, "work", cloned)
    rebuilt = Repository(second, url, FORGE_TOKEN, cache)
    await rebuilt.clone("main", "work", restore=[ref], pushed="work", pushed_sha=pushed)
    assert await rebuilt.read_head() == pushed
    assert await in_repo(second, "git status --porcelain") == ""
    await in_repo(second, "echo 2 >>a")
    await rebuilt.push_hidden_ref(await rebuilt.snapshot("Checkpoint"), ref, cloned)
    await second.run("rm -rf repo", timeout_seconds=30)
    await rebuilt.clone("main", "work", restore=[ref], pushed="work", pushed_sha=pushed)
    assert await in_repo(second, "git status --porcelain; cat a") == " M a\n1\n2\n"


async def test_a_stale_lock_of_the_index_stops_nothing(repository: Repository, handle: SandboxHandle) -> None:
    base = (await repository.clone(None, "work")).base_sha
    await in_repo(handle, "echo 1 >a; touch .git/index.lock")
    sha = await commit(repository, base, "Work")
    assert sha == await repository.read_head()
    assert await in_repo(handle, "git status --porcelain; ls .git/index.lock 2>/dev/null || true") == ""


async def test_an_attempt_waits_for_what_is_left_of_the_one_before(
    repository: Repository, handle: SandboxHandle
) -> None:
    """Its worker was killed: the command in the sandbox goes on, and holds the lock."""
    base = (await repository.clone(None, "work")).base_sha
    holder = "exec 9>~/.codecourier/git.lock; flock 9; touch ~/held; until [ -e ~/go ]; do sleep 0.1; done"
    await handle.run(f"(HOME=/home/user setsid bash -c '{holder}' >/dev/null 2>&1 &)", timeout_seconds=30)
    await handle.run("until [ -e ~/held ]; do sleep 0.1; done; echo 1 >repo/a", timeout_seconds=30)
    work = asyncio.create_task(commit(repository, base, "Work"))
    done = await handle.run("sleep 1", timeout_seconds=30)
    assert done.exit_code == 0
    assert not work.done()
    await handle.run("touch ~/go", timeout_seconds=30)
    assert await work == await repository.read_head()


async def test_a_cancelled_attempt_leaves_no_process(repository: Repository, handle: SandboxHandle) -> None:
    await repository.clone(None, "work")
    await in_repo(handle, "mkfifo .git/slow; git config filter.slow.clean 'cat .git/slow'")
    await in_repo(handle, "echo '*.txt filter=slow' >.gitattributes; echo 1 >a.txt")
    work = asyncio.create_task(repository.snapshot("Checkpoint"))
    running = "for n in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$n; echo; done | grep -c 'git ad[d]' || true"
    while (await handle.run(running, timeout_seconds=30)).stdout.strip() == "0":
        assert not work.done()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    while (await handle.run(running, timeout_seconds=30)).stdout.strip() != "0":
        await asyncio.sleep(0.1)


async def test_only_a_commit_that_the_remote_does_not_have_is_missing(
    repository: Repository,
    second: SandboxHandle,
    url: str,
    cache: CloneCache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await repository.clone(None, "first")
    unknown = "1" * 40
    with pytest.raises(BranchMissing, match=f"The commit {unknown} is not in the repository"):
        await Repository(second, url, FORGE_TOKEN, cache).clone(None, "work", at=unknown)
    monkeypatch.setattr("gateways.git.remote.TRANSFER_TIMEOUT_SECONDS", 0.001)
    with pytest.raises(UpstreamFailed, match="took too long"):
        await Repository(second, url, FORGE_TOKEN, cache).clone(None, "work", at=unknown)
