"""Public: whether the process lives, and whether it can take requests."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok"] = "ok"


@router.get("/live")
async def live() -> Health:
    """The process runs."""
    return Health()


@router.get("/ready")
async def ready() -> Health:
    """The service can take requests; check here what it cannot work without."""
    return Health()
