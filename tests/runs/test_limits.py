"""How far a run may go, and what it says when it may not go further."""

from asyncio import Task
from decimal import Decimal

import pytest

from kit.crypto import Vault, last_four
from models import Project, ProviderKey
from models.blueprint import BlueprintConfig, PipelineStep
from models.notification import NotificationType
from models.persona import StepRole
from models.provider_key import Provider
from models.run import RunStatus
from models.run_step import StepStatus
from tests.runs.outcome import Outcome, playing
from tests.runs.parts import Parts
from tests.runs.scenarios import bash, faulty, finish, scripted
from tests.runs.site import WORK, Site, opened

ENDLESS = scripted("endless", bash("date >> dates.txt"))
TALKING = scripted("talking", {"toolCalls": [], "text": "Shall I go on?"})
WAVERING = scripted("wavering", {"toolCalls": [], "text": "Shall I?"}, finish("I did."))
REFUSING = scripted("refusing", faulty(finish(), "refusal"))
CUT = scripted(
    "cut-answer",
    faulty({**bash("echo half >> cut.txt"), "text": "I write it down."}, "maxTokens"),
    bash("echo whole >> cut.txt"),
    finish("Whole."),
)
THREE_TURNS = [PipelineStep(role=StepRole.designer, label="Work", max_turns=3)]
Outcomes = dict[str, Task[Outcome]]


@pytest.fixture(scope="module")
async def outcomes(site: Site) -> Outcomes:
    refused = await _with_key(site, Provider.github, "a-token-that-nobody-gave-out")
    return playing(
        site,
        turns=site.start(f"Turns {ENDLESS}", THREE_TURNS),
        money=site.start(f"Money {ENDLESS}", config=BlueprintConfig(max_cost_usd=Decimal("0.004"))),
        words=site.start(f"Words {TALKING}"),
        wavering=site.start(f"Wavering {WAVERING}"),
        refusing=site.start(f"Refusing {REFUSING}"),
        cut=site.start(f"Cut {CUT}"),
        refused=site.start(f"Refused {ENDLESS}", project=refused),
    )


async def _with_key(site: Site, provider: Provider, key: str) -> Project:
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
        ("money", "BUDGET_EXCEEDED", "of at most 0.0040. Raise config.maxCostUsd"),
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
    assert outcome.branches == []
    assert all(step.status is StepStatus.failed for step in outcome.steps)


async def test_limits_are_kept_to_the_turn_and_the_cent(outcomes: Outcomes) -> None:
    turns, money = await outcomes["turns"], await outcomes["money"]
    assert len(turns.calls) == 3
    spent = [message.cost_usd for message in money.messages]
    assert sum(spent) >= Decimal("0.004") > sum(spent[:-1])
    assert [each.type for each in money.notifications] == [NotificationType.budget_exceeded]


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
    parts: Parts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with opened(parts, "keyless", tmp_path_factory.mktemp("sites") / "keyless") as site:
        await site.start_worker(ANTHROPIC_API_KEY="", GITHUB_TOKEN="")
        run = await site.ended(await site.start(f"No key {ENDLESS}", WORK))
        assert (run.status, run.error_code) == (RunStatus.failed, "CREDENTIAL_MISSING")
        assert run.error_message == (
            "There is no github key: set GITHUB_TOKEN for the worker, or give the project its own with "
            "POST /api/v1/project/provider-keys/set."
        )
        assert await site.sandboxes.find({"job": run.id}) == []
