"""Attacks on the running service of each core combination, over real sockets."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from combinations import Answers, name
from conftest import CORE, Bake
from live import NAMES, Live, attacked

Server = tuple[Answers, str]
SERVERS = [(answers, http) for answers in CORE for http in ("httptools", "h11")]
SERVERS += [(CORE[-1] | {"rate_limit": "yes"}, "httptools")]
SERVERS += [
    (answers | {"key_store": "database"}, "httptools")
    for answers in CORE
    if answers["key_location"] == "fallback"
]
PROTECTED_POSTS = [
    *("/admin/password_reset", "/by-endpoint", "/by-router", "/by-inclusion", "/outer/nested"),
    *("/form", "/upload", "/stream"),
]


def server_name(server: Server) -> str:
    """Return the id of a server in the output of pytest."""
    return f"{name(server[0])}-{server[1]}"


def only(**answers: set[str]) -> pytest.MarkDecorator:
    """Run a test with the servers that have one of these answers."""
    chosen = [
        server
        for server in SERVERS
        if all(server[0][question] in some for question, some in answers.items())
    ]
    return pytest.mark.parametrize("live", chosen, indirect=True, ids=server_name)


@pytest.fixture(scope="module", params=SERVERS, ids=server_name)
def live(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return each combination in turn, served as in production by both HTTP implementations."""
    answers, http = request.param
    folder = tmp_path_factory.mktemp("attacked")
    with attacked(bake(**answers), answers, folder, "--http", http) as service:
        yield service


def wrong_keys(live: Live) -> dict[str, str | bytes]:
    """Return every kind of wrong key."""
    web = live.keys["web"]
    return {
        "word": "hunter2",
        "unknown": live.keys["unknown"],
        "expired": live.keys["expired"],
        "digest": live.digests["web"],
        "cut off": web[:-1],
        "mistyped": web[:-1] + ("a" if web[-1] != "a" else "b"),
        "upper case": web.upper(),
        "quoted": f'"{web}"',
        "long": web + "a" * 300,
        "very long": "a" * 5000,
        "doubled": f"{web},{web}",
        "not ASCII": web.encode() + b"\xff\xfe",
        "UTF-8": "schlüssel".encode(),
    }


def test_a_key_opens_in_each_of_its_locations_and_nowhere_else(live: Live) -> None:
    for location in NAMES:
        answer = live.ask("/users/me", live.keys["web"], location=location)
        assert answer.status == (200 if location in live.locations else 401), location


def test_all_wrong_keys_get_one_and_the_same_answer(live: Live) -> None:
    for location in live.locations:
        answers = {
            (answer.status, answer.body, *sorted(answer.headers.items() - {("date", "")}))
            for key in wrong_keys(live).values()
            for sent in [quote(key) if location == "query" else key]
            for answer in [
                live.ask("/users/me", sent, location=location, headers=["X-Request-ID: 1"])
            ]
            if answer.headers.pop("date", None)
        }
        assert len(answers) == 1
        assert answers.pop()[:2] == (401, b'{"detail":"Missing or invalid API key"}')


@pytest.mark.parametrize("character", [b"\x00", b"\x01", b"\x0b", b"\x7f", b"\x85", b"\xa0"])
def test_odd_bytes_in_a_key_are_refused(live: Live, character: bytes) -> None:
    key = live.keys["web"].encode()
    for location in live.locations:
        for sent in (character + key, key + character, character):
            assert live.ask("/users/me", sent, location=location).status in (400, 401)


def test_a_repeated_key_is_refused(live: Live) -> None:
    key = live.keys["web"]
    repeated = {
        "header": [f"{NAMES['header']}: {key}", f"{NAMES['header'].lower()}: {key}"],
        "cookie": [f"Cookie: {NAMES['cookie']}={key}; {NAMES['cookie']}={key}"],
        "two cookies": [f"Cookie: {NAMES['cookie']}={key}"] * 2,
    }
    for headers in repeated.values():
        assert live.ask("/users/me", headers=headers).status == 401
    for query in (f"api_key={key}&api_key={key}", f"api_key={key}&%61pi_key={key}"):
        assert live.ask(f"/users/me?{query}").status == 401


@pytest.mark.parametrize("target", PROTECTED_POSTS)
def test_a_body_without_a_key_is_refused_before_it_is_sent(live: Live, target: str) -> None:
    # The server has nothing but the head: it can answer only if it does not wait for the body.
    for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
        expecting = [
            f"Content-Type: {kind}",
            f"Content-Length: {60 * 2**20}",
            "Expect: 100-continue",
        ]
        assert live.ask(target, method="POST", headers=expecting).status == 401
    for broken in ("multipart/form-data", "multipart/form-data; boundary=", "application/json;;"):
        headers = [f"Content-Type: {broken}"]
        assert live.ask(target, method="POST", headers=headers, body=b"x").status == 401
    is_json = ["Content-Type: application/json"]
    assert live.ask(target, method="POST", headers=is_json, body=b"{").status == 401
    chunked = ["Transfer-Encoding: chunked", "Content-Type: application/json"]
    assert live.ask(target, method="POST", headers=chunked).status == 401


