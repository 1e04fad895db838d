"""A run's sandboxes reach what the project says, its log tells what was refused, and secrets go by step."""

import asyncio

from sqlmodel import col

from models import Verification
from models.blueprints.blueprint import BlueprintConfig, PipelineStep, SandboxConfig, Verify
from models.blueprints.persona import StepRole
from models.event import EventType
from models.projects.egress import EgressMode
from models.runs.run import RunStatus
from tests.support.installation import Installation
from tests.support.outcomes import git
from tests.support.scenarios import bash, create, finish, register_scenario

ASK = "python3 -c \"import urllib.request as r; r.urlopen('http://{}/')\" 2>&1 | tail -1"
CURIOUS = register_scenario(
    "egress-curious",
    bash(ASK.format("evil.example")),
    bash(ASK.format("evil.example")),
    bash(ASK.format("169.254.169.254")),
    create("a.txt", "a\n"),
    finish("Tried."),
)
SAY = (
    "import os, socket, urllib.parse as u; p = u.urlsplit(os.environ['http_proxy']); "
    "s = socket.create_connection((p.hostname, p.port)); "
    "s.sendall(b'GET http://forged{}.example/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'); print(s.recv(99))"
)
FORGER = register_scenario(
    "egress-forger",
    *(bash(f'python3 -c "{SAY.format(mark)}"') for mark in (r"\x00", r"\xed\xa0\x80")),
    create("a.txt", "a\n"),
    finish("Tried."),
)
SECRETS = {"NPM_TOKEN": "s3cr3t-of-npm-4711", "PAY_KEY": "s3cr3t-of-pay-4712"}
LOOK = 'echo "npm ${NPM_TOKEN:+given} pay ${PAY_KEY:+given}"'
NOSY = register_scenario(
    "egress-nosy",
    bash(f"{LOOK} >seen.txt"),
    finish("Looked."),
)


async def test_refused_hosts_are_told_once_in_the_runs_log(site: Installation) -> None:
    project = await site.project(egress={"work": "off"})
    run = await site.ended(await site.start(f"Work {CURIOUS}", project=project))
    assert (run.status, run.error_message) == (RunStatus.completed, None)
    told = [event.data for event in await site.events(run) if event.type == EventType.egress_refused]
    assert {str(data["host"]): data["count"] for data in told} == {"evil.example": 2, "169.254.169.254": 1}


async def test_metadata_is_refused_where_everything_is_reached(site: Installation) -> None:
    run = await site.ended(await site.start(f"Work {CURIOUS}"))
    assert run.status is RunStatus.completed
    told = [event.data["host"] for event in await site.events(run) if event.type == EventType.egress_refused]
    assert "169.254.169.254" in told


async def test_a_host_that_no_row_can_hold_keeps_no_sandbox_alive(site: Installation) -> None:
    project = await site.project(egress={"work": "off"})
    run = await site.ended(await site.start(f"Work {FORGER}", project=project))
    assert (run.status, run.error_message) == (RunStatus.completed, None)
    told = [event.data["host"] for event in await site.events(run) if event.type == EventType.egress_refused]
    assert any(str(host).startswith("forged") for host in told)
    assert await site.sandboxes.find({"job": run.id}) == []


async def test_a_blueprint_narrows_the_projects_egress(site: Installation) -> None:
    config = BlueprintConfig(sandbox=SandboxConfig(egress=EgressMode.off))
    run = await site.ended(await site.start(f"Work {CURIOUS}", config=config))
    told = [event.data["host"] for event in await site.events(run) if event.type == EventType.egress_refused]
    assert sorted(map(str, told)) == ["169.254.169.254", "evil.example"]


async def test_a_step_is_given_the_secrets_that_it_asks_for(site: Installation) -> None:
    project = await site.project(secrets=SECRETS)
    given: list[tuple[list[str] | None, str]] = [
        (None, "npm given pay given"),
        (["NPM_TOKEN"], "npm given pay "),
        ([], "npm  pay "),
    ]
    for secrets, seen in given:
        steps = [PipelineStep(role=StepRole.designer, label="Work", secrets=secrets)]
        run = await site.ended(await site.start(f"Work {NOSY}", steps, project=project))
        assert (run.status, run.error_message) == (RunStatus.completed, None)
        assert git(site, run, "show", f"{run.branch_name}:seen.txt") == f"{seen}\n"


async def test_the_gate_is_given_secrets_only_while_no_step_names_its_own(site: Installation) -> None:
    project = await site.project(secrets=SECRETS)
    config = BlueprintConfig(verify=Verify(command=LOOK))

    async def seen_by_the_gate(secrets: list[str] | None) -> str | None:
        steps = [PipelineStep(role=StepRole.designer, label="Work", secrets=secrets)]
        run = await site.ended(await site.start(f"Work {NOSY}", steps, project=project, config=config))
        assert (run.status, run.error_message) == (RunStatus.completed, None)
        [row] = await site.rows(Verification, col(Verification.run_id) == run.id, col(Verification.number))
        return row.output

    seen = await asyncio.gather(seen_by_the_gate(None), seen_by_the_gate(["NPM_TOKEN"]))
    assert [str(output).rstrip("\n") for output in seen] == ["npm given pay given", "npm  pay "]
