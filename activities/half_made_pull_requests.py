"""Pull requests that were meant to be opened when their run ended: looked for on GitHub, and written down."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from activities.damage import GRACE, PAGE, Damage, Finding
from activities.opened_pull_requests import effect_key, marker_of, not_opened, opened
from activities.outside import Outside
from kit.database import Database
from models import Effect, Run
from models.base import now

NEVER_OPENED = "The run ended before its pull request was opened; its branch may be pushed already."


class HalfMadePullRequests:
    damage = Damage.half_made_pr

    def __init__(self, database: Database, outside: Outside, grace: timedelta = GRACE) -> None:
        self.database, self.outside, self.grace = database, outside, grace

    async def find(self) -> AsyncIterator[Finding]:
        """Intents left open by runs that are over; those of a lost run follow once it is closed."""
        page = await self._page("")
        while page:
            for effect, run in page:
                yield Finding(
                    damage=self.damage, id=run.id, since=effect.intended_at,
                    what=f"This run is {run.status}; it meant to open a pull request, and nobody knows "
                    "whether it did.",
                    cure="looks on GitHub and writes down what is there",
                )  # fmt: skip
            page = await self._page(page[-1][0].key)

    async def repair(self, finding: Finding) -> str | None:
        """Look by branch and marker; written once, whoever looks first."""
        async with self.database.reading() as session:
            run = await session.get(Run, finding.id)
            effect = await session.get(Effect, effect_key(finding.id))
            if run is None or not run.is_over or effect is None or effect.done_at:
                return None
        credentials = await self.outside.credentials(run.project_id)
        facts = None
        if run.branch_name and run.base_branch:
            facts = await self.outside.github(credentials).find_pull_request(
                run.repository_slug, head=run.branch_name, base=run.base_branch, marker=marker_of(run.id)
            )
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run.id, with_for_update=True)
            effect = await session.get_one(Effect, effect.key, with_for_update=True)
            if effect.done_at:
                return None
            if facts is None:
                await not_opened(session, run, NEVER_OPENED)
                words = "there is none: marked as failed"
            else:
                await opened(session, run, facts)
                words = f"found: {facts.url}"
            effect.done_at = effect.done_at or now()  # the run knew before the ledger did
        return words

    async def _page(self, after: str) -> list[tuple[Effect, Run]]:
        statement = (
            select(Effect, Run)
            .join(Run, col(Run.id) == col(Effect.subject_id))
            .where(
                col(Effect.done_at).is_(None), col(Effect.kind) == "pull-request", col(Effect.key) > after,
                col(Effect.intended_at) <= now() - self.grace, col(Run.completed_at).is_not(None),
            )
            .order_by(col(Effect.key))
            .limit(PAGE)
        )  # fmt: skip
        async with self.database.reading() as session:
            return [(row[0], row[1]) for row in (await session.execute(statement)).all()]
