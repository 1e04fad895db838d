"""The durable stories: decisions only, no I/O, no clock, no settings."""

from workflows.agent_session import AgentSessionWorkflow
from workflows.run import RunWorkflow
from workflows.sweep import SweepWorkflow

WORKFLOWS: list[type] = [RunWorkflow, AgentSessionWorkflow, SweepWorkflow]
