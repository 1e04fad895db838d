"""Branches: a hundred in one request, by prefix, page by page; deleted unless GitHub keeps them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateways.errors import ProviderLimit, UpstreamFailed, UpstreamRefused
from gateways.github.branches import Branch, Branches, BranchProtected
from gateways.github.client import GitHub
from kit.database import Database
from tests.support.canned_server import CannedResponse, run_canned_server
from tests.unit.gateways.github.test_client import Repo, github, repo

__all__ = ["github", "repo"]


async def names(branches: Branches, prefix: str, limit: int) -> list[list[str]]:
    """Page by page."""
    pages, after = [], None
    while True:
        page = await branches.page(prefix, limit, after)
        pages.append([branch.name for branch in page.branches])
        if (after := page.after) is None:
            return pages


async def test_pages_hold_every_branch_once(github: GitHub, repo: Repo) -> None:
    sha = repo.push("feature/first")
    wanted = sorted(["feature/first", *(f"feature/{number:03}" for number in range(120))])
    others = [f"other/feature/{number:03}" for number in range(130)]
    for name in [*wanted[:-1], *others]:
        repo.git("branch", "-f", name, sha)
    repo.git("push", "-q", "--all", repo.url)
    branches = Branches(github, repo.slug)
    for limit in (1, 60, 100):
        pages = await names(branches, "feature/", limit)
        assert [name for page in pages for name in page] == wanted
    assert [len(page) for page in await names(branches, "", 100)] == [100, 100, 52]
    assert await names(branches, "feature/first", 10) == [["feature/first"]]
    assert await names(branches, "nothing/", 10) == [[]]
    [first] = (await branches.page("feature/first", 10, None)).branches
    assert (first.sha, first.author, first.is_default, first.is_protected) == (sha, "Ada", False, False)
    assert (datetime.now(UTC) - first.committed_at).total_seconds() < 600
    [main] = (await branches.page("main", 10, None)).branches
    assert main.is_default


async def test_one_branch_is_read_and_deleted(github: GitHub, repo: Repo) -> None:
    sha = repo.push("feature/dark-mode#1")
    branches = Branches(github, repo.slug)
    found = await branches.get("feature/dark-mode#1")
    assert found is not None
    assert (found.name, found.sha, found.author) == ("feature/dark-mode#1", sha, "Ada")
    assert (found.is_protected, found.is_default) == (False, False)
    assert await branches.delete("feature/dark-mode#1")
    assert await branches.get("feature/dark-mode#1") is None
    assert not await branches.delete("feature/dark-mode#1")
    main = await branches.get("main")
    assert main is not None
    assert main.is_default
    with pytest.raises(UpstreamRefused, match="not found"):
        await Branches(github, "nobody/nothing").get("main")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "a/../../../user",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.lock",
        "a b",
        "a\0",
        "a~1",
        "a:b",
        "@",
        "a?b",
        "a*",
        "a[b",
        "a\\b",
        "a@{1}",
        "x" * 245,
        "a.",
        "a\n",
    ],
)
async def test_what_is_no_name_never_becomes_an_address(database: Database, name: str) -> None:
    with run_canned_server(CannedResponse(500)) as server:
        branches = Branches(GitHub("t", api_url=server.url, database=database, spacing_seconds=0), "o/r")
        assert await branches.get(name) is None
        assert not await branches.delete(name)
        assert server.asked == []


@pytest.fixture
def at(database: Database) -> Callable[[str, str], Branches]:
    def at(url: str, token: str = "t") -> Branches:
        return Branches(GitHub(token, api_url=url, database=database, spacing_seconds=0), "o/r")

    return at


def refs(*nodes: object, more: bool = False) -> CannedResponse:
    edges = [{"cursor": f"after-{number}", "node": node} for number, node in enumerate(nodes)]
    found = {"pageInfo": {"hasNextPage": more}, "edges": edges}
    return CannedResponse(
        200, {"data": {"repository": {"defaultBranchRef": {"name": "main"}, "refs": found}}}
    )


def node(name: str) -> dict[str, object]:
    author = {"name": "CodeCourier", "user": {"login": "codecourier[bot]"}}
    commit = {"oid": "a" * 40, "committedDate": "2024-01-15T10:30:00Z", "author": author}
    return {"name": name, "branchProtectionRule": {"id": "BPR_1"}, "target": commit}


async def test_a_hundred_take_one_request(at: Callable[..., Branches]) -> None:
    """As GitHub answers: with a login, a rule, and a tag where a commit is expected."""
    tag: dict[str, object] = {"name": "odd", "branchProtectionRule": None, "target": {}}
    with run_canned_server(refs(*(node(f"b{number:02}") for number in range(99)), tag)) as server:
        page = await at(server.url).page("", 100, None)
        assert server.asked == ["POST /graphql"]
    assert (len(page.branches), page.after) == (99, None)
    when = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert page.branches[0] == Branch("b00", "a" * 40, "codecourier[bot]", when, True, False)


async def test_a_prefix_that_fits_nothing_asks_only_so_often(at: Callable[..., Branches]) -> None:
    with run_canned_server(refs(node("x/feature"), more=True)) as server:
        page = await at(server.url).page("feature", 100, None)
        assert len(server.asked) == 10
    assert (page.branches, page.after) == ([], "after-0")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (CannedResponse(200, {"errors": [{"type": "RATE_LIMITED", "message": "exceeded"}]}), ProviderLimit),
        (
            CannedResponse(200, {"data": None, "errors": [{"type": "NOT_FOUND", "message": "no"}]}),
            UpstreamRefused,
        ),
        (CannedResponse(200, {"data": {"repository": None}}), UpstreamFailed),
        (CannedResponse(502, "<html>"), UpstreamFailed),
        (CannedResponse(403, {"message": "secondary rate limit"}, {"retry-after": "7"}), ProviderLimit),
    ],
)
async def test_githubs_refusals_of_a_list(
    at: Callable[..., Branches], answer: CannedResponse, kind: type[Exception]
) -> None:
    with run_canned_server(answer) as server, pytest.raises(kind):
        await at(server.url, f"token-of-{kind.__name__}-{answer.status}").page("", 100, None)


async def test_a_rule_of_github_keeps_a_branch(at: Callable[..., Branches]) -> None:
    said = {"message": "Repository rule violations found\n\nCannot delete this branch"}
    with (
        run_canned_server(CannedResponse(422, said)) as server,
        pytest.raises(BranchProtected, match="Cannot delete"),
    ):
        await at(server.url).delete("release")
    with run_canned_server(CannedResponse(422, {"message": "Reference does not exist"})) as server:
        assert not await at(server.url).delete("gone")
