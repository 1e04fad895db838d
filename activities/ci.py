"""What CI says of a run's commit."""

from typing import Final, Literal

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.outside import Outside, outside
from gateways.github_checks import Check, ChecksFacts
from kit.database import Database
from kit.wire import iso
from models import Run
from models.base import JsonObject, now
from models.event import EventType, append

_COMMIT: Final = "SELECT project_id, repository_slug, head_sha FROM run WHERE id = %(run)s"


class CiReport(BaseModel):
    status: Literal["none", "pending", "passed", "failed"]
    expected: bool
    """The repository has CI, so checks will come even if there are none yet."""


class Ci:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def read_checks(self, run_id: str) -> CiReport:
        """What CI says of the run's commit; read only, and its row and event are written when it changed."""
        [[project_id, slug, sha]] = await self.database.direct.fetch(_COMMIT, {"run": run_id})
        github = self.outside.github(await self.outside.credentials(project_id))
        with outside():
            facts = await github.checks(slug, sha)
            expected = facts.status != "none" or await github.has_ci(slug, sha)
        async with self.database.transaction() as session:
            keep_checks(session, await session.get_one(Run, run_id, with_for_update=True), facts)
        return CiReport(status=facts.status, expected=expected)


def keep_checks(session: AsyncSession, run: Run, facts: ChecksFacts) -> None:
    """On the run's row, and in its log when they changed; the caller holds the row."""
    checks: JsonObject = {"status": facts.status, "checks": [_wire(check) for check in facts.checks]}
    before = {key: value for key, value in (run.ci_checks or {}).items() if key != "checkedAt"}
    run.ci_checks = {**checks, "checkedAt": iso(now())}
    if before != checks:
        append(session, run, EventType.ci_updated, checks)


def _wire(check: Check) -> JsonObject:
    """A check as clients read it, in GitHub's words."""
    words = {"pending": "pending", "passed": "success", "failed": "failure"}
    concluded = None if check.verdict == "pending" else words[check.verdict]
    return {"name": check.name, "status": words[check.verdict], "conclusion": concluded, "url": check.url}
