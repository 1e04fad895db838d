"""git over HTTP: `git http-backend` as CGI behind one ASGI application, streaming both ways."""

import asyncio
import os
import signal
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from local.forge.authentication import CHALLENGE, Authenticator
from local.forge.errors import BadCredentials, NotFound, Unauthenticated
from local.forge.git import push_rules
from local.forge.git.process import git_environment
from local.forge.github_app import Grant
from local.forge.store.pull_request_sync import sync_after_push
from local.forge.store.repositories import Repository, Store

CHUNK_BYTES = 64 * 1024
SERVICES = {"git-upload-pack", "git-receive-pack"}


class SmartHttp:
    """Serves `info/refs`, `git-upload-pack` and `git-receive-pack` of all repositories, `.git` or not."""

    def __init__(self, store: Store, keeper: Authenticator) -> None:
        self._store = store
        self._keeper = keeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of git; refusals are short texts that git prints."""
        request = Request(scope)
        what = request.url.path.rsplit("/", 1)[1]
        service = request.query_params.get("service", "") if what == "refs" else what
        try:
            caller = self._keeper.caller(request)
            repo = await self._repository(request, caller, writes=service == "git-receive-pack")
        except (Unauthenticated, BadCredentials) as refusal:
            answer = PlainTextResponse(refusal.message + "\n", 401, headers=CHALLENGE)
        except NotFound:
            answer = PlainTextResponse("Repository not found.\n", 404)
        else:
            if service in SERVICES:
                login = caller.login if isinstance(caller, Grant) else caller or self._store.login
                told = await self._environment(repo, request, service, login)
                await self._serve(repo, told, login, receive, send)
                return
            answer = PlainTextResponse("Please use a git that speaks smart HTTP.\n", 403)
        await answer(scope, receive, send)

    async def _repository(self, request: Request, caller: str | Grant | None, *, writes: bool) -> Repository:
        """The repository, if the caller may use it; without a token private looks like missing."""
        owner, name = request.path_params["owner"], request.path_params["repo"]
        try:
            repo = await self._store.find(owner, name.removesuffix(".git"))
        except NotFound:
            if caller is not None:
                raise
            raise Unauthenticated from None
        if caller is None and (repo.private or writes):
            raise Unauthenticated
        if isinstance(caller, Grant):
            level = "write" if writes else "read"
            is_its = caller.opens(repo.id, repo.owner) and caller.allows("contents", level)
            if not is_its and (repo.private or writes):
                raise NotFound
        return repo

    async def _environment(
        self, repo: Repository, request: Request, service: str, login: str
    ) -> dict[str, str]:
        """What git is told; with the hook only where a branch is protected."""
        path = "info/refs" if request.url.path.endswith("/info/refs") else service
        told = cgi_environment(repo, request, path, login)
        rules = (
            await push_rules.protection_environment(repo.db, repo.id, login)
            if path == "git-receive-pack"
            else None
        )
        if rules is None:
            return git_environment(told)
        return git_environment({**told, "FORGE_PROTECTION": rules}, self._store.hooks)

    async def _serve(
        self, repo: Repository, told: dict[str, str], login: str, receive: Receive, send: Send
    ) -> None:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,  # the forge's own log
            env=told,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        feeding = asyncio.create_task(pipe_request_body(process, process.stdin, receive))
        try:
            await send(await read_cgi_headers(process.stdout))
            while chunk := await process.stdout.read(CHUNK_BYTES):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await process.wait()
            if told["PATH_INFO"] == "/git-receive-pack":
                # Before the answer ends: whoever has seen the push succeed sees the pull request follow it.
                await sync_after_push(repo, login)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            feeding.cancel()
            kill(process)


def cgi_environment(repo: Repository, request: Request, path: str, login: str) -> Mapping[str, str]:
    """The request as RFC 3875 puts it; without CONTENT_LENGTH git reads to the end, so all streams."""
    headers = request.headers
    client = request.client.host if request.client else ""
    return {
        "GIT_PROJECT_ROOT": str(repo.git.directory),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{path}",
        "QUERY_STRING": request.url.query,
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
        "REMOTE_USER": login,
        "REMOTE_ADDR": client,
        "GATEWAY_INTERFACE": "CGI/1.1",
    }


async def pipe_request_body(
    process: asyncio.subprocess.Process, stdin: asyncio.StreamWriter, receive: Receive
) -> None:
    """Passes the request body on; a client that leaves in the middle of it ends the process."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            kill(process)
            return
        more = message.get("more_body", False)
        try:
            stdin.write(message.get("body", b""))
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return  # git has read enough to refuse; its answer is on its way
    stdin.close()


async def read_cgi_headers(stdout: asyncio.StreamReader) -> Message:
    """The CGI headers as the start of an ASGI response; a backend that died without any is a 500."""
    status, headers = 500, []
    while line := (await stdout.readline()).rstrip(b"\r\n"):
        key, _, value = line.partition(b":")
        headers.append((key.lower(), value.strip()))
    if headers:
        status = int(dict(headers).get(b"status", b"200").split()[0])
    return {"type": "http.response.start", "status": status, "headers": headers}


def kill(process: asyncio.subprocess.Process) -> None:
    """Ends http-backend and the git it started, if they still run."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
