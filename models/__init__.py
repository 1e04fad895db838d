"""The rows: one file a noun, each with its table, its wire schemas and its rules."""

from models.agent_session import AgentSession, FollowUp, Message, ToolCall
from models.analytics.usage_rollup import UsageRollup
from models.answering_session import AnsweringSession
from models.api_key import ApiKey
from models.asset import Asset, AssetVersion
from models.blueprint import Blueprint, BlueprintVersion
from models.budgets.budget import Budget
from models.budgets.open_call import OpenCall
from models.budgets.quota import ProjectQuota
from models.budgets.reservation import Reservation
from models.budgets.wait import BudgetWait
from models.effect import Effect
from models.event import Event
from models.github_delivery import GithubDelivery
from models.idempotency import IdempotencyRecord
from models.issue import Issue
from models.issue_session import IssueSession
from models.job_snapshot import JobSnapshot
from models.learnings.extraction import LearningExtraction
from models.learnings.learning import Learning, LearningOccurrence
from models.learnings.version import LearningVersion
from models.merge_job import MergeJob
from models.notification import Notification
from models.persona import Persona
from models.project import Member, Project
from models.projects.allowed_repository import AllowedRepository
from models.projects.rate_bucket import RateBucket
from models.provider_key import ProviderKey
from models.reconcile.installation import Installation
from models.reconcile.sweep import Sweep
from models.recurring_task import RecurringTask
from models.run import Run
from models.run_step import RunStep
from models.runs.uploaded_file import FileContent, JobFile, UploadedFile
from models.runs.verification import Verification
from models.sandbox import Sandbox, SandboxEvent
from models.sandboxes.sandbox_job import SandboxJob
from models.session_question import SessionQuestion
from models.sprint_chain import SprintChain
from models.usage import CostRate, UsageRecord
from models.webhooks.delivery import WebhookDelivery
from models.webhooks.endpoint import WebhookEndpoint
from models.webhooks.github_hint import GithubHint
from models.webhooks.github_hook import GithubHook
from models.work_chain import WorkChain

__all__ = [
    "AgentSession",
    "AllowedRepository",
    "AnsweringSession",
    "ApiKey",
    "Asset",
    "AssetVersion",
    "Blueprint",
    "BlueprintVersion",
    "Budget",
    "BudgetWait",
    "CostRate",
    "Effect",
    "Event",
    "FileContent",
    "FollowUp",
    "GithubDelivery",
    "GithubHint",
    "GithubHook",
    "IdempotencyRecord",
    "Installation",
    "Issue",
    "IssueSession",
    "JobFile",
    "JobSnapshot",
    "Learning",
    "LearningExtraction",
    "LearningOccurrence",
    "LearningVersion",
    "Member",
    "MergeJob",
    "Message",
    "Notification",
    "OpenCall",
    "Persona",
    "Project",
    "ProjectQuota",
    "ProviderKey",
    "RateBucket",
    "RecurringTask",
    "Reservation",
    "Run",
    "RunStep",
    "Sandbox",
    "SandboxEvent",
    "SandboxJob",
    "SessionQuestion",
    "SprintChain",
    "Sweep",
    "ToolCall",
    "UploadedFile",
    "UsageRecord",
    "UsageRollup",
    "Verification",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WorkChain",
]
