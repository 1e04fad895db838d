"""Steps: checks that send the work back, calls at once, scripts, what a project brings along, messages."""

from asyncio import Task

import pytest

from models import Asset, Persona, Project, Run
from models.assets.asset import AssetKind, ScriptLanguage
from models.blueprints.blueprint import DEFAULT_STEPS, PipelineStep
from models.blueprints.persona import StepRole
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from models.runs.run_step import StepStatus, Verdict
from tests.support.installation import Installation
from tests.support.outcomes import RunOutcome, start_outcomes
from tests.support.scenarios import bash, create, finish, register_scenario, tool_calls

LOOP = register_scenario("loop", bash("echo 2 >> made.txt"), finish("Did what was missing."), told="say more")
register_scenario("loop", create("made.txt", "1\n"), finish("Made it."), role="designer")
register_scenario("loop", finish("Fine.", verdict="pass"), role="checker", told="Iteration 2 of 3")
register_scenario("loop", finish("Not yet.", verdict="fail", feedback="say more"), role="checker")
NEVER = register_scenario("never", bash("date +%N >> made.txt"), finish("Tried."), role="designer")
register_scenario("never", finish("No.", verdict="fail", feedback="still wrong"), role="checker")
ALL_FOUR = "until ls a.txt b.txt c.txt d.txt >/dev/null 2>&1; do sleep 0.1; done"
"""One after another would wait for ever."""
AT_ONCE = register_scenario(
    "at-once",
    tool_calls(*(("bash", {"command": f"echo {name} > {name}.txt; {ALL_FOUR}"}) for name in "abcd")),
    tool_calls(("bash", {"command": "ls"}), ("search", {}), ("finish", {"summary": "too early"})),
    finish("Made four files."),
)
BROUGHT = register_scenario(
    "brought",
    bash("cat CLAUDE.md .claude/skills/house-style/SKILL.md .claude/commands/ship.md; cat order.txt"),
    bash("echo agent >> order.txt; git status --porcelain"),
    finish("Followed the house style."),
)
FAILING = register_scenario("failing-script", finish("Never said."))
LATE = register_scenario("spoken-late", bash("sleep 2"), bash("echo more > more.txt"), finish("All of it."))
Outcomes = dict[str, Task[RunOutcome]]


@pytest.fixture(scope="module")
async def outcomes(site: Installation) -> Outcomes:
    return start_outcomes(
        site,
        loop=site.start(f"Loop {LOOP}", DEFAULT_STEPS),
        never=site.start(f"Never good {NEVER}", DEFAULT_STEPS),
        at_once=site.start(f"At once {AT_ONCE}"),
        brought=_with_assets(site),
        failing=_with_failing_script(site),
        late=_with_message(site),
    )


async def _with_assets(site: Installation) -> Run:
    project = await site.project(claude_md="Keep it short.")
    await _publish(
        site, project, AssetKind.skill, "House style", files=[{"name": "SKILL.md", "content": "Two spaces."}]
    )
    await _publish(site, project, AssetKind.command, "ship", content="Ship it.")
    await _publish(site, project, AssetKind.context, "Domain", content="Orders have lines.")
    await _publish(site, project, AssetKind.script, "before", content="echo before >> order.txt")
    after = "open('order.txt', 'a').write('after\\n')"
    await _publish(site, project, AssetKind.script, "after", content=after, language=ScriptLanguage.python)
    persona = Persona(
        project_id=project.id,
        name="Writer",
        type=StepRole.designer,
        instructions="Write like us.",
        selected_skills=["House style"],
        selected_commands=["ship"],
        model="claude-haiku-5-5",
    )
    await site.add(persona)
    step = PipelineStep(
        role=StepRole.designer, persona_id=persona.id, pre_scripts=["before"], post_scripts=["after"]
    )
    return await site.start(f"Brought {BROUGHT}", [step], project=project)


async def _with_failing_script(site: Installation) -> Run:
    project = await site.project()
    await _publish(site, project, AssetKind.script, "install", content="echo no such package; exit 3")
    step = PipelineStep(role=StepRole.designer, pre_scripts=["install"])
    return await site.start(f"Failing {FAILING}", [step], project=project)


