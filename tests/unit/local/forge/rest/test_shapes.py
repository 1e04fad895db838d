"""Every property that GitHub's REST description (2022-11-28) requires is there."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess

USER = """login id node_id avatar_url gravatar_id url html_url followers_url following_url gists_url
    starred_url subscriptions_url organizations_url repos_url events_url received_events_url
    type site_admin"""
REPOSITORY = """id node_id name full_name owner private html_url description fork url archive_url
    assignees_url blobs_url branches_url collaborators_url comments_url commits_url compare_url contents_url
    contributors_url deployments_url downloads_url events_url forks_url git_commits_url
    git_refs_url git_tags_url git_url issue_comment_url issue_events_url issues_url keys_url
    labels_url languages_url merges_url milestones_url notifications_url pulls_url releases_url
    ssh_url stargazers_url statuses_url subscribers_url subscription_url tags_url teams_url
    trees_url clone_url mirror_url hooks_url svn_url homepage language forks_count forks
    stargazers_count watchers_count watchers size default_branch open_issues_count open_issues
    has_issues has_projects has_wiki has_pages has_discussions archived disabled pushed_at
    created_at updated_at license network_count subscribers_count"""
PULL_SIMPLE = """url id node_id html_url diff_url patch_url issue_url commits_url review_comments_url
    review_comment_url comments_url statuses_url number state locked title user body labels
    milestone created_at updated_at closed_at merged_at head base _links author_association
    auto_merge assignee merge_commit_sha"""
PULL = f"""{PULL_SIMPLE} merged mergeable mergeable_state merged_by comments review_comments
    maintainer_can_modify commits additions deletions changed_files"""
COMMIT = "url sha node_id html_url comments_url commit author committer parents"
STATUS = "url avatar_url id node_id state description target_url context created_at updated_at creator"
CHECK_RUN = """id node_id head_sha name url html_url details_url status conclusion started_at completed_at
    external_id check_suite output app pull_requests"""
CHECK_SUITE = """id node_id head_branch head_sha status conclusion url before after pull_requests app
    repository created_at updated_at head_commit latest_check_runs_count check_runs_url"""
ISSUE = """id node_id url repository_url labels_url comments_url events_url html_url number state title
    user labels assignee milestone locked comments closed_at created_at updated_at
    author_association"""
CONTENT = "type size name path sha url git_url html_url download_url _links"
DIFF_ENTRY = """sha filename status additions deletions changes blob_url raw_url contents_url"""
REVIEW = """id node_id user body state html_url pull_request_url _links author_association commit_id
    submitted_at"""
PROTECTION = """url required_status_checks required_pull_request_reviews enforce_admins restrictions
    required_signatures required_linear_history allow_force_pushes allow_deletions block_creations
    required_conversation_resolution lock_branch allow_fork_syncing"""
COMMENT = "id node_id url html_url body user created_at updated_at issue_url author_association"


@pytest.mark.parametrize(
    ("path", "inside", "required"),
    [
        (
            "/user",
            "",
            f"{USER} name company blog location email hireable bio public_repos followers created_at",
        ),
        ("/repos/{repo}", "", REPOSITORY),
        ("/repos/{repo}", "owner", USER),
        ("/user/repos", "0", REPOSITORY),
        ("/repos/{repo}/branches", "0", "name commit protected"),
        ("/repos/{repo}/branches/main", "", "name commit _links protected protection protection_url"),
        ("/repos/{repo}/branches/main", "commit", COMMIT),
        ("/repos/{repo}/git/refs", "0", "ref node_id url object"),
        ("/repos/{repo}/git/ref/heads/main", "object", "type sha url"),
        ("/repos/{repo}/pulls", "0", PULL_SIMPLE),
        ("/repos/{repo}/pulls/1", "", PULL),
        ("/repos/{repo}/pulls/1", "head", "label ref repo sha user"),
        ("/repos/{repo}/pulls/1", "head repo", REPOSITORY),
        ("/repos/{repo}/pulls/1", "_links", "comments commits statuses html issue review_comments self"),
        ("/repos/{repo}/pulls/1/commits", "0", COMMIT),
        ("/repos/{repo}/pulls/1/commits", "0 commit", "author committer message tree url comment_count"),
        ("/repos/{repo}/pulls/1/files", "0", DIFF_ENTRY),
        ("/repos/{repo}/commits/topic", "", f"{COMMIT} stats files"),
        (
            "/repos/{repo}/commits/topic/status",
            "",
            "state sha total_count statuses repository commit_url url",
        ),
        ("/repos/{repo}/commits/topic/status", "statuses 0", STATUS),
        ("/repos/{repo}/commits/topic/check-runs", "check_runs 0", CHECK_RUN),
        (
            "/repos/{repo}/commits/topic/check-runs",
            "check_runs 0 output",
            "title summary text annotations_count",
        ),
        ("/repos/{repo}/commits/topic/check-suites", "check_suites 0", CHECK_SUITE),
        ("/repos/{repo}/issues/1", "", ISSUE),
        ("/repos/{repo}/issues/1/comments", "0", COMMENT),
        ("/repos/{repo}/pulls/1/reviews", "0", REVIEW),
        ("/repos/{repo}/branches/main/protection", "", PROTECTION),
        (
            "/repos/{repo}/branches/main/protection",
            "required_status_checks",
            "url strict contexts contexts_url checks",
        ),
        (
            "/repos/{repo}/branches/main/protection",
            "restrictions",
            "url users_url teams_url apps_url users teams apps",
        ),
        ("/repos/{repo}/contents/README.md", "", f"{CONTENT} content encoding"),
        ("/repos/{repo}/contents", "0", CONTENT),
    ],
)
def test_required_properties(
    forge: "ForgeProcess", filled: str, path: str, inside: str, required: str
) -> None:
    answer = httpx.get(
        forge.api + path.format(repo=filled), headers={"Authorization": f"token {forge.token}"}
    )
    assert answer.status_code == 200
    found = answer.json()
    for step in inside.split():
        found = found[int(step) if step.isdigit() else step]
    assert set(required.split()) - set(found) == set()


@pytest.fixture(scope="module")
def filled(new_repo: Callable[[], Repository], clone_of: "Callable[[Repository], Clone]") -> str:
    """The full name of a repository with one of everything."""
    repo = new_repo()
    sha = clone_of(repo).branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="All of it")
    pull.create_issue_comment("Words")
    pull.create_review(body="Words", event="COMMENT")
    repo.get_branch("main").edit_protection(
        strict=True, contexts=["test"], required_approving_review_count=1, user_push_restrictions=["a"]
    )
    repo.get_commit(sha).create_status("success")
    repo.create_check_run("test", sha, conclusion="success", output={"title": "Good", "summary": "All"})
    return repo.full_name
