"""Tables, wire schemas, and rules: those on a row as its methods, those over several rows beside them."""

from models.agent.session import AgentSession, FollowUp, Message, ToolCall
from models.analytics.usage_rollup import UsageRollup
from models.assets.asset import Asset, AssetVersion
from models.blueprints.blueprint import Blueprint, BlueprintVersion
from models.blueprints.persona import Persona
from models.budgets.budget import Budget
from models.budgets.quota import ProjectQuota
from models.budgets.reservation import OpenCall, Reservation
from models.budgets.usage import CostRate, UsageRecord
from models.budgets.wait import BudgetWait
from models.chains.sprint_chain import SprintChain
from models.chains.work_chain import WorkChain
from models.effect import Effect
from models.event import Event
from models.github.delivery import GithubDelivery
from models.github.hint import GithubHint
from models.github.hook import GithubHook
from models.idempotency import IdempotencyRecord
from models.issues.answering_session import AnsweringSession
from models.issues.issue import Issue
from models.issues.issue_session import IssueSession
from models.issues.session_question import SessionQuestion
from models.jobs.snapshot import JobSnapshot
from models.learnings.extraction import LearningExtraction
from models.learnings.learning import Learning, LearningOccurrence
from models.learnings.version import LearningVersion
from models.merging.merge_job import MergeJob
from models.notifications.notification import Notification
from models.projects.allowed_repository import AllowedRepository
from models.projects.api_key import ApiKey
from models.projects.project import Member, Project
from models.projects.provider_key import ProviderKey
from models.projects.rate_bucket import RateBucket
from models.reconcile.installation import Installation
from models.reconcile.sweep import Sweep
from models.runs.run import Run
from models.runs.run_step import RunStep
from models.runs.uploaded_file import FileContent, JobFile, UploadedFile
from models.sandboxes.sandbox import Sandbox, SandboxEvent
from models.sandboxes.sandbox_job import SandboxJob
from models.schedules.recurring_task import RecurringTask
from models.verification.verification import Verification
from models.webhooks.delivery import WebhookDelivery
from models.webhooks.endpoint import WebhookEndpoint

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
