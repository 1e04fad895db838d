"""What a pull request says: what was asked, what was done, and how it was checked."""

from activities.step_outputs import StepOutput
from gateways.conversation import cut
from models.run import Run
from models.run_step import Verdict

LONGEST = 60_000
"""Characters of a body; GitHub takes 65,536."""
_WORDS = {Verdict.passed: "passed", Verdict.failed: "asked for changes"}


def body_of(run: Run, outputs: list[StepOutput]) -> str:
    """Markdown: the task, every step's report in order, and where to read the whole conversation."""
    task = "\n".join(f"> {line}" for line in run.prompt.splitlines())
    parts = [f"## What was asked\n\n{cut(task, 4_000)}", "## What was done"]
    parts += [
        f"**{_heading(output)}**\n\n{cut(output.output, 4_000)}" for output in outputs if not output.verdict
    ]
    if checks := [output for output in outputs if output.verdict]:
        parts.append("## How it was checked")
        parts += [f"**{_heading(output)}**\n\n{cut(_told(output), 4_000)}" for output in checks]
        if checks[-1].verdict is Verdict.failed:
            parts.append("⚠️ The last check did not pass: look at its feedback before you merge.")
    parts.append(f"---\nCodeCourier run {run.run_number} (`{run.id}`), workflow “{run.blueprint_name}”.")
    return cut("\n\n".join(parts), LONGEST)


def _heading(output: StepOutput) -> str:
    verdict = f": {_WORDS[output.verdict]}" if output.verdict else ""
    return f"{output.label}, iteration {output.iteration}{verdict}"


def _told(output: StepOutput) -> str:
    return f"{output.output}\n\n{output.feedback}" if output.feedback else output.output
