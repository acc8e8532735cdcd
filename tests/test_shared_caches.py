"""Shared caches never serve a response that needed a key to another client (RFC 9111, 3.5)."""

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.combinations import EACH_LOCATION, Answers, name
from support.generation import Bake
from support.live import Live, Response, run_app
from support.proxies import run_nginx_cache, run_varnish

CACHES = {"nginx": run_nginx_cache, "varnish": run_varnish}
OWN = "public, max-age=60"
ENDPOINTS = ["/users/me", "/number/7"]
WHOLE_APP = [*ENDPOINTS, "/static/page.txt", "/mounted", "/sub/hello", "/nowhere"]
NEED_A_KEY = {True: WHOLE_APP, False: ENDPOINTS}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these caches run on Unix")


@pytest.fixture(scope="module", params=EACH_LOCATION, ids=name)
def service(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return the service of each core combination in turn."""
    answers: Answers = request.param
    folder = tmp_path_factory.mktemp("service")
    with run_app(bake(**answers), answers, folder, app="support.apps.cached:app") as live:
        yield live


@pytest.fixture(scope="module", params=CACHES)
def cached(
    request: pytest.FixtureRequest, service: Live, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return the service behind each cache in turn; each test has URLs of its own there."""
    folder = tmp_path_factory.mktemp(request.param)
    with CACHES[request.param](service.port, folder) as port:
        yield replace(service, port=port)


def from_cache(response: Response) -> bool:
    """Return whether a cache had stored the response."""
    headers = response.headers
    return headers.get("x-cache") == "HIT" or len(headers.get("x-varnish", "").split()) == 2


def test_the_cache_stores_what_is_public(cached: Live) -> None:
    for target in ("/health/live?stored", "/public?stored"):
        assert not from_cache(cached.ask(target))
        assert from_cache(cached.ask(target)), target


def test_public_operations_keep_their_own_header(cached: Live) -> None:
    for key in (None, cached.keys["web"]):
        assert cached.ask("/public?own", key).headers["cache-control"] == OWN


def test_nobody_gets_what_needed_a_key(cached: Live) -> None:
    for location in cached.locations:
        for path in NEED_A_KEY[cached.whole_app]:
            target = f"{path}?{location}"
            for consumer in ("web", "web", "admin"):
                response = cached.ask(target, cached.keys[consumer], location=location)
                assert response.status != 401, target
                assert not from_cache(response), target
            keyless = cached.ask(target)
            assert keyless.status == 401, target
            assert not from_cache(keyless), target


def test_nobody_gets_what_an_optional_key_changed(cached: Live) -> None:
    for location in cached.locations:
        target = f"/greeting?{location}"
        assert cached.ask(target, cached.keys["web"], location=location).body == b'"web"'
        assert cached.ask(target).body == b'"anonymous"'


def test_a_refusal_is_not_served_to_a_key(cached: Live) -> None:
    for path in NEED_A_KEY[cached.whole_app]:
        target = f"{path}?refused"
        assert cached.ask(target).status == 401
        response = cached.ask(target, cached.keys["web"])
        assert response.status != 401
        assert not from_cache(response)


def test_an_endpoint_may_choose_otherwise(cached: Live) -> None:
    response = cached.ask("/chosen", cached.keys["web"])
    assert response.headers["cache-control"] == "private, max-age=60"
