"""The SDK's workflow sandbox, in which histories are replayed: it refuses clocks, chance, files (ADR 12)."""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

REPLAY_RUNNER: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "kit",
        "models",
        "gateways",
        "activities",
        "pydantic",
        "pydantic_core",
        "sqlmodel",
        "sqlalchemy",
        "structlog",
        "orjson",
        "uuid_utils",
        "anthropic",
        "e2b",
        "github",
        "httpx",
        "httpx2",
        "cryptography",
    )
)
"""These modules are imported once for all workflows, as they hold no workflow state."""
