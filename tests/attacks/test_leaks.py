"""What a service writes, and what it answers, repeats no key."""

import re

from support.live import NAMES, Live
from support.waiting import until


def test_a_redirect_does_not_repeat_a_key(live: Live) -> None:
    for parameter in ("api_key", "%61pi_key", "other"):
        key = live.keys["web"]
        answer = live.ask(f"/users/me/?a=1&{parameter}={key}", key)
        assert answer.status in (307, 401)
        assert key not in str(answer.headers)


def test_keys_in_urls_are_not_told_to_other_sites(live: Live) -> None:
    for target in ("/users/me", "/health/live", "/nowhere"):
        answer = live.ask(target, live.keys["web"], location="query")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "referrer-policy" not in live.ask(target).headers


def send_in_every_place(live: Live, key: str) -> None:
    """Send a key where it belongs, and in all places where it does not."""
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


def test_no_key_and_no_digest_is_written_anywhere(live: Live) -> None:
    for key in live.keys.values():
        send_in_every_place(live, key)
    live.ask("/the-last", live.keys["web"])
    last = ('"url.path": "/the-last"', "GET /the-last")  # a span, and a line of the access log
    until(lambda: all(sign in live.log.read_text(encoding="utf-8") for sign in last))
    written = live.log.read_text(encoding="utf-8")
    assert "Traceback" in written
    assert '"url.path": "/users/me"' in written  # spans are written too
    assert re.search(r'"GET /users/me HTTP/1.1\\" 200", .*"consumer": "admin"', written)
    if live.locations == ["query"]:
        assert not re.search(r"api_key(?!\.)", written)  # except attributes of spans
    for secret in (*live.keys.values(), *live.digests.values()):
        assert secret not in written
        assert secret[-20:] not in written  # nor the telling part of one, otherwise encoded
