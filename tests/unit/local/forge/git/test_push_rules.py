"""Protected branches, through the real PyGithub and the real git."""

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from github import Github, GithubException
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess

RunGit = Callable[..., subprocess.CompletedProcess[str]]
REQUIRED = ("url", "enforce_admins", "required_signatures", "required_linear_history", "allow_force_pushes")


def refusal(raised: pytest.ExceptionInfo[GithubException]) -> tuple[int, str]:
    return raised.value.status, raised.value.data["message"]


def test_rules_are_put_shown_and_taken_away(repo: Repository) -> None:
    main = repo.get_branch("main")
    assert (main.protected, main.raw_data["protection"]["enabled"]) == (False, False)
    for call in (main.get_protection, main.remove_protection):
        with pytest.raises(GithubException) as raised:
            call()
        assert refusal(raised) == (404, "Branch not protected")
    main.edit_protection(
        strict=True,
        contexts=["test", "lint"],
        enforce_admins=True,
        required_approving_review_count=2,
        dismiss_stale_reviews=True,
        user_push_restrictions=["codecourier"],
    )
    seen = main.get_protection()
    assert (seen.required_status_checks.strict, seen.required_status_checks.contexts) == (
        True,
        ["test", "lint"],
    )
    assert [check.context for check in seen.required_status_checks.checks] == ["test", "lint"]
    assert seen.required_pull_request_reviews.required_approving_review_count == 2
    assert seen.required_pull_request_reviews.dismiss_stale_reviews is True
    assert seen.enforce_admins is True
    assert [user["login"] for user in seen.raw_data["restrictions"]["users"]] == ["codecourier"]
    assert set(REQUIRED) <= seen.raw_data.keys()
    main = repo.get_branch("main")
    assert (main.protected, main.raw_data["protection"]["enabled"]) == (True, True)
    assert main.raw_data["protection"]["required_status_checks"]["enforcement_level"] == "everyone"
    assert [branch.protected for branch in repo.get_branches()] == [True]
    main.edit_protection()
    assert {"required_status_checks", "required_pull_request_reviews", "restrictions"}.isdisjoint(
        main.get_protection().raw_data
    )
    main.remove_protection()
    assert repo.get_branch("main").protected is False


def test_what_is_no_rule_is_refused(forge: "ForgeProcess", repo: Repository, clone: "Clone") -> None:
    url, owner = f"{repo.url}/branches", {"Authorization": f"token {forge.token}"}
    nothing = dict.fromkeys(
        ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")
    )
    faults: tuple[dict[str, object], ...] = (
        {},
        {**nothing, "required_status_checks": {}},
        {**nothing, "required_pull_request_reviews": {"required_approving_review_count": 7}},
    )
    for faulty in faults:
        answer = httpx.put(f"{url}/main/protection", json=faulty, headers=owner)
        assert answer.status_code == 422, faulty
    assert httpx.put(f"{url}/main/protection", json=nothing).status_code == 404, "private, without a token"
    missing = httpx.put(f"{url}/nowhere/protection", json=nothing, headers=owner)
    assert (missing.status_code, missing.json()["message"]) == (404, "Branch not found")
    clone.branch("feature/deep")
    assert httpx.put(f"{url}/feature/deep/protection", json=nothing, headers=owner).status_code == 200
    only = httpx.get(url, params={"protected": True}, headers=owner).json()
    assert [branch["name"] for branch in only] == ["feature/deep"]
    data = repo.requester.graphql_query(
        'query($o:String!,$n:String!){repository(owner:$o,name:$n){refs(refPrefix:"refs/heads/",first:9)'
        "{nodes{name branchProtectionRule{pattern}}}}}",
        dict(zip("on", repo.full_name.split("/"), strict=True)),
    )[1]
    assert data["data"]["repository"]["refs"]["nodes"] == [
        {"name": "feature/deep", "branchProtectionRule": {"pattern": "feature/deep"}},
        {"name": "main", "branchProtectionRule": None},
    ]


def test_a_protected_branch_is_neither_deleted_nor_rewritten(
    forge: "ForgeProcess", repo: Repository, clone: "Clone", git: RunGit
) -> None:
    # What an operator may do for a repository: forced pushes are allowed but for protected branches.
    (bare,) = forge.data.glob(f"repos/*/{repo.name}.git")
    subprocess.run(["git", "-C", str(bare), "config", "receive.denyNonFastForwards", "false"], check=True)
    sha = clone.branch("kept")
    clone.branch("other", other__txt="1")
    rewritten = clone.git("commit-tree", "HEAD^{tree}", "-p", "origin/main", "-m", "Rewritten")
    clone.git("push", "--quiet", "origin", f"{rewritten}:refs/heads/aside")
    branch = repo.get_branch("kept")
    branch.edit_protection()

    def push(*refspecs: str) -> str:
        done = git("-C", str(clone.path), "push", "--force", "origin", *refspecs)
        assert done.returncode == 1
        return done.stderr

    deletion = push(":kept", ":other")
    assert "GH006: Protected branch update failed for refs/heads/kept." in deletion
    assert "Cannot delete this protected branch" in deletion
    assert "Cannot force-push to this protected branch" in push(f"{rewritten}:refs/heads/kept")
    assert sorted(branch.name for branch in repo.get_branches()) == ["aside", "kept", "main"]
    ref = repo.get_git_ref("heads/kept")
    with pytest.raises(GithubException) as raised:
        ref.delete()
    assert refusal(raised) == (422, "Cannot delete this protected branch")
    with pytest.raises(GithubException) as raised:
        ref.edit(rewritten, force=True)
    assert refusal(raised) == (422, "Cannot force-push to this protected branch")
    assert repo.get_branch("kept").commit.sha == sha
    clone.git("checkout", "--quiet", "kept")
    forward = clone.commit("Forward", more__txt="1")
    clone.git("push", "--quiet", "origin", "kept")
    assert repo.get_branch("kept").commit.sha == forward
    branch.edit_protection(allow_deletions=True, allow_force_pushes=True)
    clone.git("push", "--quiet", "--force", "origin", f"{rewritten}:refs/heads/kept")
    ref.delete()


def test_pushes_past_the_pull_request_are_refused_when_the_rules_hold_for_all(
    repo: Repository, reviewer: Github, clone: "Clone", git: RunGit
) -> None:
    sha = clone.branch("topic")
    main = repo.get_branch("main")

    def push() -> str:
        done = git("-C", str(clone.path), "push", "origin", "topic:main")
        assert done.returncode == 1
        return done.stderr

    main.edit_protection(required_approving_review_count=1, enforce_admins=True)
    assert "Changes must be made through a pull request." in push()
    with pytest.raises(GithubException) as raised:
        repo.get_git_ref("heads/main").edit(sha)
    assert refusal(raised) == (422, "Changes must be made through a pull request.")
    main.edit_protection(user_push_restrictions=["reviewer"])
    assert "You're not authorized to push to this branch." in push()
    pull = repo.create_pull(base="main", head="topic", title="Not mine to merge")
    with pytest.raises(GithubException) as raised:
        pull.merge()
    assert refusal(raised) == (405, "You're not authorized to push to this branch.")
    done = reviewer.get_repo(repo.full_name).get_pull(pull.number).merge()
    pull.update()
    assert (pull.merge_commit_sha, pull.merged_by.login) == (done.sha, "reviewer")
