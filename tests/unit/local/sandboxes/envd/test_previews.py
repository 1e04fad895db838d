"""Servers in a sandbox are reached from outside at the host of their port."""

import httpx
from e2b import AsyncSandbox

from tests.support.sandbox_server import SandboxServer

SERVE = "cd /tmp && echo hello >page.txt && setsid nohup python3 -m http.server 3000 >/dev/null 2>&1 &"


async def test_a_server_is_reached_by_host(server: SandboxServer, sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run(SERVE)
    headers = {"Host": f"3000-{sandbox.sandbox_id}.localhost:{server.port}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        for _ in range(100):
            if (answer := await http.get("/page.txt?x=1")).status_code != 502:
                break
        assert (answer.status_code, answer.text) == (200, "hello\n")
        assert (await http.post("/page.txt", content=b"x" * 100_000)).status_code == 501
        closed = await http.get("/", headers={"Host": f"3001-{sandbox.sandbox_id}.localhost"})
        assert closed.status_code == 502
        assert "port 3001" in closed.text
        unknown = await http.get("/", headers={"Host": "3000-nobody.localhost"})
        assert unknown.status_code == 502


async def test_the_port_of_envd_is_not_a_way_around_its_token(
    server: SandboxServer, sandbox: AsyncSandbox
) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        inside = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Preview-Port": "3000"}
        assert (await http.get("/health", headers=inside)).status_code == 401
