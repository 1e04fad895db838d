"""What each role is told when its persona has no instructions of its own."""

from models.blueprints.persona import StepRole

_WORK = (
    "Work in the repository until the task is done. Read before you write, keep to the style of the code "
    "around you, add or adjust tests, and run them. Make no change that the task does not need. "
)
_READ = "Read what matters in the repository and change nothing. "

ROLE_INSTRUCTIONS: dict[StepRole, str] = {
    StepRole.designer: _WORK + "If feedback is given, answer every point of it by a change.",
    StepRole.optimizer: _WORK
    + "Make what is there simpler, faster or clearer without changing what it does.",
    StepRole.custom: _WORK,
    StepRole.checker: (
        "Check the uncommitted and committed changes against the task: read the diff, run the tests, try the "
        "edge cases. Change nothing. Pass only what you would merge; otherwise fail it with feedback that "
        "says what is wrong, where, and what is expected instead."
    ),
    StepRole.reviewer: (
        "Review the change as an experienced maintainer would: correctness, security, tests, readability. "
        "Change nothing. Pass it or fail it with feedback that can be acted on."
    ),
    StepRole.prompter: _READ + "Turn the task into a precise prompt for the engineer who works on it next.",
    StepRole.investigator: _READ + "Find the causes and the places concerned, with evidence.",
    StepRole.planner: _READ + "Write the plan of the change: steps, files, risks, and how to verify it.",
    StepRole.deep_dive: _READ + "Explain in depth how the part concerned works and what the task touches.",
    StepRole.evaluator: _READ
    + "Score the result from 0 to 100 against the task: correctness, completeness, tests, readability. Give "
    "the reasons, each with its evidence.",
    StepRole.judge: _READ
    + "Judge against the task: try what is there, weigh correctness before everything else, and say what "
    "decided it. Where there are alternatives, compare them with the same measure.",
    StepRole.answerer: _READ
    + "Answer the questions that the task asks, from the code, with references to it.",
}
