"""Where control groups of sandboxes may be made: a place that is ours to write and that counts."""

from pathlib import Path

import pytest

from local.sandboxes.isolation.cgroups import find_parent


class Hierarchy:
    """A hierarchy of groups as the kernel shows it, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.top = directory / "cgroup"
        self.mounts, self.own = directory / "mounts", directory / "own"
        self.mounts.write_text(f"proc /proc proc rw 0 0\ncgroup2 {self.top} cgroup2 rw 0 0\n")
        self.own.write_text("0::/user/session/mine\n")
        for path in ("", "user", "user/session", "user/session/mine"):
            self.group(path, counted="")

    def group(self, path: str, *, counted: str) -> Path:
        place = self.top / path
        place.mkdir(parents=True, exist_ok=True)
        (place / "cgroup.subtree_control").write_text(counted)
        (place / "cgroup.procs").touch()
        return place

    def parent(self) -> Path | None:
        return find_parent(self.mounts, self.own)


@pytest.fixture
def hierarchy(tmp_path: Path) -> Hierarchy:
    return Hierarchy(tmp_path)


def test_the_place_beside_our_own_group_is_taken_where_it_counts(hierarchy: Hierarchy) -> None:
    assert hierarchy.parent() is None
    hierarchy.group("", counted="cpu memory pids")
    assert hierarchy.parent() == hierarchy.top
    place = hierarchy.group("user/session", counted="memory pids")
    assert hierarchy.parent() == place


@pytest.mark.parametrize("counted", ["", "cpu io", "memory", "pids"])
def test_a_place_that_does_not_count_memory_and_processes_is_none(hierarchy: Hierarchy, counted: str) -> None:
    hierarchy.group("", counted=counted)
    assert hierarchy.parent() is None


def test_a_host_without_the_second_version_has_no_place(hierarchy: Hierarchy) -> None:
    hierarchy.group("", counted="memory pids")
    hierarchy.mounts.write_text(f"cgroup {hierarchy.top}/memory cgroup rw,memory 0 0\n")
    assert hierarchy.parent() is None


def test_a_group_outside_the_mount_is_not_followed(hierarchy: Hierarchy) -> None:
    hierarchy.own.write_text("0::/../../elsewhere\n")
    assert hierarchy.parent() is None
