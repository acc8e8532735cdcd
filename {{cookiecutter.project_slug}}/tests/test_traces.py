"""Traces show no key, also where they were started before the service saw the request."""

from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan
from pydantic import SecretStr
from starlette.middleware.errors import ServerErrorMiddleware

from {{ cookiecutter.__package }}.auth import (
    Consumer,
    keys,
)
from {{ cookiecutter.__package }}.auth.context import (
    STATE_KEY,
    RequestContext,
)
from {{ cookiecutter.__package }}.auth.events import (
    describe_span,
)
from {{ cookiecutter.__package }}.traces import (
    TraceRedactionMiddleware,
)

from .helpers import UNKNOWN_KEY, WEB_KEY, call_asgi, make_scope

pytestmark = pytest.mark.anyio

REDACTED = f"{keys.PREFIX}_..."


class RecordedSpan(NonRecordingSpan):
    """A span that records its name and attributes."""

    def __init__(self, name: str, **attributes: Any) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self.name = name
        self.attributes = attributes

    def is_recording(self) -> bool:
        """Return that it is recorded."""
        return True

    def update_name(self, name: str) -> None:
        """Take another name."""
        self.name = name

    def set_attribute(self, key: str, value: Any) -> None:
        """Take an attribute."""
        self.attributes[key] = value

    def set_attributes(self, attributes: Any) -> None:
        """Take several attributes."""
        self.attributes |= attributes


@pytest.mark.parametrize("key", [WEB_KEY, UNKNOWN_KEY, WEB_KEY[:-12]], ids=["valid", "unknown", ""])
async def test_span_around_the_service_is_redacted(app: FastAPI, key: str) -> None:
    span = RecordedSpan(f"GET /{key}", url=f"/{key}?a={key}", header=(key, "b"), port=80)
    with trace.use_span(span):
        await call_asgi(app, f"/{key}", query=f"a={key}")
    assert span.name == f"GET /{REDACTED}"
    expected = {"url": f"/{REDACTED}?a={REDACTED}", "header": (REDACTED, "b"), "port": 80}
    assert {name: span.attributes[name] for name in expected} == expected


async def test_span_within_the_service_is_redacted(app: FastAPI) -> None:
    span = RecordedSpan("GET", url=f"?a={WEB_KEY[:-12]}")

    async def nothing(*_: object) -> None:
        """Do nothing."""

    with trace.use_span(span):
        await TraceRedactionMiddleware(nothing)({}, nothing, nothing)  # type: ignore[arg-type]
    assert span.attributes["url"] == f"?a={REDACTED}"


def test_opentelemetry_can_instrument_the_service(app: FastAPI) -> None:
    outermost = app.build_middleware_stack()
    assert isinstance(outermost, ServerErrorMiddleware)
    layer: Any = outermost.app  # its instrumentation replaces the outermost one, and keeps the rest
    while not isinstance(layer, TraceRedactionMiddleware):
        layer = layer.app


def test_span_names_the_consumer_and_the_key() -> None:
    span = RecordedSpan("GET")
    with trace.use_span(span):
        describe_span(Consumer("web", frozenset(), "8f3a", "header"))
    assert span.attributes == {"api_key.consumer": "web", "api_key.id": "8f3a"}


async def test_authentication_describes_the_span(app: FastAPI) -> None:
    first = app.authenticator.locations[0]  # type: ignore[attr-defined]
    context = RequestContext("request", "127.0.0.1")
    context.sent_keys.append((first, [SecretStr(WEB_KEY)]))
    scope = make_scope("/")
    scope["state"] = {STATE_KEY: context}
    span = RecordedSpan("GET")
    with trace.use_span(span):
        consumer = await app.authenticator(scope)  # type: ignore[attr-defined]
    assert consumer.location == first.name
    assert span.attributes["api_key.id"] == keys.key_id(keys.hash_key(WEB_KEY))
