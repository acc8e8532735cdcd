"""FastAPI with API keys: its own middleware stays outside of whatever is added to the application."""

import json
import logging
{% if cookiecutter.__whole_app %}
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
{% else %}
from collections.abc import AsyncIterator, Callable, Mapping
{% endif %}
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

{% if cookiecutter.__whole_app %}
from fastapi import APIRouter, FastAPI, Request, Response
{% else %}
from fastapi import FastAPI, Request, Response
{% endif %}
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .auth.dependencies import get_api_key, get_optional_api_key
from .auth.errors import ConfigurationError
from .auth.middleware import AuthenticationMiddleware
from .auth.openapi import add_security_to_openapi, complete_openapi, remove_unsent_fields
from .auth.protection import Protection
from .auth.routing import find_mounted
from .auth.setup import make_authenticator
from .middleware import HeadMiddleware, RequestContextMiddleware, SizeLimitMiddleware
from .settings import Settings, find_warnings
from .traces import OutermostMiddleware, TraceRedactionMiddleware

# FastAPI's options for the docs, which it does not serve here.
_DOCS_OPTIONS = {"openapi_url", "docs_url", "redoc_url", "swagger_ui_parameters"}

logger = logging.getLogger(__name__)


class Service(FastAPI):
    """FastAPI that authenticates requests before any other middleware sees them.

    From the outside in: request context, traces, CORS, HEAD, sizes, authentication, then FastAPI with what
    the application adds.
    """

{% if cookiecutter.__whole_app %}
    def __init__(
        self, settings: Settings, *, public: Sequence[APIRouter | str], **options: Any
    ) -> None:
        self.protection = Protection(self, public)
{% else %}
    def __init__(self, settings: Settings, **options: Any) -> None:
        self.protection = Protection(self)
{% endif %}
        self.settings = settings
        self.authenticator = make_authenticator(settings)
        for dependency in (get_api_key, get_optional_api_key):
            dependency.document_as(self.authenticator.locations[0])
        _check_options(options)
        _check_logging()
        handlers = {RequestValidationError: refuse_invalid, **options.pop("exception_handlers", {})}
        super().__init__(
            exception_handlers=handlers,
            openapi_url=None,  # `routes/docs.py` serves the document and its page
            telemetry={"logs": False},  # they hold exceptions as raised, and with them keys
            **options,
        )
        self.state.settings = settings
        self._own_lifespan = self.router.lifespan_context
        self.router.lifespan_context = self._running
        self._app = RequestContextMiddleware(super().__call__, self.authenticator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, a WebSocket or the lifespan of the process."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        """Add middleware inside of authentication.

        Raises:
            ConfigurationError: it is `CORSMiddleware`, which has to be outside.
        """
        _check_middleware(middleware_class)
        super().add_middleware(middleware_class, *args, **kwargs)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application within its own middleware."""
        app = super().build_middleware_stack()
        app = AuthenticationMiddleware(app, self, self.authenticator, self.protection)
        app = SizeLimitMiddleware(app, self, self.settings.max_body_size)
        app = HeadMiddleware(app, self)
        if self.settings.cors_origins:
            app = CORSMiddleware(app, **self._cors_options())
        app = TraceRedactionMiddleware(app)
        self._extend_mounted_documents()
        return OutermostMiddleware(app)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the service."""
        document = super().openapi()
        self._complete_document(document)
        return document

    def _complete_document(self, document: dict[str, Any]) -> None:
        document.setdefault("servers", [{"url": "/"}])
        if self.exception_handlers.get(RequestValidationError) is refuse_invalid:
            remove_unsent_fields(document)
        self._add_security(document, self, self.protection.operation_needs_key)

    def _add_security(
        self, document: dict[str, Any], app: FastAPI, needs_key: Callable[..., bool]
    ) -> None:
        add_security_to_openapi(
            document,
            app.routes,
            self.authenticator.locations,
            needs_key,
            covers_everything=self.protection.covers_everything,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a document that an owner makes is completed with what the service adds.

        FastAPI's documentation replaces `app.openapi` to extend the document.
        """
        if name == "openapi":
            value = complete_openapi(value, self._complete_document)
        super().__setattr__(name, value)

    def _extend_mounted_documents(self) -> None:
        """Add API keys to the documents of mounted applications."""
        for app in find_mounted(self.routes):
            if not isinstance(app, Service):
                complete = partial(self._complete_mounted, app)
                app.openapi = complete_openapi(app.openapi, complete)  # type: ignore[method-assign]

    def _complete_mounted(self, app: FastAPI, document: dict[str, Any]) -> None:
        everything = self.protection.covers_everything
        self._add_security(document, app, lambda method, path, *, asks: everything or asks)

    def _cors_options(self) -> Mapping[str, Any]:
        key_headers = [location.header for location in self.authenticator.locations]
        return {
            "allow_origins": self.settings.cors_origins,
            "allow_methods": ["*"],
            "allow_headers": [*filter(None, key_headers), *self.settings.cors_headers],
{% if cookiecutter.__cookie %}
            "allow_credentials": True,
{% endif %}
{% if cookiecutter.__limited %}
            "expose_headers": ["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"],
{% else %}
            "expose_headers": ["X-Request-ID"],
{% endif %}
        }

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan; tell the server in one line why a wrong configuration ended it."""
        failure: Message = {}

        async def hold_failure(message: Message) -> None:
            if message["type"].endswith(".failed"):
                failure.update(message)  # with a traceback
            else:
                await send(message)

        try:
            await super().__call__(scope, receive, hold_failure)
        except ConfigurationError as error:
            failure["message"] = str(error)
        finally:
            if failure:
                await send(failure)

    @asynccontextmanager
    async def _running(self, app: FastAPI) -> AsyncIterator[Any]:
        self.protection.check_declarations()
        for middleware in self.user_middleware:  # also what `add_middleware` did not add
            _check_middleware(middleware.cls)
        for warning in find_warnings(self.settings):
            logger.warning(warning)
        try:
            async with self.authenticator.running(), self._own_lifespan(app) as state:
                yield state
        finally:
            self._app.refusals.flush()


def _check_options(options: Mapping[str, Any]) -> None:
    for name in sorted(_DOCS_OPTIONS & options.keys()):
        raise ConfigurationError(
            f"{name} has no effect: routes/docs.py serves the docs, so change them there."
            " DOCS_ENABLED turns them on and off"
        )


def _check_logging() -> None:
    if logger.disabled:
        raise ConfigurationError(
            "The logging configuration disables the loggers of this service, and with them the"
            ' events of refused requests: add "disable_existing_loggers": False to it'
        )


def _check_middleware(middleware_class: Any) -> None:
    if isinstance(middleware_class, type) and issubclass(middleware_class, CORSMiddleware):
        raise ConfigurationError(
            "CORSMiddleware added here would run after the key is checked, and preflight"
            " requests would get 401. Set CORS_ORIGINS (and CORS_HEADERS) instead, such as"
            " CORS_ORIGINS=https://app.example.com"
        )


async def refuse_invalid(request: Request, error: RequestValidationError) -> Response:
    """Say what is wrong with a request without repeating any of it.

    FastAPI's own response holds the input: secrets too, and it fails at what JSON cannot hold.
    """
    sent = ("type", "loc", "msg")
    problems = [{name: problem[name] for name in sent} for problem in error.errors()]
    return Response(json.dumps({"detail": problems}), 422, media_type="application/json")
