"""The API over ASGI: one application for the session, one client for each test's project."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from kit.settings import Settings
from tests.conftest import TestProject


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[FastAPI]:
    """An application that has started, whose listener has found the database."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI, project: TestProject) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test/api/v1", headers=project.headers
    )


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with running(settings) as app:
        yield app


@pytest.fixture
async def client(app: FastAPI, project: TestProject) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, project) as client:
        yield client
