"""Members with keys, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from kit.database import Database
from kit.ids import new_id
from models import ApiKey, Member
from models.projects.api_key import SCOPES
from models.projects.project import Role
from tests.conftest import ProjectKey
from tests.unit.api.conftest import client_of


@dataclass(frozen=True)
class MemberClient:
    """A member who has a key with every scope."""

    id: str
    email: str
    key_id: str
    client: httpx.AsyncClient


@asynccontextmanager
async def open_member_client(
    app: FastAPI, database: Database, project: ProjectKey, role: Role
) -> AsyncIterator[MemberClient]:
    """One more member of the project, with this role."""
    member = Member(project_id=project.id, email=f"{new_id('m')}@example.com", name="Kim", role=role)
    key, secret = ApiKey.generate(
        project_id=project.id, member_id=member.id, name=role.value, scopes=[*SCOPES]
    )
    async with database.transaction() as session:
        session.add(member)
        await session.flush()
        session.add(key)
    async with client_of(app) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        yield MemberClient(member.id, member.email, key.id, client)


def status_and_code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, str(answer.json()["error"]["code"])
