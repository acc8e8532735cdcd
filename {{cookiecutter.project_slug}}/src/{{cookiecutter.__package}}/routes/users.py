"""For any consumer: its own name and scopes."""

from fastapi import APIRouter
from pydantic import BaseModel

from ..auth import CurrentConsumer

router = APIRouter(prefix="/users", tags=["users"])


class User(BaseModel):
    """The consumer whose key was sent."""

    consumer: str
    scopes: list[str]


@router.get("/me")
async def me(consumer: CurrentConsumer) -> User:
    """The consumer of this request and the scopes of its key."""
    return User(consumer=consumer.name, scopes=sorted(consumer.scopes))
