"""The scripted agents of the whole demo: every change does what it says, and passes the tests."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.demo.chains import REPORT, SPRINTS
from cli.demo.issues import SCAN_PROMPT
from cli.demo.merging import CHECK
from cli.demo.repository import FILES, PROMPT
from local.model.scenarios import BUILT_IN_SCENARIOS, Scenario, find_scenario, load
from tests.support.waiting import TEST_TIMEOUT_SECONDS

REPOSITORY = "/home/user/repo/"
SCENARIOS = load([BUILT_IN_SCENARIOS])
TOOLS = {"bash", "str_replace_based_edit_tool", "search", "finish"}
FLAG = f"<task>\n{PROMPT}\n</task>\n\nIteration 1 of 3."
Shell = Callable[[str], str]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs a command in the demo's repository, which must succeed; what it printed."""

    def run(command: str) -> str:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TEST_TIMEOUT_SECONDS,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    run("git init -q -b main && git add . && git -c user.name=T -c user.email=t@example.com commit -qm Start")
    return run


def play(shell: Shell, directory: Path, scenario: Scenario) -> None:
    """Do what the agent does, and see that the demo's tests pass after it."""
    for call in (call for turn in scenario.turns for call in turn.tool_calls):
        match call.input.get("command"):
            case "view" | None:
                continue
            case "create":
                file = _file(directory, call.input["path"])
                file.parent.mkdir(exist_ok=True)
                file.write_text(str(call.input["file_text"]))
            case "str_replace":
                file = _file(directory, call.input["path"])
                assert file.read_text().count(str(call.input["old_str"])) == 1
                new = file.read_text().replace(str(call.input["old_str"]), str(call.input["new_str"]))
                file.write_text(new)
            case command:
                shell(str(command))
    shell(CHECK)


def designer(task: str) -> Scenario:
    return find_scenario(SCENARIOS, "designer", task, TOOLS)


def reported() -> dict[str, str]:
    """What the scout reports: prompts by titles."""
    scenario = find_scenario(SCENARIOS, "investigator", SCAN_PROMPT, TOOLS | {"report_issue"})
    calls = [call for turn in scenario.turns for call in turn.tool_calls if call.name == "report_issue"]
    return {str(call.input["title"]): str(call.input["suggested_prompt"]) for call in calls}


def test_the_issues_are_real_and_the_first_two_are_mended(shell: Shell, tmp_path: Path) -> None:
    assert shell("python3 greet.py ''") == "Hello, !\n"
    blank, python, _ = reported().values()
    play(shell, tmp_path, designer(FLAG))
    play(shell, tmp_path, designer(blank))
    assert shell("python3 greet.py '  ' --shout") == "HELLO, WORLD!\n"
    play(shell, tmp_path, designer(python))
    assert "Needs Python 3.11 or later." in (tmp_path / "README.md").read_text()


def test_the_questions_are_about_that_scan_and_the_answers_about_its_issues() -> None:
    asker = find_scenario(SCENARIOS, "answerer", f"<scan>\n{SCAN_PROMPT}\n</scan>", TOOLS)
    titles = "\n".join(reported())
    answerer = find_scenario(SCENARIOS, "answerer", f'<question number="1">\n<issues>\n{titles}', TOOLS)
    assert asker.name.startswith("demo: ")
    assert answerer.name.startswith("demo: ")


def test_every_sprint_adds_its_language(shell: Shell, tmp_path: Path) -> None:
    play(shell, tmp_path, designer(FLAG))
    for number, language in enumerate(("German", "French", "Spanish"), 1):
        told = SPRINTS.replace("{{sprint}}", str(number)).replace("{{sprintCount}}", "3")
        play(shell, tmp_path, designer(told))
        assert f"Greets in {language}: " in (tmp_path / "README.md").read_text()


def test_the_report_is_a_line_more_every_week(shell: Shell, tmp_path: Path) -> None:
    play(shell, tmp_path, designer(FLAG))
    for _ in range(2):
        play(shell, tmp_path, designer(str(REPORT["prompt"])))
    assert len((tmp_path / "reports" / "health.md").read_text().splitlines()) == 2


def _file(directory: Path, path: object) -> Path:
    return directory / str(path).removeprefix(REPOSITORY)
