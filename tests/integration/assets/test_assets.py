"""Assets at work: in the sandbox's files and in the model's requests, as they were at the start."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import col

from activities.jobs.launch import start_row
from models import AgentSession, Asset, Event, IssueSession, Persona, Project, ToolCall
from models.assets.asset import AssetKind, ScriptLanguage
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.event import EventType
from models.issues.issue_session import IssueSessionStatus
from models.issues.issue_session_start import IssueSessionStart, create_issue_session
from models.runs.run import RunStatus
from models.runs.run_step import StepStatus
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.recorded_model import ModelRecorder, recording
from tests.support.scenarios import bash, finish, register_scenario, with_delay
from tests.support.stack import Servers

LOOK = "cd .claude && find . -type f -print0 | sort -z | xargs -0 tail -n +1; cat ../order.txt"
EQUIPPED = register_scenario(
    "equipped",
    bash(LOOK),
    with_delay(bash("git status --porcelain -uall"), 2.0),
    finish("Did it."),
    role="designer",
    told=r'<command name="write-tests">',
)
SCAN = register_scenario(
    "equipped-scan", bash(LOOK), finish("Nothing."), told=r'<command name="write-tests">'
)
KILLED = register_scenario("killed-setup", bash("cat order.txt"), finish("Nothing."))
OTHER = PipelineStep(role=StepRole.checker, label="Check")
PASSES = finish("Fine.", verdict="pass")
register_scenario("equipped", PASSES, role="checker")


@dataclass(frozen=True)
class Shelf:
    """A project with one asset of each kind, and a command that only messages name."""

    site: Installation
    project: Project
    assets: dict[str, Asset]

    async def publish(self, name: str, **content: object) -> None:
        """A new version of an asset."""
        async with self.site.database.transaction() as session:
            asset = await session.get_one(Asset, self.assets[name].id, with_for_update=True)
            session.add(asset.publish("user_test", **content))  # type: ignore[arg-type]

    async def publish_all(self, word: str) -> None:
        """A new version of each, which holds this word."""
        await self.publish("Domain", content=f"Orders have lines. {word}")
        files = [
            {"name": "SKILL.md", "content": f"Two spaces. {word}"},
            {"name": "examples/[id] one.txt", "content": "An example."},
        ]
        await self.publish("House style", files=files)
        for name in ("write-tests", "ship", "late"):
            await self.publish(name, content=f"The words of {name}. {word}")
        await self.publish("install", content=f"echo install {word} >> order.txt")


async def shelf_of(site: Installation) -> Shelf:
    kinds = {
        "Domain": AssetKind.context,
        "House style": AssetKind.skill,
        "write-tests": AssetKind.command,
        "ship": AssetKind.command,
        "late": AssetKind.command,
        "install": AssetKind.script,
    }
    config = {
        "contextId": "Domain",
        "selectedSkills": ["House style"],
        "selectedCommands": ["ship"],
        "selectedScripts": ["install"],
    }
    project = await site.project(issue_config=config)
    languages = {AssetKind.script: ScriptLanguage.bash}
    assets = {
        name: Asset.in_kind(kind, project_id=project.id, name=name, language=languages.get(kind))
        for name, kind in kinds.items()
    }
    await site.add(*assets.values())
    return Shelf(site, project, assets)


@pytest.fixture(scope="module")
async def recorded(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Installation, ModelRecorder]]:
    """A site whose model's requests are recorded."""
    model = parts.environment("recorded")["ANTHROPIC_BASE_URL"]
    async with (
        recording(model) as record,
        open_installation(parts, "recorded", tmp_path_factory.mktemp("sites") / "recorded") as site,
    ):
        await site.start_worker(ANTHROPIC_BASE_URL=record.address)
        yield site, record


async def test_a_run_works_with_what_was_active_at_its_start(
    recorded: tuple[Installation, ModelRecorder],
) -> None:
    site, record = recorded
    shelf = await shelf_of(site)
    await shelf.publish_all("first-words")
    persona = Persona(
        project_id=shelf.project.id,
        name="Writer",
        type=StepRole.designer,
        context_id=shelf.assets["Domain"].id,
        selected_skills=["House style"],
        selected_commands=["ship"],
        selected_scripts=["install"],
    )
    await site.add(persona)
    steps = [PipelineStep(role=StepRole.designer, persona_id=persona.id, post_scripts=["install"]), OTHER]
    prompt = f"Do {EQUIPPED}, then /write-tests and see src/late."
    run = await site.start(prompt, steps, project=shelf.project)
    await site.until(run, EventType.turn_completed)
    await shelf.publish_all("second-words")
    await site.tell(run, "And /late, please.")
    _holds(record, await outcome_of(site, run), "first-words")
    _holds(
        record, await outcome_of(site, await site.start(prompt, steps, project=shelf.project)), "second-words"
    )


