"""Webhooks: making and changing them, what is sent, the log, and sending again, through the real PyGithub."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import httpx
import pytest
from github import GithubException, UnknownObjectException
from github.Hook import Hook
from github.Repository import Repository

from tests.support.forge_webhook_receiver import SECRET, Receiver

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess

HOOK = {"type", "id", "name", "active", "events", "config", "updated_at", "created_at", "url", "test_url"}
HOOK |= {"ping_url", "deliveries_url", "last_response"}
ITEM = {"id", "guid", "delivered_at", "redelivery", "duration", "status", "status_code", "event", "action"}
ITEM |= {"installation_id", "repository_id"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as listening:
        yield listening


def hooked(repo: Repository, receiver: Receiver, *events: str, **config: str) -> Hook:
    """A hook for these events, with its ping delivered."""
    whole = {"url": receiver.url, "content_type": "json", "secret": SECRET, **config}
    hook = repo.create_hook("web", whole, list(events) or ["*"])
    if config.get("content_type") != "form":
        receiver.wait("ping")
    return hook


def finished(repo: Repository, hook: Hook, count: int) -> list[dict[str, object]]:
    """The log, newest first, once it has so many lines."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        listed = [delivery.raw_data for delivery in repo.get_hook_deliveries(hook.id)]
        if len(listed) >= count:
            return listed
        time.sleep(0.05)
    raise AssertionError(f"{count} deliveries expected, there are {listed}")


def test_a_hook_is_made_pinged_changed_and_taken_away(repo: Repository, receiver: Receiver) -> None:
    hook = hooked(repo, receiver, "push", "pull_request")
    assert set(hook.raw_data) >= HOOK
    assert hook.config == {
        "url": receiver.url,
        "content_type": "json",
        "insecure_ssl": "0",
        "secret": "********",
    }
    (ping,) = receiver.wait("ping")
    assert ping.is_signed
    assert ping.payload["hook_id"] == hook.id
    assert ping.payload["hook"]["config"]["secret"] == "********"
    assert ping.payload["repository"]["full_name"] == repo.full_name
    assert ping.headers["content-type"] == "application/json"
    assert ping.headers["user-agent"].startswith("GitHub-Hookshot/")
    assert ping.headers["x-github-hook-id"] == str(hook.id)
    finished(repo, hook, 1)
    assert repo.get_hook(hook.id).raw_data["last_response"] == {
        "code": 200,
        "status": "active",
        "message": "OK",
    }
    hook.ping()
    receiver.wait("ping", 2)
    hook.edit("web", {"url": receiver.url, "content_type": "json"}, add_events=["status"], active=False)
    assert (hook.events, hook.active) == (["pull_request", "push", "status"], False)
    assert "secret" not in hook.config
    hook.ping()
    assert "x-hub-signature-256" not in receiver.wait("ping", 3)[-1].headers
    assert [each.id for each in repo.get_hooks()] == [hook.id]
    hook.delete()
    with pytest.raises(UnknownObjectException):
        repo.get_hook(hook.id)


def test_hooks_that_cannot_be(forge: "ForgeProcess", repo: Repository, receiver: Receiver) -> None:
    hook = hooked(repo, receiver, "push")
    with pytest.raises(GithubException) as raised:
        hooked(repo, receiver, "push", "status")
    assert raised.value.status == 422
    assert raised.value.data["errors"][0]["message"] == "Hook already exists on this repository"
    for faulty in (
        {"url": "not an address"},
        {"url": "file:///etc/passwd"},
        {},
        {"url": hook.config["url"], "content_type": "xml"},
    ):
        with pytest.raises(GithubException) as raised:
            repo.create_hook("web", faulty)
        assert raised.value.status == 422, faulty
    with pytest.raises(GithubException) as raised:
        repo.create_hook("web", {"url": receiver.url}, ["No Event"])
    assert raised.value.status == 422
    assert httpx.get(f"{repo.url}/hooks").status_code == 404, "private, without a token"


def test_events_nobody_asked_for_are_not_sent(repo: Repository, receiver: Receiver, clone: "Clone") -> None:
    hook = hooked(repo, receiver, "status")
    sha = clone.branch("topic")
    repo.get_commit(sha).create_status("success")
    receiver.wait("status")
    hook.edit("web", {"url": receiver.url, "content_type": "json"}, active=False)
    repo.get_commit(sha).create_status("failure")
    hook.ping()
    receiver.wait("ping", 2)
    assert receiver.events() == ["ping", "status", "ping"]


