"""What a browser sees."""

from typing import TYPE_CHECKING

import httpx
from github import Github
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess


def test_a_pull_request_is_readable_and_escaped(
    forge: "ForgeProcess", repo: Repository, clone: "Clone"
) -> None:
    evil = "<script>alert(1)</script>"
    clone.branch("topic", f"Subject {evil}", evil__txt=f"{evil}\n", README__md="# Other\n")
    pull = repo.create_pull(base="main", head="topic", title=f"Title {evil}", body=f"Body {evil}")
    pull.create_issue_comment(f"Comment {evil}")
    repo.get_commit(pull.head.sha).create_status("success", description=evil, context="ci")
    answer = httpx.get(pull.html_url, auth=("x-access-token", forge.token))
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;"
    for word in ("Title", "Body", "Subject", "Comment", "ci: success"):
        assert f"{word} {escaped}" in answer.text
    assert f"<ins>+{escaped}</ins>" in answer.text
    assert "<del>-# repo" in answer.text
    assert "Files changed (2): +2 −1" in answer.text
    diff = httpx.get(pull.diff_url, auth=("x-access-token", forge.token))
    assert diff.text.startswith("diff --git ")
    home = httpx.get(repo.html_url, auth=("x-access-token", forge.token))
    assert f"#1 Title {escaped}" in home.text


def test_private_pages_ask_for_the_token(repo: Repository) -> None:
    for address in (repo.html_url, f"{repo.html_url}-not-there"):
        answer = httpx.get(address)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
    assert httpx.get(repo.html_url, auth=("x-access-token", "wrong")).status_code == 401


def test_public_pages_are_for_everyone(github: Github, repo: Repository) -> None:
    public = github.get_user().create_repo(f"{repo.name}-public", private=False, auto_init=True)
    answer = httpx.get(public.html_url)
    assert answer.status_code == 200
    assert "main" in answer.text
