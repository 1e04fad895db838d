"""A run's session in the middle of its work, and what its model asked for last."""

from dataclasses import dataclass

from sqlmodel import col, select

from kit.database import Database
from models import AgentSession, Event, FollowUp, Message, Run, RunStep, Sandbox, ToolCall
from models.agent.session import MessageRole, turn_sequence
from models.base import JsonObject
from tests.conftest import ProjectKey
from tests.factories import make_agent_session, make_running_run, make_step

SEQUENCE = turn_sequence(1)


def tool_use_block(name: str, id: str = "call_0", **given: object) -> JsonObject:
    """A block of an answer that asks for a call."""
    return {"type": "tool_use", "id": id, "name": name, "input": given}


@dataclass
class RunningSession:
    database: Database
    run: Run
    step: RunStep
    agent: AgentSession
    sandbox: Sandbox

    async def change_run(self, **values: object) -> None:
        async with self.database.transaction() as session:
            run = await session.get_one(Run, self.run.id)
            for name, value in values.items():
                setattr(run, name, value)

    async def tell(self, words: str) -> None:
        async with self.database.transaction() as session:
            session.add(FollowUp(project_id=self.run.project_id, job_id=self.run.id, content=words))

    async def answer(self, id: str, result: str) -> None:
        """Store the result of one of the calls."""
        row = ToolCall(
            session_id=self.agent.id,
            sequence=SEQUENCE,
            tool_use_id=id,
            name="bash",
            result=result,
            is_error=False,
            duration_ms=3,
        )
        async with self.database.transaction() as session:
            session.add(row)

    async def results(self) -> dict[str, str]:
        """Of its calls, by id."""
        statement = select(ToolCall).where(col(ToolCall.session_id) == self.agent.id)
        async with self.database.read_only() as session:
            return {each.tool_use_id: each.result for each in (await session.exec(statement)).all()}

    async def events(self) -> list[Event]:
        statement = select(Event).where(col(Event.subject_id) == self.run.id).order_by(col(Event.seq))
        async with self.database.read_only() as session:
            return list((await session.exec(statement)).all())

    async def read_step(self) -> RunStep:
        async with self.database.read_only() as session:
            return await session.get_one(RunStep, self.step.id)


async def make_running_session(
    database: Database, project: ProjectKey, *blocks: JsonObject
) -> RunningSession:
    """The run's first session, whose first answer holds these blocks."""
    blueprint, run, sandbox = make_running_run(project)
    step = make_step(run)
    agent = make_agent_session(run, sandbox, step)
    message = Message(
        session_id=agent.id, sequence=SEQUENCE, role=MessageRole.assistant, content=list(blocks)
    )
    async with database.transaction() as session:
        for row in (blueprint, run, sandbox, step, agent, message):
            session.add(row)
            await session.flush()
    return RunningSession(database, run, step, agent, sandbox)
