"""The deployment of a worker: which build it is, and which changes of workflows it begins with (ADR 26)."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PatchActivationInput,
    UnsandboxedWorkflowRunner,
    WorkerDeploymentConfig,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)

from kit.settings import Settings
from worker.registry import LONG_LIVED_WORKFLOWS

DEFAULT_DEPLOYMENT_NAME: Final = "codecourier"
"""The deployment's name in Temporal, unless the settings name one."""
PACKAGES: Final = ("kit", "models", "gateways", "activities", "workflows", "worker")
"""The code that decides what a worker does."""
_PATCH: Final = re.compile(r"(\d+(?:\.\d+)*)/.+")


def build_of(settings: Settings) -> str:
    """How Temporal's histories name this code: the commit that it was built from, where the settings tell.

    Without that it is the version with a hash of the source, so that different code has different names.
    """
    return settings.codecourier_build or f"{version('codecourier')}+{_hash_of_source()}"


def deployment_of(settings: Settings) -> WorkerDeploymentConfig:
    """Worker Versioning where the settings ask for it; otherwise only the build's name in the histories.

    A workflow stays on the build that it was started on, unless it is one of those that live long: see
    `runner_of`.
    """
    name = settings.temporal_worker_deployment
    behavior = VersioningBehavior.PINNED if name else VersioningBehavior.UNSPECIFIED
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(
            deployment_name=name or DEFAULT_DEPLOYMENT_NAME, build_id=build_of(settings)
        ),
        use_worker_versioning=name is not None,
        default_versioning_behavior=behavior,
    )


def runner_of(settings: Settings) -> WorkflowRunner:
    """Workers run workflow code as it is (ADR 12)."""
    return UpgradingRunner() if settings.temporal_worker_deployment else UnsandboxedWorkflowRunner()


class UpgradingRunner(UnsandboxedWorkflowRunner):
    """With Worker Versioning: what lives long moves on to the current build with its next task.

    A definition cannot say so itself: without Worker Versioning the server refuses every task that does.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        if det.info.workflow_type in LONG_LIVED_WORKFLOWS:
            moving = replace(det.defn, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
            det = replace(det, defn=moving)
        return super().create_instance(det)


def patch_activation(last: str | None) -> Callable[[PatchActivationInput], bool]:
    """For a worker's `patch_activation_callback`: see `is_patch_active`."""
    return lambda patch: is_patch_active(patch.patch_id, last)


def is_patch_active(patch_id: str, last: str | None) -> bool:
    """Whether a workflow that comes to this patch begins with the new commands; always, without `last`.

    A patch is named `<version that brought it>/<what>`.  Those of later versions than `last` are left alone,
    so that workers of that version can still take over every workflow.  What has begun with them goes on.
    """
    return last is None or _numbers(_version_of(patch_id)) <= _numbers(last)


def _version_of(patch_id: str) -> str:
    """Patches without a version are older than all that have one."""
    named = _PATCH.fullmatch(patch_id)
    return named[1] if named else "0"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _hash_of_source() -> str:
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
