"""What a connection carries beside a request opens nothing, and requests on it stay apart."""

import re
import socket

import pytest
from support.live import Live

HOSTS = ["[", "[::1", "a:b:c", "", "x:99999", "\xff\xfe", "a b", "a/../b", "a?b#c", "a@b", "x\x7f"]


def exchange(live: Live, sent: bytes) -> tuple[list[int], bytes]:
    """Send bytes on one connection and return the statuses that came back, and everything."""
    received = b""
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
        connection.sendall(sent)
        while chunk := connection.recv(65536):
            received += chunk
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)], received


def staying(request: bytes) -> bytes:
    """Return a request that asks the server to leave the connection open."""
    return request.replace(b"Connection: close\r\n", b"")


def test_requests_that_wait_in_one_connection_do_not_borrow_a_key(live: Live) -> None:
    keys = (live.keys["web"], None, live.keys["admin"], live.keys["expired"])
    waiting = [staying(live.request("/users/me", key)) for key in keys]
    statuses, received = exchange(live, b"".join(waiting) + live.request("/users/me"))
    assert statuses == [200, 401, 200, 401, 401]
    assert received.index(b'"web"') < received.index(b'"admin"')


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_body_of_a_refused_request_is_no_request(live: Live, framing: str) -> None:
    hidden = staying(live.request("/users/me", live.keys["web"]))
    if framing == "length":
        body = b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden
    else:
        body = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(hidden) + hidden + b"\r\n0\r\n\r\n"
    refused = staying(live.request("/by-endpoint", method="POST"))
    sent = refused.removesuffix(b"\r\n") + body + live.request("/users/me")
    statuses, _ = exchange(live, sent)
    assert set(statuses) == {401}


def test_a_host_breaks_and_opens_nothing(live: Live) -> None:
    for host in HOSTS:
        for target in ("/users/me", "/users/me/", "/docs", "/sub", "/static"):
            for key in (None, live.keys["web"]):
                request = live.request(target, key)
                answer = live.send(request.replace(b"service.test", host.encode("latin-1")))
                assert 200 <= answer.status < 500, (host, target)
                if live.whole_app and key is None:
                    assert answer.status in (400, 401), (host, target)


def test_http_1_0_needs_a_key_too(live: Live) -> None:
    for key, status in ((None, b"401"), (live.keys["web"], b"200")):
        request = live.request("/users/me", key).replace(b"HTTP/1.1", b"HTTP/1.0")
        _, received = exchange(live, request.replace(b"Host: service.test\r\n", b""))
        assert received.split()[1] == status


def test_an_upgrade_to_anything_opens_nothing(live: Live) -> None:
    for protocol in ("h2c", "websocket, h2c", "TLS/1.3", "unknown"):
        upgrade = [f"Upgrade: {protocol}", "Connection: Upgrade"]
        assert live.ask("/users/me", headers=upgrade).status == 401, protocol
    for method in ("POST", "OPTIONS"):
        handshake = live.request("/feed", method=method).replace(b"close", b"Upgrade")
        sent = handshake.removesuffix(b"\r\n") + b"Upgrade: websocket\r\n\r\n"
        assert 400 <= live.send(sent).status < 500, method


def test_headers_of_proxies_name_no_other_request(live: Live) -> None:
    told = [
        "X-Forwarded-Prefix: /x",
        "X-Forwarded-Uri: /health/live",
        "X-Rewrite-URL: /health/live",
    ]
    told += ["X-HTTP-Method: GET", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https"]
    assert live.ask("/users/me", headers=told).status == 401
    assert live.ask("/admin/password_reset", headers=told, method="POST").status == 401
