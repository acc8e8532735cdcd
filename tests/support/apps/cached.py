"""The extended service with endpoints that say how they may be cached."""

import my_service.app
from fastapi import APIRouter, Response, Security
from my_service.auth import OptionalConsumer, get_api_key
from my_service.auth.protection import Protection
from my_service.main import app

from support.apps import extended

__all__ = ["app", "extended"]

public_router = APIRouter()


@public_router.get("/public")
async def public(response: Response) -> str:
    response.headers["Cache-Control"] = "public, max-age=60"
    return "public"


@public_router.get("/greeting")
async def greeting(consumer: OptionalConsumer) -> str:
    return consumer.name if consumer else "anonymous"


@app.get("/chosen", dependencies=[Security(get_api_key)])
async def chosen(response: Response) -> str:
    response.headers["Cache-Control"] = "private, max-age=60"
    return "chosen"


app.include_router(public_router)
if hasattr(my_service.app, "PUBLIC"):  # whole_app
    app.protection = Protection(app, (*my_service.app.PUBLIC, public_router))
