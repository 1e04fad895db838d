"""Deliveries survive `kill -9`, keep their order, and go to the hook of the whole forge as well."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from github import Github
from github.Repository import Repository

from local.forge.seed import seed
from local.forge.store.database import MIGRATIONS, Database
from local.forge.webhooks import hooks
from local.forge.webhooks.deliveries import (
    MAX_FINISHED_DELIVERIES,
    Outcome,
    pending_deliveries,
    record_outcome,
)
from local.forge.webhooks.events import Event, enqueue_delivery, new_guid
from tests.support.forge_webhook_receiver import SECRET, Receiver

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess


@pytest.fixture
def receiver() -> Receiver:
    """Of the whole forge; not listening yet."""
    return Receiver()


@pytest.fixture
def own_forge(forge: "ForgeProcess", receiver: Receiver, tmp_path: Path) -> Iterator["ForgeProcess"]:
    """A forge that tells everything to `receiver`."""
    process = type(forge)(tmp_path / "data", ["--webhook-url", receiver.url], SECRET)
    with receiver.listening():
        process.start()
        receiver.wait("ping")
    yield process
    process.stop()


@contextmanager
def client(own_forge: "ForgeProcess") -> Iterator[Github]:
    github = own_forge.github()
    yield github
    github.close()


def test_the_hook_of_the_whole_forge_is_told_of_every_repository(
    own_forge: "ForgeProcess", receiver: Receiver, clone_of: Callable[[Repository], "Clone"]
) -> None:
    with client(own_forge) as github, receiver.listening():
        (ping,) = receiver.sent
        assert ping.is_signed
        assert ping.payload["hook"]["type"] == "App"
        assert ping.headers["x-github-hook-installation-target-type"] == "integration"
        for name in ("one", "two"):
            repo = github.get_user().create_repo(name, auto_init=True)
            clone_of(repo).branch("topic")
            repo.create_pull(base="main", head="topic", title=name)
        told = [sent.payload for sent in receiver.wait("pull_request opened", 2)]
        assert [each["repository"]["name"] for each in told] == ["one", "two"]
        assert all(each["installation"]["id"] == 1 for each in told)
        assert github.get_repo("codecourier/one").get_hooks().totalCount == 0, "it is nobody's own"
        repo = github.get_repo("codecourier/one")
        with Receiver().listening() as other:
            repo.create_hook("web", {"url": other.url, "content_type": "json"}, ["status"])
            repo.get_commit("topic").create_status("success")
            (here,), (there,) = receiver.wait("status"), other.wait("status")
        assert here.guid == there.guid, "one event has one GUID"
        assert here.payload.pop("installation")
        own_forge.stop()
        own_forge.start()
        repo.get_commit("topic").create_status("failure")
        receiver.wait("status", 2)
        assert receiver.events().count("ping") == 1, "the same address is not pinged again"


def test_a_killed_forge_delivers_after_its_restart_in_order(
    own_forge: "ForgeProcess", receiver: Receiver, clone_of: Callable[[Repository], "Clone"]
) -> None:
    with client(own_forge) as github:
        receiver.delay = 30  # the first is under way when the forge dies, and the others wait behind it
        with receiver.listening():
            repo = github.get_user().create_repo("kept", auto_init=True)
            clone = clone_of(repo)
            sha = clone.branch("topic")
            receiver.wait("push")
            repo.create_pull(base="main", head="topic", title="Kept")
            for number in range(20):
                repo.get_commit(sha).create_status("success", context=f"ci/{number}")
            own_forge.stop(hard=True)
            receiver.delay = 0
        (cut,) = receiver.sent[1:]
        # A crash between a push and its bookkeeping: the reference moved, nothing else knows.
        moved = clone.commit("Unrecorded", more__txt="1")
        (bare,) = own_forge.data.glob("repos/*/kept.git")
        clone.git("push", "--quiet", str(bare), "topic")
        receiver.sent.clear()
        with receiver.listening():
            own_forge.start()
            receiver.wait("pull_request synchronize")
        assert receiver.events() == [
            "push",
            "pull_request opened",
            *["status"] * 20,
            "push",
            "pull_request synchronize",
        ]
        assert (receiver.sent[0].guid, receiver.sent[0].body) == (cut.guid, cut.body)
        contexts = [sent.payload["context"] for sent in receiver.sent if sent.event == "status"]
        assert contexts == [f"ci/{number}" for number in range(20)]
        assert receiver.sent[-1].payload["after"] == moved
        assert receiver.sent[-2].payload["after"] == moved


def test_without_the_address_nothing_is_told(own_forge: "ForgeProcess", receiver: Receiver) -> None:
    own_forge.stop()
    quiet = type(own_forge)(own_forge.data)
    quiet.start()
    try:
        with client(quiet) as github, receiver.listening():
            repo = github.get_user().create_repo("quiet", auto_init=True)
            repo.get_commit("main").create_status("success")
    finally:
        quiet.stop()
    with client(own_forge) as github, receiver.listening():
        own_forge.start()
        github.get_repo("codecourier/quiet").get_commit("main").create_status("failure")
        (told,) = receiver.wait("status")
    assert told.payload["state"] == "failure"
    assert receiver.events() == ["ping", "ping", "status"]


async def test_a_directory_from_before_there_were_webhooks(
    own_forge: "ForgeProcess", receiver: Receiver, clone_of: Callable[[Repository], "Clone"], tmp_path: Path
) -> None:
    before = type(own_forge)(tmp_path / "before", own_forge.flags, own_forge.webhook_secret)
    await seed(before.data, "acme", "shop", {"README.md": "# Shop"})
    file = before.data / "forge.sqlite3"
    file.unlink()
    with sqlite3.connect(file) as rows:
        rows.executescript(MIGRATIONS[0] + "; PRAGMA user_version=1")
        rows.execute(
            "INSERT INTO repositories"
            " (owner, name, private, default_branch, created_at, updated_at, pushed_at)"
            " VALUES ('acme', 'shop', 1, 'main', ?, ?, ?)",
            ("2026-01-01T00:00:00Z",) * 3,
        )
    rows.close()
    receiver.sent.clear()
    with receiver.listening():
        before.start()
        try:
            with client(before) as github:
                sha = clone_of(github.get_repo("acme/shop")).branch("topic")
            (push,) = receiver.wait("push")
        finally:
            before.stop()
    assert receiver.events() == ["ping", "push"], "what was there before is no push"
    assert push.payload["after"] == sha


async def test_the_log_is_bounded_and_the_queue_is_not(tmp_path: Path) -> None:
    database = Database(tmp_path / "forge.sqlite3")
    await hooks.configure_app_hook(database, "http://127.0.0.1:9", None, "codecourier")
    ping = Event("ping", None, "codecourier", {})

    def fill(connection: sqlite3.Connection) -> None:
        for _ in range(MAX_FINISHED_DELIVERIES + 9):
            enqueue_delivery(connection, 1, None, ping, new_guid())

    await database.transaction(fill)
    outcome = Outcome("2026-01-01T00:00:00Z", 0.1, "OK", 200, "http://127.0.0.1:9", "{}", "{}", "")
    done = 0
    while due := await pending_deliveries(database, 1, 50):
        for delivery in due[1]:
            await record_outcome(database, delivery, outcome)
            done += 1
    assert (done, await database.count("deliveries")) == (
        MAX_FINISHED_DELIVERIES + 10,
        MAX_FINISHED_DELIVERIES,
    )
    database.close()
