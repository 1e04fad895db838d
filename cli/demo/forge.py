"""The forge (or GitHub) as the demo asks it, by GitHub's own REST."""

import os
from base64 import b64encode

import httpx

from cli.demo.client import ApiError
from local.stack.state import StackFile


def forge_client(file: StackFile) -> httpx.AsyncClient:
    """A client of the embedded forge, or of GitHub with the caller's token."""
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    token = os.environ.get("GITHUB_TOKEN", "")
    if file.forge_token is not None:
        api, token = f"{file.forge_url}/api/v3", file.forge_token
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    return httpx.AsyncClient(base_url=api, headers=headers, timeout=30)


async def get_head_sha(forge: httpx.AsyncClient, slug: str, number: int) -> str:
    """The commit that a pull request ends in.  Raises `ApiError`."""
    answer = await forge.get(f"/repos/{slug}/pulls/{number}")
    _require_success(answer)
    return str(answer.json()["head"]["sha"])


async def set_commit_status(forge: httpx.AsyncClient, slug: str, sha: str, state: str, words: str) -> None:
    """What CI says of a commit: `pending`, `success` or `failure`.  Raises `ApiError`."""
    body = {"state": state, "context": "demo", "description": words}
    _require_success(await forge.post(f"/repos/{slug}/statuses/{sha}", json=body))


async def branch_with_ci(forge: httpx.AsyncClient, slug: str, name: str) -> None:
    """A branch, from the default one, whose commits are to be checked by CI.  Raises `ApiError`."""
    found = await forge.get(f"/repos/{slug}")
    _require_success(found)
    default = await forge.get(f"/repos/{slug}/branches/{found.json()['default_branch']}")
    _require_success(default)
    ref = {"ref": f"refs/heads/{name}", "sha": default.json()["commit"]["sha"]}
    _require_success(await forge.post(f"/repos/{slug}/git/refs", json=ref))
    content = b64encode(b"on: push  # the demo plays this CI itself\n").decode()
    file = {"message": "Check every push", "content": content, "branch": name}
    _require_success(await forge.put(f"/repos/{slug}/contents/.github/workflows/demo.yml", json=file))


async def create_finished_check(
    forge: httpx.AsyncClient, slug: str, sha: str, conclusion: str, log: str
) -> None:
    """A check run of CI on a commit that has ended, with its log.  Raises `ApiError`."""
    output = {"title": "The demo plays CI", "summary": conclusion, "text": log}
    body = {
        "name": "demo-ci",
        "head_sha": sha,
        "status": "completed",
        "conclusion": conclusion,
        "output": output,
    }
    _require_success(await forge.post(f"/repos/{slug}/check-runs", json=body))


def _require_success(answer: httpx.Response) -> None:
    if answer.is_error:
        raise ApiError(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code}: {answer.text}"
        )
