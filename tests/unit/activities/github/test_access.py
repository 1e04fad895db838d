"""The server as a GitHub App: its tokens open what was allowed to a project, one repository each."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from activities.errors import to_application_error
from activities.gateway_factory import GatewayFactory
from activities.reconcile.isolation import Fault, attempt
from activities.reconcile.unsettled_pull_requests import UnsettledPullRequests
from gateways.errors import CredentialMissing, CredentialRefused, UpstreamRefused
from gateways.github.access import GitHubAccess, Token
from gateways.github.branches import Branches
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from kit.settings import Settings
from models import Effect
from models.base import now
from models.effect import EffectKind
from models.projects.provider_key import Provider, ProviderKey
from models.runs.run import RunStatus
from tests.conftest import make_project
from tests.factories import make_running_run
from tests.support.github_app import APP_ID, forge_with_app, key_pair
from tests.support.servers import FORGE_TOKEN, ServedDirectory
from tests.unit.gateways.github.test_app_access import repository


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    with forge_with_app(tmp_path_factory.mktemp("forge"), "acme") as server:
        yield server


@pytest.fixture
def app_settings(settings: Settings, forge: ServedDirectory) -> Settings:
    """Settings of a server that is the App, and has no token."""
    update = {
        "github_url": forge.url,
        "github_api_url": f"{forge.url}/api/v3",
        "github_app_id": APP_ID,
        "github_app_private_key": SecretStr(key_pair().private),
    }
    return settings.model_copy(update=update)


async def test_a_token_of_one_repository_cannot_read_another(
    forge: ServedDirectory, app_settings: Settings, database: Database
) -> None:
    mine, another = await repository(forge), await repository(forge)
    project = await make_project(database, repository=mine)
    access = GitHubAccess(app_settings, database)
    token = await access.token(project.id, None, mine)
    github = access.github(token)
    assert await github.default_branch(mine) == "main"
    assert (await Branches(github, mine).page("", 10, None)).branches[0].name == "main"
    with pytest.raises(UpstreamRefused, match="not found"):
        await github.default_branch(another)
    with pytest.raises(UpstreamRefused):
        await Branches(github, another).page("", 10, None)


async def test_the_app_opens_nothing_that_is_not_allowed(
    forge: ServedDirectory, app_settings: Settings, database: Database
) -> None:
    project = await make_project(database, repository=None)
    with pytest.raises(RepositoryNotAllowed):
        await GitHubAccess(app_settings, database).token(project.id, None, await repository(forge))


async def test_a_key_that_is_set_meanwhile_opens_nothing_with_the_servers_token(
    forge: ServedDirectory, app_settings: Settings, database: Database
) -> None:
    """Work that found no key of the project's asks for the server's token after one was set."""
    project = await make_project(database, repository=None)
    async with database.transaction() as session:
        session.add(
            ProviderKey(project_id=project.id, provider=Provider.github, sealed="x", last_four="xxxx")
        )
    with pytest.raises(RepositoryNotAllowed):
        await GitHubAccess(app_settings, database).token(project.id, None, await repository(forge))


async def test_where_the_app_is_not_installed_the_servers_token_is_used(
    forge: ServedDirectory, app_settings: Settings, database: Database
) -> None:
    project, slug = await make_project(database), await repository(forge, "nobody")
    with pytest.raises(CredentialRefused, match="have the owner install it"):
        await GitHubAccess(app_settings, database).token(project.id, None, slug)
    both = app_settings.model_copy(update={"github_token": SecretStr(FORGE_TOKEN)})
    assert await GitHubAccess(both, database).token(project.id, None, slug) == Token(FORGE_TOKEN)
    minted = await GitHubAccess(both, database).token(project.id, None, await repository(forge))
    assert minted.value.startswith("ghs_")


async def test_without_any_access_both_ways_to_it_are_named(settings: Settings, database: Database) -> None:
    nothing = settings.model_copy(update={"github_token": None, "github_app_id": None})
    project = await make_project(database)
    with pytest.raises(CredentialMissing, match="GITHUB_TOKEN or GITHUB_APP_ID") as missing:
        await GitHubAccess(nothing, database).token(project.id, None, "acme/shop")
    failure = to_application_error(missing.value)
    assert (failure.type, failure.non_retryable) == ("CREDENTIAL_MISSING", True)


async def test_a_repository_that_is_not_allowed_any_more_is_no_fault_of_the_reconcilers(
    forge: ServedDirectory, app_settings: Settings, database: Database
) -> None:
    """Nor does it keep the project's other repositories from being looked at."""
    mine, another = await repository(forge), await repository(forge)
    project = await make_project(database, repository=mine)
    ids: list[str] = []
    async with database.transaction() as session:
        for number, slug in enumerate((another, mine), 1):
            blueprint, run, _ = make_running_run(project)
            run.run_number, run.repository_slug = number, slug
            run.branch_name, run.base_branch = "work", "main"
            run.mark_pr_opening()
            run.close(RunStatus.failed)
            effect = Effect.new_intent(run.id, EffectKind.pull_request)
            effect.intended_at = now() - timedelta(days=1)
            for row in (blueprint, run, effect):
                session.add(row)
                await session.flush()
            ids.append(run.id)
    check = UnsettledPullRequests(database, GatewayFactory(app_settings, database))
    findings = {finding.id: finding async for finding in check.find()}
    refused, settled = [await attempt(each, check.repair, findings[each]) for each in ids]
    assert isinstance(refused, Fault)
    assert refused.is_outside
    assert f"codecourier projects allow {project.id} {another}" in refused.reason
    assert settled == "there is none: marked as failed"
