"""Temporal's development server under our launcher."""

import os
import signal
from pathlib import Path

import pytest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec

from local.stack.ports import free_ports
from local.stack.process import StartError
from local.stack.temporal import NAMESPACE, Temporal


async def test_keeps_its_state_through_a_kill(tmp_path: Path) -> None:
    port, ui_port = free_ports(2)
    server = Temporal(tmp_path / "temporal", port, ui_port, tmp_path / "temporal.log")
    first = await server.start()
    try:
        client = await Client.connect(server.address, namespace=NAMESPACE)
        action = ScheduleActionStartWorkflow("kept", id="kept", task_queue="nobody")
        await client.create_schedule("kept", Schedule(action=action, spec=ScheduleSpec()))
        os.kill(first.pid, signal.SIGKILL)
        assert await first.ended(5)
        second = await server.start()
        client = await Client.connect(server.address, namespace=NAMESPACE)
        description = await client.get_schedule_handle("kept").describe()
        assert description.id == "kept"
        await second.stop()
        assert not second.is_alive
    finally:
        for running in (first, *({second} if "second" in locals() else ())):
            await running.stop()


async def test_a_server_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    port, ui_port = free_ports(2)
    (tmp_path / "temporal").mkdir()
    (tmp_path / "temporal" / "temporal.db").write_text("this is not a database" * 100)
    server = Temporal(tmp_path / "temporal", port, ui_port, tmp_path / "temporal.log")
    with pytest.raises(StartError, match=r"(?s)Temporal ended while starting; the end of .*temporal.log"):
        await server.start()


async def test_a_program_named_by_the_environment_is_preferred(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "temporal"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("TEMPORAL_CLI", str(program))
    server = Temporal(tmp_path, 1, 2, tmp_path / "temporal.log")
    assert server.command()[0] == str(program)
