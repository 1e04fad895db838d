"""A GitHub App that the forge knows: who has installed it, and the tokens that it is given.

Installing one needs a browser on GitHub; here the forge is told at its start who has it.  A token says itself
what it opens and until when, under the forge's signature, so that one survives a restart of the forge.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import jwt

from local.forge.errors import BadCredentials, Forbidden, Invalid

INSTALLATION_PREFIX: Final = "ghs_"
TOKEN_LIFETIME: Final = timedelta(hours=1)
MAX_JWT_LIFETIME: Final = timedelta(minutes=10)
CLOCK_SKEW: Final = timedelta(seconds=60)
LEVELS: Final = ("read", "write", "admin")
PERMISSIONS_BY_NOUN: Final = {
    "actions": ("actions",),
    "check-runs": ("checks",),
    "check-suites": ("checks",),
    "hooks": ("repository_hooks",),
    "issues": ("issues", "pull_requests"),
    "protection": ("administration",),
    "pulls": ("pull_requests",),
    "status": ("statuses",),
    "statuses": ("statuses",),
}
"""Which permission opens what of a repository; everything else belongs to its contents."""
NOUNS_WITH_SLASHES: Final = {"branches", "commits"}
"""What has other nouns below its name."""
_REPOSITORY: Final = re.compile(r"/api/v3/repos/[^/]+/[^/]+(?:/(?P<rest>.+))?\Z")
Permissions = Mapping[str, str]


@dataclass(frozen=True)
class Grant:
    """What an installation's token opens."""

    login: str
    repositories: frozenset[int] | None
    """Their ids; None for all of the owner."""
    owner: str
    permissions: Permissions

    def opens(self, id: int, owner: str) -> bool:
        if self.repositories is not None:
            return id in self.repositories
        return owner.lower() == self.owner

    def allows(self, permission: str, level: str) -> bool:
        return _level(self.permissions.get(permission)) >= _level(level)

    def check(self, method: str, path: str) -> None:
        """`Forbidden` for a request of the API that its permissions do not cover."""
        level = "read" if method in ("GET", "HEAD") else "write"
        found = _REPOSITORY.match(path)
        if found is None:
            raise Forbidden("Resource not accessible by integration")
        first, *others = (found["rest"] or "").split("/")
        noun = others[-1] if first in NOUNS_WITH_SLASHES and others else first
        wanted = PERMISSIONS_BY_NOUN.get(noun, ("contents",))
        is_shape = first == "" and level == "read"  # metadata, which every token reads
        if not is_shape and not any(self.allows(each, level) for each in wanted):
            raise Forbidden("Resource not accessible by integration")


@dataclass(frozen=True)
class App:
    """id: what its JSON Web Tokens are issued by; public_key: PEM; secret: with which the forge signs."""

    id: str
    public_key: str
    owners: frozenset[str]
    """Who has installed it, on all of their repositories, in lower case."""
    permissions: Permissions
    """What every installation has granted."""
    secret: str

    @property
    def login(self) -> str:
        """Who its installations act as."""
        return f"app-{self.id}[bot]"

    def authenticate(self, token: str) -> None:
        """`BadCredentials` unless the App's key has signed it, for ten minutes at most."""
        try:
            claims = jwt.decode(
                token,
                self.public_key,
                algorithms=["RS256"],
                issuer=self.id,
                options={"require": ["iat", "exp", "iss"]},
                leeway=CLOCK_SKEW,
            )
        except jwt.InvalidTokenError:
            raise BadCredentials from None
        left = claims["exp"] - datetime.now(UTC).timestamp()
        if left > (MAX_JWT_LIFETIME + CLOCK_SKEW).total_seconds():
            raise BadCredentials

    def installation(self, owner: str) -> int | None:
        """The id of an owner's installation; None where it is not installed."""
        return zlib.crc32(owner.lower().encode()) if owner.lower() in self.owners else None

    def owner_of(self, installation: int) -> str | None:
        return next((owner for owner in self.owners if self.installation(owner) == installation), None)

    def mint(
        self, owner: str, repositories: Sequence[int] | None, permissions: Permissions | None
    ) -> tuple[str, datetime, Permissions]:
        """A token, when it ends, and what it may do; `Invalid` for more than the installation has.

        repositories: their ids, all of the owner; None for all of them.
        """
        for name, level in (permissions or {}).items():
            if level not in LEVELS or _level(self.permissions.get(name)) < _level(level):
                raise Invalid("The permissions requested are not granted to this installation.")
        granted = permissions or self.permissions
        ends = datetime.now(UTC).replace(microsecond=0) + TOKEN_LIFETIME
        claims = {
            "owner": owner,
            "repositories": None if repositories is None else list(repositories),
            "permissions": dict(granted),
            "exp": int(ends.timestamp()),
        }
        return INSTALLATION_PREFIX + jwt.encode(claims, self.secret, algorithm="HS256"), ends, granted

    def grant(self, token: str) -> Grant:
        """What a token of `mint` opens; `BadCredentials` for another, and once it has ended."""
        own = token.removeprefix(INSTALLATION_PREFIX)
        try:
            claims = jwt.decode(own, self.secret, algorithms=["HS256"], options={"require": ["exp"]})
        except jwt.InvalidTokenError:
            raise BadCredentials from None
        ids = claims["repositories"]
        return Grant(
            self.login, None if ids is None else frozenset(ids), claims["owner"], claims["permissions"]
        )


def _level(level: str | None) -> int:
    return LEVELS.index(level) if level in LEVELS else -1
