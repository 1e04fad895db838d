"""The words of answering sessions: what its agents are told, and what runs are told of the answers."""

from collections.abc import Sequence

from gateways.anthropic.conversation import truncate
from models import Issue, IssueSession, SessionQuestion
from models.agent.sections import trusted_section, untrusted_section
from models.assets.slash_commands import expand_slash_commands
from models.issues.session_question import QuestionStatus
from models.jobs.snapshot import TextAsset

MAX_DESCRIPTION_CHARS = 2_000
"""Characters of an issue's description that the agents are told."""
MAX_ISSUES_CHARS = 60_000
"""Characters of all that a scan found."""


def asker_prompt(scan: IssueSession, issues: Sequence[Issue], commands: Sequence[TextAsset]) -> str:
    """What the scan found, what it could not know, and what it took for granted."""
    parts = [
        trusted_section("scan", scan.prompt),
        *expand_slash_commands(commands, scan.prompt),
        _issues(issues),
    ]
    if scan.questions:
        parts.append(untrusted_section("open-questions", _bullet_list(scan.questions)))
    if scan.assumptions:
        parts.append(untrusted_section("assumptions", _bullet_list(scan.assumptions)))
    return "\n\n".join(parts)


def answerer_prompt(questions: Sequence[SessionQuestion], issues: Sequence[Issue]) -> str:
    """Every question with what was decided."""
    return "\n\n".join([*map(_decision_text, questions), _issues(issues)])


def answers_prompt(questions: Sequence[SessionQuestion]) -> str | None:
    """What runs are told; None when there were no questions."""
    told = "\n\n".join(f"{each.question}\n{each.answer}" for each in questions)
    return untrusted_section("decided", told) if questions else None


def _decision_text(question: SessionQuestion) -> str:
    how = "reviewed" if question.status is not QuestionStatus.pending else "assumed, as nobody objected"
    told = f"{question.question}\nDecided ({how}): {question.decision}"
    return untrusted_section("question", told, number=question.number)


def _issues(issues: Sequence[Issue]) -> str:
    told = "\n".join(
        untrusted_section(
            "issue",
            f"{issue.title}\n{truncate(issue.description or '', MAX_DESCRIPTION_CHARS)}",
            priority=issue.priority,
        )
        for issue in issues
    )
    return trusted_section("issues", truncate(told, MAX_ISSUES_CHARS))


def _bullet_list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
