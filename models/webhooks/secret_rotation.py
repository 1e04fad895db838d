"""Rotation of a webhook's secret: the new one counts at once, the old one for a day longer."""

from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Field, SQLModel

from models.base import Json, Timestamp, now
from models.json_view import timestamp_sql

ROTATION_OVERLAP: Final = timedelta(hours=24)
"""How long a replaced secret is still valid."""
MAX_REPLACED_SECRETS: Final = 9
"""Valid beside the new one: more of them would make a header of signatures that receivers refuse."""


class SecretRotation(SQLModel):
    """Part of a row that holds a sealed secret."""

    secret: str
    replaced_secrets: list[dict[str, str]] = Field(default_factory=list, sa_type=Json)
    """[{"sealed", "until"}]: secrets that are still valid, newest first."""
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)

    def rotate(self, sealed: str) -> None:
        """A new secret; the old one is valid for a day too, unless many more replace it by then."""
        until = (now() + ROTATION_OVERLAP).isoformat()
        self.replaced_secrets = [{"sealed": self.secret, "until": until}, *self._live()][
            :MAX_REPLACED_SECRETS
        ]
        self.secret, self.updated_at = sealed, now()

    @property
    def valid_secrets(self) -> list[str]:
        """The sealed secrets that count now, the newest first."""
        return [self.secret, *(each["sealed"] for each in self._live())]

    @property
    def old_secrets_until(self) -> datetime | None:
        """When the last replaced secret stops to be valid."""
        return max((datetime.fromisoformat(each["until"]) for each in self._live()), default=None)

    def _live(self) -> list[dict[str, str]]:
        return [each for each in self.replaced_secrets if datetime.fromisoformat(each["until"]) > now()]


_UNTIL = "(each->>'until')::timestamptz"
OLD_SECRETS_UNTIL_SQL: Final = (
    f"(SELECT {timestamp_sql(f'max({_UNTIL})')} FROM jsonb_array_elements(replaced_secrets) AS each"  # noqa: S608
    f" WHERE {_UNTIL} > now())"
)
"""SQL of `old_secrets_until`, as a view shows it."""
