"""The dependencies with which endpoints require a key."""

from collections.abc import Awaitable
from typing import Annotated

from fastapi import Security
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from .context import Consumer, get_authenticator, get_context
from .locations import Location
from .refusals import Reason, Refusal


class KeyDependency(SecurityBase):
    """Base of the dependencies below: how FastAPI writes them into an OpenAPI document.

    They write the scheme of the first location, and `openapi.py` adds the others. So documents that
    it does not see, such as one of a custom `get_openapi` call, name a scheme that works too.
    """

    model: SecurityModel
    scheme_name: str

    def document_as(self, location: Location) -> None:
        """Write this location into documents."""
        self.model = location.scheme.model
        self.scheme_name = location.scheme.scheme_name

    def authenticate(self, connection: HTTPConnection) -> Awaitable[Consumer]:
        """Return the consumer of the request.

        Raises:
            Refusal: 401 without a valid key.
        """
        return get_authenticator(connection.scope)(connection.scope)


class RequiredKey(KeyDependency):
    """The dependency `Security(get_api_key, scopes=[...])`."""

    async def __call__(self, connection: HTTPConnection, required: SecurityScopes) -> Consumer:
        """Return the consumer of the request.

        Raises:
            Refusal: 401 without a valid key, 403 when the key lacks one of the scopes.
        """
        consumer = await self.authenticate(connection)
        missing = [scope for scope in required.scopes if scope not in consumer.scopes]
        if missing:
            detail = f"This needs a key with scope: {required.scope_str}"
            refusal = Refusal(
                403, detail, Reason.SCOPE, details={"missing_scope": " ".join(missing)}
            )
            get_context(connection.scope).refusal = refusal
            raise refusal
        return consumer


class OptionalKey(KeyDependency):
    """The dependency of public endpoints that recognize consumers."""

    async def __call__(self, connection: HTTPConnection) -> Consumer | None:
        """Return the consumer of the request, or None when it holds no key.

        Raises:
            Refusal: 401 when it holds a key that is not valid.
        """
        try:
            return await self.authenticate(connection)
        except Refusal as refusal:
            if refusal.reason is not Reason.MISSING:
                raise
            get_context(connection.scope).refusal = None
            return None


async def check_key_store(connection: HTTPConnection) -> None:
    """Check that keys can be looked up, for the readiness check.

    Raises:
        Refusal: 503 when the key store cannot confirm any key.
    """
    await get_authenticator(connection.scope).check_ready()


get_api_key = RequiredKey()
get_optional_api_key = OptionalKey()

CurrentConsumer = Annotated[Consumer, Security(get_api_key)]
OptionalConsumer = Annotated[Consumer | None, Security(get_optional_api_key)]
