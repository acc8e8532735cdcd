"""Traces without keys: OpenTelemetry records the URL of a request before the service sees it."""

from collections.abc import Awaitable
from typing import Any

from opentelemetry import trace
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from .auth.keys import redact


class TraceRedactionMiddleware:
    """ASGI middleware: redact the span that was started around it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        redact_span()
        return self.app(scope, receive, send)


class OutermostMiddleware(ServerErrorMiddleware):
    """ASGI middleware that does nothing: OpenTelemetry's instrumentation replaces it.

    It asks for a `ServerErrorMiddleware` here. The one that handles errors is further inside.
    """

    def __call__(  # type: ignore[override] # no coroutine of its own
        self, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """Run the application."""
        return self.app(scope, receive, send)


def redact_span() -> None:
    """Remove keys from the name and the attributes of the current span, if it is recorded."""
    span: Any = trace.get_current_span()
    if not span.is_recording():
        return
    for name, value in dict(getattr(span, "attributes", None) or {}).items():
        redacted = _redact_value(value)
        if redacted != value:
            span.set_attribute(name, redacted)
    name = getattr(span, "name", "")
    if redact(name) != name:
        span.update_name(redact(name))


def _redact_value(value: Any) -> Any:
    """Return an attribute without keys: a text, or several ones as for a request header."""
    if isinstance(value, str):
        return redact(value)
    return tuple(map(_redact_value, value)) if isinstance(value, tuple) else value
