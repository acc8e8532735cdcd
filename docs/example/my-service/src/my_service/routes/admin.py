"""For consumers whose key has the scope `admin`."""

from fastapi import APIRouter, Security
from pydantic import BaseModel, ConfigDict, SecretStr

from ..auth import get_api_key

router = APIRouter(
    prefix="/admin",
    tags=["admin"],
    dependencies=[Security(get_api_key, scopes=["admin"])],
)


class PasswordReset(BaseModel):
    """A new password for a user."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: int
    new_password: SecretStr


@router.post("/password_reset", status_code=204)
async def reset_password(reset: PasswordReset) -> None:
    """An example: it checks the request and stores nothing."""
