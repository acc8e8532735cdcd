"""For any consumer: who am I?"""

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
    """The name behind the key of this request, and what it may do."""
    return User(consumer=consumer.name, scopes=sorted(consumer.scopes))
