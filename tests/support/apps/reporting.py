"""The extended service with bugs, Sentry as its documentation has it, and OpenTelemetry around."""

import json
import logging
from importlib import import_module
from typing import Any

import sentry_sdk
from fastapi import APIRouter, Depends, FastAPI, Request
from my_service.auth import CurrentConsumer, OptionalConsumer
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

logger = logging.getLogger(__name__)


class PrintingTransport(Transport):
    """Write what Sentry would send to stdout."""

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            print("Sentry", item.type, json.dumps(item.payload.json), flush=True)


class FailingMiddleware:
    """Middleware of an owner with a bug."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/in-middleware":
            headers, query = scope["headers"], scope["query_string"]
            raise RuntimeError(f"a bug in middleware, with {headers} and {query}")
        await self.app(scope, receive, send)


sentry_sdk.init(
    dsn="https://public@sentry.example/1",
    send_default_pii=True,
    traces_sample_rate=1.0,
    transport=PrintingTransport,
)
service: FastAPI = import_module("support.apps.extended").app
router = APIRouter()


async def fail(request: Request) -> None:
    url, cookies = request.url, request.cookies
    raise RuntimeError(f"a bug in a dependency, with {url} and {cookies}")


@router.get("/in-endpoint")
async def in_endpoint(request: Request, consumer: CurrentConsumer) -> None:
    headers = dict(request.headers)
    logger.warning("Breadcrumb: %s", headers)
    logger.error("Event: %s of %s", request.url, consumer)
    raise RuntimeError("a bug in an endpoint")


@router.get("/in-dependency", dependencies=[Depends(fail)])
async def in_dependency(consumer: CurrentConsumer) -> None:
    pass


@router.get("/in-thread")
def in_thread(request: Request, consumer: OptionalConsumer) -> None:
    scope = request.scope
    raise RuntimeError(f"a bug in a thread, with {len(scope)} entries")


@router.get("/in-middleware")
async def in_middleware(consumer: CurrentConsumer) -> None:
    pass


@router.get("/in-store")
async def in_store(request: Request) -> None:
    """Let each look-up of a key fail from now on."""

    async def find(digest: str) -> None:
        raise RuntimeError("a bug in the key store")

    def peek(digest: str) -> None:
        return None

    store = request.app.authenticator.store
    store.find, store.peek = find, peek


service.add_middleware(FailingMiddleware)
service.include_router(router)
service.router.routes.insert(0, service.router.routes.pop())
app = OpenTelemetryMiddleware(service)
