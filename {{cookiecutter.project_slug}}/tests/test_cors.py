"""Pages of other origins may call the service when `CORS_ORIGINS` names them."""

import httpx
import pytest
from fastapi import FastAPI

{% if cookiecutter.__limited %}
from .conftest import WithKey
{% endif %}
{% if cookiecutter.__header and cookiecutter.__limited %}
from .helpers import HEADER_NAME, WEB_KEY, ask, make_app, to_asgi
{% elif cookiecutter.__header %}
from .helpers import HEADER_NAME, ask, make_app
{% elif cookiecutter.__limited %}
from .helpers import WEB_KEY, ask, make_app, to_asgi
{% else %}
from .helpers import ask, make_app
{% endif %}

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}


@pytest.fixture
def app() -> FastAPI:
    """Return the service with one other origin allowed."""
    return make_app(cors_origins=(ORIGIN,))


async def test_by_default_no_other_origin_is_allowed() -> None:
    app = make_app()
    answer = await ask(app, "/whoami", method="OPTIONS", headers=PREFLIGHT)
    assert answer.status in (401, 405)
    assert "access-control-allow-origin" not in answer.headers


async def test_a_preflight_is_answered_without_a_key(client: httpx.AsyncClient) -> None:
    {% if cookiecutter.__header %}
    preflight = PREFLIGHT | {"Access-Control-Request-Headers": HEADER_NAME}
    answer = await client.options("/whoami", headers=preflight)
    {% else %}
    answer = await client.options("/whoami", headers=PREFLIGHT)
    {% endif %}
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_an_origin_that_is_not_named_gets_no_preflight(client: httpx.AsyncClient) -> None:
    preflight = PREFLIGHT | {"Origin": "https://evil.example"}
    answer = await client.options("/whoami", headers=preflight)
    assert answer.status_code == 400
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_401_can_be_read_by_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/whoami", headers={"Origin": ORIGIN})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    {% if cookiecutter.__cookie %}
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    {% else %}
    assert "Access-Control-Allow-Credentials" not in answer.headers
    {% endif %}
{% if cookiecutter.__limited %}


async def test_a_page_can_read_what_is_left_of_a_limit(with_key: WithKey) -> None:
    app = make_app(cors_origins=(ORIGIN,), rate_limit="1/minute")
    request = to_asgi(with_key(WEB_KEY))
    request["headers"]["Origin"] = ORIGIN
    for status in (200, 429):
        answer = await ask(app, "/whoami", **request)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert set(exposed) == {"RateLimit", "RateLimit-Policy", "Retry-After"}
{% endif %}
