"""What the forge refuses, in GitHub's words.

ApiError                status, message, errors[]
├── BadCredentials      401  a token was sent and it is wrong
├── Unauthenticated     401  no token was sent and one is needed
├── NotFound            404  it is not there, or not yours to see
├── NotMergeable        405  the pull request cannot be merged as it stands
├── Modified            409  the head is no longer the one the caller saw
└── Invalid             422  the request was understood and is wrong
    ├── AlreadyExists   422  the name is taken
    └── Unprocessable   422  a rule that GitHub tells as bare words
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

DOCUMENTATION = "https://docs.github.com/rest"


class ApiError(Exception):
    """A refusal with GitHub's JSON body."""

    status: ClassVar[int]

    def __init__(self, message: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.errors = errors

    def body(self) -> dict[str, object]:
        """`{message, errors?, documentation_url, status}`."""
        return error_body(self.status, self.message, self.errors)


class BadCredentials(ApiError):
    status = 401

    def __init__(self) -> None:
        super().__init__("Bad credentials")


class Unauthenticated(ApiError):
    status = 401

    def __init__(self) -> None:
        super().__init__("Requires authentication")


class NotFound(ApiError):
    status = 404

    def __init__(self, message: str = "Not Found") -> None:
        super().__init__(message)


class Forbidden(ApiError):
    """The state of things does not allow it."""

    status = 403


class NotMergeable(ApiError):
    status = 405

    def __init__(self, message: str = "Pull Request is not mergeable") -> None:
        super().__init__(message)


class HeadModified(ApiError):
    status = 409


class Invalid(ApiError):
    status = 422

    @classmethod
    def custom(cls, resource: str, message: str) -> Self:
        """A rule in words, such as "No commits between main and topic"."""
        return cls("Validation Failed", [{"resource": resource, "code": "custom", "message": message}])

    @classmethod
    def field(cls, resource: str, field: str, code: str = "invalid") -> Self:
        """One wrong field; `code` is GitHub's: invalid, missing_field, already_exists."""
        return cls("Validation Failed", [{"resource": resource, "field": field, "code": code}])


class AlreadyExists(Invalid):
    """Someone, perhaps the caller before a crash, has made it already."""


class Unprocessable(Invalid):
    """`errors` holds the words themselves, not objects."""

    def __init__(self, words: str) -> None:
        super().__init__("Unprocessable Entity")
        self.words = words

    def body(self) -> dict[str, object]:
        return super().body() | {"errors": [self.words]}


def error_body(status: int, message: str, errors: Sequence[Mapping[str, str]] = ()) -> dict[str, object]:
    """GitHub's error body."""
    body: dict[str, object] = {"message": message}
    if errors:
        body["errors"] = [dict(error) for error in errors]
    return body | {"documentation_url": DOCUMENTATION, "status": str(status)}
