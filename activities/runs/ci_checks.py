"""What CI says of a run's commit."""

from typing import Literal

from pydantic import BaseModel
from temporalio import activity

from activities.gateway_factory import GatewayFactory, external_call
from gateways.github.checks import CommitCheck, CommitChecks
from kit.database import Database
from models import Run
from models.base import JsonObject
from models.event import EventType, append_event


class CiReport(BaseModel):
    status: Literal["none", "pending", "passed", "failed"]
    expected: bool
    """The repository has CI, so checks will come even if there are none yet."""
    is_settled: bool = True
    """Nothing that is known of is still at work; a commit counts as failed before that."""


class CiActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def read_checks(self, run_id: str) -> CiReport:
        """What CI says of the run's commit; read only, and its row and event are written when it changed.

        Nothing is written any more once the run is over: what a cancel left at work may come later.
        """
        async with self.database.read_only() as session:
            run = await session.get_one(Run, run_id)
        slug, sha = run.repository_slug, run.head_sha
        assert sha, "its branch is pushed"
        github = await self.outside.github(await self.outside.credentials(run.project_id), slug)
        with external_call():
            facts = await github.checks(slug, sha)
            expected = facts.status != "none" or await github.has_ci(slug, sha)
        await record_checks(self.database, run_id, facts)
        is_settled = all(check.verdict != "pending" for check in facts.checks)
        return CiReport(status=facts.status, expected=expected, is_settled=is_settled)


async def record_checks(database: Database, run_id: str, facts: CommitChecks, *, ended: bool = False) -> None:
    """On the run's row, and in its log when they changed; ended: also when the run is over."""
    checks: JsonObject = {"status": facts.status, "checks": [_check_json(check) for check in facts.checks]}
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        if run.is_finished and not ended:
            return
        if run.record_checks(checks):
            append_event(session, run, EventType.ci_updated, checks)


def _check_json(check: CommitCheck) -> JsonObject:
    """A check as clients read it, in GitHub's words."""
    words = {"pending": "pending", "passed": "success", "failed": "failure"}
    concluded = None if check.verdict == "pending" else words[check.verdict]
    return {"name": check.name, "status": words[check.verdict], "conclusion": concluded, "url": check.url}
