{% from "literals.jinja" import python_string %}
"""The application: settings in, FastAPI app out."""

import json
from collections.abc import Awaitable
from copy import deepcopy
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware
{% if cookiecutter.protection == "endpoints" %}
from starlette.exceptions import HTTPException
{% endif %}
from starlette.types import Message, Receive, Scope, Send

from . import __version__
{% if cookiecutter.protection == "whole_app" %}
from .auth import Authenticator, Gate
{% else %}
from .auth import Authenticator, EarlyCheck, check_key_first
{% endif %}
{% if cookiecutter.__header %}
from .locations import HEADER, Location, locations
{% else %}
from .locations import Location, locations
{% endif %}
from .logs import configure_logging, current_scope, identify, keep_keys_out_of_url
from .openapi import complete
{% if cookiecutter.__cookie %}
from .routes import about, admin, docs, health, sign_in, users
{% else %}
from .routes import about, admin, docs, health, users
{% endif %}
from .settings import Settings, load_settings
from .sizes import SizeLimits

# The messages with which an answer begins, and which hold its headers.
_STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


class Service(FastAPI):
    """FastAPI that takes keys out of URLs, and says in its OpenAPI document who needs one."""

    def __init__(self, locations: tuple[Location, ...], **options: Any) -> None:
        self.locations = locations
        super().__init__(**options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whose URL holds no key from here on."""
        if scope["type"] != "lifespan":
            keep_keys_out_of_url(scope)
            current_scope.set(scope)
            identify(scope)
            send = _with_headers(send, scope)
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the service."""
        document = deepcopy(super().openapi())
        complete(document, self.locations)
        return document


def create_app(settings: Settings) -> FastAPI:
    """Return the service that these settings describe."""
    {% if cookiecutter.__cookie %}
    places = locations(settings)
    {% else %}
    places = locations()
    {% endif %}
    {% if cookiecutter.__database %}
    authenticate = Authenticator(places, settings)
    {% endif %}
    app = Service(
        places,
        title={{ python_string(cookiecutter.project_name) }},
        description={{ python_string(cookiecutter.description) }},
        version=__version__,
        telemetry={"logs": False},  # they hold exceptions as raised, with whatever key is in them
        openapi_url="/openapi.json" if settings.docs_enabled else None,
        docs_url=None,  # `routes/docs.py` has the page
        redoc_url=None,
        swagger_ui_parameters={"persistAuthorization": settings.development},
        {% if cookiecutter.protection == "endpoints" %}
        exception_handlers={
            HTTPException: check_key_first,
            RequestValidationError: _refuse_invalid,
        },
        {% else %}
        exception_handlers={RequestValidationError: _refuse_invalid},
        {% endif %}
        {% if cookiecutter.__database %}
        lifespan=authenticate.store.running,
        middleware=_middleware(settings, authenticate),
        {% else %}
        middleware=_middleware(settings, Authenticator(places, settings)),
        {% endif %}
    )
    if settings.docs_enabled:
        app.include_router(docs.router)
    {% if cookiecutter.__cookie %}
    app.state.settings = settings
    app.include_router(sign_in.router)
    {% endif %}
    app.include_router(health.router)
    app.include_router(about.router)
    app.include_router(users.router)
    app.include_router(admin.router)
    return app


async def _refuse_invalid(request: Request, error: RequestValidationError) -> Response:
    """Say what is wrong with a request, and repeat none of it.

    FastAPI's own answer holds the input: secrets too, and it fails at what no JSON can hold.
    """
    told = ("type", "loc", "msg")
    problems = [{name: problem[name] for name in told} for problem in error.errors()]
    return Response(json.dumps({"detail": problems}), 422, media_type="application/json")


def _middleware(settings: Settings, authenticate: Authenticator) -> list[Middleware]:
    """Return the middleware of the service, the outermost first."""
    middleware = [
        Middleware(SizeLimits, max_body_size=settings.max_body_size),
        {% if cookiecutter.protection == "whole_app" %}
        Middleware(Gate, authenticate=authenticate),
        {% else %}
        Middleware(EarlyCheck, authenticate=authenticate),
        {% endif %}
    ]
    if settings.cors_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            {% if cookiecutter.__header %}
            allow_headers=[HEADER],
            {% endif %}
            {% if cookiecutter.__cookie %}
            allow_credentials=True,
            {% endif %}
            {% if cookiecutter.__limited %}
            expose_headers=["RateLimit", "RateLimit-Policy", "Retry-After"],
            {% endif %}
        )
        middleware.insert(0, cors)
    return middleware


def _with_headers(send: Send, scope: Scope) -> Send:
    {% if cookiecutter.__query %}
    """Add what every answer says, and have browsers tell no other site its URL, keys and all."""
    {% else %}
    """Add what every answer says."""
    {% endif %}
    identified = (b"x-request-id", scope["request_id"].encode())

    def send_with_headers(message: Message) -> Awaitable[None]:
        if message["type"] in _STARTS:
            headers = [*message.get("headers", ()), identified]
            {% if cookiecutter.__limited %}
            headers += scope.get("rate_limit", ())
            {% endif %}
            {% if cookiecutter.__query %}
            if not any(name == b"referrer-policy" for name, _ in headers):
                headers.append((b"referrer-policy", b"no-referrer"))
            {% endif %}
            message["headers"] = headers
        return send(message)

    return send_with_headers


settings = load_settings()
configure_logging(settings)
app = create_app(settings)
