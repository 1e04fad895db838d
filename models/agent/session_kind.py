"""What an agent's session is for: it decides which tools the agent has and how it has to end."""

from enum import StrEnum


class SessionKind(StrEnum):
    worker = "worker"
    """Ends with a summary."""
    checker = "checker"
    """Ends with a verdict, too."""
    evaluator = "evaluator"
    """Ends with a score and its reasons, too."""
    judge = "judge"
    """Ends with a ranking of alternative branches, too."""
    scout = "scout"
    """Reports issues one by one; ends with what it could not know."""
    asker = "asker"
    """Ends with questions, each with the assumption that holds if nobody answers."""
    answerer = "answerer"
    """Ends with an answer to every question."""
    extractor = "extractor"
    """Reads a transcript and reports learnings one by one; ends with a summary."""
    companion = "companion"
    """Talks with a user for as long as they like: an answer that calls no tool hands the word back."""

    @property
    def has_sandbox(self) -> bool:
        """Whether its agent works in one: with a shell, an editor and a search."""
        return self is not SessionKind.extractor
