"""Every workflow that a worker plays."""

from workflows.agent_session import AgentSessionWorkflow
from workflows.recurring_task import RecurringTaskWorkflow
from workflows.run import RunWorkflow
from workflows.sweep import SweepWorkflow

WORKFLOWS: list[type] = [RunWorkflow, AgentSessionWorkflow, RecurringTaskWorkflow, SweepWorkflow]
