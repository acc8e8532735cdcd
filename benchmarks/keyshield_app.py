"""An application that keyshield protects, put together as its README does it."""

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

from aiocache import SimpleMemoryCache
from fastapi import Depends, FastAPI
from keyshield import ApiKeyService
from keyshield.api import create_depends_api_key
from keyshield.hasher.argon2 import Argon2ApiKeyHasher
from keyshield.repositories.sql import SqlAlchemyApiKeyRepository
from keyshield.services.cached import CachedApiKeyService
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

PEPPER = "a pepper for the benchmark only"


def make_keyshield(*, cached: bool) -> tuple[FastAPI, Any, str, Callable[[], Any]]:
    """Return an application, the dependency that protects, a key, and what forgets connections."""
    database = Path(os.environ["PROJECTS"], f"keyshield-{cached}-{os.getpid()}.db")
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    hasher = Argon2ApiKeyHasher(pepper=PEPPER)
    cache = SimpleMemoryCache()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened, opened.begin():
            yield opened

    async def keys(opened: Annotated[AsyncSession, Depends(session)]) -> ApiKeyService:
        repository = SqlAlchemyApiKeyRepository(opened)
        await repository.ensure_table(async_engine=engine)
        if cached:
            return CachedApiKeyService(repo=repository, hasher=hasher, cache=cache)
        return ApiKeyService(repo=repository, hasher=hasher)

    async def create() -> str:
        async with sessions() as opened, opened.begin():
            _, key = await (await keys(opened)).create(name="bench")
        await engine.dispose()
        return str(key)

    with warnings.catch_warnings(action="ignore"):
        security = create_depends_api_key(keys)
    return FastAPI(openapi_url=None), security, asyncio.run(create()), engine.dispose
