"""The server as a GitHub App: tokens for one repository, minted through the real SDK and kept for a while."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from pydantic import PostgresDsn, SecretStr, ValidationError

from gateways.errors import CredentialRefused, UpstreamFailed
from gateways.git.cache import CloneCache
from gateways.git.errors import RepositoryNotFound
from gateways.git.hidden_refs import HiddenRefs
from gateways.github.access import Token
from gateways.github.app import MIN_REMAINING_LIFETIME, GitHubApp, InstallationToken, _permissions
from gateways.github.client import clone_url
from kit.settings import Settings
from local.forge.seed import seed
from local.stack.ports import free_ports
from tests.support.github_app import APP_ID, forge_with_app, key_pair
from tests.support.servers import ServedDirectory


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    with forge_with_app(tmp_path_factory.mktemp("forge"), "acme") as server:
        yield server


@pytest.fixture
def app(forge: ServedDirectory) -> GitHubApp:
    return GitHubApp(APP_ID, key_pair().private, api_url=f"{forge.url}/api/v3")


async def repository(forge: ServedDirectory, owner: str = "acme") -> str:
    name = f"repo-{uuid4().hex[:12]}"
    await seed(forge.data, owner, name, {"a.txt": "a\n"})
    return f"{owner}/{name}"


async def test_git_with_a_token_of_one_repository_cannot_read_another(
    forge: ServedDirectory, app: GitHubApp, cache: CloneCache
) -> None:
    mine, another = await repository(forge), await repository(forge)
    token = await app.token(mine)
    assert token is not None
    assert await HiddenRefs(cache, clone_url(mine, forge.url), token.value).list_names() == set()
    with pytest.raises(RepositoryNotFound):
        await HiddenRefs(cache, clone_url(another, forge.url), token.value).list_names()


async def test_a_token_is_kept_until_half_of_its_hour_is_over(forge: ServedDirectory, app: GitHubApp) -> None:
    slug = await repository(forge)
    first = await app.token(slug)
    assert first is not None
    assert first.expires_at - datetime.now(UTC) > timedelta(minutes=59)
    assert await app.token(slug.upper()) is first
    app._tokens[slug] = replace(
        first, expires_at=datetime.now(UTC) + MIN_REMAINING_LIFETIME - timedelta(seconds=1)
    )
    again = await app.token(slug)
    assert again is not None
    assert again.is_fresh


async def test_tokens_are_bounded(
    app: GitHubApp, forge: ServedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.github.app.MAX_TOKENS", 2)
    slugs = [await repository(forge) for _ in range(3)]
    for slug in slugs:
        await app.token(slug)
    assert list(app._tokens) == slugs[1:]


async def test_a_wrong_key_and_an_unreachable_github_are_told_apart(forge: ServedDirectory) -> None:
    slug = await repository(forge)
    wrong = GitHubApp(APP_ID, key_pair(1).private, api_url=f"{forge.url}/api/v3")
    with pytest.raises(CredentialRefused, match="GitHub App"):
        await wrong.token(slug)
    nowhere = GitHubApp(APP_ID, key_pair().private, api_url=f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(UpstreamFailed, match="cannot be reached"):
        await nowhere.token(slug)


def test_permissions_are_asked_for_as_far_as_they_are_granted() -> None:
    granted = {"contents": "write", "pull_requests": "write", "checks": "read", "issues": "write"}
    wanted = {"contents": "write", "pull_requests": "write", "checks": "read"}
    assert _permissions("o/r", granted) == wanted
    with pytest.raises(CredentialRefused, match="pull_requests: write"):
        _permissions("o/r", {**granted, "pull_requests": "read"})


def test_a_token_does_not_show() -> None:
    token = InstallationToken("ghs_secret", 1, datetime.now(UTC))
    assert "ghs_secret" not in repr(token) + repr(Token("ghs_secret"))


@pytest.mark.parametrize("is_file", [True, False])
def test_the_apps_key_is_text_or_a_file(tmp_path_factory: pytest.TempPathFactory, is_file: bool) -> None:
    pem = key_pair().private
    given = pem.replace("\n", "\\n")
    if is_file:
        path = tmp_path_factory.mktemp("key") / "app.pem"
        path.write_text(pem)
        given = str(path)
    settings = partial(
        Settings,
        database_url=PostgresDsn("postgresql://nobody@127.0.0.1/none"),
        encryption_keys=SecretStr(Fernet.generate_key().decode()),
    )
    made = settings(github_app_id=APP_ID, github_app_private_key=SecretStr(given))
    assert made.github_app_private_key == SecretStr(pem)
    assert pem in made.secret_values()
    for wrong in ("no-such-file", "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----"):
        with pytest.raises(ValidationError, match="private key"):
            settings(github_app_id=APP_ID, github_app_private_key=SecretStr(wrong))
    with pytest.raises(ValidationError, match="go together"):
        settings(github_app_id=APP_ID)
