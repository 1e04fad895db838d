"""The demo's story holds: one expectation fails at first, and what the scripted designer does meets it."""

import subprocess
import sys
from pathlib import Path

from cli.demo.repository import FILES, PROMPT
from local.model.scenarios import BUILT_IN_SCENARIOS, Scenario, find_scenario, load

ALL_TOOLS = {"bash", "str_replace_based_edit_tool", "search", "finish"}
REPOSITORY = "/home/user/repo/"


def scenario(role: str, iteration: int) -> Scenario:
    prompt = f"<task>\n{PROMPT}\n</task>\n\nIteration {iteration} of 3."
    return find_scenario(load([BUILT_IN_SCENARIOS]), role, prompt, ALL_TOOLS)


def edit(repository: Path, by: Scenario) -> None:
    """Do the edits of a scenario as the editor tool would: the old text must be there exactly once."""
    for call in (call for turn in by.turns for call in turn.tool_calls):
        if call.input.get("command") == "str_replace":
            path = repository / str(call.input["path"]).removeprefix(REPOSITORY)
            text, old = path.read_text(), str(call.input["old_str"])
            assert text.count(old) == 1
            path.write_text(text.replace(old, str(call.input["new_str"])))


def run_tests(repository: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "unittest", "discover", "tests", "-t", "."]
    ran = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr


def test_the_designer_s_edits_make_the_expectation_true(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    code, said = run_tests(tmp_path)
    assert code == 1
    assert "unexpected keyword argument 'shout'" in said

    edit(tmp_path, scenario("designer", 1))
    code, said = run_tests(tmp_path)
    assert (code, "Ran 3 tests" in said) == (0, True)

    edit(tmp_path, scenario("designer", 2))
    code, said = run_tests(tmp_path)
    assert (code, "Ran 4 tests" in said) == (0, True)
    assert "--shout" in (tmp_path / "README.md").read_text()


def test_the_checker_fails_the_first_iteration_and_passes_the_second() -> None:
    verdicts = [scenario("checker", number).turns[-1].tool_calls[0].input["verdict"] for number in (1, 2)]
    assert verdicts == ["fail", "pass"]
