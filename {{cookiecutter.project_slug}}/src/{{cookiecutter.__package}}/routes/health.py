"""Health checks: public, for load balancers and orchestrators."""

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from ..auth import check_key_store

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok"] = "ok"


@router.get("/live")
async def live() -> Health:
    """The process runs."""
    return Health()


@router.get(
    "/ready",
    dependencies=[Depends(check_key_store)],
{% if cookiecutter.__database %}
    responses={503: {"description": "The key store is unavailable, or no API key is valid"}},
{% else %}
    responses={503: {"description": "No API key is valid"}},
{% endif %}
)
async def ready() -> Health:
    """The service can handle requests. Add checks of what your service depends on."""
    return Health()
