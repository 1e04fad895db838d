"""How large a sandbox may become, as far as its creator said so.

E2B sizes sandboxes by their template, and its protocol has no field for it: this server, which has no
templates, reads `memoryMb` and `cpuCount` of the metadata.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

MEMORY_MB = 8192
DISK_MB = 10_240
_FILES_PER_MB = 128  # twice as many as ext4 by default makes room for
_MIN_MEMORY_MB = 128  # what envd itself needs


@dataclass(frozen=True)
class Size:
    """Never more than this host has; the disk is that of a sandbox's home and /tmp together."""

    memory_mb: int
    cpu_count: int
    disk_mb: int

    @property
    def memory_bytes(self) -> int:
        return self.memory_mb << 20

    @property
    def disk_bytes(self) -> int:
        return self.disk_mb << 20

    @property
    def disk_files(self) -> int:
        """How many files and directories it may have."""
        return self.disk_mb * _FILES_PER_MB


def size_of(metadata: Mapping[str, str], disk_mb: int) -> Size:
    host_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    host_processors = os.cpu_count() or 1
    memory = _parse_number(metadata.get("memoryMb")) or MEMORY_MB
    processors = _parse_number(metadata.get("cpuCount")) or host_processors
    return Size(min(max(memory, _MIN_MEMORY_MB), host_memory), min(processors, host_processors), disk_mb)


def _parse_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
