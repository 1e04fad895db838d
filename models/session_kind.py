"""What an agent's session is for: it decides which tools the agent has and how it has to end."""

from enum import StrEnum


class SessionKind(StrEnum):
    worker = "worker"
    """Ends with a summary."""
    checker = "checker"
    """Ends with a verdict, too."""
    evaluator = "evaluator"
    """Ends with a score, too."""
    scout = "scout"
    """Reports issues one by one; ends with what it could not know."""
    asker = "asker"
    """Ends with questions, each with the assumption that holds if nobody answers."""
    answerer = "answerer"
    """Ends with an answer to every question."""
