"""SECURITY.md: what it says to show that a wall stands is there to be run, and so is what it links to."""

import re

from tests.support.checkout import ROOT

PAGE = (ROOT / "SECURITY.md").read_text()


def test_every_wall_says_what_it_stops_by_which_tests_and_what_it_does_not_stop() -> None:
    walls = re.findall(r"^### Wall (\d+): .*?(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert walls == [str(number) for number in range(1, len(walls) + 1)]
    for wall in re.findall(r"^### Wall.*?(?=^##)", PAGE, re.MULTILINE | re.DOTALL):
        for part in ("- **Stops**", "- **Shown by**", "- **Does not stop"):
            assert part in wall, wall[:60]


def test_what_it_names_is_there() -> None:
    links = re.findall(r"\]\((?!#|https?:)([^)#]+)", PAGE)
    paths = re.findall(r"`((?:tests|api|kit|local|gateways)/[\w./]*)`", PAGE)
    assert [name for name in links + paths if not (ROOT / name).exists()] == []
    assert len(paths) > 40


def test_settings_that_it_names_are_read() -> None:
    example = (ROOT / ".env.example").read_text() + (ROOT / "README.md").read_text()
    named = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b", PAGE))
    assert {name for name in named if name not in example} == set()
