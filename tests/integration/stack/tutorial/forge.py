"""The forge, spoken to as its users and their CI do."""

from typing import cast

import httpx
from pydantic import JsonValue

from tests.support.detached_stack import DetachedStack

Json = dict[str, JsonValue]


class Forge:
    """The repository of the stack's project, by GitHub's own REST."""

    def __init__(self, stack: DetachedStack) -> None:
        self.url = f"{stack.file.forge_url}/org/repo"
        self._api = f"{stack.file.forge_url}/api/v3/repos/org/repo"
        self._headers = {"Authorization": f"Bearer {stack.file.forge_token}"}

    def branch(self, name: str, start: str = "main") -> str:
        """Make a branch where another one is; its commit."""
        sha = self.sha(start)
        self._ask("POST", "/git/refs", {"ref": f"refs/heads/{name}", "sha": sha})
        return sha

    def sha(self, branch: str) -> str:
        ref = self._ask("GET", f"/git/ref/heads/{branch}")
        return str(cast("Json", ref["object"])["sha"])

    def check(self, sha: str, conclusion: str) -> None:
        """Have the check `test` of a commit end like this."""
        body: Json = {"name": "test", "head_sha": sha, "status": "completed", "conclusion": conclusion}
        self._ask("POST", "/check-runs", body)

    def pull(self, number: JsonValue) -> Json:
        return self._ask("GET", f"/pulls/{number}")

    def files(self, number: JsonValue) -> set[str]:
        """The paths that a pull request changes."""
        listed = cast("list[Json]", self._ask("GET", f"/pulls/{number}/files"))
        return {str(file["filename"]) for file in listed}

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = httpx.request(method, self._api + path, json=body, headers=self._headers)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return cast("Json", answer.json())
