"""Whose a key is, and what it opens."""

{% if cookiecutter.protection == "endpoints" %}
from collections.abc import Awaitable
{% endif %}
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

{% if cookiecutter.protection == "endpoints" %}
from fastapi import HTTPException, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.exception_handlers import http_exception_handler
{% else %}
from fastapi import HTTPException, Security
{% endif %}
from fastapi.openapi.models import APIKey
{% if cookiecutter.protection == "whole_app" %}
from fastapi.responses import JSONResponse
{% endif %}
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
{% if cookiecutter.protection == "endpoints" %}
from starlette.types import ASGIApp, Message, Receive, Scope, Send
{% else %}
from starlette.types import ASGIApp, Receive, Scope, Send
{% endif %}

from . import keys
{% if cookiecutter.__cookie %}
from .cross_site import is_cross_site
{% endif %}
from .locations import Location
{% if cookiecutter.__limited %}
from .rate_limits import RateLimits
{% endif %}
from .settings import Settings
{% if cookiecutter.__database %}
from .store import KeyStore
{% endif %}
{% if cookiecutter.__limited %}
from .throttle import Throttle
{% endif %}
{% if cookiecutter.protection == "whole_app" %}

# What answers without a key, by method and exact path; everything else is closed.
{% if cookiecutter.__cookie %}
PUBLIC_OPERATIONS = frozenset(
    {
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/sign-in"),
        ("POST", "/sign-in"),
        ("POST", "/sign-out"),
    }
)
{% else %}
PUBLIC_OPERATIONS = frozenset({("GET", "/health/live"), ("GET", "/health/ready")})
{% endif %}
{% endif %}


class Consumer(NamedTuple):
    """Who sent a request: the name behind its key, what the key may do, and where it came."""

    name: str
    scopes: frozenset[str]
    location: str
    {% if cookiecutter.__limited %}
    rate_limit: str | None = None
    {% endif %}


class Authenticator:
    """Tells from the ASGI scope of a request or WebSocket whose key came with it."""

    def __init__(self, locations: tuple[Location, ...], settings: Settings) -> None:
        self._locations = locations
        {% if cookiecutter.__database %}
        self.store = KeyStore(settings)
        {% else %}
        self._entries = {entry.sha256: entry for entry in settings.api_keys}
        {% endif %}
        {% if cookiecutter.__cookie %}
        self._trusted_origins = frozenset(settings.cors_origins)
        {% endif %}
        {% if cookiecutter.__limited %}
        self._throttle = Throttle(settings.failed_attempts_limit)
        self._rate_limits = RateLimits(settings)
        {% endif %}

    {{ cookiecutter.__async }}def __call__(self, scope: Scope) -> Consumer:
        """Return the consumer, and leave it in the scope for whoever asks next.

        Raises:
            {% if cookiecutter.__cookie %}
            HTTPException: 401 without a valid key, 403 when another site made the browser send it.
            {% else %}
            HTTPException: 401 without a valid key.
            {% endif %}
            {% if cookiecutter.__limited %}
            HTTPException: 429 after too many wrong keys, or too many requests.
            {% endif %}
            {% if cookiecutter.__database %}
            HTTPException: 503 when only the database could tell, and it does not answer.
            {% endif %}
        """
        for location in self._locations:
            sent = location.read(scope)
            if any(sent):  # the first location that holds a key decides, valid or not
                break
        else:
            raise unauthenticated()
        {% if cookiecutter.__limited %}
        consumer = await self.identify(sent, location.name, scope)
        {% else %}
        consumer = {{ cookiecutter.__await }}self.identify(sent, location.name)
        {% endif %}
        {% if cookiecutter.__cookie %}
        if location.name == "cookie" and is_cross_site(scope, self._trusted_origins):
            raise HTTPException(403, "A cookie key is not accepted from another site")
        {% endif %}
        scope["consumer"] = consumer
        {% if cookiecutter.__limited %}
        await self._rate_limits.spend(scope, consumer.name, consumer.rate_limit)
        {% endif %}
        return consumer

    {% if cookiecutter.__limited %}
    async def identify(self, sent: list[str], location: str, scope: Scope) -> Consumer:
        """Return who holds the one key that was sent in this place; count it when it is wrong.

        Raises:
            HTTPException: 401, the same whatever is wrong: it tells an attacker nothing. 429 after
                too many wrong keys from the same address, whatever key this is.
            {% if cookiecutter.__database %}
            HTTPException: 503 when only the database could tell, and it does not answer.
            {% endif %}
        """
        if not any(sent):
            raise unauthenticated()
        self._throttle.check(scope)
        try:
            return await self._look_up(sent, location)
        except HTTPException as refusal:
            if refusal.status_code == 401:
                {% if cookiecutter.__database %}
                self._throttle.check(scope)  # again: others may have failed meanwhile
                {% endif %}
                self._throttle.count(scope)
            raise

    async def _look_up(self, sent: list[str], location: str) -> Consumer:
    {% else %}
    {{ cookiecutter.__async }}def identify(self, sent: list[str], location: str) -> Consumer:
        """Return who holds the one key that was sent in this place.

        Raises:
            HTTPException: 401, the same whatever is wrong: it tells an attacker nothing.
            {% if cookiecutter.__database %}
            HTTPException: 503 when only the database could tell, and it does not answer.
            {% endif %}
        """
    {% endif %}
        if len(sent) != 1 or not keys.is_well_formed(sent[0]):
            raise unauthenticated()
        {% if cookiecutter.__database %}
        entry = await self.store.find(keys.digest(sent[0]))
        {% else %}
        entry = self._entries.get(keys.digest(sent[0]))
        {% endif %}
        if entry is None or (entry.expires and entry.expires < datetime.now(UTC).date()):
            raise unauthenticated()
        {% if cookiecutter.__limited %}
        return Consumer(entry.consumer, entry.scopes, location, entry.rate_limit)
        {% else %}
        return Consumer(entry.consumer, entry.scopes, location)
        {% endif %}


