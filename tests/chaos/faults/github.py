"""GitHub that refuses, fails before and after it has done what it was asked for, and is away."""

from typing import Final, NamedTuple

from tests.chaos.environment import SMALL, Expected, FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.network_links import response
from tests.integration.merging import test_combined_merge as several
from tests.support.outcomes import Severity

OPEN: Final = rb"POST /api/v3/repos/\S+/pulls "
LONG: Final = 3_600.0
"""Seconds that a merge may take on the slowest machine."""
ANY: Final = rb"\w+ /api/v3/"
MERGE: Final = rb"PUT /api/v3/repos/\S+/merge "


class Refusal(NamedTuple):
    sentence: str
    status: int
    headers: str = ""
    body: str = '{"message": "fault"}'
    request: bytes = OPEN
    is_performed: bool = False
    expected: Expected = Expected.delivered


REFUSALS: Final = {
    "401": Refusal("GitHub refuses the token when the pull request is opened.", 401, expected=Expected.ended),
    "403": Refusal("GitHub forbids the pull request.", 403, expected=Expected.ended),
    "422": Refusal("GitHub finds the pull request invalid.", 422, expected=Expected.ended),
    "rate-limit": Refusal(
        "GitHub's secondary rate limit is reached.",
        403,
        "Retry-After: 2\r\n",
        '{"message": "You have exceeded a secondary rate limit."}',
    ),
    "500": Refusal("GitHub answers any request with 500, again and again.", 500, request=ANY),
    "502-after-success": Refusal("GitHub opens the pull request and answers 502.", 502, is_performed=True),
    "422-after-success": Refusal("GitHub opens the pull request and answers 422.", 422, is_performed=True),
}


def refused(name: str, refusal: Refusal) -> None:
    """Put the refusal into the table."""

    @fault(f"github-{name}", refusal.sentence, expected=refusal.expected)
    async def github_refuses(stage: FaultEnvironment) -> None:
        github = stage.link("worker", "github")
        intercept = github.misreport if refusal.is_performed else github.refuse
        answer = response(refusal.status, refusal.body, refusal.headers)
        refused = intercept(refusal.request, answer, times=stage.tries)
        await stage.accept_all()
        await stage.until(lambda: refused.seen > 0, "nothing was refused: the request has another form")


for name, refusal in REFUSALS.items():
    refused(name, refusal)


@fault("github-away", "Nobody reaches GitHub's API for minutes while runs want to deliver.")
async def github_away(stage: FaultEnvironment) -> None:
    await stage.accept_all()
    stage.link("worker", "github").take_down()
    await stage.wait(180)


@fault("answer-lost-comment", "The answer is lost after the effect: comments on pull requests.", tries=1)
async def answer_lost_comment(stage: FaultEnvironment) -> None:
    github = stage.link("worker", "github")
    lost = github.lose_answer(rb"POST /api/v3/repos/\S+/issues/\d+/comments ", times=2)
    pulls = await several.pulls_of(stage.site, ({"one.txt": "1\n"}, "One"), ({"two.txt": "2\n"}, "Two"))
    job = await several.start(pulls, await pulls.merge(1, 2))
    stage.others += 1
    await several.ended(pulls, job, LONG)  # asserts that nobody commented twice
    for number in pulls.urls:
        if len(await pulls.comments(number)) != 1:
            stage.found(Severity.lost, f"pull request {number} was not told what became of it")
    await stage.until(lambda: lost.seen > 0, "no answer was lost: the request has another form")


@fault("answer-lost-merge", "The answer is lost after the effect: merge.", tries=2)
async def answer_lost_merge(stage: FaultEnvironment) -> None:
    lost = stage.link("worker", "github").lose_answer(MERGE, times=stage.tries)
    for _ in range(stage.tries):
        job = await stage.accept(SMALL)
        await stage.ended(job)
        await stage.merge(job)
    await stage.until(lambda: lost.seen > 0, "no answer was lost: the request has another form")
