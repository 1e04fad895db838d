"""Access to GitHub: with which token a project's work opens a repository."""

from dataclasses import dataclass, field

from gateways.errors import CredentialMissing, CredentialRefused
from gateways.github.app import GitHubApp
from gateways.github.client import GitHub
from kit.database import Database
from kit.settings import Settings
from models.projects.allowed_repository import require_listed


@dataclass(frozen=True)
class Token:
    """What opens a repository, to be used at once."""

    value: str = field(repr=False)
    holder: str | None = None
    """Whose limits GitHub counts, where they are not this one token's."""


class GitHubAccess:
    """A project's own key opens whatever it opens; the server's access opens what the operator listed."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._app = github_app(settings)

    async def token(self, project_id: str, own: str | None, slug: str) -> Token:
        """The token for one repository.

        The project's own key, or else one that the App mints for this repository alone, or else, where the
        App is not installed, the server's.  Asked anew for every use, so that a repository that is taken off
        the list is refused from then on.  Raises RepositoryNotAllowed where it is not on the list,
        CredentialMissing where the server has no access to GitHub at all, CredentialRefused where its App is
        not installed for the repository, and what else minting fails of.

        own: the project's GitHub key, if it has one.
        """
        if own is not None:
            return Token(own)
        async with self._database.for_project(project_id).read_only() as session:
            await require_listed(session, project_id, slug)
        if self._app is not None and (minted := await self._app.token(slug)) is not None:
            return Token(minted.value, f"{self._settings.github_app_id}/{minted.installation_id}")
        if (servers := self._settings.github_token) is not None:
            return Token(servers.get_secret_value())
        if self._app is not None:
            raise CredentialRefused(
                f"The server's GitHub App is not installed for {slug}: have the owner install it there."
            )
        raise CredentialMissing("GitHub", "GITHUB_TOKEN or GITHUB_APP_ID")

    def github(self, token: Token) -> GitHub:
        """The API, with this token."""
        return GitHub(
            token.value,
            api_url=self._settings.github_api_url,
            database=self._database,
            spacing_seconds=self._settings.github_write_spacing_seconds,
            holder=token.holder,
        )


def github_app(settings: Settings) -> GitHubApp | None:
    """The App that the settings name, if they do."""
    app_id, key = settings.github_app_id, settings.github_app_private_key
    if app_id is None or key is None:
        return None
    return GitHubApp(app_id, key.get_secret_value(), api_url=settings.github_api_url)
