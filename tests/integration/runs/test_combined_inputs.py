"""One run with a context, a skill, a command, a script, an image and learnings, as they were at its start."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import httpx

from api.app import create_app
from models import Run
from models.runs.run import RunStatus
from tests.support.images import IMAGES, upload
from tests.support.installation import Installation, open_installation
from tests.support.model_recorder import Recorder, record_model
from tests.support.outcomes import outcome_of
from tests.support.pull_requests import make_key_headers
from tests.support.scenarios import bash, finish, register_scenario
from tests.support.stack import Servers
from tests.support.uvicorn_server import run_app

USING: Final = register_scenario(
    "everything-at-once",
    bash("cat ran.txt"),
    bash("git status --porcelain"),
    finish("Did it."),
    role="designer",
)
EARLY, LATE = "early-words", "late-words"
SKILL = ".claude/skills/house-style"


@dataclass(frozen=True)
class Desk:
    """A person at the API of a project, who publishes one thing of each kind again and again."""

    site: Installation
    recorder: Recorder
    http: httpx.AsyncClient
    ids: dict[str, str]
    """Of the assets, by their kind."""

    async def ask(self, method: str, path: str, **body: object) -> Any:
        """The `data` of an answer that is none of a refusal."""
        answer = await self.http.request(method, path, json=body or None)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()["data"]

    async def get(self, path: str, /, **query: str) -> Any:
        answer = await self.http.get(path, params=query)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()["data"]

    async def create(self) -> None:
        """Version 1 of everything, which holds the early words."""
        made: dict[str, dict[str, object]] = {
            "context": {"name": "Domain", "content": context_of(EARLY)},
            "skill": {"name": "House style", "files": skill_of(EARLY)},
            "command": {"name": "write-tests", "content": command_of(EARLY)},
            "script": {"name": "install", "content": script_of(EARLY), "language": "bash"},
        }
        for kind, body in made.items():
            self.ids[kind] = (await self.ask("POST", f"/{kind}s", **body))["id"]
        await self.learn(EARLY)

    async def publish(self) -> None:
        """Version 2 of everything, which holds the late words."""
        await self.ask("PUT", f"/contexts/{self.ids['context']}", content=context_of(LATE))
        await self.ask("PUT", f"/skills/{self.ids['skill']}/publish", files=skill_of(LATE))
        await self.ask("PUT", f"/commands/{self.ids['command']}/publish", content=command_of(LATE))
        await self.ask("PUT", f"/scripts/{self.ids['script']}/publish", content=script_of(LATE))
        await self.learn(LATE)

    async def learn(self, words: str) -> None:
        """A version with one more learning, active."""
        made = await self.ask(
            "POST", "/learnings/create", description=f"Look first: {words}", applicableRoles=["designer"]
        )
        await self.ask("POST", "/learnings/update-status", learningId=made["id"], status="approved")
        version = await self.ask("POST", "/learning-versions/compile")
        await self.ask("POST", "/learning-versions/activate", versionId=version["id"])

    async def document(self) -> str:
        """What designers are told of the active learnings."""
        shown = await self.get("/learnings/preview", role="designer")
        return str(shown["document"])

    async def workflow(self) -> str:
        """One step, whose persona selects one thing of each kind: an id, and names."""
        persona = await self.ask(
            "POST",
            "/personas/create",
            name="Writer",
            type="designer",
            contextId=self.ids["context"],
            selectedSkills=["House style"],
            selectedCommands=["write-tests"],
            selectedScripts=["install"],
        )
        step = {"role": "designer", "personaId": persona["id"]}
        made = await self.ask("POST", "/workflows/create", name="Write", pipelineSteps=[step])
        return str(made["id"])

    async def start(self, workflow: str, prompt: str, image: str) -> Run:
        slug = await self.site.repository()
        started = await self.ask(
            "POST",
            "/runs/start",
            workflowId=workflow,
            prompt=f"{prompt} {USING}, then /write-tests.",
            githubRepoUrl=f"{self.site.settings.github_url}/{slug}",
            referenceImages=[image],
        )
        async with self.site.database.transaction() as session:
            return await session.get_one(Run, started["id"])

    async def files(self, run: Run) -> dict[str, str]:
        """What the live sandbox of a run holds now."""
        [sandbox] = await self.get("/sandboxes/list", runId=run.id)
        paths = (
            f"{SKILL}/SKILL.md",
            f"{SKILL}/examples/one.txt",
            ".claude/commands/write-tests.md",
            "ran.txt",
        )
        return {
            path: (await self.get("/sandboxes/file", id=sandbox["id"], path=path))["content"]
            for path in paths
        }


def context_of(words: str) -> str:
    return f"Orders have lines. {words}"


def skill_of(words: str) -> list[dict[str, str]]:
    return [
        {"name": "SKILL.md", "content": f"Two spaces. {words}"},
        {"name": "examples/one.txt", "content": f"An example. {words}"},
    ]


def command_of(words: str) -> str:
    return f"Test the edges. {words}"


def script_of(words: str) -> str:
    return f"echo {words} >> ran.txt"


@asynccontextmanager
async def desk_of(parts: Servers, directory: Path) -> AsyncIterator[Desk]:
    async with (
        open_installation(parts, "everything", directory) as site,
        record_model(str(site.settings.anthropic_base_url)) as recorder,
    ):
        await site.start_worker(ANTHROPIC_BASE_URL=recorder.url)
        headers = await make_key_headers(site, (await site.project()).id)
        app = create_app(site.settings)
        async with (
            app.router.lifespan_context(app),
            run_app(app) as url,
            httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, trust_env=False) as http,
        ):
            yield Desk(site, recorder, http, {})


async def test_a_run_uses_everything_as_it_was_at_its_start(parts: Servers, tmp_path: Path) -> None:
    async with desk_of(parts, tmp_path / "site") as desk:
        await desk.create()
        workflow, early = await desk.workflow(), await desk.document()
        desk.site.set_trap("answered", "hold")
        first = await desk.start(workflow, "The one", await upload(desk.http, "image/png"))
        await desk.site.sprung("answered")
        holds_files(await desk.files(first), EARLY)
        await desk.publish()
        image, late = await upload(desk.http, "image/gif"), await desk.document()
        assert early != late
        holds_files(await desk.files(first), EARLY)
        assert len(desk.recorder.requests) == 1, "the agent is at work"
        desk.site.release("answered")
        assert (await outcome_of(desk.site, first)).run.status is RunStatus.completed
        holds_requests(desk.recorder, "The one", early, EARLY, "image/png")

        desk.site.set_trap("turn", "hold")
        following = await desk.start(workflow, "The next", image)
        await desk.site.sprung("turn")
        holds_files(await desk.files(following), LATE)
        desk.site.release("turn")
        assert (await outcome_of(desk.site, following)).run.status is RunStatus.completed
        holds_requests(desk.recorder, "The next", late, LATE, "image/gif")


def holds_files(files: dict[str, str], words: str) -> None:
    """The script ran once; everything else is as it was published."""
    assert files == {
        f"{SKILL}/SKILL.md": f"Two spaces. {words}",
        f"{SKILL}/examples/one.txt": f"An example. {words}",
        ".claude/commands/write-tests.md": command_of(words),
        "ran.txt": f"{words}\n",
    }


def holds_requests(recorder: Recorder, prompt: str, document: str, words: str, image: str) -> None:
    """Every request that the model got for this prompt."""
    [system] = set(recorder.systems(prompt))
    assert f"\n\n# Domain\n\n{context_of(words)}\n\n" in system
    assert f"- House style: {SKILL}/" in system
    assert "- /write-tests: .claude/commands/write-tests.md" in system
    assert system.endswith(f"\n\n{document}")
    assert f"Look first: {words}" in document

    requests = [each for each in recorder.requests if prompt in str(each["messages"][0])]
    assert len(requests) == 3
    source = {
        "type": "base64",
        "media_type": image,
        "data": base64.b64encode(IMAGES[image]).decode(),
    }
    other = {EARLY: LATE, LATE: EARLY}[words]
    for request in requests:
        blocks = cast("list[dict[str, Any]]", request["messages"][0]["content"])
        assert [block["source"] for block in blocks if block["type"] == "image"] == [source]
        text = "".join(str(block["text"]) for block in blocks if block["type"] == "text")
        assert f'<command name="write-tests">\n{command_of(words)}\n</command>' in text
        assert other not in str(request["messages"])
    assert f"{words}\\n" in str(requests[-1]["messages"]), "the agent read what the script had written"
