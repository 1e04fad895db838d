"""Faults of the embedded sandboxes, laid by tests; `local.sandboxes.faults` says what each does."""

from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class SandboxFaults:
    """Of the sandboxes of one server."""

    url: str
    api_key: str

    async def lay(self, provider_id: str, **faults: object) -> None:
        """Let a sandbox have these faults, by their names on the wire, and no others from now on."""
        async with httpx.AsyncClient(trust_env=False, headers={"X-API-Key": self.api_key}) as http:
            answer = await http.put(f"{self.url}/sandboxes/{provider_id}/faults", json=faults)
            answer.raise_for_status()
