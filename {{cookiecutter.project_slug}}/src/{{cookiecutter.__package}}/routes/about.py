{% if cookiecutter.protection == "whole_app" %}
"""The service in two words: its name and its version."""
{% else %}
"""Public: the name and the version of the service."""
{% endif %}

from fastapi import APIRouter, Request
from pydantic import BaseModel

router = APIRouter(tags=["about"])


class About(BaseModel):
    """The running service."""

    name: str
    version: str


@router.get("/")
async def about(request: Request) -> About:
    """The name and version of this service."""
    return About(name=request.app.title, version=request.app.version)
