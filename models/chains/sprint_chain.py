"""Sprint chains: one run after another over numbered sprints, each told what the earlier ones did."""

from sqlalchemy import Index
from sqlmodel import Field

from kit.errors import Conflict
from kit.ids import prefixed
from models.base import Json
from models.chains.chain import Chain, ChainStatus, with_item


class SprintChain(Chain, table=True):
    __table_args__ = (
        Index("sprint_chain_pending", "status", postgresql_where="status = 'pending'"),
        Index("sprint_chain_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index("sprint_chain_of_status", "project_id", "status", "id", postgresql_where="deleted_at IS NULL"),
    )
    id: str = Field(default_factory=prefixed("sc"), primary_key=True)
    prompt: str
    sprint_start: int
    sprint_end: int
    current_sprint_index: int = 0
    """The first that has not completed, in this attempt; all have when it is `count`."""
    resume_from_sprint: int | None = None
    sprint_pr_urls: list[str | None] = Field(default_factory=list, sa_type=Json)
    """By sprint index; None for one that has no pull request."""
    sprint_run_ids: list[str | None] = Field(default_factory=list, sa_type=Json)
    is_stopping: bool = False
    """It was deleted while a sprint was active, and ends after it."""

    @property
    def count(self) -> int:
        return self.sprint_end - self.sprint_start + 1

    @property
    def sprint_range(self) -> list[int]:
        return [self.sprint_start, self.sprint_end]

    @property
    def first_index(self) -> int:
        """Where this attempt begins."""
        return self.resume_from_sprint or 0

    def mark_started(self) -> bool:
        taken = super().mark_started()
        if taken:
            self.current_sprint_index = self.first_index
        return taken

    def request_stop(self) -> bool:
        """Have it end after the active sprint; False when that is known, or when it has ended."""
        if self.is_stopping or self.status.is_final:
            return False
        self.is_stopping = True
        return True

    def close(
        self,
        status: ChainStatus,
        code: str | None = None,
        message: str | None = None,
        run_id: str | None = None,
    ) -> bool:
        closed = super().close(status, code, message, run_id)
        if closed:
            self.is_stopping = False
        return closed

    def start_sprint(self, index: int, run_id: str) -> None:
        self.current_sprint_index = index
        self.sprint_run_ids = with_item(self.sprint_run_ids, index, run_id)

    def complete_sprint(self, index: int, pr_url: str | None) -> None:
        """It completed: an attempt that comes after this one begins with the next."""
        self.sprint_pr_urls = with_item(self.sprint_pr_urls, index, pr_url)
        self.current_sprint_index = index + 1

    def sprint_run_id(self, index: int) -> str | None:
        """The run that worked last on the sprint with this index."""
        return self.sprint_run_ids[index] if index < len(self.sprint_run_ids) else None

    def retry_from(self, index: int | None) -> None:
        """A new attempt of a failed chain, from a sprint index; from the first not completed unless given."""
        if self.status is not ChainStatus.failed:
            raise Conflict(f"The chain is {self.status}: only a paused or a failed one can be resumed.")
        self.resume_from_sprint = self.current_sprint_index if index is None else index
        self.start_new_attempt()
