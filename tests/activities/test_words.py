"""What agents, pull requests and operators are told."""

import pytest
from sqlalchemy.exc import OperationalError

from activities.failures import as_application_error
from activities.prompts import StepPrompt, folder, system_prompt, user_prompt
from activities.pull_request_text import LONGEST, body_of
from activities.step_outputs import StepOutput
from gateways.agent_errors import ContextTooLong, TurnCut
from gateways.errors import CredentialRefused, ProviderLimit, SandboxGone, UpstreamFailed
from kit.errors import Conflict, Unavailable
from models.asset import ScriptLanguage
from models.blueprint import BlueprintConfig
from models.job_snapshot import ScriptSnapshot, SkillSnapshot, Snapshot, StepSnapshot, TextAsset
from models.persona import StepRole, ThinkingEffort
from models.run import Run
from models.run_step import Verdict

FAILURES = [
    (ProviderLimit("slow", 7.0), "PROVIDER_LIMIT", True),
    (SandboxGone("gone"), "SANDBOX_GONE", True),
    (UpstreamFailed("down"), "UPSTREAM_FAILED", False),
    (TurnCut("cut"), "TURN_CUT", False),
    (ContextTooLong("long"), "CONTEXT_TOO_LONG", True),
    (CredentialRefused("no"), "CREDENTIAL_REFUSED", True),
    (Conflict("state"), "CONFLICT", True),
    (Unavailable("db"), "UNAVAILABLE", False),
    (OperationalError("SELECT", {}, Exception("x")), "UNAVAILABLE", False),
    (ConnectionResetError("x"), "UPSTREAM_FAILED", False),
    (KeyError("secret-in-a-key"), "INTERNAL", True),
]


@pytest.mark.parametrize(("error", "code", "final"), FAILURES)
def test_a_failure_has_a_code_and_says_whether_to_try_again(error: Exception, code: str, final: bool) -> None:
    failure = as_application_error(error)
    assert (failure.type, failure.non_retryable) == (code, final)
    assert "secret" not in failure.message
    assert as_application_error(failure) is failure


def test_the_time_that_a_provider_names_is_kept() -> None:
    assert as_application_error(ProviderLimit("slow", 7.0)).details == (7.0,)


def a_step(index: int, role: StepRole) -> StepSnapshot:
    return StepSnapshot(
        index=index, role=role, label=role.value.capitalize(), model="m", thinking_effort=ThinkingEffort.low,
        instructions="Do it well.", loop_id="build", loop_max_iterations=3, max_turns=1,
        context=TextAsset(name="Architecture", content="Rooms."),
        pre_scripts=[ScriptSnapshot(name="s", content="", language=ScriptLanguage.bash)],
    )  # fmt: skip


SNAPSHOT = Snapshot(
    blueprint_version=1, prompt="Add a flag.", config=BlueprintConfig(), base_branch=None, branch_name="b",
    steps=[a_step(0, StepRole.designer), a_step(1, StepRole.checker)], claude_md="Be brief.",
    sandbox_system_prompt="House rules.", skills=[SkillSnapshot(name="Web & Co", files=[])],
    commands=[TextAsset(name="write-tests", content="…")], git_name="n", git_email="e",
)  # fmt: skip
FIRST = StepOutput(0, 1, "Designer", "Made it.", None, None)
CHECK = StepOutput(1, 1, "Checker", "Looked.", Verdict.failed, "The test is missing.")


def test_the_system_prompt_names_the_role_first_and_all_that_the_project_brings() -> None:
    told = system_prompt(SNAPSHOT, SNAPSHOT.steps[0])
    assert told.startswith("Role: designer\n")
    for part in ("Do it well.", "House rules.", "Be brief.", "# Architecture", "web-co/", "/write-tests"):
        assert part in told


def test_the_designer_is_told_the_feedback_and_the_checker_is_not() -> None:
    designer = user_prompt(StepPrompt(SNAPSHOT, SNAPSHOT.steps[0], 2, [FIRST, CHECK]))
    assert "<task>\nAdd a flag.\n</task>" in designer
    assert "Iteration 2 of 3." in designer
    assert "<feedback>\nThe test is missing.\n</feedback>" in designer
    checker = user_prompt(StepPrompt(SNAPSHOT, SNAPSHOT.steps[1], 2, [FIRST, CHECK]))
    assert "<feedback>" not in checker
    assert "Made it." in checker


def test_only_the_last_iterations_feedback_counts() -> None:
    passed = StepOutput(1, 2, "Checker", "Fine.", Verdict.passed, None)
    assert "<feedback>" not in user_prompt(StepPrompt(SNAPSHOT, SNAPSHOT.steps[0], 3, [FIRST, CHECK, passed]))


def test_a_pull_request_says_what_was_asked_done_and_checked() -> None:
    run = Run(
        project_id="prj", run_number=7, name="n", prompt="Add a flag.", github_repo_url="u",
        repository_slug="o/r", blueprint_id="wf", blueprint_name="Build",
    )  # fmt: skip
    body = body_of(run, [FIRST, CHECK])
    for part in ("> Add a flag.", "Made it.", "asked for changes", "The test is missing.", "did not pass"):
        assert part in body
    huge = StepOutput(0, 1, "Designer", "x" * 100_000, None, None)
    assert len(body_of(run, [huge] * 50)) <= LONGEST


@pytest.mark.parametrize(
    ("name", "expected"), [("React & Co.", "react-co"), ("../../etc", "etc"), ("…", "skill")]
)
def test_a_skills_folder_cannot_lead_anywhere_else(name: str, expected: str) -> None:
    assert folder(name) == expected
