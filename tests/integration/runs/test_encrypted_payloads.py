"""A run whose payloads are encrypted runs as ever, and Temporal keeps nothing that its user wrote."""

import signal
from pathlib import Path
from uuid import uuid4

from cryptography.fernet import Fernet
from google.protobuf.message import Message
from temporalio.client import Client

from kit.temporal import connect
from models.runs.run import RunStatus
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.scenarios import create, finish, register_scenario
from tests.support.stack import Servers

SECRETIVE = register_scenario("secretive", create("a.txt", "a\n"), finish("Made it."))


async def test_a_run_leaves_nothing_readable_in_temporal(parts: Servers, tmp_path: Path) -> None:
    keys = f"{Fernet.generate_key().decode()},{Fernet.generate_key().decode()}"
    canary = f"canary{uuid4().hex}"
    async with open_installation(parts, "encrypted", tmp_path / "site", TEMPORAL_PAYLOAD_KEYS=keys) as site:
        await site.start_worker(TEMPORAL_PAYLOAD_KEYS=keys)
        long_name = f"{canary} „{'ä' * 300}“ {SECRETIVE}"
        run = await site.ended(await site.start(long_name))
        assert run.status is RunStatus.completed, run.error_message
        described = await site.handle(run).describe()
        summary = await described.static_summary()
        assert summary is not None
        assert canary in summary
        reader = await _without_keys(site)
        ids = [run.id, *[f"{each.id}" async for each in reader.list_workflows() if each.id != run.id]]
        stored = [await _stored(reader, workflow_id) for workflow_id in ids]
        assert len(ids) > 1, "its agent session, too"
        assert not [name for name, text in zip(ids, stored, strict=True) if canary.encode() in text]
        assert all(b"binary/encrypted" in text for text in stored)


async def test_a_run_that_fails_tells_temporal_nothing_of_its_words(parts: Servers, tmp_path: Path) -> None:
    keys = Fernet.generate_key().decode()
    canary = f"canary{uuid4().hex}"
    async with open_installation(
        parts, "encrypted-failure", tmp_path / "site", TEMPORAL_PAYLOAD_KEYS=keys
    ) as site:
        await site.start_worker(TEMPORAL_PAYLOAD_KEYS=keys)
        run = await site.ended(await site.start(SECRETIVE, base_branch=canary))
        assert run.status is RunStatus.failed
        assert canary in str(run.error_message)
        stored = await _stored(await _without_keys(site), run.id)
        assert b"Encoded failure" in stored
        assert canary.encode() not in stored


async def test_a_worker_without_the_key_suspends_a_run_until_one_comes_that_has_it(
    parts: Servers, tmp_path: Path
) -> None:
    """As when encryption is turned on, or a key rotated, while some workers are still the old ones."""
    keys = Fernet.generate_key().decode()
    async with open_installation(
        parts, "encrypted-later", tmp_path / "site", TEMPORAL_PAYLOAD_KEYS=keys
    ) as site:
        old = await site.start_worker()
        run = await site.start(SECRETIVE)

        async def is_suspended() -> bool:
            pending = (await site.handle(run).describe()).raw_description.pending_workflow_task
            return pending.attempt > 1

        await wait_until(is_suspended, "a task of the workflow fails")
        await old.stop(signal.SIGKILL, 5)
        await site.start_worker(TEMPORAL_PAYLOAD_KEYS=keys)
        assert (await site.ended(run)).status is RunStatus.completed


async def _without_keys(site: Installation) -> Client:
    """What whoever can read Temporal's database, or reach its port, reads."""
    return await connect(site.settings.model_copy(update={"temporal_payload_keys": None}))


async def _stored(reader: Client, workflow_id: str) -> bytes:
    """All that Temporal tells of a workflow: its history, its summary, its memo and its open activities."""
    handle = reader.get_workflow_handle(workflow_id)
    messages: list[Message] = [(await handle.describe()).raw_description]
    messages += [event async for event in handle.fetch_history_events()]
    return b"".join(message.SerializeToString() for message in messages)
