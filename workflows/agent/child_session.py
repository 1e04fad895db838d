"""An agent's session as a part of a job: a child workflow on the agents' queue."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributePair

from activities.agent.sessions import Opened
from activities.sandboxes.lifecycle import SandboxRef
from kit.temporal import AGENTS_QUEUE, KIND, fit_summary
from workflows.activity_calls import instantly
from workflows.agent.limits import SessionInput, SessionOutcome
from workflows.agent.session import AgentSessionWorkflow
from workflows.sandboxes.lifecycle import ready_sandbox, release_sandbox

S = TypeVar("S")
Session = workflow.ChildWorkflowHandle[AgentSessionWorkflow, SessionOutcome]
Opening = Callable[[S, SandboxRef], Awaitable[Opened]]
"""The activity that opens a job's session."""


async def begin_session(told: SessionInput) -> Session:
    return await workflow.start_child_workflow(
        AgentSessionWorkflow.run,
        told,
        id=told.session_id,
        task_queue=AGENTS_QUEUE,
        static_summary=fit_summary(told.label),
        search_attributes=workflow.info().typed_search_attributes.updated(
            SearchAttributePair(KIND, "agent-session")
        ),
    )


async def read_repository(job_id: str, open: Opening[S], seconds: int) -> None:
    """Let one agent read the repository in a sandbox of its own until it finishes; nothing is pushed.

    `open` is the activity that opens its session; what it finished with is in the database.
    seconds: how much active time it has.
    """
    sandbox_id = await ready_sandbox(job_id)
    opened = await instantly(open, SandboxRef(job_id=job_id, sandbox_id=sandbox_id))
    workflow.set_current_details(f"{opened.label}: an agent reads the repository.")
    session = await begin_session(
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
