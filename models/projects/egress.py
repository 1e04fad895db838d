"""Egress: how far into the internet a project's sandboxes reach, by what they are for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from kit.schemas import Body
from models.sandboxes.sandbox import SandboxPurpose

_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HostPattern = Annotated[
    str, Field(max_length=253, pattern=rf"^(\*\.)?({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?$")
]
"""A host by its name in lower case, or all hosts below one: `example.com`, `*.example.com`; no address."""
SCAN_PREFIXES: Final = ("is", "as")
"""The prefixes of jobs that only read a repository."""


class EgressMode(StrEnum):
    """How far sandboxes reach: nowhere (`off`), to the project's `list` of hosts, or to `everything` that is
    of the public internet. Private networks and the metadata services of clouds are never reached."""

    off = "off"
    list = "list"
    everything = "everything"

    def narrower(self, other: "EgressMode | None") -> "EgressMode":
        """The one that reaches less."""
        order = [*EgressMode]
        return self if other is None else order[min(order.index(self), order.index(other))]


class EgressPolicy(Body):
    """How far the sandboxes of a project reach into the internet, by what they are for."""

    work: EgressMode = EgressMode.everything
    """Sandboxes in which work is done: of runs, of merges, and one's own."""
    checks: EgressMode = EgressMode.list
    """Fresh sandboxes in which work is assessed: by steps that check, review, evaluate or judge it, by
    `verify` and by the checks of merges."""
    scans: EgressMode = EgressMode.list
    """Sandboxes of issue scans and answering sessions, which read only."""
    hosts: Annotated[list[HostPattern], Field(max_length=200)] = Field(default_factory=list)
    """The hosts of `list`, in lower case: `example.com` is that host, `*.example.com` are all below it. Empty
    at first, so that `list` reaches nothing: name the package indexes that setup scripts and checks need."""

    def egress(self, job_id: str, purpose: SandboxPurpose, asked: EgressMode | None) -> "Egress":
        """How far a sandbox of a job reaches; what its blueprint asked for never widens it."""
        if purpose is SandboxPurpose.verification:
            mode = self.checks
        elif job_id.split("_", 1)[0] in SCAN_PREFIXES:
            mode = self.scans
        else:
            mode = self.work
        return Egress(mode.narrower(asked), tuple(self.hosts))


@dataclass(frozen=True)
class Egress:
    """How far one sandbox reaches."""

    mode: EgressMode
    hosts: tuple[str, ...] = ()
    """Those of `list`."""


UNRESTRICTED_EGRESS: Final = Egress(EgressMode.everything)