def test_expect_100_continue_is_answered_when_the_key_is_right(live: Live) -> None:
    headers = ["Content-Type: application/json", "Content-Length: 2", "Expect: 100-continue"]
    request = live.request("/by-endpoint", live.keys["web"], method="POST", headers=headers)
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection:
        connection.sendall(request)
        assert connection.recv(100).startswith(b"HTTP/1.1 100")


CLOSED = [
    *("/", "/docs", "/openapi.json", "/nowhere", "/static/page.txt", "/static/none", "/mounted"),
    *(
        "/mounted/x",
        "/sub/hello",
        "/sub/docs",
        "/users/me/",
        "/users/me",
        "/health",
        "/health/live/",
    ),
    *("//health/live", "/health/live/../../users/me", "/health/live/%2e%2e/%2e%2e/users/me"),
    *("/health/live/..%2f..%2fusers/me", "/health//live", "/./health/live", "/Health/live"),
    *("/health/live;x", "/health/live%20", "/health/live%00", "/health/live%3f", "/%2fhealth/live"),
]


@only(protection={"whole_app"})
def test_without_a_key_the_whole_app_is_closed(live: Live) -> None:
    for target in CLOSED:
        assert live.ask(target).status == 401, target
    for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"):
        assert live.ask("/users/me", method=method).status == 401, method
    assert live.ask("/users/me", method="BREW").status in (400, 401)  # as the server likes
    for method in ("POST", "HEAD", "DELETE"):
        assert live.ask("/health/live", method=method).status == 401, method
    override = ["X-HTTP-Method-Override: GET", "X-Original-URL: /health/live"]
    assert live.ask("/users/me", headers=override).status == 401


def test_an_absolute_request_target_opens_nothing(live: Live) -> None:
    for host in ("service.test", "127.0.0.1", "evil.example"):
        assert live.ask(f"http://{host}/users/me").status in (401, 404)
        assert live.ask(f"http://{host}/admin/password_reset", method="POST").status in (401, 404)


def test_behind_a_proxy_that_strips_a_prefix_the_same_paths_are_public(
    bake: Bake, tmp_path: Path
) -> None:
    answers = CORE[0]
    with attacked(bake(**answers), answers, tmp_path, "--root-path", "/api") as live:
        assert live.ask("/health/live").status == 200
        for target in ("/users/me", "/api/health/live", "/api/users/me", "/apihealth/live"):
            assert live.ask(target).status == 401, target
        assert live.ask("/users/me", live.keys["web"]).status == 200


def test_cors_answers_preflights_and_lets_a_page_read_a_401(bake: Bake, tmp_path: Path) -> None:
    origin = "https://app.example.com"
    allowed = {"CORS_ORIGINS": json.dumps([origin])}
    for answers in CORE:
        folder = tmp_path / name(answers)
        folder.mkdir()
        with attacked(bake(**answers), answers, folder, **allowed) as live:
            asking = [f"Origin: {origin}", "Access-Control-Request-Method: POST"]
            preflight = live.ask("/admin/password_reset", method="OPTIONS", headers=asking)
            refused = live.ask("/users/me", headers=[f"Origin: {origin}"])
            foreign = live.ask("/users/me", headers=["Origin: https://evil.example"])
        assert (preflight.status, refused.status, foreign.status) == (200, 401, 401)
        assert preflight.headers["access-control-allow-origin"] == origin
        assert refused.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-origin" not in foreign.headers
        with_credentials = "access-control-allow-credentials" in refused.headers
        assert with_credentials == ("cookie" in live.locations)


def test_the_health_checks_are_public(live: Live) -> None:
    for target in ("/health/live", "/health/ready", "/health/live?x=1"):
        assert live.ask(target).status == 200


def test_a_websocket_opens_with_a_key_only(live: Live) -> None:
    assert live.handshake("/feed").status == 401
    for key in ("hunter2", live.keys["unknown"], live.keys["expired"]):
        assert live.handshake("/feed", key).status == 401
    opened = live.handshake("/feed", live.keys["web"])
    assert opened.status == 101
    assert len(opened.headers["x-request-id"]) == 32
    if live.whole_app:
        for target in ("/nowhere", "/health/live", "/mounted", "/static/page.txt"):
            assert live.handshake(target).status == 401


