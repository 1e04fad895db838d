"""`codecourier demo --all`: every durable orchestration, one after another."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from rich.text import Text

from cli.console import out
from cli.demo import (
    budgets,
    chains,
    ci,
    issues,
    learnings,
    merging,
    webhooks,
)
from cli.demo.client import ApiError
from cli.demo.context import DemoContext, DemoFailed

Part = Callable[[DemoContext], Awaitable[None]]
PARTS: list[tuple[str, str, Part]] = [
    ("Issue scan", "An agent reads the repository; issues appear as it finds them.", issues.scan),
    (
        "Answering session",
        "An agent asks before the work begins; a person approves what it assumes, or corrects it.",
        issues.answers,
    ),
    (
        "Work chain",
        "One issue after another: a run and a pull request each, on top of the one before.",
        issues.work,
    ),
    (
        "Sprint chain",
        "Three sprints, one run each: paused after the first, for as long as wished, and resumed.",
        chains.sprints,
    ),
    ("Recurring task", "A schedule of Temporal's own, fired by hand this once.", chains.recurring),
    (
        "Merge after CI",
        "Asked for once: it waits until the checks pass, and merges what was checked.",
        merging.after_ci,
    ),
    (
        "Merge of several",
        "The sprints' pull requests become one; an agent solves their conflicts, the tests must pass.",
        merging.several,
    ),
    (
        "Learnings",
        "What is published reaches the agents, and what a run taught reaches the next one.",
        learnings.learnings,
    ),
    ("Budget", "A cap is reached: the run waits for money and goes on when there is some.", budgets.cap),
    (
        "CI fixed by the agent",
        "CI fails, the agent reads its log and fixes the cause, CI passes, the pull request is merged.",
        ci.fix,
    ),
    ("Webhook", "An event is sent to a server, signed by the Standard Webhooks.", webhooks.receive),
]


async def run_parts(stage: DemoContext) -> bool:
    """Play all parts; whether all went well.  What comes after one that did not is left out."""
    began, ended = (datetime.fromisoformat(str(stage.run[name])) for name in ("createdAt", "completedAt"))
    took = [("Run", (ended - began).total_seconds())]
    for number, (name, shows, part) in enumerate(PARTS, 1):
        out.print(Text.assemble((f"\n{number} of {len(PARTS)}  {name}", "bold"), f"\n{shows}\n"))
        stage.since = datetime.now(UTC)
        try:
            await part(stage)
        except (DemoFailed, ApiError) as reason:
            out.print(Text(f"\n{name}: {reason}", style="bold red"))
            return False
        took.append((name, stage.seconds))
        out.print(Text(f"{name}: {took[-1][1]:.1f} s", style="green"))
    out.print(Text("\nAll of it", style="bold"))
    for name, seconds in took:
        out.print(f"{name:<24}{seconds:6.1f} s")
    out.print(Text(f"{'in all':<24}{sum(seconds for _, seconds in took):6.1f} s", style="bold green"))
    return True
