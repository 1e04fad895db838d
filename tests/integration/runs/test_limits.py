"""How far a run may go, and what it says when it may not go further."""

from asyncio import Task

import pytest

from kit.crypto import Vault, last_four
from models import Project, ProviderKey
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.projects.provider_key import Provider
from models.runs.run import RunStatus
from models.runs.run_step import StepStatus
from tests.support.installation import ONE_DESIGNER_STEP, Installation, open_installation
from tests.support.outcomes import RunOutcome, start_outcomes
from tests.support.scenarios import bash, finish, register_scenario, with_faults
from tests.support.stack import Servers

ENDLESS = register_scenario("endless", bash("date >> dates.txt"))
TELLING = register_scenario("telling-much", bash("echo $TOKEN >> token.txt"))
TALKING = register_scenario("talking", {"toolCalls": [], "text": "Shall I go on?"})
WAVERING = register_scenario("wavering", {"toolCalls": [], "text": "Shall I?"}, finish("I did."))
REFUSING = register_scenario("refusing", with_faults(finish(), "refusal"))
CUT = register_scenario(
    "cut-answer",
    with_faults({**bash("echo half >> cut.txt"), "text": "I write it down."}, "maxTokens"),
    bash("echo whole >> cut.txt"),
    finish("Whole."),
)
THREE_TURNS = [PipelineStep(role=StepRole.designer, label="Work", max_turns=3)]
Outcomes = dict[str, Task[RunOutcome]]


@pytest.fixture(scope="module")
async def outcomes(site: Installation) -> Outcomes:
    refused = await _with_key(site, Provider.github, "a-token-that-nobody-gave-out")
    return start_outcomes(
        site,
        turns=site.start(f"Turns {ENDLESS}", THREE_TURNS),
        words=site.start(f"Words {TALKING}"),
        wavering=site.start(f"Wavering {WAVERING}"),
        refusing=site.start(f"Refusing {REFUSING}"),
        cut=site.start(f"Cut {CUT}"),
        refused=site.start(f"Refused {ENDLESS}", project=refused),
        secret=site.start(
            f"Secret {TELLING}", THREE_TURNS, project=await site.project({"TOKEN": "hunter2-and-more"})
        ),
    )


async def _with_key(site: Installation, provider: Provider, key: str) -> Project:
    project = await site.project()
    vault = Vault(site.settings.encryption_keys.get_secret_value())
    await site.add(
        ProviderKey(
            project_id=project.id, provider=provider, sealed=vault.seal(key), last_four=last_four(key)
        )
    )
    return project


@pytest.mark.parametrize(
    ("which", "code", "words"),
    [
        ("turns", "TURN_LIMIT", "Work used its 3 turns. Raise the step's maxTurns"),
        ("words", "NO_RESULT", "stopped without finishing"),
        ("refusing", "MODEL_REFUSED", "refused to go on"),
        ("refused", "GIT_AUTHENTICATION_REFUSED", "token"),
    ],
)
async def test_a_run_that_may_not_go_on_says_why(
    outcomes: Outcomes, which: str, code: str, words: str
) -> None:
    outcome = await outcomes[which]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, code)
    assert words in str(outcome.run.error_message)
    assert outcome.pulls == []
    assert outcome.branches == ([outcome.run.branch_name] if which == "turns" else [])
    assert all(step.status is StepStatus.failed for step in outcome.steps)


async def test_a_limit_is_kept_to_the_turn(outcomes: Outcomes) -> None:
    assert len((await outcomes["turns"]).calls) == 3


async def test_what_was_done_until_a_limit_is_on_the_branch_that_the_run_names(outcomes: Outcomes) -> None:
    outcome = await outcomes["turns"]
    run = outcome.run
    assert len(outcome.file("dates.txt").splitlines()) == 3
    assert str(run.error_message).endswith(
        f" What it did is on the branch {run.branch_name}; a restart goes on from there."
    )
    assert (run.pr_url, run.pr_status) == (None, None)


async def test_what_cannot_be_pushed_does_not_hide_what_a_run_failed_of(outcomes: Outcomes) -> None:
    run = (await outcomes["secret"]).run
    assert run.error_code == "TURN_LIMIT"
    assert "Work used its 3 turns." in str(run.error_message)
    assert "could not be pushed: The change holds one of the project's secrets" in str(run.error_message)


async def test_an_agent_that_hesitates_is_told_to_go_on(outcomes: Outcomes) -> None:
    outcome = await outcomes["wavering"]
    assert outcome.run.status is RunStatus.completed
    assert [message.role.value for message in outcome.messages] == ["user", "assistant", "user", "assistant"]
    assert "calling the `finish` tool" in str(outcome.messages[2].content)


async def test_half_a_tool_call_is_never_carried_out(outcomes: Outcomes) -> None:
    outcome = await outcomes["cut"]
    assert outcome.run.status is RunStatus.completed
    assert [call.name for call in outcome.calls] == ["bash", "finish"]
    assert outcome.file("cut.txt") == "whole\n"


async def test_a_missing_credential_is_named_with_what_to_do(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_installation(parts, "keyless", tmp_path_factory.mktemp("sites") / "keyless") as site:
        await site.start_worker(ANTHROPIC_API_KEY="", GITHUB_TOKEN="")
        run = await site.ended(await site.start(f"No key {ENDLESS}", ONE_DESIGNER_STEP))
        assert (run.status, run.error_code) == (RunStatus.failed, "CREDENTIAL_MISSING")
        assert run.error_message == (
            "There is no GitHub key: set GITHUB_TOKEN or GITHUB_APP_ID for the server, or give the project "
            "its own with POST /api/v1/project/provider-keys/set."
        )
        assert await site.sandboxes.find({"job": run.id}) == []