@only(key_location={"cookie", "fallback"})
def test_another_site_cannot_use_the_cookie(live: Live) -> None:
    key = live.keys["admin"]
    post = {"method": "POST", "body": b'{"user": 1, "new_password": "x"}', "location": "cookie"}
    foreign = [
        ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site: same-site"],
        ["Sec-Fetch-Site: cross-site", "Origin: http://service.test"],
        ["Origin: http://evil.example"],
        ["Origin: null"],
    ]
    is_json = "Content-Type: application/json"
    for headers in foreign:
        refused = live.ask("/admin/password_reset", key, headers=[is_json, *headers], **post)
        assert refused.status == 403, headers
        assert live.handshake("/feed", key, *headers).status == 403, headers
        assert live.ask("/users/me", key, location="cookie", headers=headers).status == 200
    for headers in ([], ["Sec-Fetch-Site: same-origin"], ["Origin: http://service.test"]):
        opened = live.ask("/admin/password_reset", key, headers=[is_json, *headers], **post)
        assert opened.status == 204, headers
        assert live.handshake("/feed", key, *headers).status == 101, headers


def test_what_is_too_large_is_refused(live: Live) -> None:
    for key in (None, live.keys["web"]):
        query = "&".join(f"q{number}=1" for number in range(10_000))
        cookies = "; ".join(f"c{number}=1" for number in range(10_000))
        many = [f"X-{number}: 1" for number in range(5_000)]
        assert 400 <= live.ask(f"/users/me?{query}", key).status < 500
        assert 400 <= live.ask("/users/me", key, headers=[f"Cookie: {cookies}"]).status < 500
        assert 400 <= live.ask("/users/me", key, headers=["X-Big: " + "x" * 60_000]).status < 500
        assert 400 <= live.ask("/users/me", key, headers=many).status < 500
    large = ["Content-Type: application/json", f"Content-Length: {2**20 + 1}"]
    answer = live.ask("/by-endpoint", live.keys["web"], method="POST", headers=large)
    assert answer.status == 413


@pytest.mark.parametrize("target", ["/a?\xe9", "/\xe9", "/?%ff", "/%ff%fe", "/users/me?a=%zz", "*"])
def test_odd_targets_never_break_the_service(live: Live, target: str) -> None:
    for key in (None, live.keys["web"]):
        assert live.ask(target, key).status < 500


def test_a_redirect_does_not_repeat_a_key(live: Live) -> None:
    for parameter in ("api_key", "%61pi_key", "other"):
        key = live.keys["web"]
        answer = live.ask(f"/users/me/?a=1&{parameter}={key}", key)
        assert answer.status in (307, 401)
        assert key not in str(answer.headers)


def test_no_key_and_no_digest_is_written_anywhere(live: Live) -> None:
    for key in live.keys.values():
        encoded = f"%{ord(key[0]):02x}{key[1:]}".replace("_", "%5F")
        for location in NAMES:
            for target in ("/users/me", "/nowhere", "/bug", "/number/x", "/users/me/", "/feed"):
                live.ask(target, key, location=location)
        for target in (
            f"/users/{key}",
            f"/users/{encoded}",
            f"/users/me?token={key}&x=1",
            f"/users/me?%61pi_key={key}&api_key=&api%5Fkey={encoded}",
            f"/users/me?{key}",
            f"/users/me?{key}={key}",
            f"/number/{key}",
            f"/users/me/?next={encoded}",
        ):
            live.ask(target)
            live.ask(target, live.keys["admin"])
        live.handshake("/feed", key)
        live.handshake(f"/feed?token={key}")
        live.handshake(f"/nowhere/{key}?%61pi_key={key}", live.keys["admin"])
        live.ask("/bug", live.keys["web"], headers=[f"Referer: http://x/?k={key}"])
        live.ask("/bug", live.keys["web"], headers=[f"X-Request-ID: {key}"])
        body = {"method": "POST", "headers": ["Content-Type: application/json"]}
        live.ask("/by-endpoint", live.keys["web"], body=f'["{key}"]'.encode(), **body)
    time.sleep(0.2)
    written = live.log.read_text(encoding="utf-8")
    assert "Traceback" in written
    assert '"url.path": "/users/me"' in written  # spans are written too
    assert re.search(r'"GET /users/me HTTP/1.1\\" 200", "consumer": "admin"', written)
    if live.locations == ["query"]:
        assert "api_key" not in written
    for secret in (*live.keys.values(), *live.digests.values()):
        assert secret not in written
        assert secret[-20:] not in written  # nor the telling part of one, otherwise encoded


def test_keys_in_urls_are_not_told_to_other_sites(live: Live) -> None:
    for target in ("/users/me", "/health/live", "/nowhere"):
        answer = live.ask(target, live.keys["web"])
        expected = "no-referrer" if "query" in live.locations else None
        assert answer.headers.get("referrer-policy") == expected


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_large_upload_without_a_key_takes_no_memory(live: Live) -> None:
    pids = [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and f"--port {live.port}" in _command(path)
    ]

    def peak() -> int:
        [pid] = pids
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])

    before = peak()
    head = live.request(
        "/admin/password_reset",
        method="POST",
        headers=["Content-Type: application/json", f"Content-Length: {60 * 2**20}"],
    )
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection:
        connection.sendall(head)
        try:
            for _ in range(60):
                connection.sendall(b"x" * 2**20)
        except OSError:
            pass  # the server has answered and hung up
    assert peak() - before < 5 * 1024


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""  # it has ended meanwhile
