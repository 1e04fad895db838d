"""`codecourier demo`: one whole run, from a prompt to a pull request."""

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast

import httpx
import typer
from rich.text import Text

from cli.console import DEFAULT_DATA, DataDirectory, fail, out
from cli.demo import parts, result
from cli.demo.client import ApiError, Client, Json
from cli.demo.context import DemoContext
from cli.demo.forge import forge_client
from cli.demo.repository import PROMPT
from cli.demo.run_follower import follow_run
from cli.demo.stack import running_stack
from cli.signals import cancel_on_signals
from cli.stack.addresses import is_scripted
from local.stack.process import StartError
from local.stack.state import StackFile

WORKFLOW = "Build and check"

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
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Then all the rest: issues, questions, chains, a recurring task, merges, learnings, "
            "a budget, CI fixed by the agent, a webhook.",
        ),
    ] = False,
) -> None:
    """Show a real run: a designer and a checker change a small repository and open a pull request.

    Uses the stack of the data directory, or starts one and stops it afterwards, unless you say **--keep**.
    Without ANTHROPIC_API_KEY the model is scripted; all else is real.  Exits with 0 if the run succeeds, and
    with **--all**, which takes a minute or two, only if everything after it went well, too: an issue scan, an
    answering session, a work chain, a sprint chain that is paused and resumed, a recurring task, a pull
    request merged when CI passes, several merged into one, learnings that reach the next run, a budget that
    is reached and raised, CI fixed by the agent, and a webhook.
    """
    set_ = [name for name in ("GITHUB_TOKEN", "GITHUB_APP_ID") if os.environ.get(name)]
    if set_ and repository is None:
        fail(f"{set_[0]} is set: say with --repository where the demo may open a pull request.")
    if everything and set_ == ["GITHUB_APP_ID"]:
        fail("--all plays a CI on GitHub itself: it needs GITHUB_TOKEN, too.")
    try:
        played = _demo(data.absolute(), repository, prompt, keep=keep, everything=everything)
        succeeded = asyncio.run(played)
    except (StartError, ApiError, httpx.TransportError) as error:
        fail(str(error) or type(error).__name__)
    except asyncio.CancelledError:
        fail("Interrupted.")
    if not succeeded:
        raise typer.Exit(1)


async def _demo(
    directory: Path, repository: str | None, prompt: str, *, keep: bool, everything: bool
) -> bool:
    cancel_on_signals()
    async with running_stack(directory, keep=keep) as file, Client(file.api_url, file.api_key) as client:
        if is_scripted(file):
            words = "The model is scripted: it plays a fixed script.  Everything around it is real."
            out.print(Text(f"\n{words}\nSet ANTHROPIC_API_KEY for a real model.", style="yellow"))
        if everything and repository is not None:  # scans and recurring tasks work on the project's own
            await client.post("/project/update", {"githubRepoUrl": repository})
        workflow_id = await _get_or_create_workflow(client)
        run = await _run_once(client, file, directory / "logs", workflow_id, repository, prompt)
        if run["status"] != "completed" or not everything:
            return run["status"] == "completed"
        async with forge_client(file) as forge:
            return await parts.run_parts(
                DemoContext(client, forge, file, directory / "logs", workflow_id, run)
            )


async def _run_once(
    client: Client, file: StackFile, logs: Path, workflow_id: str, repository: str | None, prompt: str
) -> Json:
    """One whole run, watched and told; as it ended."""
    started = time.monotonic()
    body: Json = {"workflowId": workflow_id, "prompt": prompt}
    if repository is not None:
        body["githubRepoUrl"] = repository
    run = cast("Json", await client.post("/runs/start", body))
    out.print(Text.assemble(("\nPrompt  ", "bold"), prompt, "\n"))
    await follow_run(client, str(run["id"]), datetime.fromisoformat(str(run["createdAt"])), logs)
    ended = cast("Json", await client.get("/runs/get", id=str(run["id"])))
    await result.print_result(client, file, str(run["id"]))
    _print_verdict(ended, time.monotonic() - started)
    return ended


def _print_verdict(run: Json, seconds: float) -> None:
    if run["status"] == "completed":
        out.print(Text(f"\nThe run completed, {seconds:.1f} s after it was started.", style="bold green"))
        return
    error = cast("Json | None", run["error"]) or {"code": str(run["status"]).upper(), "message": None}
    out.print(Text(f"\nThe run {run['status']}: {error['code']}: {error['message'] or ''}", style="bold red"))


async def _get_or_create_workflow(client: Client) -> str:
    """The id of the workflow that the demo runs: a designer and a checker, until the check passes."""
    for workflow in await client.list_all("/workflows/list"):
        if workflow["name"] == WORKFLOW:
            return str(workflow["id"])
    created = cast("Json", await client.post("/workflows/create", {"name": WORKFLOW}))
    return str(created["id"])
