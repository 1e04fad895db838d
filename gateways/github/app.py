"""A GitHub App: tokens for one repository each, which live an hour and may do only what our features need."""

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from github import Auth, GithubException, GithubIntegration
from github.Installation import Installation
from github.InstallationAuthorization import InstallationAuthorization

from gateways.errors import CredentialRefused, UpstreamFailed
from gateways.github.client import REQUEST_TIMEOUT_SECONDS, run_in_thread

MIN_REMAINING_LIFETIME: Final = timedelta(minutes=30)
"""Of a token's hour, for whoever is given it: longer than git may take for one fetch or push."""
MAX_TOKENS: Final = 1_000
REQUIRED_PERMISSIONS: Final = {"contents": "write", "pull_requests": "write"}
OPTIONAL_PERMISSIONS: Final = {
    "actions": "write",
    "checks": "write",
    "statuses": "read",
    "workflows": "write",
}
"""Asked for as far as the installation has them: CI is read and started again with them, and workflow files
are pushed where a project does not protect them."""
_LEVELS: Final = ("read", "write", "admin")


@dataclass(frozen=True)
class InstallationToken:
    """Opens one repository."""

    value: str = field(repr=False)
    installation_id: int
    """GitHub counts its limits for each installation."""
    expires_at: datetime

    @property
    def is_fresh(self) -> bool:
        return self.expires_at - datetime.now(UTC) >= MIN_REMAINING_LIFETIME


class GitHubApp:
    """Mints tokens, and keeps each until half of its hour is over; nothing is asked before the first one."""

    def __init__(self, app_id: str, private_key: str, *, api_url: str) -> None:
        """private_key: PEM."""
        self._auth, self._api_url = Auth.AppAuth(app_id, private_key), api_url
        self._tokens: OrderedDict[str, InstallationToken] = OrderedDict()

    async def token(self, slug: str) -> InstallationToken | None:
        """A token for the repository `owner/name`; None where the App is not installed there.

        Raises `CredentialRefused` where GitHub knows the App, or its key, no more, and where the installation
        lacks a right that everything needs; `UpstreamFailed` where GitHub cannot be reached.
        """
        key = slug.lower()
        known = self._tokens.get(key)
        if known is not None and known.is_fresh:
            self._tokens.move_to_end(key)
            return known
        token = await run_in_thread("Getting the GitHub App's token", lambda: self._mint(slug))
        self._tokens.pop(key, None)
        if token is not None:
            self._tokens[key] = token
        while len(self._tokens) > MAX_TOKENS:
            self._tokens.popitem(last=False)
        return token

    async def read_name(self) -> str:
        """What GitHub calls the App: the proof that its key is right."""

        def ask() -> str:
            with closing(self._integration()) as integration:
                return integration.get_app().name or "unnamed"

        return await run_in_thread("Asking GitHub for its App", ask)

    def _mint(self, slug: str) -> InstallationToken | None:
        owner, _, name = slug.partition("/")
        with closing(self._integration()) as integration:
            try:
                installation = integration.get_repo_installation(owner, name)
            except GithubException as error:
                if error.status == 404:
                    return None
                raise
            made = _ask_for_token(
                integration, installation, name, _permissions(slug, installation.permissions)
            )
        return InstallationToken(made.token, installation.id, made.expires_at.astimezone(UTC))

    def _integration(self) -> GithubIntegration:
        return GithubIntegration(
            auth=self._auth,
            base_url=self._api_url,
            timeout=REQUEST_TIMEOUT_SECONDS,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )


def _permissions(slug: str, granted: Mapping[str, str]) -> dict[str, str]:
    """What to ask for: GitHub refuses whoever asks for more than the installation has."""
    for name, level in REQUIRED_PERMISSIONS.items():
        if _level(granted.get(name)) < _level(level):
            raise CredentialRefused(
                f"The GitHub App's installation for {slug} lacks the permission {name}: {level}; add it in "
                "the App's settings, and have the owner accept it."
            )
    useful = {
        name: min(level, granted[name], key=_level)
        for name, level in OPTIONAL_PERMISSIONS.items()
        if name in granted
    }
    return {**REQUIRED_PERMISSIONS, **useful}


def _level(level: str | None) -> int:
    return _LEVELS.index(level) if level in _LEVELS else -1


def _ask_for_token(
    integration: GithubIntegration, installation: Installation, name: str, permissions: Mapping[str, str]
) -> InstallationAuthorization:
    """As `get_access_token`, which knows no repositories."""
    requester = integration.requester
    headers, answer = requester.requestJsonAndCheck(
        "POST",
        f"/app/installations/{installation.id}/access_tokens",
        input={"repositories": [name], "permissions": dict(permissions)},
    )
    made = InstallationAuthorization(requester, headers, answer)
    if [repository["name"].lower() for repository in answer.get("repositories", [])] != [name.lower()]:
        raise UpstreamFailed("Getting the GitHub App's token failed: it is not of the one repository.")
    return made
