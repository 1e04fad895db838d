"""What an agent's session is told and how it ends; how far it may go: turns, time, money, and patience."""

from datetime import datetime

from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from activities.outcomes import TurnOutcome
from models.run_ending import BUDGET_EXCEEDED
from models.run_step import Verdict

MOST_NUDGES = 3
"""How often in a row an agent is told to go on, before it is given up."""


class SessionInput(BaseModel):
    """What a session uses and how far it may go; `turn`, `nudges` and the rest tell where it is."""

    session_id: str
    job_id: str
    sandbox_id: str
    label: str
    max_turns: int
    max_cost_usd: float | None
    deadline: datetime
    turn: int = 1
    nudges: int = 0


class SessionOutcome(BaseModel):
    finished: bool
    """False: it was stopped before."""
    verdict: Verdict | None = None
    sandbox_id: str
    """The sandbox it ended in, which replaced the first one if that was lost."""


def keep_limits(session: SessionInput, at: datetime) -> None:
    """Before a turn.  Raises with a code and what the user can do."""
    if session.nudges > MOST_NUDGES:
        raise failure("NO_RESULT", "The agent stopped without finishing. Make the task more precise.")
    if session.turn > session.max_turns:
        used = f"{session.label} used its {session.max_turns} turns."
        raise failure("TURN_LIMIT", f"{used} Raise the step's maxTurns or split the task.")
    if at > session.deadline:
        raise failure("TIME_LIMIT", "Its time is over. Raise timeoutMs or split the task.")


def keep_budget(session: SessionInput, outcome: TurnOutcome) -> None:
    """After a turn; what a session has finished is never thrown away for its price."""
    most = session.max_cost_usd
    if most is not None and outcome.cost_usd >= most and outcome.next != "finished":
        cost = f"It cost {outcome.cost_usd:.4f} USD of at most {most:.4f}."
        raise failure(BUDGET_EXCEEDED, f"{cost} Raise config.maxCostUsd or split the task.")
    if outcome.next == "refused":
        raise failure("MODEL_REFUSED", "The model refused to go on. Rephrase the prompt and start again.")


def failure(code: str, sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type=code, non_retryable=True)
