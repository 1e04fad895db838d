"""How workers run workflow code: in the SDK's sandbox, entered once for every workflow task.

The SDK enters it again for every payload and each of its three passes over them, to ask what the payload
is for.  Our converter makes nothing of the answer, and asking took 2 ms of every activity (ADR 11).
"""

from dataclasses import dataclass
from typing import Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info


class _Instance(WorkflowInstance):
    """A workflow's execution whose payloads mean the same, whatever they are for."""

    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: object) -> None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()


@dataclass(frozen=True)
class _Runner(SandboxedWorkflowRunner):
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Instance(super().create_instance(det))


RUNNER: Final = _Runner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "kit", "models", "gateways", "activities", "pydantic", "pydantic_core", "sqlmodel", "sqlalchemy",
        "structlog", "orjson", "uuid_utils", "anthropic", "e2b", "github", "httpx", "httpx2", "cryptography",
    )
)  # fmt: skip
"""These modules are imported once for all workflows, as they hold no workflow state."""
