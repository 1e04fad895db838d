"""Commands that a prompt names with a slash, like `/write-tests`: found, and expanded for our own agent."""

import re
from collections.abc import Iterable
from itertools import islice

from models.agent.sections import trusted_section
from models.jobs.snapshot import TextAsset

_SLASH_COMMAND = re.compile(
    r"""(?<![^\s(\[{"'`,;:])/       # at the beginning of a word: no part of a path or an address
    ([a-z0-9]+(?:-[a-z0-9]+)*)
    (?![\w/-]|\.\w)                 # to its end""",
    re.VERBOSE,
)


MAX_COMMANDS_PER_PROMPT = 1_000
"""Names that are looked for; what stands behind a slash in a prompt is no command as a rule."""


def find_slash_commands(*texts: str | None) -> list[str]:
    """The names that stand behind a slash in the texts, each once, whether such commands exist or not."""
    names = (match[1] for text in texts if text for match in _SLASH_COMMAND.finditer(text))
    return list(islice(dict.fromkeys(names), MAX_COMMANDS_PER_PROMPT))


def expand_slash_commands(commands: Iterable[TextAsset], *texts: str | None) -> list[str]:
    """Those of the commands that the texts name, each as a block, in the order in which they are named."""
    by_name = {command.name: command.content for command in commands}
    return [
        trusted_section("command", by_name[name], name=name)
        for name in find_slash_commands(*texts)
        if name in by_name
    ]
