"""A team: an owner with `client`, and an admin and a member beside it."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from kit.database import Database
from models.projects.project import Role
from tests.conftest import ProjectKey
from tests.support.members import MemberClient, open_member_client


@pytest.fixture
async def admin(app: FastAPI, database: Database, project: ProjectKey) -> AsyncIterator[MemberClient]:
    async with open_member_client(app, database, project, Role.admin) as admin:
        yield admin


@pytest.fixture
async def member(app: FastAPI, database: Database, project: ProjectKey) -> AsyncIterator[MemberClient]:
    async with open_member_client(app, database, project, Role.member) as member:
        yield member
