"""What an agent is told: a system prompt that stays as it is, and the task with what came before."""

from dataclasses import dataclass

from activities.runs.step_outputs import StepOutput
from gateways.anthropic.conversation import truncate
from models.agent.sections import SECTION_RULE, escape_section_tags, trusted_section, untrusted_section
from models.agent.session_kind import SessionKind
from models.assets.slash_commands import expand_slash_commands
from models.jobs.snapshot import Snapshot, StepSnapshot, max_iterations
from models.learnings.document import render_document
from models.runs.run_step import Verdict

MAX_OUTPUT_CHARS = 20_000
"""Characters of an earlier step's output that later steps are told."""
MAX_REASON_CHARS = 1_000
"""Characters of why an earlier run ended."""

MAX_FOLDER_CHARS = 60
"""Characters of a skill's name that its folder has; file systems count 255 bytes."""

_COMPANION_RULES = f"""\
You work in a sandbox. The repository is in /home/user/repo, on a branch of its own; bash starts there.
{SECTION_RULE}"""
_WORK_RULES = f"""\
You work in a sandbox. The repository is in /home/user/repo, on the run's own branch; bash starts there.
{SECTION_RULE}
- Do not push, do not open a pull request, do not change git's configuration: that is done for you afterwards.
- Work without asking: nobody answers questions. Where the task is silent, choose what its user would expect
  and say so in your summary.
- When the work is done, call `finish`, alone."""


@dataclass(frozen=True)
class StepPrompt:
    snapshot: Snapshot
    step: StepSnapshot
    iteration: int
    earlier: list[StepOutput]


def system_prompt(snapshot: Snapshot, step: StepSnapshot, kind: SessionKind = SessionKind.worker) -> str:
    """The same for every turn of the session, so that the provider caches it."""
    house = _COMPANION_RULES if kind is SessionKind.companion else _WORK_RULES
    parts = [f"Role: {step.role.value}", step.instructions, house]
    if snapshot.sandbox_system_prompt:
        parts.append(snapshot.sandbox_system_prompt)
    if snapshot.claude_md:
        parts.append(f"# The project's instructions (CLAUDE.md)\n\n{snapshot.claude_md}")
    if step.context:
        parts.append(f"# {step.context.name}\n\n{step.context.content}")
    folders = skill_folders(snapshot)
    skills = list(folders) if step.skills is None else step.skills
    if skills:
        listed = "\n".join(f"- {name}: .claude/skills/{folders[name]}/" for name in skills)
        parts.append(f"# Skills you can read when they fit\n\n{listed}")
    commands = [command.name for command in snapshot.commands] if step.commands is None else step.commands
    if commands:
        listed = "\n".join(f"- /{name}: .claude/commands/{name}.md" for name in commands)
        parts.append(f"# Commands: when the task names one, follow its file\n\n{listed}")
    if snapshot.learnings and (learnings := render_document(snapshot.learnings.entries, step.role)):
        parts.append(learnings)
    return "\n\n".join(parts)


def user_prompt(told: StepPrompt) -> str:
    """The task, the place of this step in the run, and what earlier steps put out."""
    block = next(block for block in told.snapshot.blocks if told.step in block)
    parts = [trusted_section("task", told.snapshot.prompt)]
    if told.step.prompt:
        parts.append(trusted_section("step", told.step.prompt))
    parts += expand_slash_commands(told.snapshot.commands, told.snapshot.prompt, told.step.prompt)
    if told.snapshot.session_kind(told.step) is SessionKind.judge:
        names = "\n".join(
            f"- {name} (in the clone: origin/{name})" for name in told.snapshot.compare_branches
        )
        parts.append(f"{trusted_section('alternatives', names)}\nCompare them with each other.")
    parts += _earlier_run(told)
    if max_iterations(block) > 1:
        parts.append(f"Iteration {told.iteration} of {max_iterations(block)}.")
    parts += [
        untrusted_section("output", truncate(output.output, MAX_OUTPUT_CHARS), of=output.label)
        for output in _last_outputs(told.earlier)
    ]
    if not told.step.role.gives_verdict:
        checks = {step.index for step in block if step.role.gives_verdict}
        parts += [
            untrusted_section("feedback", truncate(output.feedback or "", MAX_OUTPUT_CHARS))
            for output in told.earlier
            if output.index in checks
            and output.iteration == told.iteration - 1
            and output.verdict is Verdict.failed
        ]
    return "\n\n".join(parts)


def _earlier_run(told: StepPrompt) -> list[str]:
    """For the first agent that works on what an ended run left."""
    earlier = told.snapshot.continues
    if earlier is None or told.iteration > 1 or told.step.index != earlier.first_step:
        return []
    if told.step.role.assesses:
        return []
    lines = [
        f"Run {earlier.run_number} worked on this task before and ended early.",
        escape_section_tags(truncate(earlier.reason, MAX_REASON_CHARS)),
        "What it did is in the work tree already: look at it first, then do only what is missing.",
    ]
    return [trusted_section("earlier-run", "\n".join(lines))]


def _last_outputs(outputs: list[StepOutput]) -> list[StepOutput]:
    """Of every step only what it put out last."""
    return sorted({output.index: output for output in outputs}.values(), key=lambda output: output.index)


def skill_folders(snapshot: Snapshot) -> dict[str, str]:
    """The folder of each skill, by its name; a number tells those apart that would have the same."""
    folders: dict[str, str] = {}
    for skill in snapshot.skills:
        wanted = "-".join("".join(c if c.isalnum() else " " for c in skill.name.lower()).split())
        wanted = name = wanted[:MAX_FOLDER_CHARS] or "skill"
        number = 1
        while name in folders.values():
            number += 1
            name = f"{wanted}-{number}"
        folders[skill.name] = name
    return folders
