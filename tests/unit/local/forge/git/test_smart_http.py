"""The real git against the forge."""

import base64
import gzip
import http.client
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from github import Github
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess

RunGit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("suffix", [".git", ""])
def test_clone_with_and_without_suffix(repo: Repository, git: RunGit, suffix: str) -> None:
    done = git("clone", "--quiet", repo.html_url + suffix, "here")
    assert done.returncode == 0, done.stderr
    assert git("-C", "here", "log", "--format=%s", "origin/main").stdout == "Initial commit\n"


def test_basic_credentials_in_the_address(forge: "ForgeProcess", repo: Repository, git: RunGit) -> None:
    def address(token: str) -> str:
        return repo.clone_url.replace("http://", f"http://x-access-token:{token}@")

    assert "refs/heads/main" in git("ls-remote", address(forge.token), token=None).stdout
    assert "Authentication failed" in git("ls-remote", address("wrong"), token=None).stderr


def test_without_a_token_private_is_refused_with_a_challenge(repo: Repository, git: RunGit) -> None:
    assert git("ls-remote", repo.clone_url, token=None).returncode == 128
    answer = httpx.get(f"{repo.clone_url}/info/refs?service=git-upload-pack")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    missing = httpx.get(f"{repo.clone_url}-not-there/info/refs?service=git-upload-pack")
    assert missing.status_code == 401


def test_a_wrong_token_is_refused(repo: Repository, git: RunGit) -> None:
    assert git("ls-remote", repo.clone_url, token="not-the-token").returncode == 128


def test_a_missing_repository_with_a_token(forge: "ForgeProcess", git: RunGit) -> None:
    assert "not found" in git("ls-remote", f"{forge.url}/codecourier/nowhere.git").stderr


def test_public_is_read_but_not_written_by_anyone(github: Github, repo: Repository, git: RunGit) -> None:
    public = github.get_user().create_repo(f"{repo.name}-public", auto_init=True, private=False)
    assert git("clone", "--quiet", public.clone_url, "here", token=None).returncode == 0
    assert git("-C", "here", "push", "origin", "HEAD:refs/heads/mine", token=None).returncode == 128
    assert [branch.name for branch in public.get_branches()] == ["main"]


def test_any_namespace_below_refs_can_be_pushed(repo: Repository, clone: "Clone") -> None:
    sha = clone.commit("Checkpoint", note__txt="1")
    clone.git("push", "--quiet", "origin", "HEAD:refs/codecourier/runs/1")
    assert repo.get_git_ref("codecourier/runs/1").object.sha == sha
    amended = clone.git("commit-tree", "HEAD^{tree}", "-p", "HEAD^", "-m", "Another")
    clone.git("push", "--quiet", "--force", "origin", f"{amended}:refs/codecourier/runs/1")
    assert repo.get_git_ref("codecourier/runs/1").object.sha == amended


def test_branches_only_move_forward(repo: Repository, clone: "Clone", git: RunGit) -> None:
    before = clone.branch("topic")
    amended = clone.git("commit-tree", "HEAD^{tree}", "-p", "origin/main", "-m", "Rewritten")
    done = git("-C", str(clone.path), "push", "--force", "origin", f"{amended}:refs/heads/topic")
    assert "non-fast-forward" in done.stderr
    assert repo.get_branch("topic").commit.sha == before


def test_refs_of_pull_requests_are_only_the_forges(clone: "Clone", git: RunGit) -> None:
    done = git("-C", str(clone.path), "push", "origin", "HEAD:refs/pull/1/head")
    assert "deny updating a hidden ref" in done.stderr


def test_a_push_larger_than_every_buffer_and_a_fetch_by_sha(
    repo: Repository, clone: "Clone", git: RunGit
) -> None:
    noise = subprocess.run(["head", "-c", "6000000", "/dev/urandom"], capture_output=True, check=True).stdout
    (clone.path / "noise.bin").write_bytes(noise)
    sha = clone.commit("Much noise")
    clone.git("push", "--quiet", "origin", "HEAD:refs/heads/noise")
    assert git("init", "--quiet", "other").returncode == 0
    done = git("-C", "other", "fetch", "--quiet", "--depth=1", repo.clone_url, sha)
    assert done.returncode == 0, done.stderr
    assert git("-C", "other", "cat-file", "-s", f"{sha}:noise.bin").stdout == "6000000\n"


def test_gzip_bodies_and_protocol_version_2(forge: "ForgeProcess", repo: Repository) -> None:
    command = b"0014command=ls-refs\n0000"
    answer = httpx.post(
        f"{repo.clone_url}/git-upload-pack",
        content=gzip.compress(command),
        headers={
            "Content-Type": "application/x-git-upload-pack-request",
            "Content-Encoding": "gzip",
            "Git-Protocol": "version=2",
        },
        auth=("x-access-token", forge.token),
    )
    assert answer.status_code == 200
    assert b"refs/heads/main" in answer.content


def status_of(forge: "ForgeProcess", path: str) -> int:
    """The answer to exactly this path: unlike httpx, http.client does not resolve dots."""
    connection = http.client.HTTPConnection("127.0.0.1", forge.port)
    credentials = base64.b64encode(f"x-access-token:{forge.token}".encode()).decode()
    connection.request("GET", path, headers={"Authorization": f"Basic {credentials}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_dumb_protocol_and_other_files_are_not_served(forge: "ForgeProcess", repo: Repository) -> None:
    home = f"/{repo.full_name}.git"
    assert status_of(forge, f"{home}/info/refs") == 403
    assert status_of(forge, f"{home}/info/refs?service=git-upload-archive") == 403
    for path in ("HEAD", "config", "objects/info/packs", "../../../forge.sqlite3"):
        assert status_of(forge, f"{home}/{path}") == 404


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fforge.sqlite3", "a%00b", "-x", "x%5c..", "%ff"])
def test_no_name_leaves_the_directory(forge: "ForgeProcess", repo: Repository, name: str) -> None:
    for address in (f"codecourier/{name}.git", f"{name}/{name}", f"{name}/{repo.name}"):
        assert status_of(forge, f"/{address}/info/refs?service=git-upload-pack") == 404
        assert status_of(forge, f"/api/v3/repos/{address}") == 404
