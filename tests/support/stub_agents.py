"""Agents that have finished without a model: what they say stands in a row of their session."""

from typing import Final, TypedDict

from pydantic import BaseModel
from temporalio import activity

from kit.database import Database
from models import AgentSession, Sandbox
from models.agent.session_kind import SessionKind
from models.base import JsonObject
from models.blueprints.persona import ThinkingEffort
from models.jobs.job_lookup import get_job


class StubResult(TypedDict):
    kind: SessionKind
    result: JsonObject


ASKER_RESULT: Final[StubResult] = {
    "kind": SessionKind.asker,
    "result": {
        "summary": "Asked.",
        "questions": [
            {
                "question": "Should the preference persist?",
                "assumption": "Yes -- use localStorage.",
            },
            {"question": "For guests, too?", "assumption": "Yes."},
        ],
    },
}
ANSWERER_RESULT: Final[StubResult] = {
    "kind": SessionKind.answerer,
    "result": {"summary": "Answered.", "answers": []},
}


class StubSession(BaseModel):
    job_id: str
    kind: SessionKind
    result: JsonObject


class StubAgents:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def speak(self, said: StubSession) -> None:
        async with self.database.transaction() as session:
            job = await get_job(session, said.job_id)
            sandbox = Sandbox(
                project_id=job.project_id, job_id=job.id, name="s", template_id="base", timeout_ms=1
            )
            sandbox.mark_ended()
            session.add(sandbox)
            await session.flush()
            session.add(
                AgentSession(
                    project_id=job.project_id,
                    job_id=job.id,
                    sandbox_id=sandbox.id,
                    kind=said.kind,
                    label="Quiet",
                    model="m",
                    thinking_effort=ThinkingEffort.low,
                    system="s",
                    max_turns=1,
                    result=said.result,
                )
            )
