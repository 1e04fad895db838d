"""Schemathesis plays the whole description against a real server: whatever it sends, the promises hold."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from api.app import create_app
from tests.support.installation import open_installation
from tests.support.pull_requests import make_key_headers
from tests.support.stack import Servers
from tests.support.uvicorn_server import run_app

pytestmark = pytest.mark.soak
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection"
)
CONFIG = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 412, 413]
"""
"""A body that is too large is refused for that, whatever else is wrong with it."""
PHASES = "examples,coverage,fuzzing"
EXAMPLES = 10
"""Of every operation, in the phase of fuzzing."""
PATIENCE = 900.0
STREAMS = "follow.*"
"""Operations that answer until somebody hangs up."""


async def test_description_holds_whatever_is_sent(parts: Servers, tmp_path: Path) -> None:
    """No 5xx, no status or body that is not documented, no request accepted that breaks its schema."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert command is not None
    async with open_installation(parts, "fuzzed", tmp_path / "site") as site:
        url = f"{site.settings.github_url}/{await site.repository()}"
        headers = await make_key_headers(site, (await site.project(github_repo_url=url)).id)
        app = create_app(site.settings)
        async with app.router.lifespan_context(app), run_app(app) as url:
            process = await asyncio.create_subprocess_exec(
                command,
                "run",
                f"{url}/api/v1/openapi.json",
                f"--url={url}",
                f"--checks={CHECKS}",
                f"--phases={PHASES}",
                f"--max-examples={EXAMPLES}",
                f"--header=Authorization: {headers['Authorization']}",
                f"--exclude-operation-id-regex={STREAMS}",
                "--generation-deterministic",
                "--continue-on-failure",
                "--workers=2",
                "--warnings=off",
                "--no-color",
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(PATIENCE):
                output, _ = await process.communicate()
    lines = [line[:300] for line in output.decode().splitlines()]
    assert process.returncode == 0, "\n".join(lines[-200:])
