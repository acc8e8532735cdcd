"""The request context: what is known about the request that is being handled."""

from typing import NamedTuple, Protocol

from pydantic import SecretStr
from starlette.types import Scope

from .locations import Location
from .records import KeyRecord, KeyStore
from .refusals import Refusal

STATE_KEY = "request_context"


class Consumer(NamedTuple):
    """The consumer whose key was sent, what the key may do, and where it was sent."""

    name: str
    scopes: frozenset[str]
    key_id: str
    location: str


class RequestAuthenticator(Protocol):
    """The part of the authenticator that dependencies and pages use."""

    locations: tuple[Location, ...]
    store: KeyStore

    async def __call__(self, scope: Scope) -> Consumer:
        """Return the consumer of a request."""
        ...

    async def authenticate_key(self, sent: list[SecretStr], context: "RequestContext") -> KeyRecord:
        """Return the record of the one valid key that was sent."""
        ...

    def note_event(self, event: str, context: "RequestContext") -> None:
        """Log and save what happened to the key of a request."""
        ...

    def store_event(self, event: str, context: "RequestContext") -> None:
        """Save what happened to the key of a request."""
        ...

    async def check_ready(self) -> None:
        """Check that keys can be looked up."""
        ...


class RequestContext:
    """What is known about one request or WebSocket.

    It is one mutable object: middleware that passes on a copy of the ASGI scope still shares it.
    `sent_keys` holds the keys removed from the request, by location. No representation shows them:
    error trackers send the variables of a traceback's frames.
    """

{% if cookiecutter.__limited %}
    cross_site: bool = False
{% endif %}
    authenticator: RequestAuthenticator | None = None
    misplaced: str = ""
    key_in_url: bool = False
    key: KeyRecord | None = None
    digest: str = ""
    consumer: Consumer | None = None
    refusal: Refusal | None = None
    refusal_event: str = "request_refused"

    def __init__(
        self,
        request_id: str = "",
        client: str = "",
        *,
        headers_size: int = 0,
        query_size: int = 0,
        may_have_body: bool = True,
    ) -> None:
        self.request_id = request_id
        self.client = client
        self.headers_size = headers_size
        self.query_size = query_size
        self.may_have_body = may_have_body
        self.sent_keys: list[tuple[Location, list[SecretStr]]] = []
        self.response_headers: list[tuple[bytes, bytes]] = []


def get_context(scope: Scope) -> RequestContext:
    """Return the context of a request, which the outermost middleware has created."""
    context: RequestContext = scope["state"][STATE_KEY]
    return context


def get_authenticator(scope: Scope) -> RequestAuthenticator:
    """Return the authenticator of the service that handles a request."""
    authenticator = get_context(scope).authenticator
    assert authenticator is not None  # noqa: S101 - the middleware of the service has set it
    return authenticator
