"""Every workflow that a worker plays."""

from workflows.agent_session import AgentSessionWorkflow
from workflows.run import RunWorkflow
from workflows.sweep import SweepWorkflow

WORKFLOWS: list[type] = [RunWorkflow, AgentSessionWorkflow, SweepWorkflow]
