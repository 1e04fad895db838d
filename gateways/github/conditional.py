"""What GitHub is asked for again and again, by `If-None-Match`: a 304 counts to no hourly limit.

Every request is sent, so nothing old is read, and GitHub judges each by its own token.  Only single objects
are read so: the `ETag` of a page of a list does not tell that another page follows by now.
"""

from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import Final, NamedTuple, TypeVar

from github import Github
from pydantic import BaseModel, ValidationError

from gateways.errors import UpstreamFailed

M = TypeVar("M", bound=BaseModel)

MAX_ENTRIES: Final = 1_000
"""Objects that are remembered in a process; those unused for longest go first."""


class _Entry(NamedTuple):
    etag: str
    value: BaseModel


class ETagCache:
    """Objects as they were read last, by their address and the token that read them."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> _Entry | None:
        with self._lock:
            if (entry := self._entries.get(key)) is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: str, etag: str, value: BaseModel) -> None:
        with self._lock:
            self._entries[key] = _Entry(etag, value)
            self._entries.move_to_end(key)
            if len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


ETAG_CACHE: Final = ETagCache()


def get_cached_object(client: Github, path: str, shape: type[M]) -> M:
    """One object of GitHub's API, of which no more is kept than `shape` says.

    Raises GithubException as PyGithub does, and UpstreamFailed for an answer of another shape.
    """
    requester = client.requester
    token = requester.auth.token if requester.auth is not None else ""
    key = sha256(f"{token}\0{path}".encode()).hexdigest()  # no token is kept
    entry = ETAG_CACHE.get(key)
    known = {"If-None-Match": entry.etag} if entry is not None else None
    headers, found = requester.requestJsonAndCheck("GET", path, headers=known)
    if found is None and entry is not None and isinstance(entry.value, shape):
        return entry.value
    try:
        value = shape.model_validate(found)
    except ValidationError as error:
        raise UpstreamFailed(f"GitHub's answer to GET {path} is not as documented: {error}") from error
    if etag := headers.get("etag"):
        ETAG_CACHE.put(key, etag, value)
    return value
