"""How each part of a stack is started, known to be ready, and stopped."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx

from kit.tenancy import DatabaseRole
from local.stack.plan import Plan
from local.stack.ports import LOOPBACK
from local.stack.postgres import DATABASE_NAME as DATABASE
from local.stack.postgres import Postgres
from local.stack.process import ProcessIdentity, python, python_environment, spawn
from local.stack.readiness import ResponsePredicate, has_status, wait_for_http
from local.stack.temporal import NAMESPACE, Temporal

TASK_QUEUE = "codecourier"
"""The worker is ready once it polls this queue."""


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    spawn: starts it and returns at once; `ready` waits until it answers.  Both raise `StartError`.
    find: the process that does this part's work although nobody remembers having started it.
    """

    name: str
    log: Path
    spawn: Callable[[], Awaitable[ProcessIdentity]]
    ready: Callable[[ProcessIdentity], Awaitable[None]]
    find: Callable[[], ProcessIdentity | None] = lambda: None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience: float = 15.0


def postgres(plan: Plan) -> Part:
    server = Postgres(plan.directory / "postgres", plan.ports["postgres"], plan.log("postgres"))

    async def ready(_: ProcessIdentity) -> None:
        await server.start()

    return Part("postgres", server.log, server.start, ready, server.running, signal.SIGINT, 30.0)


def database_url(plan: Plan) -> str:
    """The address of the embedded database, or the caller's own."""
    if not plan.is_embedded("postgres"):
        return plan.environment["DATABASE_URL"]
    return Postgres(plan.directory / "postgres", plan.ports["postgres"], plan.log("postgres")).url


def login_password(plan: Plan, role: DatabaseRole) -> str:
    """With which a process of ours signs in to the embedded database as its own role."""
    return plan.key(f"{role}_password")


def login_url(plan: Plan, role: DatabaseRole) -> str:
    """The address of the embedded database for this role, or the caller's own."""
    if not plan.is_embedded("postgres"):
        return database_url(plan)
    password = quote(login_password(plan, role), safe="")
    return f"postgresql://{role}:{password}@{LOOPBACK}:{plan.ports['postgres']}/{DATABASE}"


def temporal(plan: Plan) -> Part:
    ports = plan.ports["temporal"], plan.ports["temporal_ui"]
    server = Temporal(plan.directory / "temporal", *ports, plan.log("temporal"), plan.mark)

    async def start() -> ProcessIdentity:
        return server.spawn()

    return Part("temporal", server.log, start, server.ready)


def sandboxes(plan: Plan) -> Part:
    allowed = ["--allow", f"{LOOPBACK}:{plan.ports['forge']}"] if plan.is_embedded("forge") else []
    command = python(
        "local.sandboxes",
        *_listen_arguments(plan, "sandboxes"),
        *_data_arguments(plan, "sandboxes"),
        *allowed,
    )
    return _http_part(plan, "sandboxes", command, {"E2B_API_KEY": plan.key("e2b_api_key")}, "/health", 204)


def forge(plan: Plan) -> Part:
    told = ["--webhook-url", f"{plan.url('api')}/github/webhook"]
    command = python("local.forge", *_listen_arguments(plan, "forge"), *_data_arguments(plan, "forge"), *told)
    secrets = {
        "FORGE_TOKEN": plan.key("forge_token"),
        "FORGE_REVIEWER_TOKEN": plan.key("forge_reviewer_token"),  # for whoever tries out required reviews
        "FORGE_WEBHOOK_SECRET": plan.webhook_secret,
    }
    return _http_part(plan, "forge", command, secrets, "/health", 204)


def model(plan: Plan) -> Part:
    scenarios = [word for path in plan.scenarios for word in ("--scenarios", str(path.absolute()))]
    command = python("local.model", *_listen_arguments(plan, "model"), *scenarios)
    key = {"ANTHROPIC_API_KEY": plan.key("anthropic_api_key")}
    return _http_part(plan, "model", command, key, "/health", 204)


def api(plan: Plan) -> Part:
    environment = plan.application_environment(login_url(plan, DatabaseRole.api))
    return _http_part(
        plan, "api", python("cli.main", "api", *_listen_arguments(plan, "api")), environment, "/readyz", 200
    )


def worker(plan: Plan) -> Part:
    environment, log = plan.application_environment(login_url(plan, DatabaseRole.worker)), plan.log("worker")

    async def start() -> ProcessIdentity:
        return spawn(python("cli.main", "worker"), {**environment, **plan.mark}, log)

    async def ready(identity: ProcessIdentity) -> None:
        if not plan.is_embedded("temporal"):
            return  # the caller's Temporal has no page that we know of; the worker ends if it cannot reach it
        queue = f"/api/v1/namespaces/{NAMESPACE}/task-queues/{TASK_QUEUE}?taskQueueType=1"
        url = plan.url("temporal_ui") + queue
        await wait_for_http("worker", url, _has_poller_since(identity.started), identity, log)

    return Part("worker", log, start, ready, stop_patience=30.0)


INFRASTRUCTURE = {
    "postgres": postgres,
    "temporal": temporal,
    "forge": forge,
    "model": model,
    "sandboxes": sandboxes,
}
APPLICATION = {"api": api, "worker": worker}


def _http_part(
    plan: Plan, name: str, command: list[str], environment: dict[str, str], path: str, status: int
) -> Part:
    async def start() -> ProcessIdentity:
        return spawn(command, {**python_environment(), **environment, **plan.mark}, plan.log(name))

    async def ready(identity: ProcessIdentity) -> None:
        await wait_for_http(name, plan.url(name) + path, has_status(status), identity, plan.log(name))

    return Part(name, plan.log(name), start, ready)


def _listen_arguments(plan: Plan, name: str) -> list[str]:
    return ["--host", LOOPBACK, "--port", str(plan.ports[name])]


def _data_arguments(plan: Plan, name: str) -> list[str]:
    return ["--data", str(plan.directory / name)]


def _has_poller_since(started: float) -> ResponsePredicate:
    def accept(answer: httpx.Response) -> bool:
        pollers = answer.json().get("pollers", []) if answer.status_code == 200 else []
        times = [datetime.fromisoformat(poller["lastAccessTime"]) for poller in pollers]
        return any(time > datetime.fromtimestamp(started, UTC) for time in times)

    return accept