def test_a_form_carries_the_payload_and_is_signed_as_it_is(repo: Repository, receiver: Receiver) -> None:
    hook = hooked(repo, receiver, "push", content_type="form")
    finished(repo, hook, 1)
    (sent,) = receiver.sent
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.is_signed
    (payload,) = parse_qs(sent.body.decode())["payload"]
    assert json.loads(payload)["hook_id"] == hook.id


def test_a_test_sends_the_latest_push(repo: Repository, receiver: Receiver, clone: "Clone") -> None:
    hook = hooked(repo, receiver, "push")
    hook.test()
    (push,) = receiver.wait("push")
    assert (push.payload["ref"], push.payload["after"]) == (
        "refs/heads/main",
        clone.git("rev-parse", "origin/main"),
    )
    assert [commit["added"] for commit in push.payload["commits"]] == [["README.md"]]


def test_the_log_and_sending_again(
    forge: "ForgeProcess", repo: Repository, receiver: Receiver, clone: "Clone"
) -> None:
    hook = hooked(repo, receiver, "status")
    sha = clone.branch("topic")
    receiver.status = 404
    repo.get_commit(sha).create_status("success", context="ci")
    first, ping = finished(repo, hook, 2)
    assert set(first) >= ITEM
    assert (first["event"], first["status"], first["status_code"], first["redelivery"]) == (
        "status",
        "Invalid HTTP Response: 404",
        404,
        False,
    )
    assert (ping["event"], ping["status"], ping["status_code"]) == ("ping", "OK", 200)
    assert repo.get_hook(hook.id).raw_data["last_response"]["code"] == 404
    whole = repo.get_hook_delivery(hook.id, int(str(first["id"])))
    (sent,) = receiver.wait("status")
    assert (whole.guid, whole.url) == (sent.guid, receiver.url)
    assert whole.raw_data["request"]["payload"] == sent.payload
    signature = whole.raw_data["request"]["headers"]["X-Hub-Signature-256"]
    assert signature == sent.headers["x-hub-signature-256"]
    assert whole.raw_data["response"]["payload"] == "Thanks"
    receiver.status = 202
    answer = httpx.post(
        f"{repo.url}/hooks/{hook.id}/deliveries/{first['id']}/attempts",
        headers={"Authorization": f"token {forge.token}"},
    )
    assert (answer.status_code, answer.json()) == (202, {})
    again = receiver.wait("status", 2)[1]
    assert (again.guid, again.body) == (sent.guid, sent.body)
    newest = finished(repo, hook, 3)[0]
    assert (newest["guid"], newest["redelivery"], newest["status"]) == (first["guid"], True, "OK")
    with pytest.raises(UnknownObjectException):
        repo.get_hook_delivery(hook.id, 10**6)


def test_the_log_is_paged_by_cursor(forge: "ForgeProcess", repo: Repository, receiver: Receiver) -> None:
    hook = hooked(repo, receiver, "push")
    for _ in range(4):
        hook.ping()
    every = [delivery["id"] for delivery in finished(repo, hook, 5)]
    seen: list[int] = []
    url: str | None = f"{repo.url}/hooks/{hook.id}/deliveries?per_page=2"
    while url:
        answer = httpx.get(url, headers={"Authorization": f"token {forge.token}"})
        seen += [delivery["id"] for delivery in answer.json()]
        url = answer.links.get("next", {}).get("url")
    assert seen == every


def test_what_cannot_be_delivered_is_logged_and_not_tried_again(repo: Repository, receiver: Receiver) -> None:
    silent = Receiver()
    hook = repo.create_hook("web", {"url": silent.url, "content_type": "json"}, ["push"])
    (ping,) = finished(repo, hook, 1)
    assert (ping["status"], ping["status_code"]) == ("failed to connect to host", 502)
    with silent.listening():
        hook.ping()
        silent.wait("ping")
        time.sleep(0.3)
        assert silent.events() == ["ping"], "only the second"


def test_one_that_keeps_it_waiting_is_given_up_and_delays_no_other(
    repo: Repository, receiver: Receiver
) -> None:
    with Receiver(delay=30).listening() as slow:
        begun = time.monotonic()
        hook = repo.create_hook("web", {"url": slow.url, "content_type": "json"}, ["push"])
        slow.wait("ping")
        slow.delay = 0
        hooked(repo, receiver, "push")
        assert time.monotonic() - begun < 25
        hook.ping()
        (_, late) = finished(repo, hook, 2)
        assert (late["status"], late["status_code"]) == ("timed out", 504)
        assert 9 < float(str(late["duration"])) < 12
