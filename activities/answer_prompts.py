"""The words of answering sessions: what its agents are told, and what runs are told of the answers."""

from collections.abc import Sequence

from gateways.conversation import cut
from models import Issue, IssueSession, SessionQuestion
from models.session_question import QuestionStatus

TOLD = 2_000
"""Characters of an issue's description that the agents are told."""
LONGEST = 60_000
"""Characters of all that a scan found."""


def asker_prompt(scan: IssueSession, issues: Sequence[Issue]) -> str:
    """What the scan found, what it could not know, and what it took for granted."""
    parts = [f"<scan>\n{scan.prompt}\n</scan>", _issues(issues)]
    if scan.questions:
        parts.append(f"<open-questions>\n{_list(scan.questions)}\n</open-questions>")
    if scan.assumptions:
        parts.append(f"<assumptions>\n{_list(scan.assumptions)}\n</assumptions>")
    return "\n\n".join(parts)


def answerer_prompt(questions: Sequence[SessionQuestion], issues: Sequence[Issue]) -> str:
    """Every question with what was decided."""
    return "\n\n".join([*map(_decided, questions), _issues(issues)])


def answers_as_told(questions: Sequence[SessionQuestion]) -> str | None:
    """What runs are told; None when there were no questions."""
    told = "\n\n".join(f"{each.question}\n{each.answer}" for each in questions)
    return f"<decided>\n{told}\n</decided>" if questions else None


def _decided(question: SessionQuestion) -> str:
    how = "reviewed" if question.status is not QuestionStatus.pending else "assumed, as nobody objected"
    return (
        f'<question number="{question.number}">\n{question.question}\n'
        f"Decided ({how}): {question.decided}\n</question>"
    )


def _issues(issues: Sequence[Issue]) -> str:
    told = "\n".join(
        f'<issue priority="{issue.priority}">\n{issue.title}\n{cut(issue.description or "", TOLD)}\n</issue>'
        for issue in issues
    )
    return f"<issues>\n{cut(told, LONGEST)}\n</issues>"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
