"""The request context: what is known about the request that is being handled."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from starlette.types import Scope

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
    """What dependencies and pages ask of the authenticator of the service."""

    store: KeyStore

    async def __call__(self, scope: Scope) -> Consumer:
        """Return the consumer of a request."""
        ...

    async def authenticate_key(self, sent: list[str], context: "RequestContext") -> KeyRecord:
        """Return the record of the one valid key that was sent."""
        ...

    def note_event(self, event: str, context: "RequestContext") -> None:
        """Log and save what happened to the key of a request."""
        ...

    def store_event(self, event: str, context: "RequestContext") -> None:
        """Save what happened to the key of a request."""
        ...

    async def check_ready(self) -> None:
        """Return when keys can be looked up."""
        ...


@dataclass(slots=True)
class RequestContext:
    """What is known about one request or WebSocket.

    It is one mutable object: middleware that passes on a copy of the ASGI scope still shares it.
    """

    request_id: str = ""
    client: str = ""
    headers_size: int = 0
    may_have_body: bool = True
{% if cookiecutter.__limited %}
    cross_site: bool = False
{% endif %}
    taken_keys: dict[str, list[str]] = field(default_factory=dict)
    misplaced: str = ""
    authenticator: RequestAuthenticator | None = None
    key: KeyRecord | None = None
    consumer: Consumer | None = None
    refusal: Refusal | None = None
    refusal_event: str = "request_refused"
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


# The context of the request that the running task handles, for log lines.
current_context: ContextVar[RequestContext | None] = ContextVar("current_context", default=None)


def get_context(scope: Scope) -> RequestContext:
    """Return the context of a request, which the outermost middleware has created."""
    context: RequestContext = scope["state"][STATE_KEY]
    return context


def get_authenticator(scope: Scope) -> RequestAuthenticator:
    """Return the authenticator of the service that handles a request."""
    authenticator = get_context(scope).authenticator
    assert authenticator is not None  # noqa: S101 - the middleware of the service has set it
    return authenticator
