"""Roles: the least one of every operation, as `roles.tsv` agrees it, and that a lower one is refused."""

import csv
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from kit.database import Database
from models.projects.project import Role
from tests.conftest import make_project
from tests.support.members import MemberClient, open_member_client, status_and_code
from tests.support.operations import OPERATIONS, PRIVATE, Operation
from tests.support.waiting import TEST_TIMEOUT_SECONDS

TABLE = Path(__file__).with_name("roles.tsv")
"""method, path, and the least role that may: `public` where no key is needed."""
NEEDS = re.compile(r"Needs the role `(\w+)`")


def agreed() -> dict[tuple[str, str], str]:
    with TABLE.open() as file:
        return {(row["method"], row["path"]): row["role"] for row in csv.DictReader(file, delimiter="\t")}


ROLES = agreed()


def least_role(operation: Operation) -> Role:
    return Role(ROLES[operation.method, operation.path])


def refused(role: Role) -> list[Operation]:
    return [one for one in PRIVATE if not role.includes(least_role(one))]


def allowed(role: Role) -> list[Operation]:
    return [one for one in PRIVATE if role.includes(least_role(one))]


def tried(operations: dict[Role, list[Operation]]) -> pytest.MarkDecorator:
    cases = [(role, one) for role, those in operations.items() for one in those]
    return pytest.mark.parametrize(("role", "operation"), cases, ids=str)


@pytest.fixture
async def caller(app: FastAPI, database: Database, role: Role) -> AsyncIterator[MemberClient]:
    """A member with the role, in a project of its own."""
    async with open_member_client(app, database, await make_project(database), role) as caller:
        yield caller


def test_every_operation_says_the_role_that_is_agreed() -> None:
    documented = {}
    for operation in OPERATIONS:
        named = NEEDS.findall(operation.spec["description"])
        assert len(named) == (0 if operation.is_public else 1), operation
        documented[operation.method, operation.path] = named[0] if named else "public"
    assert documented == {key: role for key, role in ROLES.items() if key in documented}
    assert documented.keys() <= ROLES.keys(), "every operation has a line in roles.tsv"


def test_what_changes_the_project_itself_needs_an_admin() -> None:
    leaving = ("POST", "/api/v1/project/members/remove")
    for operation in PRIVATE:
        if operation.scope == "projects:write" and (operation.method, operation.path) != leaving:
            assert least_role(operation) is not Role.member, operation


@tried({role: refused(role) for role in (Role.member, Role.admin)})
async def test_a_lower_role_is_refused_first(caller: MemberClient, role: Role, operation: Operation) -> None:
    """Before the body is read or any row is looked for."""
    url = "http://test" + operation.url.replace("r_", "run_")
    answer = await caller.client.request(operation.method, url, content=b"{not json")
    assert status_and_code(answer) == (403, "FORBIDDEN")
    assert least_role(operation) in answer.json()["error"]["message"]


@tried({role: allowed(role) for role in (Role.member, Role.admin)})
async def test_a_role_that_suffices_is_not_refused(
    caller: MemberClient, role: Role, operation: Operation
) -> None:
    url = f"http://test{operation.url}"
    answer = await caller.client.request(
        operation.method, url, json=operation.body, timeout=TEST_TIMEOUT_SECONDS
    )
    assert "FORBIDDEN" not in answer.text
    assert answer.status_code != 403
