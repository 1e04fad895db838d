"""GraphQL, through the real PyGithub and over plain HTTP."""

from typing import TYPE_CHECKING

import httpx
import pytest
from github import BadCredentialsException, Github, GithubException, UnknownObjectException
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess

BRANCHES = """
query($owner:String!,$name:String!,$prefix:String,$first:Int!,$after:String){
  repository(owner:$owner,name:$name){
    defaultBranchRef{name}
    refs(refPrefix:"refs/heads/",query:$prefix,first:$first,after:$after){
      pageInfo{hasNextPage endCursor}
      nodes{name branchProtectionRule{id}
            target{... on Commit{oid committedDate author{name email user{login}}}}}}}}
"""


def ask(repo: Repository, **variables: object) -> dict[str, object]:
    """The repository as the query shows it; it must succeed."""
    owner, name = repo.full_name.split("/")
    given = {"owner": owner, "name": name, "first": 100, **variables}
    _, data = repo.requester.graphql_query(BRANCHES, given)
    found: dict[str, object] = data["data"]["repository"]
    return found


def names(found: dict[str, object]) -> list[str]:
    refs = found["refs"]
    assert isinstance(refs, dict)
    return [node["name"] for node in refs["nodes"]]


def test_branches_and_their_tips_in_one_request(repo: Repository, clone: "Clone") -> None:
    sha = clone.branch("topic")
    found = ask(repo)
    assert found["defaultBranchRef"] == {"name": "main"}
    refs = found["refs"]
    assert isinstance(refs, dict)
    main, topic = refs["nodes"]
    seen = repo.get_commit(sha)
    assert topic == {
        "name": "topic",
        "branchProtectionRule": None,
        "target": {
            "oid": sha,
            "committedDate": seen.commit.committer.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "author": {"name": "Ada", "email": "ada@example.com", "user": None},
        },
    }
    assert main["target"]["author"]["user"] == {"login": "codecourier"}, "the forge's own commit"
    assert repo.get_commit("main").author.login == "codecourier"


def test_pages_and_filter(repo: Repository, clone: "Clone") -> None:
    sha = clone.branch("codecourier/run-0")
    clone.git("push", "--quiet", "origin", *(f"{sha}:refs/heads/codecourier/run-{n}" for n in range(1, 7)))
    assert names(ask(repo, prefix="run-")) == [f"codecourier/run-{n}" for n in range(7)]
    assert names(ask(repo, prefix="heads")) == [], "the prefix is no part of the name"
    assert names(ask(repo, first=0)) == []
    seen: list[str] = []
    cursor, more = None, True
    while more:
        page = ask(repo, prefix="codecourier/", first=3, after=cursor)
        if not seen:  # a branch that goes between two pages takes none of the others with it
            repo.get_git_ref("heads/codecourier/run-2").delete()
        seen += names(page)
        refs = page["refs"]
        assert isinstance(refs, dict)
        cursor, more = refs["pageInfo"]["endCursor"], refs["pageInfo"]["hasNextPage"]
    assert seen == [f"codecourier/run-{n}" for n in range(7)]


def test_an_empty_repository_and_a_tag(github: Github, repo: Repository, clone: "Clone") -> None:
    empty = github.get_user().create_repo(f"{repo.name}-empty")
    assert (ask(empty)["defaultBranchRef"], names(ask(empty))) == (None, [])
    clone.git("tag", "--annotate", "--message=One", "v1")
    clone.git("push", "--quiet", "origin", "v1")
    query = (
        '{repository(owner:"%s",name:"%s"){ref(qualifiedName:"refs/tags/v1"){name target{__typename oid}}}}'
    )
    _, data = github.requester.graphql_query(query % tuple(repo.full_name.split("/")), {})
    assert data["data"]["repository"]["ref"] == {
        "name": "v1",
        "target": {"__typename": "Tag", "oid": clone.git("rev-parse", "v1")},
    }


def test_an_unknown_repository(github: Github) -> None:
    with pytest.raises(UnknownObjectException) as raised:
        github.requester.graphql_query(BRANCHES, {"owner": "nobody", "name": "nothing", "first": 1})
    assert raised.value.data["data"] == {"repository": None}
    (error,) = raised.value.data["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["repository"])
    assert error["message"] == "Could not resolve to a Repository with the name 'nobody/nothing'."


@pytest.mark.parametrize(
    ("variables", "type_"),
    [({"first": 101}, "EXCESSIVE_PAGINATION"), ({"after": "%"}, "INVALID_CURSOR_ARGUMENTS")],
)
def test_pages_that_cannot_be(repo: Repository, variables: dict[str, object], type_: str) -> None:
    with pytest.raises(GithubException) as raised:
        ask(repo, **variables)
    assert [error["type"] for error in raised.value.data["errors"]] == [type_]


@pytest.mark.parametrize("query", ["{", "{nothing}", "query($a:Int!){viewer{login}}", ""])
def test_a_query_that_does_not_fit_says_why(forge: "ForgeProcess", query: str) -> None:
    answer = httpx.post(f"{forge.url}/graphql", json={"query": query}, headers=with_token(forge.token))
    assert answer.status_code == 200
    assert answer.json().keys() == {"errors"}
    assert all(error["message"] and error["locations"] for error in answer.json()["errors"])


def test_who_may_ask_and_where(forge: "ForgeProcess", repo: Repository) -> None:
    query = {"query": "{viewer{login}}"}
    for address in ("/graphql", "/api/graphql"):
        url = forge.url + address
        told = httpx.post(url, json=query, headers=with_token(forge.token))
        assert told.json() == {"data": {"viewer": {"login": "codecourier"}}}
        assert told.headers["x-ratelimit-resource"] == "graphql"
        assert httpx.post(url, json=query).status_code == 401
        wrong = httpx.post(url, json=query, headers=with_token("wrong"))
        assert (wrong.status_code, wrong.json()["message"]) == (401, "Bad credentials")
        broken = httpx.post(url, content=b"{", headers=with_token(forge.token))
        assert (broken.status_code, broken.json()["message"]) == (400, "Problems parsing JSON")
    with pytest.raises(BadCredentialsException):
        forge.github("wrong").requester.graphql_query(query["query"], {})


def with_token(token: str) -> dict[str, str]:
    return {"Authorization": f"bearer {token}"}


def test_a_pull_request_becomes_a_draft_and_ready_again(repo: Repository, clone: "Clone") -> None:
    clone.branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="One", body="")
    for _ in range(2):
        pull.convert_to_draft()
        assert repo.get_pull(pull.number).draft is True
    for _ in range(2):
        pull.mark_ready_for_review()
        assert repo.get_pull(pull.number).draft is False
    pull.edit(state="closed")
    with pytest.raises(GithubException):
        pull.convert_to_draft()


def test_what_is_no_pull_request_becomes_no_draft(repo: Repository) -> None:
    for given in ("nothing", repo.raw_data["node_id"]):
        with pytest.raises(UnknownObjectException):
            repo.requester.graphql_named_mutation(
                "convertPullRequestToDraft", {"pullRequestId": given}, "pullRequest { isDraft }"
            )
