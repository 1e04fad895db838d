"""Pull requests that were meant to be opened when their run ended: looked for on GitHub, and written down."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from activities.reconcile.findings import GRACE, PAGE_SIZE, Finding, Inconsistency
from activities.runs.pull_request import pull_request_marker, record_failed, record_opened
from gateways.errors import GatewayError, UpstreamFailed
from gateways.github.client import PullRequestFacts
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from models import Effect, Run
from models.base import now
from models.effect import EffectKind, effect_key, is_due_condition
from models.runs.run import PrStatus

GITHUB_TIMEOUT_SECONDS: Final = 10.0
"""How long GitHub may take to answer."""
NEVER_OPENED_REASON: Final = (
    "The run ended before its pull request was opened; its branch may be pushed already."
)


class UnsettledPullRequests:
    """What GitHub does not answer is asked again after a growing pause, and given up within about a day.

    insists: does not wait for the end of a pause.
    """

    kind = Inconsistency.unsettled_pull_request

    def __init__(
        self, database: Database, outside: GatewayFactory, grace: timedelta = GRACE, *, insists: bool = False
    ) -> None:
        self.database, self.outside, self.grace, self.ignores_pauses = database, outside, grace, insists
        self.examined = 0
        self._project_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unanswered_projects: dict[str, GatewayError] = {}
        """Projects whose GitHub did not answer in this look: it is not asked for each of their runs."""

    async def find(self) -> AsyncIterator[Finding]:
        """Intents left open by runs that are over; those of an abandoned run follow once it is closed."""
        self.examined = 0
        page = await self._page("")
        while page:
            self.examined += len(page)
            for effect, run in page:
                yield Finding(
                    kind=self.kind,
                    id=run.id,
                    since=effect.intended_at,
                    what=f"This run is {run.status}, and nobody knows whether it opened a pull request.",
                    repair="looks on GitHub and writes down what is there",
                )
            page = await self._page(page[-1][0].key)

    async def repair(self, finding: Finding) -> str | None:
        """Look by branch and marker; written once, whoever looks first.  Raises what GitHub failed of."""
        async with self.database.read_only() as session:
            run = await session.get(Run, finding.id)
            effect = await session.get(Effect, _key(finding.id))
            if run is None or not run.is_finished or effect is None or effect.done_at:
                return None
        try:
            facts = await self._search(run)
        except (GatewayError, RepositoryNotAllowed) as error:
            if await self._put_off(run.id, error.message):
                raise
            return "given up"
        return await self._record_found(run.id, facts)

    async def _search(self, run: Run) -> PullRequestFacts | None:
        """One of a project's runs after the other, until its GitHub does not answer.

        That a repository is not allowed any more says nothing about the project's others.
        """
        async with self._project_locks[run.project_id]:
            if (fault := self._unanswered_projects.get(run.project_id)) is not None:
                raise fault
            try:
                async with asyncio.timeout(GITHUB_TIMEOUT_SECONDS):
                    return await self._find_on_github(run)
            except TimeoutError:
                silent = UpstreamFailed(f"GitHub did not answer within {GITHUB_TIMEOUT_SECONDS:g} seconds.")
                self._unanswered_projects[run.project_id] = silent
                raise silent from None
            except GatewayError as error:
                self._unanswered_projects[run.project_id] = error
                raise

    async def _find_on_github(self, run: Run) -> PullRequestFacts | None:
        credentials = await self.outside.credentials(run.project_id)
        if not run.branch_name:
            return None
        github = await self.outside.github(credentials, run.repository_slug)
        # Where none is known to have been begun, one without our marker is somebody else's.
        base = run.base_branch if run.pr_status is PrStatus.creating else None
        return await github.find_pull_request(
            run.repository_slug, head=run.branch_name, base=base, marker=pull_request_marker(run.id)
        )

    async def _record_found(self, run_id: str, facts: PullRequestFacts | None) -> str | None:
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run_id, with_for_update=True)
            effect = await session.get_one(Effect, _key(run_id), with_for_update=True)
            if effect.done_at:
                return None
            if facts is not None:
                await record_opened(session, run, facts)
                words = f"found: {facts.url}"
            elif await record_failed(session, run, NEVER_OPENED_REASON):
                words = "there is none: marked as failed"
            else:
                words = "there is none"
            effect.complete()  # the run knew before the ledger did
        return words

    async def _put_off(self, run_id: str, reason: str) -> bool:
        """False when it is the end of it: then the run says that nobody knows, and why."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run_id, with_for_update=True)
            effect = await session.get_one(Effect, _key(run_id), with_for_update=True)
            if effect.done_at or effect.postpone():
                return True
            await record_failed(session, run, f"Whether it was opened could not be found out: {reason}")
            effect.complete()
            return False

    async def _page(self, after: str) -> list[tuple[Effect, Run]]:
        statement = (
            select(Effect, Run)
            .join(Run, col(Run.id) == col(Effect.subject_id))
            .where(
                col(Effect.done_at).is_(None),
                col(Effect.kind) == EffectKind.pull_request,
                col(Effect.key) > after,
                col(Effect.intended_at) <= now() - self.grace,
                col(Run.completed_at).is_not(None),
            )
            .order_by(col(Effect.key))
            .limit(PAGE_SIZE)
        )
        if not self.ignores_pauses:
            statement = statement.where(is_due_condition())
        async with self.database.read_only() as session:
            return [(row[0], row[1]) for row in (await session.execute(statement)).all()]


def _key(run_id: str) -> str:
    return effect_key(run_id, EffectKind.pull_request)
