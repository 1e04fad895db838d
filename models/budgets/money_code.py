"""Why a model call is not made for money, as `waiting.code` of the job says it."""

from enum import StrEnum


class BudgetWaitCode(StrEnum):
    """Why a call was not made."""

    reached = "BUDGET_REACHED"
    """It would exceed a cap."""
    reserved = "BUDGET_RESERVED"
    """It would not, were it not for the reservations of calls in flight: it is tried again soon."""
    unpriced = "MODEL_WITHOUT_PRICE"
    """A cap applies, and nobody knows what the model costs."""
