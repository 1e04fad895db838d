"""Which installation a command is about: the stack of a directory, or the one that the environment names."""

import os
from pathlib import Path

from pydantic import ValidationError

from kit.settings import Settings
from local.stack.parts import database_url
from local.stack.process import StartError
from local.stack.state import StackFile
from local.stack.supervisor import make_plan


def environment_of(directory: Path) -> dict[str, str]:
    """The environment, completed by the addresses of the stack that runs in the directory, if one does."""
    environment = dict(os.environ)
    if StackFile.read(directory) is not None:
        plan = make_plan(directory, {}, os.environ)
        environment = plan.application_environment(database_url(plan))
        os.environ["NO_PROXY"] = environment["NO_PROXY"]  # its parts are on this host
    return environment


def settings_of(directory: Path) -> Settings:
    """Settings of the stack that runs in the directory; of the environment, where none does.

    Raises `StartError` that says what is missing, without any value.
    """
    environment = environment_of(directory)
    names = {name: name.upper() for name in Settings.model_fields}
    try:
        return Settings.model_validate(
            {field: environment[name] for field, name in names.items() if name in environment}
        )
    except ValidationError as error:
        faults = ", ".join(
            f"{'.'.join(map(str, each['loc'])).upper()} ({each['msg']})" for each in error.errors()
        )
        raise StartError(
            f"No stack runs in {directory}, and the environment does not name an installation: {faults}."
        ) from None
