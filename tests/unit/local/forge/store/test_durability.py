"""What survives: restarts, `kill -9`, seeding next to a running forge."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from github import Github
from github.Repository import Repository

from local.forge.errors import Invalid
from local.forge.seed import seed

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess

FILES: dict[str, bytes | str] = {"README.md": "# Demo\n", "bin/run": "#!/bin/sh\n", "data.bin": b"\x00\xff"}


@pytest.fixture
def own_forge(forge: "ForgeProcess", tmp_path: Path) -> Iterator["ForgeProcess"]:
    """A second forge, to be killed."""
    process = type(forge)(tmp_path / "data")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def own_github(own_forge: "ForgeProcess") -> Iterator[Github]:
    client = own_forge.github()
    yield client
    client.close()


def test_everything_survives_kill_9(
    own_forge: "ForgeProcess", own_github: Github, clone_of: Callable[[Repository], "Clone"]
) -> None:
    repo = own_github.get_user().create_repo("kept", auto_init=True)
    clone = clone_of(repo)
    clone.branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="Kept", body="Words")
    pull.create_issue_comment("Said")
    repo.get_commit(pull.head.sha).create_status("success", context="ci")
    repo.create_check_run("test", pull.head.sha, conclusion="success")
    repo.get_branch("main").edit_protection(strict=False, contexts=["test"])
    pull.create_review(body="Seen", event="COMMENT")
    pull.update()
    before = pull.raw_data
    own_forge.stop(hard=True)
    # A crash between a push and its bookkeeping: the reference moved, the rows did not.
    bare = next(own_forge.data.glob("repos/*/kept.git"))
    moved = clone.commit("Unrecorded", more__txt="1")
    subprocess.run(["git", "push", "--quiet", str(bare), "topic"], cwd=clone.path, check=True)
    own_forge.start()
    after = own_github.get_repo("codecourier/kept").get_pull(1)
    assert after.head.sha == moved
    assert (after.title, after.body, after.comments) == (before["title"], before["body"], 1)
    commit = after.base.repo.get_commit(before["head"]["sha"])
    assert commit.get_combined_status().state == "success"
    assert [run.conclusion for run in commit.get_check_runs()] == ["success"]
    assert repo.get_branch("main").get_protection().required_status_checks.contexts == ["test"]
    assert [review.body for review in after.get_reviews()] == ["Seen"]
    clone.branch("another")
    assert repo.create_pull(base="main", head="another", title="Next").number == 2


def test_a_merge_that_a_crash_cut_short_is_known_afterwards(
    own_forge: "ForgeProcess", own_github: Github, clone_of: Callable[[Repository], "Clone"]
) -> None:
    repo = own_github.get_user().create_repo("cut", auto_init=True)
    clone = clone_of(repo)
    clone.branch("topic")
    repo.create_pull(base="main", head="topic", title="Squashed").merge(merge_method="squash")
    own_forge.stop(hard=True)
    with sqlite3.connect(own_forge.data / "forge.sqlite3") as rows:  # as it stood before the last write
        rows.execute("UPDATE pulls SET state = 'open', merged_at = NULL, closed_at = NULL")
    rows.close()
    own_forge.start()
    assert repo.get_pull(1).merged


async def test_seeding_is_done_once(own_forge: "ForgeProcess", own_github: Github) -> None:
    assert await seed(own_forge.data, "acme", "shop", FILES, message="The shop") is True
    assert await seed(own_forge.data, "Acme", "shop", {"other": ""}) is False
    repo = own_github.get_repo("acme/shop")
    assert (repo.private, [commit.commit.message for commit in repo.get_commits()]) == (True, ["The shop"])
    tree = repo.get_commit("main").files
    assert sorted(file.filename for file in tree) == sorted(FILES)
    bare = own_forge.data / "repos" / "acme" / "shop.git"
    listed = subprocess.run(
        ["git", "-C", str(bare), "ls-tree", "-r", "main"], capture_output=True, text=True, check=True
    )
    assert "100755 blob" in next(line for line in listed.stdout.splitlines() if "bin/run" in line)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", ".git/config", "a//b", "", "a\nb", '"x"'])
async def test_seeding_stays_inside(tmp_path: Path, path: str) -> None:
    with pytest.raises(Invalid):
        await seed(tmp_path, "acme", "shop", {path: ""})
    assert await seed(tmp_path, "acme", "shop", {"fine": ""}), "nothing was left in the way"


def test_one_forge_per_directory(forge: "ForgeProcess") -> None:
    command = [sys.executable, "-m", "local.forge", "--port", "1", "--data", str(forge.data)]
    environment = {"PATH": os.environ["PATH"]}
    without = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "FORGE_TOKEN must be set" in without.stderr
    second = subprocess.run(
        command, env=environment | {"FORGE_TOKEN": "x" * 40}, capture_output=True, text=True
    )
    assert "Another forge already serves" in second.stderr
    assert second.returncode == 1
