"""Where the parts of a running stack are, shown to the person who started it."""

from pathlib import Path

from cli.console import out
from local.stack.process import StartError
from local.stack.state import StackFile, State


def is_scripted(file: StackFile) -> bool:
    """Whether answers come from the scripted model, not from a real one."""
    return file.pids["model"] is not None


def print_addresses(file: StackFile, directory: Path) -> None:
    """Print every address; secrets stay in stack.json."""
    scripted = "  (scripted: set ANTHROPIC_API_KEY for a real model)" if is_scripted(file) else ""
    rows = {
        "API": f"{file.api_url}/api/v1",
        "Project": file.project_id,
        "Temporal UI": file.temporal_ui_url or f"(yours, at {file.temporal_address})",
        "Forge": file.forge_url,
        "Sandboxes": file.sandbox_url or "E2B",
        "Model": file.model_url + scripted,
        "Keys": f"{directory / 'stack.json'}  (apiKey and the other secrets; only you can read it)",
        "Logs": f"{directory / 'logs'}",
    }
    for name, value in rows.items():
        out.print(f"{name:<13}{value}", markup=False)


def supervised_stack(directory: Path) -> StackFile:
    """The stack that another command watches over.  Raises `StartError` while that is busy with it."""
    supervisor, file = State.read(directory).supervisor, StackFile.read(directory)
    if file is None or supervisor is None or not supervisor.is_alive:
        raise StartError(f"Another codecourier command is busy with {directory}; try again in a moment.")
    return file
