"""The rows: one file a noun, each with its table, its wire schemas and its rules."""

from models.agent_session import AgentSession, FollowUp, Message, ToolCall
from models.answering_session import AnsweringSession
from models.api_key import ApiKey
from models.asset import Asset, AssetVersion
from models.blueprint import Blueprint, BlueprintVersion
from models.effect import Effect
from models.event import Event
from models.github_delivery import GithubDelivery
from models.idempotency import IdempotencyRecord
from models.issue import Issue
from models.issue_session import IssueSession
from models.job_snapshot import JobSnapshot
from models.merge_job import MergeJob
from models.notification import Notification
from models.persona import Persona
from models.project import Member, Project
from models.provider_key import ProviderKey
from models.recurring_task import RecurringTask
from models.run import Run
from models.run_step import RunStep
from models.sandbox import Sandbox, SandboxEvent
from models.session_question import SessionQuestion
from models.sprint_chain import SprintChain
from models.usage import CostRate, UsageRecord
from models.work_chain import WorkChain

__all__ = [
    "AgentSession", "AnsweringSession", "ApiKey", "Asset", "AssetVersion", "Blueprint", "BlueprintVersion",
    "CostRate", "Effect", "Event", "FollowUp", "GithubDelivery", "IdempotencyRecord", "Issue", "IssueSession",
    "JobSnapshot", "Member", "MergeJob", "Message", "Notification", "Persona", "Project", "ProviderKey",
    "RecurringTask", "Run", "RunStep", "Sandbox", "SandboxEvent", "SessionQuestion", "SprintChain",
    "ToolCall", "UsageRecord", "WorkChain",
]  # fmt: skip
