"""Where the parts of a running stack are, shown to the person who started it."""

from pathlib import Path

from rich.table import Table

from cli.console import out
from local.state import StackFile


def show(file: StackFile, directory: Path) -> None:
    """Print every address; secrets stay in stack.json."""
    table = Table(box=None, show_header=False, pad_edge=False)
    scripted = " (scripted: set ANTHROPIC_API_KEY for a real model)" if file.pids["model"] else ""
    rows = {
        "API": f"{file.api_url}/api/v1",
        "Project": file.project_id,
        "Temporal UI": file.temporal_ui_url or f"(yours, at {file.temporal_address})",
        "Forge": file.forge_url,
        "Sandboxes": file.sandbox_url or "E2B",
        "Model": file.model_url + scripted,
        "Keys": f"{directory / 'stack.json'} (apiKey and all other secrets; only you can read it)",
        "Logs": f"{directory / 'logs'}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    out.print(table)
