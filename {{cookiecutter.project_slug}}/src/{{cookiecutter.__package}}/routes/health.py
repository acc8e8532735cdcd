"""Public: whether the process lives, and whether it can take requests."""

from typing import Literal

{% if cookiecutter.__database %}
from fastapi import APIRouter, Request
{% else %}
from fastapi import APIRouter
{% endif %}
from pydantic import BaseModel

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok"] = "ok"


@router.get("/live")
async def live() -> Health:
    """The process runs."""
    return Health()


{% if cookiecutter.__database %}
@router.get("/ready", responses={503: {"description": "The database does not answer"}})
async def ready(request: Request) -> Health:
    """The service can take requests: the database of keys answers."""
    await request.scope["authenticate"].store.check()
    return Health()
{% else %}
@router.get("/ready")
async def ready() -> Health:
    """The service can take requests; check here what it cannot work without."""
    return Health()
{% endif %}
