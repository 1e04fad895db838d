"""What a finished run of the demo left: pull request, diff, conversation, cost."""

from typing import cast

from pydantic import JsonValue
from rich.syntax import Syntax
from rich.text import Text

from cli.console import out
from cli.demo.client import Client, Json
from cli.demo.event_lines import format_tool_call, shorten
from cli.demo.forge import forge_client
from cli.stack.addresses import is_scripted
from local.stack.state import StackFile


async def print_result(client: Client, file: StackFile, run_id: str) -> None:
    """Print everything about a run that a reviewer wants to see."""
    run = cast("Json", await client.get("/runs/detail", id=run_id))
    await _conversation(client, run)
    await _diff(file, run)
    tokens = cast("dict[str, int]", run["tokenUsage"])
    _title("Result")
    out.print(f"Pull request  {run['prUrl'] or '(none: nothing was changed)'}", markup=False)
    out.print(
        f"Tokens        {tokens['input']:,} in, {tokens['output']:,} out,"
        f" {tokens['cacheRead']:,} read from and {tokens['cacheWrite']:,} written to the cache",
        markup=False,
    )
    paid = "  (what these tokens would cost; a scripted model costs nothing)" if is_scripted(file) else ""
    out.print(f"Cost          ${cast('float', run['costUsd']):.4f}{paid}", markup=False)
    if file.temporal_ui_url:
        page = f"namespaces/{file.temporal_namespace}/workflows/{run['id']}"
        out.print(f"Temporal UI   {file.temporal_ui_url}/{page}", markup=False)


async def _conversation(client: Client, run: Json) -> None:
    _title("Conversation")
    labels = {
        step["id"]: f"{step['label']}, iteration {step['iteration']}" for step in _objects(run["steps"])
    }
    out.print(f"{len(labels)} sessions: {'; '.join(labels.values())}", markup=False)
    sandboxes = await client.list_all("/sandboxes/list", runId=str(run["id"]))
    for sandbox in reversed(sandboxes):
        for message in await client.list_all("/sandboxes/messages", id=str(sandbox["id"])):
            _message(message)


def _message(message: Json) -> None:
    """A message in a few lines: what was said, and which tools were called."""
    blocks = [cast("Json", told["payload"]) for told in _objects(message["transcriptEvents"])]
    if message["role"] == "user":
        words = shorten(str(message["content"]).replace("<task>", "").strip())
        if words:
            out.print(Text.assemble(("\nuser       ", "bold"), words))
        return
    for block in blocks:
        if block["type"] == "text":
            out.print(Text.assemble(("assistant  ", "bold"), shorten(block["text"])))
        elif block["type"] == "tool_use":
            given = cast("Json", block["input"])
            words = f"finish: {shorten(given.get('summary'))}" if block["name"] == "finish" else ""
            out.print(Text.assemble(("  tool     ", "cyan"), words or format_tool_call(block["name"], given)))


async def _diff(file: StackFile, run: Json) -> None:
    """The pull request's changes, asked of the forge (or GitHub) itself."""
    if run["prNumber"] is None:
        return
    async with forge_client(file) as http:
        answer = await http.get(f"/repos/{run['repositorySlug']}/pulls/{run['prNumber']}/files")
    _title("Diff")
    if answer.is_error:
        out.print(f"The forge answered {answer.status_code}; see {run['prUrl']}", markup=False)
        return
    for changed in answer.json():
        name = changed["filename"]
        diff = f"--- a/{name}\n+++ b/{name}\n{changed.get('patch', '(binary)')}"
        out.print(Syntax(diff, "diff", background_color="default") if out.is_terminal else Text(diff))


def _title(words: str) -> None:
    out.print(Text(f"\n{words}", style="bold"))


def _objects(value: JsonValue) -> list[Json]:
    return cast("list[Json]", value)
