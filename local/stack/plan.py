"""Which parts a stack has, where they listen and which secrets they share: decided before anything starts.

Setting `DATABASE_URL`, `TEMPORAL_ADDRESS`, `E2B_API_KEY`, `ANTHROPIC_API_KEY` or `GITHUB_TOKEN` replaces the
embedded part by the real one; production reads the very same variables.
"""

import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from local.stack.ports import LOOPBACK, free_ports, is_free
from local.stack.private_files import read_or_create_secret
from local.stack.process import StartError, python_environment
from local.stack.temporal import NAMESPACE

PORTS = ("api", "postgres", "temporal", "temporal_ui", "sandboxes", "forge", "model")
REPLACING_VARIABLES = {
    "postgres": "DATABASE_URL",
    "temporal": "TEMPORAL_ADDRESS",
    "sandboxes": "E2B_API_KEY",
    "model": "ANTHROPIC_API_KEY",
    "forge": "GITHUB_TOKEN",
}
GITHUB_APP_VARIABLE = "GITHUB_APP_ID"
"""A GitHub App replaces the forge as a token does."""
WORKER_GRACE_SECONDS = 10
"""How long an embedded worker lets its activities finish: whoever says `down` waits for it."""
STACK_VARIABLE = "CODECOURIER_STACK"
PARTS = ("postgres", "temporal", "api", "worker", "sandboxes", "forge", "model")


@dataclass(frozen=True)
class Plan:
    """One stack: its directory, its ports, the environment of the command that starts it."""

    directory: Path
    ports: Mapping[str, int]
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    scenarios: tuple[Path, ...] = ()
    """Directories of scenario files for the scripted model, tried before the built-in ones."""

    def is_embedded(self, part: str) -> bool:
        names = (REPLACING_VARIABLES.get(part, ""), *((GITHUB_APP_VARIABLE,) if part == "forge" else ()))
        return not any(self.environment.get(name) for name in names)

    def log(self, part: str) -> Path:
        return self.directory / "logs" / f"{part}.log"

    @property
    def mark(self) -> dict[str, str]:
        """In the environment of every part, so that what it leaves behind is known as this stack's."""
        return {STACK_VARIABLE: str(self.directory)}

    def key(self, name: str) -> str:
        """A secret of this stack, kept in `keys/` and made up on first use."""
        generate = _GENERATORS.get(name, lambda: secrets.token_urlsafe(32))
        return read_or_create_secret(self.directory / "keys" / name, generate)

    def url(self, part: str) -> str:
        """The address of an embedded HTTP part."""
        return f"http://{LOOPBACK}:{self.ports[part]}"

    @property
    def webhook_secret(self) -> str:
        """What the forge signs its webhooks with, and the API knows them by."""
        return self.environment.get("GITHUB_WEBHOOK_SECRET") or self.key("github_webhook_secret")

    def settings(self, database_url: str) -> dict[str, str]:
        """What the API and the worker are told about the embedded parts."""
        values = {
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEYS": self.environment.get("ENCRYPTION_KEYS") or self.key("encryption_keys"),
        }
        for grace in ("WORKER_GRACE_SECONDS", "AGENTS_GRACE_SECONDS"):
            values[grace] = self.environment.get(grace) or str(WORKER_GRACE_SECONDS)
        values["WEBHOOK_ALLOW_PRIVATE"] = self.environment.get("WEBHOOK_ALLOW_PRIVATE") or "1"
        if self.is_embedded("temporal"):
            values["TEMPORAL_ADDRESS"] = f"{LOOPBACK}:{self.ports['temporal']}"
            values |= {"TEMPORAL_NAMESPACE": NAMESPACE, "TEMPORAL_UI_URL": self.url("temporal_ui")}
        if self.is_embedded("sandboxes"):
            url = self.url("sandboxes")
            values |= {"E2B_API_KEY": self.key("e2b_api_key"), "E2B_API_URL": url, "E2B_SANDBOX_URL": url}
        if self.is_embedded("model"):
            values["ANTHROPIC_API_KEY"] = self.key("anthropic_api_key")
            values["ANTHROPIC_BASE_URL"] = self.url("model")
        if self.is_embedded("forge"):
            url, spacing = self.url("forge"), self.environment.get("GITHUB_WRITE_SPACING_SECONDS", "0")
            values |= {"GITHUB_TOKEN": self.key("forge_token"), "GITHUB_WRITE_SPACING_SECONDS": spacing}
            values |= {"GITHUB_URL": url, "GITHUB_API_URL": f"{url}/api/v3"}
            values["GITHUB_WEBHOOK_SECRET"] = self.webhook_secret
        return values

    def application_environment(self, database_url: str) -> dict[str, str]:
        """The environment of the API and the worker: the caller's, with the embedded parts' addresses."""
        own = {**self.environment, **self.settings(database_url), **python_environment()}
        direct = [host for host in own.get("NO_PROXY", "").split(",") if host]
        return {**own, "NO_PROXY": ",".join([*direct, LOOPBACK, "localhost"])}


def choose_ports(
    given: Mapping[str, int], kept: Mapping[str, int], running: Collection[str]
) -> dict[str, int]:
    """A port for each of `PORTS`: the one given, else the one of the last start, else a free one.

    given: by the caller; kept: of the last start; running: parts of this stack, which hold their ports.
    Raises `StartError` when a given port is taken by another program.
    """
    chosen: dict[str, int] = {}
    for name, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        part = name.removesuffix("_ui")
        port = given.get(name) or kept.get(name) or free
        if part in running and name in kept:
            port = kept[name]
        elif not is_free(port):
            if name in given:
                raise StartError(
                    f"port {port} for {name} is taken by another program; choose another, or none"
                )
            port = free
        chosen[name] = port
    return chosen


_GENERATORS = {
    "encryption_keys": lambda: Fernet.generate_key().decode(),
    "api_key": lambda: f"cc_live_{secrets.token_urlsafe(32)}",
}
