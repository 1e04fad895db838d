"""The second wall between projects: PostgreSQL itself shows a process only the rows it is meant to see.

A process takes on one of two roles that own no table and are no superuser (migration 0038).  The API's sees
the rows of the project that its transaction names, and none where it names none; the worker's, which serves
all projects, sees all.  The conditions in the statements are the first wall: this one holds where one of them
was forgotten.
"""

from enum import StrEnum
from typing import Final

EVERY_PROJECT: Final = "*"
"""Named where the project is not known yet, and by what is done for the whole installation."""
NAME_PROJECT: Final = "SELECT set_config('codecourier.project', %(project)s, true)"
"""Holds until the transaction ends."""


class DatabaseRole(StrEnum):
    """What a process may see, whatever name it signed in with: that has to be a member of the role."""

    api = "codecourier_api"
    worker = "codecourier_worker"

    @property
    def option(self) -> str:
        """As a connection tells it to the server."""
        return f"-c role={self.value}"

    @property
    def sees_every_project(self) -> bool:
        return self is DatabaseRole.worker
