"""No token is ever in a sandbox: a watcher looks from before the clone until after the push."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from gateways.git.cache import CloneCache
from gateways.git.combined_merge import CombinedMergeClone
from gateways.git.repository import Repository, checkpoint_ref
from gateways.sandboxes.control import SandboxHandle, SandboxProvider
from local.forge.seed import seed
from tests.support.servers import FORGE_TOKEN, ServedDirectory
from tests.support.token_watcher import seen_tokens, wait_for_rounds, watch


@pytest.fixture
async def url(forge: ServedDirectory) -> str:
    name = f"repo-{uuid4().hex[:12]}"
    assert await seed(forge.data, "codecourier", name, {"README.md": "# Hello\n"})
    return f"{forge.url}/codecourier/{name}.git"


@pytest.fixture
async def second(sandboxes: SandboxProvider) -> AsyncIterator[SandboxHandle]:
    marker = {"test": uuid4().hex}
    yield await sandboxes.ensure(marker, template="base", timeout_seconds=300)
    await sandboxes.kill_all(marker)


async def test_a_watcher_sees_what_there_is_to_see(handle: SandboxHandle) -> None:
    """It would have found the token where it was before."""
    await watch(handle, FORGE_TOKEN)
    await wait_for_rounds(handle, 2)
    assert await seen_tokens(handle) == ""
    await handle.run("sleep 3", envs={"SECRET": FORGE_TOKEN}, timeout_seconds=30)
    assert "needle 0 in the environment" in await seen_tokens(handle)
    await handle.write("/home/user/note", f"{FORGE_TOKEN} passed through envd")
    assert await handle.read("/home/user/note", 100)
    await wait_for_rounds(handle, 25)
    assert "in the memory" not in await seen_tokens(handle), "what passes through envd is seen by nobody"


async def test_no_token_is_seen_from_the_clone_to_the_push_and_after_a_loss(
    handle: SandboxHandle, second: SandboxHandle, url: str, cache: CloneCache, sandboxes: SandboxProvider
) -> None:
    await watch(handle, FORGE_TOKEN)
    repository, ref = Repository(handle, url, FORGE_TOKEN, cache), checkpoint_ref("r_1")
    cloned = await repository.clone(None, "work")
    await handle.run("echo 1 >a", cwd="/home/user/repo", timeout_seconds=30)
    await repository.push_hidden_ref(await repository.snapshot("Checkpoint"), ref, cloned)
    await wait_for_rounds(handle, 21)
    assert await seen_tokens(handle) == ""
    await sandboxes.kill(handle.id)

    await watch(second, FORGE_TOKEN)
    rebuilt = Repository(second, url, FORGE_TOKEN, cache)
    assert await rebuilt.clone("main", "work", restore=[ref]) == cloned
    sha = await rebuilt.commit(cloned.base_sha, "Work", name="A", email="a@example.com")
    assert sha is not None
    await rebuilt.push(sha, "work", cloned)
    await wait_for_rounds(second, 21)
    assert await seen_tokens(second) == ""


async def test_no_token_is_seen_while_pull_requests_are_merged(
    handle: SandboxHandle, url: str, cache: CloneCache, forge: ServedDirectory
) -> None:
    """The check command's own processes are the watchers, as a hostile one's would be."""
    name = url.rpartition("/")[2]
    [bare] = list(forge.data.rglob(name))
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    git = ("git", f"--git-dir={bare}", *who)

    async def run(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode().strip()

    base = await run(*git, "rev-parse", "main")
    head = await run(*git, "commit-tree", f"{base}^{{tree}}", "-p", base, "-m", "Proposed")
    await run(*git, "update-ref", "refs/pull/7/head", head)

    integration = CombinedMergeClone(handle, url, FORGE_TOKEN, cache)
    cloned = await integration.clone(None, "work")
    await watch(handle, FORGE_TOKEN)
    assert await integration.fetch_pull(7, cloned) == head
    merged = await integration.merge(base, head, "Merge pull request #7", ("A", "a@example.com"))
    assert merged.outcome == "merged"
    sha = await integration.read_head()
    await integration.push(sha, "work", cloned)
    await wait_for_rounds(handle, 21)
    assert await seen_tokens(handle) == ""
