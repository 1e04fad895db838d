"""The repository that a client names."""

from api.http.errors import invalid_field
from gateways.git.branch_names import is_branch_name
from gateways.github.client import parse_repository
from kit.errors import Invalid
from kit.settings import Settings


def parse_repository_field(url: str, settings: Settings, field: str = "githubRepoUrl") -> str:
    """`owner/name` of a repository's address; Invalid, for this field, when it is none."""
    try:
        return parse_repository(url, settings.github_url)
    except ValueError as error:
        raise invalid_field(error, field) from None


def require_branch_name(name: str | None, field: str = "branchName") -> None:
    """Invalid, for this field, when git would not take it as a branch's name."""
    if name is not None and not is_branch_name(name):
        raise Invalid(f"{field}: git does not take this as the name of a branch.", field=field)