def _holds(record: ModelRecorder, outcome: RunOutcome, word: str) -> None:
    other = {"first-words": "second-words", "second-words": "first-words"}[word]
    assert outcome.run.status is RunStatus.completed
    assert {step.status for step in outcome.steps} == {StepStatus.completed}
    read, status = outcome.calls[0].result, outcome.calls[1].result
    for part in (
        "skills/house-style/SKILL.md",
        f"Two spaces. {word}",
        "skills/house-style/examples/[id] one.txt",
        "An example.",
        "commands/ship.md",
        f"The words of ship. {word}",
        "commands/write-tests.md",
        f"install {word}",
    ):
        assert part in read
    assert other not in read
    assert "commands/late.md" not in read
    assert status.split() == ["??", "order.txt"], "what the project brings is hidden from git"
    assert outcome.file("order.txt") == f"install {word}\n" * 2

    requests = record.of(outcome.run.prompt.splitlines()[-1])
    designer = [request for request in requests if "Role: designer" in str(request["system"])]
    checker = [request for request in requests if "Role: checker" in str(request["system"])]
    assert designer
    assert checker
    for request in designer:
        system, messages = str(request["system"]), str(request["messages"])
        assert f"# Domain\\n\\nOrders have lines. {word}" in system
        assert "- House style: .claude/skills/house-style/" in system
        assert "- /ship: .claude/commands/ship.md" in system
        assert "/write-tests" not in system, "it is none of the persona's"
        assert f'<command name="write-tests">\\nThe words of write-tests. {word}\\n</command>' in messages
        assert other not in system + messages
    for request in checker:
        for part in ("Domain", "House style", "/ship"):
            assert part not in str(request["system"]), "it is another step's"
    if word == "first-words":
        last = str(designer[-1]["messages"])
        assert (
            f'And /late, please.\\n</message>\\n\\n<command name="late">\\nThe words of late. {word}' in last
        )


async def a_scan(shelf: Shelf, word: str) -> IssueSession:
    site, slug = shelf.site, await shelf.site.repository()
    async with site.database.transaction() as session:
        scan = await create_issue_session(
            session,
            shelf.project,
            IssueSessionStart(prompt=f"Look {word}, then /write-tests"),
            repository_slug=slug,
            repository_url=f"{site.settings.github_url}/{slug}",
            default_model=site.settings.default_model,
        )
    await start_row(site.client, scan)
    return scan


async def an_equipped_scan(site: Installation) -> IssueSession:
    """A scan at work that has assets of every kind."""
    shelf = await shelf_of(site)
    await shelf.publish_all("scan-words")
    return await a_scan(shelf, SCAN)


async def ended(site: Installation, scan: IssueSession) -> tuple[IssueSession, str, list[str]]:
    """The session once it is over, what its first call gave, and the scripts that its events tell of."""

    async def is_over() -> bool:
        [row] = await site.rows(IssueSession, col(IssueSession.id) == scan.id, col(IssueSession.id))
        return row.is_finished

    await wait_until(is_over, f"{scan.id} is over")
    [row] = await site.rows(IssueSession, col(IssueSession.id) == scan.id, col(IssueSession.id))
    agents = await site.rows(AgentSession, col(AgentSession.job_id) == scan.id, col(AgentSession.id))
    calls = await site.rows(
        ToolCall, col(ToolCall.session_id).in_([each.id for each in agents]), col(ToolCall.id)
    )
    events = await site.rows(Event, col(Event.subject_id) == scan.id, col(Event.seq))
    told = [str(event.data["name"]) for event in events if event.type == EventType.setup_script]
    return row, calls[0].result if calls else "", told


async def test_a_scan_works_as_the_project_configures(recorded: tuple[Installation, ModelRecorder]) -> None:
    site, record = recorded
    row, read, scripts = await ended(site, await an_equipped_scan(site))
    assert (row.status, row.error_message, scripts) == (IssueSessionStatus.completed, None, ["install"])
    for part in ("Two spaces. scan-words", "The words of ship. scan-words", "install scan-words"):
        assert part in read
    request = record.of("equipped-scan")[0]
    assert "# Domain\\n\\nOrders have lines. scan-words" in str(request["system"])
    assert '<command name="write-tests">\\nThe words of write-tests. scan-words' in str(request["messages"])


async def test_a_setup_script_that_fails_ends_the_scan_with_its_words(site: Installation) -> None:
    shelf = await shelf_of(site)
    await shelf.publish_all("words")
    await shelf.publish("install", content="echo no such package; exit 3")
    row, _, scripts = await ended(site, await a_scan(shelf, SCAN))
    assert (row.status, row.error_code, scripts) == (IssueSessionStatus.failed, "SCRIPT_FAILED", [])
    assert "no such package" in str(row.error_message)


@pytest.mark.soak
@pytest.mark.parametrize("seam", ["within-a-tool-call", "called"])
async def test_a_setup_script_runs_once_whoever_dies(parts: Servers, tmp_path: Path, seam: str) -> None:
    async with open_installation(parts, f"setup-{seam}", tmp_path / "site") as site:
        shelf = await shelf_of(site)
        await shelf.publish_all("words")
        await shelf.publish("install", content="sleep 2; echo once >> order.txt")
        site.set_trap(seam)
        scan = await a_scan(shelf, KILLED)
        worker = await site.start_worker()
        assert await worker.ended(60), f"the worker never came to {seam}"
        await site.start_worker()
        row, read, scripts = await ended(site, scan)
        assert (row.status, scripts) == (IssueSessionStatus.completed, ["install"])
        assert read.split() == ["once"]
