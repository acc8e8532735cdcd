"""Error trackers and traces around the service get no key: not in a variable of any frame."""

from pathlib import Path
from urllib.parse import urlencode

import pytest
from support.combinations import EACH_LOCATION, Answers, name
from support.generation import Bake
from support.live import Live, run_app

APP = "support.apps.reporting:app"
BUGS = ("endpoint", "dependency", "thread", "middleware")


def send_everywhere(live: Live, key: str) -> None:
    """Cause each bug with a key in each of its locations, and with one in all other places too."""
    elsewhere = [f"X-Elsewhere: {key}", "X-Forwarded-For: 192.0.2.1"]
    if "bearer" not in live.locations:
        elsewhere.append(f"Authorization: Bearer {key}")
    for bug in BUGS:
        for location in live.locations:
            live.ask(f"/in-{bug}", key, location=location)
            in_cookie = location == "cookie"
            cookie = [] if in_cookie else [f"Cookie: elsewhere={key}; theme=dark"]
            sent, target = f"{key}; theme=dark" if in_cookie else key, f"/in-{bug}?a={key}%2C{key}"
            live.ask(target, sent, location=location, headers=elsewhere + cookie)


@pytest.mark.parametrize("answers", EACH_LOCATION, ids=name)
def test_error_tracker_and_outer_traces_get_no_key(
    answers: Answers, bake: Bake, tmp_path: Path
) -> None:
    capture = {"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*"}
    with run_app(bake(**answers), answers, tmp_path, app=APP, **capture) as live:
        send_everywhere(live, live.keys["web"])
        form = urlencode({"api_key": live.keys["admin"]}).encode()
        headers = ["Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: none"]
        for broken in (False, True):
            if broken:
                live.ask("/in-store", live.keys["admin"])
            for location in live.locations:
                live.ask("/users/me", live.keys["admin"], location=location)
            if "cookie" in live.locations:
                live.ask("/sign-in", method="POST", headers=headers, body=form)
    written = live.log.read_text(encoding="utf-8")
    for bug in ("an endpoint", "a dependency", "a thread", "middleware", "the key store"):
        assert f"a bug in {bug}" in written
    for sent in ("Sentry event", "Sentry transaction", '"vars"', "http.request.header.host"):
        assert sent in written
    assert "theme=dark" in written
    for key in live.keys.values():
        for part in (key[-20:], key.removeprefix("my_service_")[:12]):
            assert part not in written
