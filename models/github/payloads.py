"""Payloads of GitHub's webhooks, as far as they are used here; the rest of a payload is ignored."""

from typing import Annotated

from pydantic import BaseModel, Field

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$")]


class RepositoryPart(BaseModel):
    full_name: Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^/\s\x00]+/[^/\s\x00]+$")]


class Payload(BaseModel):
    repository: RepositoryPart

    @property
    def slug(self) -> str:
        return self.repository.full_name


class ChecksPayload(Payload):
    """Something that checks a commit has news of it."""

    @property
    def commit_sha(self) -> str:
        """The commit's sha."""
        raise NotImplementedError


class ChecksPart(BaseModel):
    head_sha: Sha


class CheckRunPayload(ChecksPayload):
    check_run: ChecksPart

    @property
    def commit_sha(self) -> str:
        return self.check_run.head_sha


class CheckSuitePayload(ChecksPayload):
    check_suite: ChecksPart

    @property
    def commit_sha(self) -> str:
        return self.check_suite.head_sha


class StatusPayload(ChecksPayload):
    sha: Sha

    @property
    def commit_sha(self) -> str:
        return self.sha


class PullRequestPart(BaseModel):
    number: Annotated[int, Field(ge=1, lt=2**31)]
    merged: bool = False
    merge_commit_sha: Sha | None = None


class PullRequestPayload(Payload):
    action: Annotated[str, Field(max_length=100)]
    pull_request: PullRequestPart
    before: Sha | None = None
    after: Sha | None = None
    """Of `synchronize`: where the head was and where it is."""

    @property
    def is_merged(self) -> bool:
        return self.action == "closed" and self.pull_request.merged


class PushPayload(Payload):
    """A branch or a tag moved."""

    ref: Annotated[str, Field(max_length=500)]
    before: Sha
    after: Sha

    @property
    def branch(self) -> str | None:
        """Its name; None for a tag."""
        prefix = "refs/heads/"
        return self.ref.removeprefix(prefix) if self.ref.startswith(prefix) else None


WebhookPayload = ChecksPayload | PullRequestPayload | PushPayload
PAYLOADS: dict[str, type[ChecksPayload] | type[PullRequestPayload] | type[PushPayload]] = {
    "check_run": CheckRunPayload,
    "check_suite": CheckSuitePayload,
    "status": StatusPayload,
    "pull_request": PullRequestPayload,
    "push": PushPayload,
}
"""By the name of the event in `X-GitHub-Event`; others are ignored."""