async def _with_message(site: Installation) -> Run:
    run = await site.start(f"Late {LATE}")
    await site.until(run, EventType.turn_completed)
    await site.tell(run, "And please add more.txt.")
    return run


async def _publish(
    site: Installation, project: Project, kind: AssetKind, name: str, **content: object
) -> None:
    language = content.pop("language", None)
    asset = Asset.in_kind(kind, project_id=project.id, name=name, language=language)
    version = asset.publish("user_test", **content)  # type: ignore[arg-type]
    await site.add(asset, version)


async def test_a_check_sends_the_work_back_until_it_passes(outcomes: Outcomes) -> None:
    outcome = await outcomes["loop"]
    assert [(step.role, step.iteration, step.verdict) for step in outcome.steps] == [
        (StepRole.designer, 1, None),
        (StepRole.checker, 1, Verdict.failed),
        (StepRole.designer, 2, None),
        (StepRole.checker, 2, Verdict.passed),
    ]
    assert outcome.steps[1].feedback == "say more"
    assert outcome.file("made.txt") == "1\n2\n"
    assert "asked for changes" in str(outcome.pulls[0]["body"])
    assert outcome.pulls[0]["draft"] is False


async def test_what_never_passes_is_delivered_as_a_draft(outcomes: Outcomes) -> None:
    outcome = await outcomes["never"]
    assert [step.iteration for step in outcome.steps] == [1, 1, 2, 2, 3, 3]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.pulls[0]["draft"] is True
    assert "still wrong" in str(outcome.pulls[0]["body"])


async def test_calls_of_one_answer_are_carried_out_at_once(outcomes: Outcomes) -> None:
    outcome = await outcomes["at_once"]
    four = outcome.calls[:4]
    assert [call.name for call in four] == ["bash"] * 4
    assert [call.is_error for call in four] == [False] * 4
    assert [outcome.file(f"{name}.txt") for name in "abcd"] == ["a\n", "b\n", "c\n", "d\n"]
    refused = {call.name: call.result for call in outcome.calls[4:] if call.is_error}
    assert refused.keys() == {"search", "finish"}
    assert "was not made. `pattern`" in refused["search"]
    assert outcome.steps[0].output == "Made four files."


async def test_what_a_project_brings_is_there_and_not_committed(outcomes: Outcomes) -> None:
    outcome = await outcomes["brought"]
    read, status = outcome.calls[0].result, outcome.calls[1].result
    assert [word in read for word in ("Keep it short.", "Two spaces.", "Ship it.")] == [True] * 3
    assert "CLAUDE" not in status
    assert ".claude" not in status
    assert outcome.git("ls-tree", "-r", "--name-only", str(outcome.run.branch_name)).split() == [
        "greet.py",
        "order.txt",
    ]
    assert outcome.steps[0].model == "claude-haiku-5-5"


async def test_scripts_run_once_before_and_after_the_agent(outcomes: Outcomes) -> None:
    outcome = await outcomes["brought"]
    assert outcome.file("order.txt") == "before\nagent\nafter\n"
    said = [
        (event.data["name"], event.data["when"]) for event in outcome.events if event.type == "setup.script"
    ]
    assert said == [("before", "pre"), ("after", "post")]


async def test_a_script_that_fails_ends_the_run_with_its_words(outcomes: Outcomes) -> None:
    outcome = await outcomes["failing"]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, "SCRIPT_FAILED")
    assert "no such package" in str(outcome.run.error_message)
    assert [step.status for step in outcome.steps] == [StepStatus.failed]
    assert outcome.calls == []


async def test_a_message_is_told_to_the_agent_at_its_next_turn(outcomes: Outcomes) -> None:
    outcome = await outcomes["late"]
    told = [message for message in outcome.messages if "And please add more.txt." in str(message.content)]
    assert [(message.role.value, message.sequence) for message in told] == [("user", 9)]
    assert EventType.message_received in outcome.types
    assert outcome.file("more.txt") == "more\n"
