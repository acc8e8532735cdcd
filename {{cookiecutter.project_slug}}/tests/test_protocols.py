"""Limits of connections, over real sockets.

`protocols.py` relies on uvicorn's internals. If these tests fail after an update of uvicorn, adapt it.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus

import pytest
import uvicorn

from {{ cookiecutter.__package }} import (
    protocols,
    server,
)

from .helpers import LIVE, READY
from .served import GET, HANDSHAKE, Connection, app, wait_until

END = b"\r\n\r\n"  # of a head
CHUNKED = b"POST /read HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """A server in a thread, which allows 3 connections, and connections to it."""

    def __init__(self) -> None:
        self.config = server.ServerConfig(
            app, max_connections=3, host="127.0.0.1", port=0, ws_max_size=1000, lifespan="off"
        )
        self.server = uvicorn.Server(self.config)
        self.state = self.server.server_state
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.made: list[Connection] = []
        wait_until(lambda: self.server.started)

    def __call__(self) -> Connection:
        """Return a new connection."""
        self.made.append(Connection(self.server.servers[0].sockets[0].getsockname()[1]))
        return self.made[-1]

    def disconnect(self) -> None:
        """Close all connections, and wait until the server has noticed."""
        for connection in self.made:
            connection.socket.close()
        self.made.clear()
        for task in set(self.state.tasks):
            task.get_loop().call_soon_threadsafe(task.cancel)
        wait_until(lambda: not self.state.connections and not self.state.tasks)

    def shut_down(self) -> None:
        """Let all connections end, as the server does when it stops."""
        for connection in set(self.state.connections):
            connection.loop.call_soon_threadsafe(connection.shutdown)

    def stop(self) -> None:
        """End the thread."""
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """Return a server for all tests of this module."""
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def connect(running: Server) -> Iterator[Server]:
    """Return the server without connections."""
    yield running
    running.disconnect()


@pytest.fixture
def short_times(running: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the server's limits of time."""
    monkeypatch.setattr(protocols, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(running.config, "timeout_keep_alive", 0.2)


# The access log


def test_access_log_has_the_level_and_filters_of_its_logger(
    connect: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = logging.getLogger("uvicorn.access")
    monkeypatch.setattr(access, "disabled", False)  # the owner may not want it

    def leave_out(record: logging.LogRecord) -> bool:
        return "/quiet" not in record.getMessage()

    access.addFilter(leave_out)
    try:
        with caplog.at_level(logging.INFO, logger="uvicorn.access"):
            for level, path in (("INFO", "/a"), ("INFO", "/quiet"), ("ERROR", "/b")):
                access.setLevel(level)
                connection = connect()
                connection.get(path)
                connection.receive()
    finally:
        access.removeFilter(leave_out)
    [record] = [record for record in caplog.records if record.name == "uvicorn.access"]
    assert record.levelname == "INFO"
    assert record.getMessage().endswith(' - "GET /a HTTP/1.1" 200')


# Heads, bodies and trailers


def test_headers_below_64_kib_are_served(connect: Server) -> None:
    connection = connect()
    connection.send(b"GET /a HTTP/1.1\r\nHost: test\r\nX: " + b"a" * 65000 + b"\r\n\r\n")
    assert connection.receive().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "start",
    [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\n"],
    ids=["target", "header", "headers"],
)
def test_larger_heads_are_refused(connect: Server, start: bytes) -> None:
    connection = connect()
    many = b"X: a\r\n" if start.endswith(b"\n") else b"aaaaaa"
    with suppress(ConnectionError):
        connection.send(start + many * 700_000)
    assert connection.read().startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("start", [b"1\r\na\r\n0\r\nX: ", b"1;"], ids=["trailer", "extension"])
def test_other_parts_of_a_message_are_bounded(connect: Server, start: bytes) -> None:
    connection = connect()
    with suppress(ConnectionError):
        connection.send(CHUNKED + start)
        for _ in range(100):
            connection.send(b"a" * 10_000)
    assert connection.read() == b""


def test_large_bodies_are_not_headers(connect: Server) -> None:
    connection = connect()
    connection.send(CHUNKED + b"80000\r\n" + b"a" * 0x80000 + b"\r\n0\r\n\r\n")
    assert connection.receive().startswith(b"HTTP/1.1 200 ")


def test_pipelined_requests_keep_their_order(connect: Server) -> None:
    paths = [f"/{number}" for number in range(2000)]
    connection = connect()
    connection.send(b"".join(GET.replace(b"/", path.encode(), 1) for path in paths))
    received = b""
    while received.count(b"HTTP/1.1 200") < len(paths) or not received.endswith(b"0\r\n\r\n"):
        received += connection.receive()
    bodies = [part.split(b"\r\n")[1].decode() for part in received.split(b"\r\n\r\n")[1::2]]
    assert bodies == paths


def test_pipelined_bodies_are_received(connect: Server) -> None:
    connection = connect()
    length = 3 * protocols.SLICE_BYTES
    first = b"POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\na" * 2
    last = b"POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % length
    connection.send(first + last + b"a" * length)
    received = b""
    while received.count(b"HTTP/1.1 200 ") < 3:
        received += connection.receive()


def test_few_pipelined_requests_wait(connect: Server) -> None:
    connection = connect()
    connection.get("/slow")
    connection.send(GET * 5000)
    time.sleep(0.2)
    (protocol,) = connect.state.connections
    assert isinstance(protocol, protocols.BoundedHTTPProtocol)
    assert 0 < len(protocol.pipeline) < 1000


# Times


@pytest.mark.parametrize("sent", [b"", GET], ids=["silent", "idle"])
def test_idle_connections_are_closed(short_times: None, connect: Server, sent: bytes) -> None:
    connection = connect()
    connection.send(sent)
    assert connection.read()[:13] in {b"", b"HTTP/1.1 200 "}


@pytest.mark.parametrize("before", [b"", GET], ids=["first", "second"])
@pytest.mark.parametrize("piece", [b"X: a\r\n", b"\r\n"], ids=["header", "blank line"])
def test_slow_heads_time_out(
    short_times: None, connect: Server, before: bytes, piece: bytes
) -> None:
    connection = connect()
    connection.send(before)
    if piece != b"\r\n":
        connection.send(b"GET / HTTP/1.1\r\n")
    with suppress(ConnectionError):
        connection.send_until_closed(piece, pause=0.05, times=8)
    assert b"HTTP/1.1 408 " in connection.read()


def test_unread_bodies_time_out(short_times: None, connect: Server) -> None:
    connection = connect()
    connection.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n")
    assert connection.receive().startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionError):
        connection.send_until_closed(b"a", pause=0.05)
    assert connection.read() == b""


def test_refused_clients_that_go_on_are_closed(
    connect: Server, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect()
    client = connection.socket.getsockname()
    connection.send(GET[:-2] + b"X: " + b"a" * 2 * protocols.MAX_HEAD_BYTES)
    with pytest.raises(ConnectionError):
        connection.send_until_closed(END + GET, pause=0.02)
    # What follows a refusal is not a request.
    [line] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    refused = f"Refused a request from {client}: Request Header Fields Too Large"
    assert line.getMessage() == refused


def test_refusals_are_complete_responses() -> None:
    status, headers = HTTPStatus.SERVICE_UNAVAILABLE, [(b"server", b"uvicorn")]
    assert protocols.encode_refusal(status, headers).split(b"\r\n") == [
        b"HTTP/1.1 503 Service Unavailable",
        b"server: uvicorn",
        b"content-type: application/json",
        b"content-length: 33",
        b"cache-control: no-store",
        b"connection: close",
        b"retry-after: 5",
        b"",
        b'{"detail": "Service Unavailable"}',
    ]


def test_slow_responses_are_not_cut_off(short_times: None, connect: Server) -> None:
    connection = connect()
    connection.get("/slow")
    connection.socket.settimeout(0.6)
    with pytest.raises(TimeoutError):
        connection.receive()


# The number of connections


def test_connections_beyond_the_limit_get_503(connect: Server) -> None:
    first = connect()
    assert first.handshake("/").startswith(b"HTTP/1.1 101 ")
    others = [connect(), connect()]
    wait_until(lambda: len(connect.state.connections) == 3)
    refused, health, upgraded = connect(), connect(), connect()
    refused.get("/")
    health.get(READY)
    response = refused.read()
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5\r\n" in response
    assert response.endswith(b'\r\n\r\n{"detail": "Service Unavailable"}')
    assert health.read().startswith(b"HTTP/1.1 200 ")
    assert upgraded.handshake("/").startswith(b"HTTP/1.1 503 ")
    upgraded.socket.close()
    others.pop().socket.close()
    wait_until(lambda: len(connect.state.connections) < 3)
    admitted = connect()
    admitted.get("/")
    assert admitted.receive().startswith(b"HTTP/1.1 200 ")


def test_health_responds_in_a_bounded_flood(
    connect: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "EXCESS_CONNECTIONS", 5)
    monkeypatch.setattr(protocols.BoundedHTTPProtocol, "next_report", 0)
    monkeypatch.setattr(connect.config, "root_path", "/parcels")
    flood = [connect() for _ in range(60)]
    health = connect()
    health.get(LIVE)
    assert health.read().startswith(b"HTTP/1.1 200 ")
    assert flood[4].read().startswith(b"HTTP/1.1 503 ")
    assert len(connect.state.connections) <= 8
    [line] = [line for line in caplog.records if hasattr(line, "event")]
    assert (vars(line)["event"], line.levelname) == ("connections_limited", "WARNING")
    assert line.getMessage() == "Limit of 3 connections reached"
    connect.disconnect()
    assert not protocols.BoundedHTTPProtocol.excess


@pytest.mark.parametrize(("seconds", "lines"), [(60, 1), (0, 3)])
def test_limit_is_reported_once_a_minute(
    connect: Server,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    lines: int,
) -> None:
    monkeypatch.setattr(protocols.BoundedHTTPProtocol, "next_report", 0)
    monkeypatch.setattr(protocols, "REPORT_SECONDS", seconds)
    others = [connect() for _ in range(3)]
    wait_until(lambda: len(connect.state.connections) == len(others))
    for _ in range(3):  # one after another: each is the first beyond the limit
        refused = connect()
        refused.get("/")
        assert refused.read().startswith(b"HTTP/1.1 503 ")
        refused.socket.close()
        wait_until(lambda: not protocols.BoundedHTTPProtocol.excess)
    assert len([line for line in caplog.records if hasattr(line, "event")]) == lines


def test_other_servers_have_a_limit_too(connect: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(connect.config, "max_connections")
    monkeypatch.setattr(protocols, "MAX_CONNECTIONS", 0)
    connection = connect()
    connection.get("/")
    assert connection.read().startswith(b"HTTP/1.1 503 ")


def test_health_paths_are_those_of_the_health_checks() -> None:
    named = "Name them in HEALTH_PATHS of protocols.py, and wherever your deployment asks for them"
    assert {LIVE, READY} <= protocols.HEALTH_PATHS, named


# WebSockets


@pytest.mark.parametrize(("path", "status"), [("/refuse", b"401"), ("/close", b"403")])
def test_refused_websockets_log_no_error(
    connect: Server, caplog: pytest.LogCaptureFixture, path: str, status: bytes
) -> None:
    connection = connect()
    assert connection.handshake(path).startswith(b"HTTP/1.1 " + status)
    connection.read()
    wait_until(lambda: not connect.state.tasks)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/?" + "a" * 9000, ""), ("/", f"X: {'a' * 9000}\r\n"), ("/", "X: a\r\n" * 200)],
    ids=["query", "header", "headers"],
)
def test_oversized_handshakes_get_a_response(connect: Server, path: str, headers: str) -> None:
    connection = connect()
    head, _, body = (connection.handshake(path, headers) + connection.read()).partition(END)
    assert head.startswith(b"HTTP/1.1 4")
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert body.startswith(b"Failed to open a WebSocket connection: ")


def test_data_behind_a_handshake_is_not_http(connect: Server) -> None:
    connection = connect()
    connection.send(HANDSHAKE.format("/", "").encode() + b"a" * 3 * protocols.SLICE_BYTES)
    assert connection.receive().startswith(b"HTTP/1.1 101 ")


def test_unanswered_handshakes_get_503_at_shutdown(connect: Server) -> None:
    connection = connect()
    connection.send(HANDSHAKE.format("/slow", "").encode())
    wait_until(lambda: bool(connect.state.tasks))
    connect.shut_down()
    head, _, body = connection.read().partition(END)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert {b"server: uvicorn", b"retry-after: 5"} <= set(head.split(b"\r\n"))
    assert body == b'{"detail": "Service Unavailable"}'


def test_open_websockets_are_closed_at_shutdown(connect: Server) -> None:
    connection = connect()
    connection.handshake("/")
    connect.shut_down()
    assert connection.read() == b"\x88\x02\x03\xf4"  # 1012: service restart


def test_large_websocket_messages_are_refused(connect: Server) -> None:
    connection = connect()
    connection.handshake("/")
    connection.send(b"\x82\xfe\x03\xe9" + bytes(4 + 1001))
    assert b"\x03\xf1" in connection.read()  # 1009: message too big


def test_open_websockets_have_no_timer(short_times: None, connect: Server) -> None:
    connection = connect()
    connection.handshake("/")
    time.sleep(0.5)
    connection.send(b"\x81\x80" + bytes(4))
    assert b"seen" in connection.receive()
