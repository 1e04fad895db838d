"""A run follows CI: it looks at once when GitHub tells of it, and by itself when nothing is told.

It begins to look while its pull request is opened, and stops when that cannot be.
"""

from models.event import EventType
from models.runs.run import RunStatus
from tests.support.ci_polling import wait_for_slow_polling, was_woken_by_webhook
from tests.support.github import FILES_WITH_CI, ForgeRepository, serving_api
from tests.support.installation import Installation
from tests.support.scenarios import create, finish, register_scenario

CHECKED = register_scenario(
    "checked-by-ci", create("checked.txt", "done\n"), finish("Wrote what is checked.")
)


async def test_a_webhook_ends_the_wait_and_without_one_it_looks_by_itself(site: Installation) -> None:
    slug = await site.repository(FILES_WITH_CI)
    github = ForgeRepository(site, slug)
    told, untold = [await site.start(f"Checked {CHECKED}", repository=slug) for _ in range(2)]
    ids = {}
    for run in (told, untold):
        pushed = await site.until(run, EventType.branch_pushed)
        ids[run.id] = await github.begin_check(str(pushed.data["sha"]))
    looked = [await site.until(run, EventType.ci_updated, count=1) for run in (told, untold)]
    assert [event.data["status"] for event in looked] != ["passed", "passed"]
    async with serving_api(site) as api:
        await wait_for_slow_polling(site, told.id)
        for each in ids.values():
            await github.end_check(each)
        await api.tell_of_check(slug.upper(), str((await site.read(told)).head_sha))
        ended = await site.ended(told)
    assert await was_woken_by_webhook(site, told.id)
    assert (ended.status, (ended.ci_checks or {})["status"]) == (RunStatus.completed, "passed")
    assert (await site.ended(untold)).status is RunStatus.completed
    assert not await was_woken_by_webhook(site, untold.id)


async def test_a_pull_request_that_cannot_be_opened_ends_the_look_at_ci(site: Installation) -> None:
    slug = await site.repository(FILES_WITH_CI)
    run = await site.accept(f"Checked {CHECKED}", repository=slug)
    trap = f"pull-request@{run.id}"
    site.set_trap(trap, "hold")
    await site.send(run)
    await site.sprung(trap)
    await site.until(run, EventType.ci_updated)
    await ForgeRepository(site, slug).ask("DELETE", f"/git/refs/heads/{run.branch_name}")
    site.release(trap)
    ended = await site.ended(run)
    assert (ended.status, ended.error_code) == (RunStatus.failed, "UPSTREAM_REFUSED")
    assert (await site.events(run))[-1].type == EventType.run_failed
