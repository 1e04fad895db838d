"""Images of a run are in every request that the model gets, and never in the rows of a conversation."""

import hashlib
from typing import Any

import pytest

from api.app import create_app
from models import Project, Run
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.runs.run import RunStatus
from tests.conftest import make_project
from tests.support.images import PNG, upload
from tests.support.installation import Installation
from tests.support.outcomes import outcome_of
from tests.support.scenarios import bash, finish, register_scenario
from tests.unit.api.conftest import client_of

SHOWN = register_scenario(
    "images-shown", bash("echo seen >seen.txt"), finish("Saw {{images}}."), role="designer"
)
register_scenario("images-shown", finish("Checked {{images}}.", verdict="pass"), role="checker")
STEPS = [
    PipelineStep(role=StepRole.designer, label="Design"),
    PipelineStep(role=StepRole.checker, label="Check"),
]
SEEN = f"image/png {hashlib.sha256(PNG).hexdigest()[:16]}"


@pytest.fixture
async def started(site: Installation) -> tuple[Run, str]:
    """A run that was started over the API with an image."""
    project = await make_project(site.database)
    slug = await site.repository()
    async with site.database.transaction() as session:
        row = await session.get_one(Project, project.id)
        row.github_repo_url = f"{site.settings.github_url}/{slug}"
        blueprint = site.blueprint(project.id, STEPS)
        session.add(blueprint)
    app = create_app(site.settings)
    async with app.router.lifespan_context(app), client_of(app, project) as client:
        image = await upload(client)
        body = {"workflowId": blueprint.id, "prompt": f"Build it {SHOWN}", "referenceImages": [image]}
        answer = await client.post("/runs/start", json=body)
        assert answer.status_code == 201, answer.text
        async with site.database.transaction() as session:
            run = await session.get_one(Run, answer.json()["data"]["id"])
    return run, image


async def test_every_agent_is_shown_the_images(site: Installation, started: tuple[Run, str]) -> None:
    run, image = started
    outcome = await outcome_of(site, run)
    assert outcome.run.status is RunStatus.completed
    assert [step.output for step in outcome.steps] == [f"Saw {SEEN}.", f"Checked {SEEN}."]
    firsts = [message for message in outcome.messages if message.sequence == 0]
    reference: dict[str, Any] = {"type": "image", "fileId": image, "contentType": "image/png"}
    assert [message.content[0] for message in firsts] == [reference, reference]
    assert "iVBORw0KGgo" not in str([message.content for message in outcome.messages])
