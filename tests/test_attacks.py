"""Attacks on the running service of each core combination, over real sockets."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from support.attack_servers import only_services
from support.combinations import CORE, name
from support.generation import Bake
from support.live import NAMES, Live, run_app


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


@only_services(protection={"whole_app"})
def test_without_a_key_the_whole_app_is_closed(live: Live) -> None:
    for target in CLOSED:
        assert live.ask(target).status == 401, target
    for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"):
        assert live.ask("/users/me", method=method).status == 401, method
    assert live.ask("/users/me", method="BREW").status in (400, 401)  # as the server likes
    for method in ("POST", "DELETE"):
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
    with run_app(bake(**answers), answers, tmp_path, "--root-path", "/api") as live:
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
        with run_app(bake(**answers), answers, folder, **allowed) as live:
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
        for method in ("GET", "HEAD"):
            assert live.ask(target, method=method).status == 200


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


@only_services(key_location={"cookie", "fallback"})
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


@pytest.mark.parametrize("target", ["/a?\xe9", "/\xe9", "/?%ff", "/%ff%fe", "/users/me?a=%zz", "*"])
def test_odd_targets_never_break_the_service(live: Live, target: str) -> None:
    for key in (None, live.keys["web"]):
        assert live.ask(target, key).status < 500
