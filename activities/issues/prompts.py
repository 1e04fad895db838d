"""The words of answering sessions: what its agents are told, and what runs are told of the answers."""

from collections.abc import Sequence

from gateways.anthropic.conversation import cut
from models import Issue, IssueSession, SessionQuestion
from models.agent.sections import material, section
from models.assets.slash_commands import expand_commands
from models.issues.session_question import QuestionStatus
from models.jobs.snapshot import TextAsset

TOLD = 2_000
"""Characters of an issue's description that the agents are told."""
LONGEST = 60_000
"""Characters of all that a scan found."""


def asker_prompt(scan: IssueSession, issues: Sequence[Issue], commands: Sequence[TextAsset]) -> str:
    """What the scan found, what it could not know, and what it took for granted."""
    parts = [section("scan", scan.prompt), *expand_commands(commands, scan.prompt), _issues(issues)]
    if scan.questions:
        parts.append(material("open-questions", _list(scan.questions)))
    if scan.assumptions:
        parts.append(material("assumptions", _list(scan.assumptions)))
    return "\n\n".join(parts)


def answerer_prompt(questions: Sequence[SessionQuestion], issues: Sequence[Issue]) -> str:
    """Every question with what was decided."""
    return "\n\n".join([*map(_decided, questions), _issues(issues)])


def answers_as_told(questions: Sequence[SessionQuestion]) -> str | None:
    """What runs are told; None when there were no questions."""
    told = "\n\n".join(f"{each.question}\n{each.answer}" for each in questions)
    return material("decided", told) if questions else None


def _decided(question: SessionQuestion) -> str:
    how = "reviewed" if question.status is not QuestionStatus.pending else "assumed, as nobody objected"
    told = f"{question.question}\nDecided ({how}): {question.decided}"
    return material("question", told, number=question.number)


def _issues(issues: Sequence[Issue]) -> str:
    told = "\n".join(
        material("issue", f"{issue.title}\n{cut(issue.description or '', TOLD)}", priority=issue.priority)
        for issue in issues
    )
    return section("issues", cut(told, LONGEST))


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
