"""Work chains: one run and one pull request an issue, each on top of what the one before it did."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict, NotFound
from kit.ids import prefixed
from models.base import Json, Timestamp, now
from models.chains.chain import Chain, ChainStatus, with_item
from models.issues.issue import select_issues


class WorkChain(Chain, table=True):
    __table_args__ = (
        Index("work_chain_pending", "status", postgresql_where="status = 'pending' AND asked_at IS NOT NULL"),
        Index("work_chain_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index("work_chain_of_status", "project_id", "status", "id", postgresql_where="deleted_at IS NULL"),
    )
    id: str = Field(default_factory=prefixed("wc"), primary_key=True)
    title: str
    description: str | None = None
    issue_ids: list[str] = Field(sa_type=Json)
    """In the order of their work."""
    issue_run_ids: list[str | None] = Field(default_factory=list, sa_type=Json)
    """By the index of the issue; None for one that was passed over."""
    issue_pr_urls: list[str | None] = Field(default_factory=list, sa_type=Json)
    current_issue_index: int = 0
    asked_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """When its start was asked for; until then it is pending and nobody starts it."""

    @property
    def count(self) -> int:
        return len(self.issue_ids)

    @property
    def is_active(self) -> bool:
        return self.asked_at is not None and not self.status.is_final

    def request_start(self) -> None:
        """Have it started; a failed one is tried again from the issue that failed."""
        if self.is_active:
            raise Conflict(f"The chain was started before and is {self.status}.")
        if self.status in (ChainStatus.completed, ChainStatus.cancelled):
            raise Conflict(f"The chain is {self.status}: make another one.")
        if self.status is ChainStatus.failed:
            self.start_new_attempt()
        self.asked_at = now()

    def start_issue(self, index: int, run_id: str) -> None:
        self.current_issue_index = index
        self.issue_run_ids = with_item(self.issue_run_ids, index, run_id)

    def finish_issue(self, index: int, run_id: str | None, pr_url: str | None) -> None:
        """The issue at the index is done, by this run if any: the next one is current."""
        self.current_issue_index = min(index + 1, self.count - 1)
        self.issue_run_ids = with_item(self.issue_run_ids, index, run_id)
        self.issue_pr_urls = with_item(self.issue_pr_urls, index, pr_url)


async def assign_issues(session: AsyncSession, chain: WorkChain) -> None:
    """Have the chain's issues say that they are in it; NotFound when one of them does not exist."""
    statement = select_issues(chain.project_id, chain.issue_ids)
    issues = {issue.id: issue for issue in (await session.execute(statement)).scalars()}
    for issue_id in chain.issue_ids:
        if issue_id not in issues:
            raise NotFound(f"Issue not found: {issue_id[:40]}")
        issues[issue_id].change(chain_id=chain.id)


async def delete_chain(session: AsyncSession, chain: WorkChain) -> None:
    """Delete a chain that is not at work; its issues and runs stay."""
    if chain.is_active:
        raise Conflict(f"The chain is {chain.status}: cancel it first.")
    chain.trash()
    for issue in (await session.execute(select_issues(chain.project_id, chain.issue_ids))).scalars():
        if issue.chain_id == chain.id:
            issue.change(chain_id=None)
