"""What a pull request says: what was asked, what was done, and how it was checked.

What users and agents wrote is quoted, and holds no marker: what is not quoted is the platform's word.
"""

from activities.runs.step_outputs import StepOutput
from activities.verification.pull_request_section import verification_section
from gateways.anthropic.conversation import truncate
from gateways.github.inert_markdown import neutralize_markdown
from gateways.github.markers import without_markers
from models.runs.run import Run
from models.runs.run_step import Verdict
from models.verification.verification import Verification

MAX_BODY_CHARS = 60_000
"""Characters of a body; GitHub takes 65,536."""
MAX_REPORT_CHARS, MIN_REPORT_CHARS = 4_000, 50
"""Characters of the task, and of each report; where there are many, they are cut shorter."""
_VERDICT_TEXTS = {Verdict.passed: "passed", Verdict.failed: "asked for changes"}


def pull_request_body(run: Run, outputs: list[StepOutput], verification: Verification | None = None) -> str:
    """Markdown: the task, every step's report in order, and where to read the whole conversation.

    What agents wrote links to nothing, mentions nobody and closes no issue; what the user asked for may.
    verification: what the platform itself found out, where the workflow asks for that; it is never cut.
    """
    end = [verification_section(verification)] if verification is not None else []
    workflow = without_markers(run.blueprint_name)
    end.append(f"---\nCodeCourier run {run.run_number} (`{run.id}`), workflow “{workflow}”.")
    last = "\n\n".join(end)
    room, limit = MAX_BODY_CHARS - len(last) - 2, MAX_REPORT_CHARS
    reports = _reports(run, outputs, limit)
    while len(reports) > room and limit > MIN_REPORT_CHARS:
        limit //= 2
        reports = _reports(run, outputs, limit)
    return f"{truncate(reports, room)}\n\n{last}"


def _reports(run: Run, outputs: list[StepOutput], limit: int) -> str:
    """limit: characters of each."""
    asked = neutralize_markdown(run.prompt) if run.source.quotes_agents else run.prompt
    parts = [f"## What was asked\n\n{_block_quote(asked, limit)}", "## What was done"]
    parts += [
        f"**{_heading(output)}**\n\n{_block_quote(neutralize_markdown(output.output), limit)}"
        for output in outputs
        if not output.verdict
    ]
    if checks := [output for output in outputs if output.verdict]:
        parts.append("## How it was checked")
        parts += [
            f"**{_heading(output)}**\n\n{_block_quote(neutralize_markdown(_report_text(output)), limit)}"
            for output in checks
        ]
        if checks[-1].verdict is Verdict.failed:
            parts.append("⚠️ The last check did not pass: look at its feedback before you merge.")
    return "\n\n".join(parts)


def pull_request_title(run: Run) -> str:
    return neutralize_markdown(run.name) if run.source.quotes_agents else run.name


def _heading(output: StepOutput) -> str:
    verdict = f": {_VERDICT_TEXTS[output.verdict]}" if output.verdict else ""
    when = f"iteration {output.iteration}" if output.iteration else "in an earlier run"
    return f"{without_markers(output.label)}, {when}{verdict}"


def _block_quote(text: str, limit: int) -> str:
    """What the text leaves open, a fence for instance, ends with the quotation."""
    return "\n".join(f"> {line}" for line in without_markers(truncate(text, limit)).splitlines())


def _report_text(output: StepOutput) -> str:
    return f"{output.output}\n\n{output.feedback}" if output.feedback else output.output
