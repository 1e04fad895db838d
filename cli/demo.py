"""`codecourier demo`: one whole run, from a prompt to a pull request."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast

import httpx
import typer
from rich.text import Text

from cli import demo_result
from cli.addresses import foreground, is_scripted
from cli.client import Client, Json, Refused
from cli.console import DEFAULT_DATA, DataDirectory, Progress, fail, out
from cli.demo_repository import PROMPT
from cli.down import stop
from cli.interrupts import cancel_on_signals
from cli.prepare import prepare
from cli.progress_lines import line
from local.process import StartError
from local.stack import Stack, make_plan
from local.state import StackFile, locked

WORKFLOW = "Build and check"
SILENCE = 30.0
"""Seconds without an event after which the demo says what it knows about that."""

command = typer.Typer()


@command.command()
def demo(
    data: DataDirectory = DEFAULT_DATA,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack running that the demo started.")
    ] = False,
    repository: Annotated[
        str | None, typer.Option(help="A repository to work on; the demo brings its own.", metavar="URL")
    ] = None,
    prompt: Annotated[str, typer.Option(help="What is to be done there.")] = PROMPT,
) -> None:
    """Show a real run: a designer and a checker change a small repository and open a pull request.

    Uses the stack of the data directory, or starts one and stops it afterwards, unless you say **--keep**.
    Without ANTHROPIC_API_KEY the model is scripted; all else is real.  Exits with 0 if the run succeeds.
    """
    if os.environ.get("GITHUB_TOKEN") and repository is None:
        fail("GITHUB_TOKEN is set: say with --repository where the demo may open a pull request.")
    try:
        succeeded = asyncio.run(_demo(data.absolute(), repository, prompt, keep=keep))
    except (StartError, Refused, httpx.TransportError) as error:
        fail(str(error) or type(error).__name__)
    except asyncio.CancelledError:
        fail("Interrupted.")
    if not succeeded:
        raise typer.Exit(1)


async def _demo(directory: Path, repository: str | None, prompt: str, *, keep: bool) -> bool:
    cancel_on_signals()
    async with _stack(directory, keep=keep) as file, Client(file.api_url, file.api_key) as client:
        started = time.monotonic()
        if is_scripted(file):
            words = "The model is scripted: it plays a fixed script.  Everything around it is real."
            out.print(Text(f"\n{words}\nSet ANTHROPIC_API_KEY for a real model.", style="yellow"))
        body: Json = {"workflowId": await _workflow(client), "prompt": prompt}
        if repository is not None:
            body["githubRepoUrl"] = repository
        run = cast("Json", await client.post("/runs/start", body))
        out.print(Text.assemble(("\nPrompt  ", "bold"), prompt, "\n"))
        await _follow(client, run, directory / "logs")
        ended = cast("Json", await client.get("/runs/get", id=str(run["id"])))
        await demo_result.show(client, file, str(run["id"]))
        return _verdict(ended, time.monotonic() - started)


async def _follow(client: Client, run: Json, logs: Path) -> None:
    """Print the events of a run as they come; silence is explained."""
    began, run_id = datetime.fromisoformat(str(run["createdAt"])), str(run["id"])
    events = client.follow(run_id)
    coming = asyncio.ensure_future(anext(events, None))
    try:
        with out.status("working") if out.is_terminal else nullcontext():
            while True:
                if not (await asyncio.wait([coming], timeout=SILENCE))[0]:
                    await _explain(client, run_id, logs)
                    continue
                if (event := coming.result()) is None:
                    return
                if (told := line(event, began)) is not None:
                    out.print(told)
                coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()


async def _explain(client: Client, run_id: str, logs: Path) -> None:
    """Say what a silent run waits for, as far as it knows."""
    run = cast("Json", await client.get("/runs/get", id=run_id))
    waiting = cast("Json | None", run["waiting"])
    why = str(waiting["message"]) if waiting else f"the worker's log is {logs / 'worker.log'}"
    out.print(Text(f"nothing new for {SILENCE:.0f} s; {why}", style="yellow"))


def _verdict(run: Json, seconds: float) -> bool:
    if run["status"] == "completed":
        out.print(Text(f"\nThe run completed, {seconds:.1f} s after it was started.", style="bold green"))
        return True
    error = cast("Json | None", run["error"]) or {"code": str(run["status"]).upper(), "message": None}
    out.print(Text(f"\nThe run {run['status']}: {error['code']}: {error['message'] or ''}", style="bold red"))
    return False


async def _workflow(client: Client) -> str:
    """The id of the workflow that the demo runs: a designer and a checker, until the check passes."""
    for workflow in await client.all("/workflows/list"):
        if workflow["name"] == WORKFLOW:
            return str(workflow["id"])
    created = cast("Json", await client.post("/workflows/create", {"name": WORKFLOW}))
    return str(created["id"])


@asynccontextmanager
async def _stack(directory: Path, *, keep: bool) -> AsyncIterator[StackFile]:
    """The stack of a directory: the running one, or one started for the demo and stopped after it."""
    is_started_here, file = await _started(directory)
    try:
        yield file
    finally:
        if is_started_here and not keep:
            with Progress() as progress:
                await stop(directory, progress.report)
            out.print("The stack is stopped; with --keep it stays, to look around in it.")
        else:
            out.print(
                f"\nThe stack runs on.  Stop it with: codecourier down --data {directory}", markup=False
            )


async def _started(directory: Path) -> tuple[bool, StackFile]:
    """Whether the stack had to be started, and where it is."""
    with locked(directory) as is_mine:
        if not is_mine:
            return False, foreground(directory)
        progress = Progress()
        stack = Stack(make_plan(directory, {}, os.environ), prepare, progress.report)
        was_running = stack.is_running
        with progress:
            file = await stack.start()
        assert file is not None
        return not was_running, file
