"""Hooks for GitHub on the wire."""

from typing import Annotated, Any

from pydantic import Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Secret, UtcTimestamp
from models.github.hook import GithubHook
from models.json_view import JsonView, example
from models.webhooks.secret_rotation import OLD_SECRETS_UNTIL_SQL

HOOK = "ghk_0198f2c9d3e47f5a9b6c8d7e0f1a2b3c"
PATH = "/github/webhook/"
"""Where deliveries go, before the hook's id."""
_NOW = "2026-01-15T10:05:00.000Z"
_HOOK: JsonDict = {
    "id": HOOK,
    "_id": HOOK,
    "path": f"{PATH}{HOOK}",
    "description": "acme/shop",
    "oldSecretsUntil": None,
    "createdAt": _NOW,
    "updatedAt": _NOW,
}


class GithubHookRead(Read):
    """Where GitHub tells of the project's repositories. Its secret is shown once, when it is made."""

    model_config = example(**_HOOK)
    path: str
    """The path of this server that is the webhook's payload URL on GitHub."""
    description: str | None
    """What it is for, in your words."""
    old_secrets_until: UtcTimestamp | None
    """Until when replaced secrets are taken too; null when only the present one is."""
    created_at: UtcTimestamp
    """When it was made."""
    updated_at: UtcTimestamp
    """When its secret was replaced last, or it was made."""


class NewGithubHook(GithubHookRead):
    """A hook with its new secret, which is shown here and never again."""

    model_config = example(**_HOOK, secret="m3JxQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw…")  # noqa: S106
    secret: Secret
    """The secret of the webhook on GitHub, with which GitHub signs."""


class GithubHookCreate(Body):
    """A new hook."""

    model_config = example(description="acme/shop")
    description: Annotated[str, Field(max_length=2000)] | None = None
    """What it is for, in your words."""


GITHUB_HOOKS = JsonView(
    GithubHookRead,
    GithubHook,
    "Hook",
    shown={"path": f"'{PATH}' || id", "old_secrets_until": OLD_SECRETS_UNTIL_SQL},
)


def hook_read(hook: GithubHook) -> GithubHookRead:
    """As clients see it."""
    return GithubHookRead(**_fields(hook))


def hook_with_secret(hook: GithubHook, secret: str) -> NewGithubHook:
    """The one answer that shows the secret."""
    return NewGithubHook(**_fields(hook), secret=secret)


def _fields(hook: GithubHook) -> dict[str, Any]:
    columns = {name: getattr(hook, name) for name in GithubHookRead.model_fields if name != "path"}
    return {**columns, "path": f"{PATH}{hook.id}"}