def unauthenticated() -> HTTPException:
    """Return the one answer to a missing or wrong key (RFC 9110, section 15.5.2)."""
    return HTTPException(
        401,
        "Missing or invalid API key",
        {"WWW-Authenticate": "APIKey", "Cache-Control": "no-store"},
    )


class _KeyDependency(SecurityBase):
    """The dependency `Security(get_api_key, scopes=[...])`: the consumer behind a request.

    Raises:
        HTTPException: 401 without a valid key, 403 when the key lacks one of the scopes.
    """

    def __init__(self) -> None:
        # Only a name for FastAPI to write down: `openapi.py` puts the schemes in its place.
        self.scheme_name = "APIKey"
        self.model = APIKey.model_validate({"in": "header", "name": self.scheme_name})

    async def __call__(self, connection: HTTPConnection, required: SecurityScopes) -> Consumer:
        consumer = {{ cookiecutter.__await }}_authenticate_once(connection.scope)
        if not consumer.scopes.issuperset(required.scopes):
            raise HTTPException(403, f"This needs a key with scope: {required.scope_str}")
        return consumer


{{ cookiecutter.__async }}def _authenticate_once(scope: Scope) -> Consumer:
    {% if cookiecutter.__limited %}
    if "refusal" in scope:  # whoever asks again gets the same answer, and nothing counts twice
        raise scope["refusal"]
    try:
        consumer: Consumer = scope.get("consumer") or await scope["authenticate"](scope)
    except HTTPException as refusal:
        scope["refusal"] = refusal
        raise
    {% else %}
    consumer: Consumer = scope.get("consumer") or {{ cookiecutter.__await }}scope["authenticate"](scope)
    {% endif %}
    return consumer


get_api_key = _KeyDependency()
CurrentConsumer = Annotated[Consumer, Security(get_api_key)]

{% if cookiecutter.protection == "whole_app" %}

class Gate:
    """ASGI middleware: nothing behind it is reached without a key, unless it is public.

    A dependency of the app would leave the docs, mounted apps, static files and unknown paths
    open, and would run only after FastAPI has read and parsed the body.
    """

    def __init__(self, app: ASGIApp, authenticate: Authenticator) -> None:
        self.app = app
        self.authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["authenticate"] = self.authenticate  # for public operations that want to know
        if scope["type"] != "lifespan" and not _is_public(scope):
            try:
                {{ cookiecutter.__await }}self.authenticate(scope)
            except HTTPException as error:
                await _refuse(error, scope, receive, send)
                return
        await self.app(scope, receive, send)


def _is_public(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return (scope.get("method"), path) in PUBLIC_OPERATIONS


async def _refuse(error: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    extensions = scope.get("extensions", {})
    if scope["type"] == "websocket" and "websocket.http.response" not in extensions:
        await send({"type": "websocket.close", "code": 1008})  # the server answers 403
        return
    response = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    await response(scope, receive, send)
{% else %}

class EarlyCheck:
    """ASGI middleware: an endpoint that asks for a key is refused before its body is read.

    FastAPI reads and parses the body first and solves dependencies afterwards. So the first one who
    asks for the body of a request to such an endpoint has the key checked; without a valid one, not
    a byte is read.
    """

    def __init__(self, app: ASGIApp, authenticate: Authenticator) -> None:
        self.app = app
        self.authenticate = authenticate

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope["authenticate"] = self.authenticate

        async def checked_receive() -> Message:
            if scope["type"] == "http" and _asks_for_key(scope):
                {{ cookiecutter.__await }}_authenticate_once(scope)
            return await receive()

        return self.app(scope, checked_receive, send)


async def check_key_first(request: Request, error: HTTPException) -> Response:
    """Answer an error: without a key, that of an endpoint which asks for one is 401, whatever it was.

    FastAPI refuses some bodies before it reads them, such as a form without a boundary.
    """
    if error.status_code != 401 and _asks_for_key(request.scope):
        try:
            {{ cookiecutter.__await }}_authenticate_once(request.scope)
        except HTTPException as refusal:
            error = refusal
    return await http_exception_handler(request, error)


def _asks_for_key(scope: Scope) -> bool:
    if get_api_key in getattr(scope["app"], "dependency_overrides", {}):
        return False
    # FastAPI keeps what an included router adds to a route in a context beside the route.
    context = scope.get("fastapi", {}).get("effective_route_context")
    dependant = getattr(context or scope.get("route"), "dependant", None)
    return dependant is not None and _depends_on_key(dependant)


def _depends_on_key(dependant: Dependant) -> bool:
    return dependant.call is get_api_key or any(map(_depends_on_key, dependant.dependencies))
{% endif %}
