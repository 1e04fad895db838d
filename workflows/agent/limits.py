"""What an agent's session is told and how it ends; how far it may go: turns, active time and patience; for
money it waits (`workflows.budgets`)."""

from datetime import datetime, timedelta

from pydantic import BaseModel
from temporalio.exceptions import ApplicationError, ChildWorkflowError, FailureError

from activities.agent.turns import TurnResult
from models.budgets.reservation import ReservationRefusal
from models.runs.run_step import Verdict

MAX_NUDGES = 3
"""How often in a row an agent is told to go on, before it is given up."""
CHECKPOINT_CALLS = 10
"""After how many calls that may have changed the work tree a checkpoint is taken within a step."""
CHECKPOINT_TIME = timedelta(minutes=5)
"""After how long it is taken although there were fewer."""


class SessionInput(BaseModel):
    """What a session uses and how far it may go; `turn`, `nudges` and the rest tell where it is."""

    session_id: str
    job_id: str
    sandbox_id: str | None = None
    """None: its agent works without one."""
    label: str
    max_turns: int
    time_limit_seconds: int | None = None
    """How much active time its job may use in all; None: whoever began it ends it."""
    active_seconds: float = 0.0
    """How much its job has used: what its turns and calls were at work for, and nothing else (ADR 28)."""
    turn: int = 1
    nudges: int = 0
    waits_for_money: bool = True
    """False: a call that cannot be paid for ends it."""
    refusal: ReservationRefusal | None = None
    """Why its next model call was not made, while it waits for the money."""
    keeps_work: bool = False
    """Its work tree is what it is for: checkpoints are taken of it, and losing it matters."""
    unsaved: bool = False
    """Calls may have changed the work tree since the last checkpoint."""
    unsaved_calls: int = 0
    """How many, since a checkpoint was last tried."""
    unsaved_since: datetime | None = None
    """When the first of them began."""
    saved_sha: str | None = None
    """The last checkpoint that was taken of it."""
    journaled: str | None = None
    """The journal's name of a call that was carried out in the sandbox it has now."""
    work_lost: bool = False
    """A sandbox was lost with work in it that was in no checkpoint."""
    lost_in: str | None = None
    """The sandbox that was lost so, unless something was saved since."""
    lost_sandbox: str | None = None
    """Of whose loss its agent has to be told before the next turn, as no call was there to be answered."""

    @property
    def unsaved_in(self) -> str | None:
        """The sandbox that alone has, or had, something of its work; None where all of it is safe."""
        if not self.keeps_work:
            return None
        return self.sandbox_id if self.unsaved else self.lost_in

    def count_writes(self, calls: int, at: datetime) -> None:
        """So many calls begin that may change the work tree."""
        if calls:
            self.unsaved = True
            self.unsaved_calls += calls
            self.unsaved_since = self.unsaved_since or at

    def wants_checkpoint(self, at: datetime) -> bool:
        """Whether it is time for one within a step."""
        if not self.keeps_work or self.unsaved_since is None:
            return False
        return self.unsaved_calls >= CHECKPOINT_CALLS or at - self.unsaved_since >= CHECKPOINT_TIME

    def count_checkpoint(self, sha: str | None) -> None:
        """A checkpoint was tried; None: it failed, and is tried again when the next is due."""
        self.unsaved = self.unsaved and sha is None
        self.saved_sha = sha or self.saved_sha
        self.lost_in = self.lost_in if sha is None else None
        self.unsaved_calls, self.unsaved_since = 0, None

    def count_loss(self, sandbox_id: str) -> None:
        """The sandbox was lost; the next one begins with what was saved."""
        if self.keeps_work and self.unsaved:
            self.work_lost, self.lost_in = True, self.lost_in or sandbox_id
        self.unsaved, self.unsaved_calls, self.unsaved_since = False, 0, None
        self.journaled = None


class SessionResult(BaseModel):
    finished: bool
    """False: it was stopped before."""
    verdict: Verdict | None = None
    sandbox_id: str | None = None
    """The sandbox it ended in, which replaced the first one if that was lost."""
    active_seconds: float = 0.0
    """Of its job in all: see `SessionInput`."""
    unsaved: bool = False
    """Its work tree is in no checkpoint yet."""
    saved_sha: str | None = None
    """The last checkpoint that was taken of it; None: none was."""
    work_lost: bool = False

    @classmethod
    def of(
        cls, session: SessionInput, *, finished: bool = False, verdict: Verdict | None = None
    ) -> "SessionResult":
        return cls(
            finished=finished,
            verdict=verdict,
            sandbox_id=session.sandbox_id,
            active_seconds=session.active_seconds,
            unsaved=session.unsaved,
            saved_sha=session.saved_sha,
            work_lost=session.work_lost,
        )

    @classmethod
    def from_failure(cls, error: FailureError) -> "SessionResult | None":
        """How far a session had come that failed of a limit; None where it failed of anything else."""
        failure = error.cause if isinstance(error, ChildWorkflowError) else None
        if isinstance(failure, ApplicationError) and failure.details:
            return cls.model_validate(failure.details[0])
        return None


def require_within_limits(session: SessionInput) -> None:
    """Before a turn.  Raises with a code and what the user can do."""
    if session.nudges > MAX_NUDGES:
        raise non_retryable_error(
            "NO_RESULT", "The agent stopped without finishing. Make the task more precise."
        )
    if session.turn > session.max_turns:
        used = f"{session.label} used its {session.max_turns} turns."
        raise non_retryable_error("TURN_LIMIT", f"{used} Raise the step's maxTurns or split the task.")
    require_time_left(session.active_seconds, session.time_limit_seconds)


def require_time_left(active_seconds: float, limit_seconds: int | None) -> None:
    """Before anything that takes long.  Raises when the job's active time is used up."""
    if limit_seconds is not None and active_seconds > limit_seconds:
        used = f"Its {limit_seconds} seconds of active time are used up."
        raise non_retryable_error("TIME_LIMIT", f"{used} Raise timeoutMs or split the task.")


def raise_if_refused(outcome: TurnResult) -> None:
    """After a turn.  Raises when the model will not go on."""
    if outcome.next == "refused":
        raise non_retryable_error(
            "MODEL_REFUSED", "The model refused to go on. Rephrase the prompt and start again."
        )


def non_retryable_error(code: str, sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type=code, non_retryable=True)


def limit_error(error: ApplicationError, session: SessionInput) -> ApplicationError:
    """The limit that ended a session, with how far it had come: see `SessionResult.from_failure`."""
    reached = SessionResult.of(session).model_dump(mode="json")
    return ApplicationError(error.message, reached, type=error.type, non_retryable=True)
