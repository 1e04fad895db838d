"""What a stack outlives: a neighbour, the death of any part in the middle of a run, and being stopped."""

from collections.abc import Iterator
from typing import cast

import httpx
import pytest

from local.stack.plan import PARTS
from tests.support.detached_stack import DetachedStack, Json, run_stack

pytestmark = [pytest.mark.stack, pytest.mark.soak]


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetachedStack]:
    """A stack beside the shared one, for tests that do it harm."""
    with run_stack(tmp_path_factory.mktemp("second") / "data") as stack:
        yield stack


@pytest.fixture(scope="module")
def earlier(second: DetachedStack) -> Json:
    """A run that has ended before anything else happens."""
    return second.ended(second.start_run("Played before"))


@pytest.fixture(scope="module")
def under_way() -> dict[str, str]:
    """The runs in which a part was killed, by that part: they go on while the next part is killed."""
    return {}


def test_two_stacks_side_by_side_play_a_run_each(stack: DetachedStack, second: DetachedStack) -> None:
    both = {each: each.start_run(f"Played in {each.directory.parent.name}") for each in (stack, second)}
    for each, run_id in both.items():
        run = each.ended(run_id)
        assert (run["status"], run["prStatus"]) == ("completed", "created"), run
        assert str(run["prUrl"]).startswith(each.file.forge_url)
    for one, other in ((stack, second), (second, stack)):
        assert _status(one, both[one], key_of=one) == 200
        assert _status(one, both[other], key_of=one) == 404
        assert _status(one, both[one], key_of=other) == 401


@pytest.mark.parametrize("part", PARTS)
def test_up_goes_on_after_a_part_was_killed(
    second: DetachedStack, earlier: Json, under_way: dict[str, str], part: str
) -> None:
    run_id = second.start_run(f"Goes on without {part}")
    second.until(run_id, "sandbox.running")
    second.kill(part)
    second.up()
    assert second.run(str(earlier["id"])) == earlier
    assert _conversation(second, earlier)
    under_way[part] = run_id


def test_every_run_in_which_a_part_was_killed_completes(
    second: DetachedStack, under_way: dict[str, str]
) -> None:
    assert under_way, "no part was killed"
    for part, run_id in under_way.items():
        run = second.ended(run_id)
        assert (part, run["status"], run["prStatus"], run["error"]) == (part, "completed", "created", None)


def test_down_leaves_no_process_and_the_next_up_has_all_that_was(
    second: DetachedStack, earlier: Json
) -> None:
    conversation, pull_request = _conversation(second, earlier), _pull_request(second, earlier)
    before = second.file
    assert len(second.marked()) >= len(PARTS)

    second.down()
    assert second.marked() == []
    assert not (second.directory / "stack.json").exists()

    second.up()
    assert second.file.model_copy(update={"pids": before.pids}) == before
    assert second.run(str(earlier["id"])) == earlier
    assert _conversation(second, earlier) == conversation
    assert _pull_request(second, earlier) == pull_request
    assert _is_in_temporal(second, earlier)
    assert second.ended(second.start_run("Played after"))["status"] == "completed"


def _status(stack: DetachedStack, run_id: str, *, key_of: DetachedStack) -> int:
    headers = {"Authorization": f"Bearer {key_of.file.api_key}"}
    url = f"{stack.file.api_url}/api/v1/runs/get"
    return httpx.get(url, params={"id": run_id}, headers=headers).status_code


def _conversation(stack: DetachedStack, run: Json) -> list[Json]:
    """What was said in the sandbox of the work, which is older than that of the verdict."""
    *_, sandbox = cast("list[Json]", stack.get("sandboxes/list", runId=str(run["id"])))
    return cast("list[Json]", stack.get("sandboxes/messages", id=str(sandbox["id"])))


def _pull_request(stack: DetachedStack, run: Json) -> Json:
    """The pull request of a run, asked of the forge."""
    url = f"{stack.file.forge_url}/api/v3/repos/{run['repositorySlug']}/pulls/{run['prNumber']}"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {stack.file.forge_token}"})
    assert answer.status_code == 200, answer.text
    return cast("Json", answer.json())


def _is_in_temporal(stack: DetachedStack, run: Json) -> bool:
    namespace = f"{stack.file.temporal_ui_url}/api/v1/namespaces/{stack.file.temporal_namespace}"
    answer = httpx.get(f"{namespace}/workflows/{run['id']}")
    status = answer.json()["workflowExecutionInfo"]["status"]
    return bool(status == "WORKFLOW_EXECUTION_STATUS_COMPLETED")
