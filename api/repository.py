"""The repository that a client names."""

from api.errors import refused
from gateways.github import parse_repository
from kit.settings import Settings


def repository(url: str, settings: Settings, field: str = "githubRepoUrl") -> str:
    """`owner/name` of a repository's address; Invalid, for this field, when it is none."""
    try:
        return parse_repository(url, settings.github_url)
    except ValueError as error:
        raise refused(error, field) from None
