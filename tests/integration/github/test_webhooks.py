"""What GitHub's webhooks tell on the real site: quick when it is true, and nothing when it is not."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlmodel import col

from activities.github.hints import start_hint_workflow
from activities.reconcile.reports import SweepOrder
from activities.reconcile.start_sweep import GITHUB_HINT, StartSweepActivities
from kit.crypto import Vault
from models import Verification
from models.event import EventType
from models.github.hint import record_hint
from models.github.hook import create_hook, new_hook_secret
from models.github.hook_schemas import PATH
from models.runs.run import PrStatus
from models.verification.verification import VerificationStatus
from tests.support.github import ApiServer, serving_api, wait_for_hints_read
from tests.support.installation import Installation, wait_until
from tests.support.pull_requests import OpenPullRequest, make_pull_request


@pytest.fixture(scope="module")
async def api(site: Installation) -> AsyncIterator[ApiServer]:
    async with serving_api(site) as api:
        yield api


async def hook_of(site: Installation, api: ApiServer, project_id: str) -> ApiServer:
    """The API as GitHub speaks to it by a hook of the project."""
    secret = new_hook_secret()
    vault = Vault(site.settings.encryption_keys.get_secret_value())
    async with site.database.transaction() as session:
        hook = await create_hook(session, project_id, None, vault.seal(secret))
    return replace(api, secret=secret, path=f"{PATH}{hook.id}")


def merged(pull: OpenPullRequest, **more: object) -> bytes:
    told = {"action": "closed", "pull_request": {"number": pull.run.pr_number, "merged": True}}
    return json.dumps({**told, "repository": {"full_name": pull.github.slug}, **more}).encode()


async def test_a_merge_on_github_is_written_down_quickly(site: Installation, api: ApiServer) -> None:
    """Told by the repository's own webhook, over the project's hook."""
    pull = await make_pull_request(site, api, ci=False)
    hook = await hook_of(site, api, pull.run.project_id)
    await pull.github.add_hook(str(api.http.base_url.join(hook.path)), hook.secret)
    await pull.merge_on_github()
    event = await site.until(pull.run, EventType.pr_merged)
    assert event.data["mergeSha"] == (await pull.github.pull(pull.run.pr_number))["merge_commit_sha"]
    assert await pull.status() is PrStatus.merged
    await wait_for_hints_read(site, pull.run)
    assert len(await pull.told()) == 1


async def test_a_forged_merge_is_not_believed(site: Installation, api: ApiServer) -> None:
    """Signed with the project's own secret, or the operator's: GitHub says that it is open."""
    pull = await make_pull_request(site, api, ci=False)
    for source in (await hook_of(site, api, pull.run.project_id), api):
        body = merged(pull, merge_commit_sha="b" * 40)
        assert (await source.send("pull_request", body)).json()["data"]["status"] == "accepted"
        await wait_for_hints_read(site, pull.run)
    assert await pull.status() is PrStatus.created
    assert await pull.events(EventType.pr_merged) == []
    assert await pull.told() == []


async def test_a_forged_merge_by_another_projects_hook_is_not_even_looked_into(
    site: Installation, api: ApiServer
) -> None:
    """It is merged on GitHub, which B does not bring A's row to know."""
    pull = await make_pull_request(site, api, ci=False)
    await pull.merge_on_github()
    theirs = await hook_of(site, api, (await site.project()).id)
    assert (await theirs.send("pull_request", merged(pull))).json()["data"]["status"] == "accepted"
    await wait_for_hints_read(site, pull.run)
    assert await pull.status() is PrStatus.created


async def test_a_replayed_merge_changes_nothing(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api, ci=False)
    hook, body = await hook_of(site, api, pull.run.project_id), merged(pull)
    await pull.merge_on_github()
    assert (await hook.send("pull_request", body)).json()["data"]["status"] == "accepted"
    await site.until(pull.run, EventType.pr_merged)
    for replayed in (body, merged(pull, sent=str(uuid4()))):
        assert (await hook.send("pull_request", replayed)).status_code == 200
    await wait_for_hints_read(site, pull.run)
    assert len(await pull.events(EventType.pr_merged)) == len(await pull.told()) == 1


async def test_a_verification_is_void_once_github_says_that_the_branch_moved(
    site: Installation, api: ApiServer
) -> None:
    """A push that never was voids nothing."""
    pull = await make_pull_request(site, api, ci=False)
    hook = await hook_of(site, api, pull.run.project_id)
    verification = Verification(
        run_id=pull.run.id, number=1, commit_sha=pull.sha, command="true", timeout_ms=1
    )
    verification.status = VerificationStatus.passed
    await site.add(verification)

    async def status() -> VerificationStatus:
        where = col(Verification.id) == verification.id
        [row] = await site.rows(Verification, where, col(Verification.id))
        return row.status

    ref = f"refs/heads/{pull.branch}"
    await hook.tell("push", pull.github.slug, ref=ref, before=pull.sha, after="b" * 40)
    await wait_for_hints_read(site, pull.run)
    assert await status() is VerificationStatus.passed
    pushed = await pull.github.commit(pull.sha, {"more.txt": "more\n"}, "Add more.txt")
    await pull.github.move(pull.branch, pushed)
    await hook.tell("push", pull.github.slug, ref=ref, before=pull.sha, after=pushed)
    await wait_for_hints_read(site, pull.run)
    assert await status() is VerificationStatus.void
    [event] = await pull.events(EventType.verification_voided)
    assert event.data["commitSha"] == pull.sha


async def test_a_hint_that_nobody_looked_into_is_found_by_the_sweep(
    site: Installation, api: ApiServer
) -> None:
    """The API died, or Temporal was away, between the delivery's commit and the start."""
    pull = await make_pull_request(site, api, ci=False)
    await pull.merge_on_github()
    async with site.database.transaction() as session:
        await record_hint(session, pull.run.id)
    starting = StartSweepActivities(site.database, site.client)
    order = SweepOrder(installation=site.installation)

    async def is_found() -> bool:
        report = await starting.start_unstarted_rows(order)
        return GITHUB_HINT in report.found or await pull.status() is PrStatus.merged

    await wait_until(is_found, "the sweep finds it")
    await site.until(pull.run, EventType.pr_merged)
    await wait_for_hints_read(site, pull.run)


async def test_looked_into_twice_it_is_written_once(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api, ci=False)
    await pull.merge_on_github()
    for _ in range(3):
        async with site.database.transaction() as session:
            await record_hint(session, pull.run.id)
        await start_hint_workflow(site.client, pull.run.id)
    await wait_for_hints_read(site, pull.run)
    assert len(await pull.events(EventType.pr_merged)) == 1


async def test_a_hint_about_what_github_does_not_show_is_given_up(site: Installation, api: ApiServer) -> None:
    """The repository is gone: nothing is believed, and nothing is asked for ever."""
    pull = await make_pull_request(site, api, ci=False)
    hook = await hook_of(site, api, pull.run.project_id)
    async with site.database.transaction() as session:
        run = await session.get_one(type(pull.run), pull.run.id)
        run.repository_slug = f"org/{uuid4().hex}"
        slug = run.repository_slug
    await hook.tell_of_merge(slug, int(pull.run.pr_number or 0))
    await wait_for_hints_read(site, pull.run)
    assert await pull.status() is PrStatus.created
