"""What CI says of a run's commit."""

from typing import Final, Literal

from pydantic import BaseModel
from temporalio import activity

from activities.outside import Outside, outside
from activities.telling import TELL, told
from gateways.github_checks import Check, ChecksFacts
from kit.database import Database
from kit.direct import Direct, jsonb
from kit.wire import iso
from models.base import JsonObject, now
from models.event import EventType

_COMMIT: Final = "SELECT project_id, repository_slug, head_sha FROM run WHERE id = %(run)s"
_KEEP: Final = """
    WITH held AS (
        SELECT id, nullif(ci_checks, 'null') - 'checkedAt' IS DISTINCT FROM %(checks)s AS is_news
        FROM run WHERE id = %(run)s AND (completed_at IS NULL OR %(ended)s) FOR UPDATE
    ), kept AS (
        UPDATE run SET ci_checks = %(checks)s || %(looked)s, event_seq = event_seq + is_news::int
        FROM held WHERE run.id = held.id RETURNING project_id, run.id, event_seq, is_news
    ), changed AS (SELECT project_id, id, event_seq FROM kept WHERE is_news)
    {tell}
"""


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
        """What CI says of the run's commit; read only, and its row and event are written when it changed.

        Nothing is written any more once the run is over: what a cancel left at work may come later.
        """
        [[project_id, slug, sha]] = await self.database.direct.fetch(_COMMIT, {"run": run_id})
        github = self.outside.github(await self.outside.credentials(project_id))
        with outside():
            facts = await github.checks(slug, sha)
            expected = facts.status != "none" or await github.has_ci(slug, sha)
        await keep_checks(self.database.direct, run_id, facts)
        return CiReport(status=facts.status, expected=expected)


async def keep_checks(direct: Direct, run_id: str, facts: ChecksFacts, *, ended: bool = False) -> None:
    """On the run's row, and in its log when they changed; ended: also when the run is over."""
    checks: JsonObject = {"status": facts.status, "checks": [_wire(check) for check in facts.checks]}
    values = {
        "run": run_id, "checks": jsonb(checks), "looked": jsonb({"checkedAt": iso(now())}),
        "ended": ended,
        **told(EventType.ci_updated, checks),
    }  # fmt: skip
    await direct.fetch(_KEEP.format(tell=TELL), values)


def _wire(check: Check) -> JsonObject:
    """A check as clients read it, in GitHub's words."""
    words = {"pending": "pending", "passed": "success", "failed": "failure"}
    concluded = None if check.verdict == "pending" else words[check.verdict]
    return {"name": check.name, "status": words[check.verdict], "conclusion": concluded, "url": check.url}
