"""Objects that GitHub is asked for again: unchanged ones count to no limit, and nothing old is read."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from github import Auth, Github, UnknownObjectException
from pydantic import BaseModel

from gateways.errors import UpstreamFailed
from gateways.github.checks import read_checks
from gateways.github.conditional import ETAG_CACHE, ETagCache, get_cached_object
from local.forge.seed import seed
from tests.support.canned_server import CannedResponse, run_canned_server
from tests.support.servers import FORGE_TOKEN, ServedDirectory


class Repository(BaseModel):
    full_name: str


@pytest.fixture
async def slug(forge: ServedDirectory) -> str:
    name = f"repo-{uuid4().hex[:8]}"
    await seed(forge.data, "org", name, {"a.txt": "a\n"})
    return f"org/{name}"


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    ETAG_CACHE.clear()
    yield
    ETAG_CACHE.clear()


def client_of(url: str, token: str = FORGE_TOKEN) -> Github:
    return Github(base_url=url, auth=Auth.Token(token), retry=None, lazy=True)


def used(github: Github) -> int:
    remaining, limit = github.rate_limiting
    return limit - remaining


def test_unchanged_checks_count_to_no_limit_and_changed_ones_are_read(
    forge: ServedDirectory, slug: str
) -> None:
    with client_of(f"{forge.url}/api/v3") as github:
        repository = github.get_repo(slug)
        sha = repository.get_branch("main").commit.sha
        assert read_checks(github, slug, sha).status == "none"
        before = used(github)
        assert read_checks(github, slug, sha).status == "none"
        assert used(github) == before
        repository.get_commit(sha).create_status("success", context="unit")
        assert read_checks(github, slug, sha).status == "passed"


def test_cached_object_is_found_with_its_token_only() -> None:
    """A server that would say 304 to anybody is not asked for it by a token that has read nothing."""
    repository = CannedResponse(200, {"full_name": "org/repo"}, {"ETag": '"of-ada"'})
    with run_canned_server(repository) as server:
        for token in ("ada", "ada", "bob"):
            with client_of(server.url, token) as github:
                get_cached_object(github, "/repos/org/repo", Repository)
    assert server.if_none_match == [None, '"of-ada"', None]


def test_deleted_object_is_not_served_from_the_cache() -> None:
    with (
        run_canned_server(
            CannedResponse(200, {"full_name": "org/repo"}, {"ETag": '"1"'}),
            CannedResponse(404, {"message": "Not Found"}),
        ) as server,
        client_of(server.url) as github,
    ):
        get_cached_object(github, "/repos/org/repo", Repository)
        with pytest.raises(UnknownObjectException):
            get_cached_object(github, "/repos/org/repo", Repository)


def test_answer_of_another_shape_is_named() -> None:
    with (
        run_canned_server(CannedResponse(200, {"name": "repo"})) as server,
        client_of(server.url) as github,
        pytest.raises(UpstreamFailed, match="full_name"),
    ):
        get_cached_object(github, "/repos/org/repo", Repository)


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateways.github.conditional.MAX_ENTRIES", 2)
    cache, repository = ETagCache(), Repository(full_name="org/repo")
    for name in ("a", "b", "a", "c"):
        cache.put(name, "1", repository)
    assert [name for name in "abc" if cache.get(name)] == ["a", "c"]
