"""An agent's session as a part of a job: a child workflow on the agents' queue."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributePair

from activities.agent.sessions import OpenedSession
from activities.sandboxes.lifecycle import SandboxRef
from kit.temporal import AGENTS_QUEUE, KIND, truncate_summary
from workflows.activity_calls import run_local
from workflows.agent.limits import SessionInput, SessionResult
from workflows.agent.session import AgentSessionWorkflow
from workflows.sandboxes.lifecycle import provision_sandbox, release_sandbox

S = TypeVar("S")
ChildSession = workflow.ChildWorkflowHandle[AgentSessionWorkflow, SessionResult]
OpenActivity = Callable[[S, SandboxRef], Awaitable[OpenedSession]]
"""The activity that opens a job's session."""


async def start_session(told: SessionInput) -> ChildSession:
    return await workflow.start_child_workflow(
        AgentSessionWorkflow.run,
        told,
        id=told.session_id,
        task_queue=AGENTS_QUEUE,
        static_summary=truncate_summary(told.label),
        search_attributes=workflow.info().typed_search_attributes.updated(
            SearchAttributePair(KIND, "agent-session")
        ),
    )


async def run_reading_agent(job_id: str, open: OpenActivity[S], seconds: int) -> None:
    """Let one agent read the repository in a sandbox of its own until it finishes; nothing is pushed.

    `open` is the activity that opens its session; what it finished with is in the database.
    seconds: how much active time it has.
    """
    sandbox_id = await provision_sandbox(job_id)
    opened = await run_local(open, SandboxRef(job_id=job_id, sandbox_id=sandbox_id))
    workflow.set_current_details(f"{opened.label}: an agent reads the repository.")
    session = await start_session(
        SessionInput(
            session_id=opened.session_id,
            job_id=job_id,
            sandbox_id=sandbox_id,
            label=opened.label,
            max_turns=opened.max_turns,
            time_limit_seconds=seconds,
        )
    )
    await session
    await release_sandbox(job_id)
