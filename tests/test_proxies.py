"""The proxies of the generated README, run as they are printed, in front of the service."""

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.combinations import CORE, Answers, name
from support.generation import Bake
from support.keys import new_key
from support.live import Live, Response, parse, run_app
from support.proxies import code_block, run_caddy, run_nginx

PREFIX = "/parcels"
WHOLE_APPS = [answers for answers in CORE if answers["protection"] == "whole_app"]
# The protocols of `serve` in uvicorn, as the README has it for other servers.
PROTOCOLS = ["--http", "my_service.protocols:BoundedHTTPProtocol"]
PROTOCOLS += ["--ws", "my_service.protocols:QuietWebSocketProtocol"]
UPGRADE = ["Upgrade: websocket", "Sec-WebSocket-Version: 13"]
UPGRADE += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these proxies run on Unix")


@dataclass
class Proxied:
    """A service, the proxy in front of it, and a key that works from one address only."""

    live: Live
    through: Live
    near_key: str
    folder: Path


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest) -> str:
    """Return the name of each proxy in turn."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module", params=WHOLE_APPS, ids=name)
def proxied(
    request: pytest.FixtureRequest,
    bake: Bake,
    proxy: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxied]:
    """Return a service behind a proxy that removes a prefix."""
    answers: Answers = request.param
    folder = tmp_path_factory.mktemp("proxied")
    project = bake(**answers)
    web, near = new_key(project), new_key(project)
    entries = [
        {"consumer": "web", "sha256": web[1]},
        {"consumer": "near", "sha256": near[1], "networks": ["127.0.0.2/32"]},
    ]
    readme = (project / "README.md").read_text(encoding="utf-8")
    settings = {"API_KEYS": json.dumps(entries), "ROOT_PATH": PREFIX}
    options = ["--root-path", PREFIX, "--forwarded-allow-ips", "127.0.0.1", *PROTOCOLS]
    work = folder / proxy
    work.mkdir()
    with ExitStack() as stack:
        app = run_app(project, answers, folder, *options, **settings)
        live = stack.enter_context(app)
        live.keys["web"] = web[0]
        if proxy == "nginx":
            running = run_nginx(code_block(readme, "nginx"), live.port, work)
        else:
            running = run_caddy(code_block(readme, "caddyfile"), live.port, work)
        through = replace(live, port=stack.enter_context(running))
        yield Proxied(live, through, near[0], work)


def send_from(address: str, live: Live, request: bytes) -> Response:
    """Send a request from an address of this machine."""
    source = (address, 0)
    with socket.create_connection(("127.0.0.1", live.port), 60, source) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return parse(received)


def test_a_key_works_through_the_prefix(proxied: Proxied) -> None:
    through, key = proxied.through, proxied.live.keys["web"]
    for location in through.locations:
        assert through.ask(f"{PREFIX}/users/me", key, location=location).status == 200
    assert through.ask(f"{PREFIX}/users/me").status == 401
    assert through.ask(f"{PREFIX}/users/me", through.keys["unknown"]).status == 401
    assert through.ask(f"{PREFIX}/health/ready").status == 200
    assert through.ask("/users/me", key).body != through.ask(f"{PREFIX}/users/me", key).body


def test_the_docs_name_the_prefix(proxied: Proxied) -> None:
    through, key = proxied.through, proxied.live.keys["web"]
    document = json.loads(through.ask(f"{PREFIX}/openapi.json", key).body)
    assert document["servers"] == [{"url": PREFIX}]
    page = through.ask(f"{PREFIX}/docs", key)
    assert page.status == 200
    assert b"openapi.json" in page.body
    assert b"'/openapi.json'" not in page.body


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of the loopback")
def test_the_client_has_its_own_address(proxied: Proxied) -> None:
    through, key = proxied.through, proxied.near_key
    target = f"{PREFIX}/users/me"
    assert send_from("127.0.0.2", through, through.request(target, key)).status == 200
    assert send_from("127.0.0.1", through, through.request(target, key)).status == 401
    forged = through.request(target, key, headers=["X-Forwarded-For: 127.0.0.2"])
    assert send_from("127.0.0.1", through, forged).status == 401
    assert "127.0.0.2" in proxied.live.log.read_text(encoding="utf-8")


def handshake_status(live: Live, target: str, key: str | None) -> int:
    """Try to open a WebSocket, and return the status; a proxy keeps a refused connection open."""
    request = live.request(target, key, headers=UPGRADE)
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
        connection.sendall(request.replace(b"Connection: close", b"Connection: Upgrade"))
        return parse(connection.recv(65536)).status


def test_websockets_pass_the_proxy(proxied: Proxied) -> None:
    through, key = proxied.through, proxied.live.keys["web"]
    assert handshake_status(through, f"{PREFIX}/feed", key) == 101
    assert handshake_status(through, f"{PREFIX}/feed", None) == 401


def test_large_bodies_are_refused(proxied: Proxied, proxy: str) -> None:
    through, key = proxied.through, proxied.live.keys["web"]
    length = [f"Content-Length: {2**21}"]
    request = through.request(f"{PREFIX}/by-endpoint", key, method="POST", headers=length)
    status = through.send(request + b"a" * 2**21).status
    assert status in ({413} if proxy == "nginx" else {413, 502})  # 502: Caddy 2.6


def test_cookies_of_the_same_origin_pass(proxied: Proxied) -> None:
    through, key = proxied.through, proxied.live.keys["web"]
    if "cookie" not in through.locations:
        return
    body = {"method": "POST", "location": "cookie", "body": b'{"a": "b"}'}
    for origin, status in (("http://service.test", 200), ("http://other.test", 403)):
        headers = ["Content-Type: application/json", f"Origin: {origin}"]
        sent = through.ask(f"{PREFIX}/by-endpoint", key, headers=headers, **body)
        assert sent.status == status


def test_no_log_of_a_proxy_has_a_key(
    proxy: str, bake: Bake, tmp_path: Path, proxied: Proxied
) -> None:
    answers, key = proxied.live.answers, proxied.live.keys["web"]
    readme = (bake(**answers) / "README.md").read_text(encoding="utf-8")
    block = code_block(readme, "nginx" if proxy == "nginx" else "caddyfile")
    run = run_nginx if proxy == "nginx" else run_caddy
    work = tmp_path / "proxy"
    work.mkdir()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but it does not listen: the service is down
        with run(block, unused.getsockname()[1], work) as port:
            down = replace(proxied.live, port=port)
            for location in down.locations:
                assert down.ask(f"{PREFIX}/users/me", key, location=location).status == 502
    for folder in (work, proxied.folder):
        for file in folder.glob("*.log"):
            assert key not in file.read_text(encoding="utf-8"), file
