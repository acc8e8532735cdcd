"""HTTP and WebSocket connections within limits that hold without a proxy in front.

uvicorn bounds neither the size of a request's headers nor the time they take, and at its own limit of
connections health checks get 503 too. This module relies on uvicorn's internals and needs
`uvicorn[standard]`; `tests/test_protocols.py` fails if they change. Another server that is built on
uvicorn can use both classes: `uvicorn --http {{ cookiecutter.__package }}.protocols:BoundedHTTPProtocol`.
"""

import asyncio
import json
import logging
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .auth.events import log_state

HEALTH_PATHS = {"/health/live", "/health/ready"}

# Data is parsed in slices, so a head exceeds MAX_HEAD_BYTES by at most one of them.
MAX_HEAD_BYTES = 64 * 1024
SLICE_BYTES = 16 * 1024
HEAD_SECONDS = 10
# How long a client may go on sending after a refusal: closing earlier would lose the response.
LINGER_SECONDS = 1
MAX_CONNECTIONS = 1000  # of each process
# Connections beyond the limit that may make one request each at the same time.
EXCESS_CONNECTIONS = 100
REPORT_SECONDS = 60  # between two log lines about them
RETRY_AFTER_SECONDS = 5

logger = logging.getLogger("uvicorn.error")


class AccessLogger:
    """Writes to uvicorn's access log, without looking for the line of code that does."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("uvicorn.access")

    def info(self, message: str, *arguments: object) -> None:
        """Log a request, with the level, the filters and the handlers of the logger."""
        logger = self.logger
        if logger.isEnabledFor(logging.INFO):
            logger.handle(
                logger.makeRecord(logger.name, logging.INFO, "", 0, message, arguments, None)
            )


class BoundedHTTPProtocol(HttpToolsProtocol):
    """One HTTP connection with limits on its headers, their time and the number of connections."""

    # The connections of this process beyond the limit, oldest first.
    excess: ClassVar[dict["BoundedHTTPProtocol", None]] = {}
    next_report: ClassVar[float] = 0  # of connections beyond the limit
    quick_access_logger = AccessLogger()
    head_timer: asyncio.TimerHandle | None = None
    # Bytes of an incomplete head or of trailers: those after the parser's last callback.
    unparsed_bytes = 0
    # Data behind pipelined requests that wait for their turn.
    held: bytes | None = None
    is_finished = False  # refused, or handed over to the WebSocket protocol
    is_excess = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.access_logger = self.quick_access_logger  # type: ignore[assignment]
        self.start_head_timer()
        limit = getattr(self.config, "max_connections", MAX_CONNECTIONS)
        if len(self.connections) > limit:
            self.admit_excess(limit)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_head_timer()
        self.excess.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if len(data) > SLICE_BYTES or self.pipeline or self.held is not None or self.is_finished:
            self.receive_slices(data)
            return
        self.unparsed_bytes += len(data)
        super().data_received(data)
        if self.unparsed_bytes:
            self.check_head()

    def receive_slices(self, data: bytes) -> None:
        """Parse slice by slice, and stop where a limit is reached."""
        for start in range(0, len(data), SLICE_BYTES):
            if self.is_finished or self.transport.is_closing():
                return
            if self.pipeline or self.held is not None:
                self.hold(data[start:])
                return
            self.data_received(data[start : start + SLICE_BYTES])

    def check_head(self) -> None:
        """Refuse a head that is too large, or start its timer."""
        if self.unparsed_bytes > MAX_HEAD_BYTES:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif not self.is_responding():
            self.start_head_timer()

    def hold(self, data: bytes) -> None:
        """Keep data, and stop reading, until no earlier request waits for its turn."""
        self.held = (self.held or b"") + data
        self.flow.pause_reading()

    def on_response_complete(self) -> None:
        super().on_response_complete()  # starts the next request, and reading
        if self.held is not None:
            data, self.held = self.held, None
            self.receive_slices(data)

    def is_responding(self) -> bool:
        """Return whether a request has arrived whose response is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    def on_headers_complete(self) -> None:
        self.unparsed_bytes = 0
        if self.head_timer is not None:
            self.stop_head_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.unparsed_bytes = 0
        super().on_body(body)
        if not self.is_responding():
            self.start_head_timer()  # also bounds a body that the application does not read

    def handle_websocket_upgrade(self) -> None:
        if self.is_excess:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self.is_finished = True
            self.stop_head_timer()
            super().handle_websocket_upgrade()

    def start_head_timer(self) -> None:
        if self.head_timer is None:
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self.head_timed_out)

    def stop_head_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def head_timed_out(self) -> None:
        if self.unparsed_bytes:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def refuse(self, status: HTTPStatus, linger: float = LINGER_SECONDS) -> None:
        """Send a response, unless another one is due, and close the connection."""
        self.stop_head_timer()
        if self.is_finished or self.is_responding() or self.transport.is_closing():
            self.is_finished = True
            self.transport.close()
            return
        self.is_finished = True
        if not self.is_excess:
            logger.warning("Refused a request from %s: %s", self.client, status.phrase)
        self.transport.write(encode_refusal(status, self.server_state.default_headers))
        self.transport.write_eof()
        self.loop.call_later(linger, self.transport.close)

    def admit_excess(self, limit: int) -> None:
        """Let the connection make one request; close the oldest such connection if there are many."""
        if self.loop.time() >= self.next_report:
            BoundedHTTPProtocol.next_report = self.loop.time() + REPORT_SECONDS
            text = "Limit of %d connections reached"
            log_state(logger, logging.WARNING, "connections_limited", text, limit)
        if len(self.excess) >= EXCESS_CONNECTIONS:
            oldest = next(iter(self.excess))
            del self.excess[oldest]
            oldest.refuse(HTTPStatus.SERVICE_UNAVAILABLE, linger=0)
        self.excess[self] = None
        self.is_excess = True
        self.app = self.run_excess

    async def run_excess(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application for a health check, and refuse any other request."""
        self.cycle.keep_alive = False
        if scope["path"].removeprefix(scope["root_path"]) in HEALTH_PATHS:
            await self.config.loaded_app(scope, receive, send)
        else:
            await send_unavailable(send)


class QuietWebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection whose refusal logs no error, and whose handshake never hangs."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # Longer lines or more headers than `websockets` reads.
            self.refuse(b"".join(self.conn.data_to_send()), HTTPStatus.BAD_REQUEST)

    def shutdown(self) -> None:
        if not (self.handshake_complete or self.initial_response or self.close_sent):
            self.refuse(b"", HTTPStatus.SERVICE_UNAVAILABLE)
        super().shutdown()

    def refuse(self, response: bytes, status: HTTPStatus) -> None:
        """Send a response of `websockets`, or else one with this status, and close the connection."""
        self.close_sent = True
        self.transport.write(response or encode_refusal(status, self.default_headers))
        self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # uvicorn logs an error otherwise


async def send_unavailable(send: Any) -> None:
    """Send a complete ASGI response with the status 503."""
    headers, body = make_refusal(HTTPStatus.SERVICE_UNAVAILABLE)
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def encode_refusal(status: HTTPStatus, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a refusal as HTTP/1.1 sends it, for a connection without an ASGI request."""
    headers, body = make_refusal(status)
    lines = [b"%s: %s" % header for header in default_headers + headers]
    return b"\r\n".join([b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), *lines, b"", body])


def make_refusal(status: HTTPStatus) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers and the body of a refusal, after which the connection closes."""
    body = json.dumps({"detail": status.phrase}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    return headers, body
