"""A run, watched by its events."""

import asyncio
from collections.abc import Collection
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import cast

from rich.text import Text

from cli.console import out
from cli.demo.client import Client, Json
from cli.demo.event_lines import format_event

SILENCE_SECONDS = 30.0
"""Seconds without an event after which the demo says what it knows about that."""


async def follow_run(
    client: Client,
    run_id: str,
    began: datetime,
    logs: Path,
    only: Collection[str] | None = None,
) -> None:
    """Print the events of a run as they come, until its last one; silence is explained.

    began: when the seconds that are printed begin.  only: the types that are printed; all unless given.
    """
    events = client.follow(run_id)
    coming = asyncio.ensure_future(anext(events, None))
    try:
        with out.status("working") if out.is_terminal else nullcontext():
            while True:
                if not (await asyncio.wait([coming], timeout=SILENCE_SECONDS))[0]:
                    await _explain(client, run_id, logs)
                    continue
                if (event := coming.result()) is None:
                    return
                if only is None or event["type"] in only:
                    _print(event, began)
                coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()


def _print(event: Json, began: datetime) -> None:
    if (told := format_event(event, began)) is not None:
        out.print(told)


async def _explain(client: Client, run_id: str, logs: Path) -> None:
    """Say what a silent run waits for, as far as it knows."""
    run = cast("Json", await client.get("/runs/get", id=run_id))
    waiting = cast("Json | None", run["waiting"])
    why = str(waiting["message"]) if waiting else f"the worker's log is {logs / 'worker.log'}"
    out.print(Text(f"nothing new for {SILENCE_SECONDS:.0f} s; {why}", style="yellow"))
