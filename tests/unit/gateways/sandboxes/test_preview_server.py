"""The preview server that a sandbox's own Python starts and stops, on this machine."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateways.sandboxes import inspection_program
from tests.support.waiting import TEST_TIMEOUT_SECONDS

SOURCE = Path(inspection_program.__file__).read_text()


@dataclass(frozen=True)
class Home:
    """A home directory of its own on this machine."""

    path: Path

    def do(self, *words: str) -> dict[str, Any]:
        source = SOURCE.replace('HOME = "/home/user"', f"HOME = {str(self.path)!r}")
        source = source.replace("STOP_SECONDS = 5.0", "STOP_SECONDS = 1.0")
        program = [sys.executable, "-IS", "-c", source, *words]
        answer: dict[str, Any] = json.loads(subprocess.run(program, capture_output=True, check=True).stdout)
        return answer

    @property
    def preview(self) -> Path:
        return self.path / ".codecourier/preview"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Nothing is left at work in it."""
    made = Home(tmp_path)
    yield made
    made.do("preview-stop")


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "server",
    ["trap '' TERM; {here}; while :; do sleep 0.1; done", "(trap '' TERM; {here}; exec sleep 60) & exit 0"],
)
def test_what_does_not_heed_it_is_stopped_too(home: Home, server: str) -> None:
    home.do("preview-start", server.format(here="echo $BASHPID >pid"), "8123")
    told = home.path / "pid"
    wait_for(lambda: told.exists() and told.read_text().endswith("\n"))
    assert inspection_program.read_process(int(told.read_text()))
    assert home.do("preview-stop")["state"] == "stopped"
    assert inspection_program.read_process(int(told.read_text())) is None


def test_a_process_that_only_has_its_number_is_left_alone(home: Home) -> None:
    home.do("preview-start", "sleep 60", "8123")
    state = home.preview / "state.json"
    known = json.loads(state.read_text())
    state.write_text(json.dumps({**known, "born": "1"}))
    home.do("preview-stop")
    assert inspection_program.read_process(known["pid"])
    state.write_text(json.dumps(known))


def test_half_a_line_is_not_shown(home: Home) -> None:
    home.do("preview-start", "echo short", "8123")
    wait_for(lambda: home.do("preview-state")["output"] == "short\n")
    (home.preview / "output").write_text("a" * inspection_program.TAIL_BYTES + "secret\nwhole\n")
    assert home.do("preview-state")["output"] == "whole\n"
