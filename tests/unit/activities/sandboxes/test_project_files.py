"""The files that a project brings stay in their place, whatever the repository has put there."""

from collections.abc import AsyncIterator

import pytest

from activities.sandboxes.project_files import write_project_files
from gateways.sandboxes.control import SandboxHandle, SandboxProvider
from models.blueprints.blueprint import BlueprintConfig
from models.jobs.snapshot import SkillSnapshot, Snapshot, TextAsset
from tests.support.servers import E2B_API_KEY, forge_and_sandboxes

SNAPSHOT = Snapshot(
    blueprint_version=1,
    prompt="p",
    config=BlueprintConfig(),
    base_branch=None,
    branch_name="b",
    steps=[],
    sandbox_system_prompt=None,
    claude_md="Be brief.",
    git_name="n",
    git_email="e",
    skills=[SkillSnapshot(name="Style", files=[TextAsset(name="SKILL.md", content="Two spaces.")])],
    commands=[TextAsset(name="ship", content="Ship it.")],
)


@pytest.fixture(scope="module")
async def handle(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxHandle]:
    with forge_and_sandboxes(tmp_path_factory.mktemp("servers")) as (_, server):
        sandboxes = SandboxProvider(E2B_API_KEY, api_url=server.url, sandbox_url=server.url, owner="tests")
        yield await sandboxes.ensure({"test": "files"}, template="base", timeout_seconds=300)
        await sandboxes.kill_all({"test": "files"})


async def run(handle: SandboxHandle, command: str) -> str:
    done = await handle.run(command, timeout_seconds=30)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("there", "brought"),
    [
        ("true", 3),
        ("echo mine > CLAUDE.md", 2),
        ("ln -s docs .claude", 1),
        ("ln -s /home/user/elsewhere .claude", 1),
        ("ln -s nowhere .claude", 1),
        ("echo a file > .claude", 1),
        ("mkdir .claude && ln -s ../docs .claude/skills", 2),
        ("mkdir -p .claude/commands && ln -s ../../docs/a .claude/commands/ship.md", 2),
        ("mkdir -p .claude/commands/ship.md && touch .claude/commands/ship.md/x", 2),
    ],
)
async def test_files_land_in_their_place_or_not_at_all(
    handle: SandboxHandle, there: str, brought: int
) -> None:
    await run(
        handle,
        "cd ~ && rm -rf repo elsewhere && mkdir -p elsewhere repo/docs && cd repo && git init -q"
        f" && echo a > docs/a && {there} && git add . && git -c user.name=n -c user.email=e commit -qm first",
    )
    for _ in range(2):
        assert await write_project_files(handle, SNAPSHOT) == brought
        assert await run(handle, "cd ~/repo && git status --porcelain && ls ../elsewhere") == ""
        assert await run(handle, "cd ~/repo && ls docs && cat docs/a") == "a\na\n"
    shown = await run(handle, "cat ~/repo/CLAUDE.md")
    assert shown == ("mine\n" if "CLAUDE.md" in there else "Be brief.")
