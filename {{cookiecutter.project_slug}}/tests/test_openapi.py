"""The OpenAPI document says who needs a key, where it goes, and how a request is refused."""

import json
import re
from typing import Any

import pytest
{% if cookiecutter.__cookie and cookiecutter.protection == "endpoints" %}
from fastapi import FastAPI, Security

from {{ cookiecutter.__package }}.auth import get_api_key
{% else %}
from fastapi import FastAPI
{% endif %}

from .conftest import WithKey
{% if cookiecutter.key_location == "fallback" %}
from .helpers import (
    COOKIE_NAME,
    HEADER_NAME,
    QUERY_NAME,
    WEB_KEY,
    ask,
    make_app,
    to_asgi,
)
{% elif cookiecutter.key_location == "header" %}
from .helpers import HEADER_NAME, WEB_KEY, ask, make_app, to_asgi
{% elif cookiecutter.key_location == "cookie" %}
from .helpers import COOKIE_NAME, WEB_KEY, ask, make_app, to_asgi
{% else %}
from .helpers import QUERY_NAME, WEB_KEY, ask, make_app, to_asgi
{% endif %}

SCHEMES = {
    {% if cookiecutter.__cookie %}
    "APIKeyCookie": ("cookie", COOKIE_NAME),
    {% endif %}
    {% if cookiecutter.__header %}
    "APIKeyHeader": ("header", HEADER_NAME),
    {% endif %}
    {% if cookiecutter.__query %}
    "APIKeyQuery": ("query", QUERY_NAME),
    {% endif %}
}
ANY_KEY: list[dict[str, list[str]]] = [{scheme: []} for scheme in SCHEMES]
{% if cookiecutter.__limited %}
REFUSALS = {"400", "401", "403", "413", "422", "429", "503"}
{% elif cookiecutter.__database %}
REFUSALS = {"400", "401", "403", "413", "422", "503"}
{% else %}
REFUSALS = {"400", "401", "403", "413", "422"}
{% endif %}
ADMIN = [{scheme: ["admin"]} for scheme in SCHEMES]


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the service, as asked for a second time."""
    app.openapi()
    return app.openapi()


def test_each_location_is_a_scheme_of_its_own(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {name: (scheme["in"], scheme["name"]) for name, scheme in schemes.items()} == SCHEMES
    {% if cookiecutter.key_docs_url %}
    about = "[Generate a token](<{{ cookiecutter.key_docs_url }}>)"
    {% else %}
    about = "An API key of this service"
    {% endif %}
    assert all(scheme["description"].startswith(about) for scheme in schemes.values())
    {% if cookiecutter.__cookie %}
    assert "(sign-in)" in schemes["APIKeyCookie"]["description"]
    {% endif %}


@pytest.mark.parametrize(
    ("method", "path", "needs", "answers"),
    [
        {% if cookiecutter.protection == "whole_app" %}
        ("get", "/health/live", [], {"200"}),
        {% else %}
        ("get", "/health/live", None, {"200"}),
        {% endif %}
        {% if cookiecutter.__database and cookiecutter.protection == "whole_app" %}
        ("get", "/health/ready", [], {"200", "503"}),
        {% elif cookiecutter.__database %}
        ("get", "/health/ready", None, {"200", "503"}),
        {% elif cookiecutter.protection == "whole_app" %}
        ("get", "/health/ready", [], {"200"}),
        {% else %}
        ("get", "/health/ready", None, {"200"}),
        {% endif %}
        {% if cookiecutter.__limited %}
        ("get", "/whoami", ANY_KEY, {"200", "401", "429", "503"}),
        {% elif cookiecutter.__database %}
        ("get", "/whoami", ANY_KEY, {"200", "401", "503"}),
        {% else %}
        ("get", "/whoami", ANY_KEY, {"200", "401"}),
        {% endif %}
        ("post", "/notes", ADMIN, {"204", *REFUSALS}),
    ],
)
def test_each_operation_says_what_it_needs_and_how_it_answers(
    document: dict[str, Any], method: str, path: str, needs: object, answers: set[str]
) -> None:
    operation = document["paths"][path][method]
    {% if cookiecutter.__database or cookiecutter.__limited %}
    if needs:
        assert "Retry-After" in operation["responses"]["503"]["headers"]
    {% endif %}
    assert operation.get("security") == needs
    assert set(operation["responses"]) == answers
{% if cookiecutter.__limited %}


def test_a_429_tells_when_to_come_again(document: dict[str, Any]) -> None:
    refusal = document["paths"]["/whoami"]["get"]["responses"]["429"]
    assert set(refusal["headers"]) == {"RateLimit", "RateLimit-Policy", "Retry-After"}
{% endif %}
{% if cookiecutter.protection == "whole_app" %}


def test_the_document_as_a_whole_asks_for_a_key(document: dict[str, Any]) -> None:
    assert document["security"] == ANY_KEY
{% endif %}
{% if cookiecutter.__cookie %}


def test_an_unsafe_operation_may_be_refused_to_another_site(app: FastAPI) -> None:
    {% if cookiecutter.protection == "whole_app" %}
    @app.post("/notes")
    async def note() -> None:
        pass
    {% else %}
    @app.post("/notes", dependencies=[Security(get_api_key)])
    async def note() -> None:
        pass
    {% endif %}

    assert "403" in app.openapi()["paths"]["/notes"]["post"]["responses"]
{% endif %}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 404), ({"docs_enabled": True}, 200), ({"fastapi_env": "development"}, 200)],
)
async def test_the_docs_are_off_in_production_unless_switched_on(
    with_key: WithKey, path: str, fields: dict[str, Any], status: int
) -> None:
    {% if cookiecutter.__cookie %}
    app = make_app(cookie_secure=True, **fields)
    {% else %}
    app = make_app(**fields)
    {% endif %}
    assert (await ask(app, path, **to_asgi(with_key(WEB_KEY)))).status == status


@pytest.mark.anyio
@pytest.mark.parametrize(("environment", "kept"), [("development", True), ("production", False)])
async def test_the_docs_page_remembers_a_key_in_development_only(
    with_key: WithKey, environment: str, kept: bool
) -> None:
    {% if cookiecutter.__cookie %}
    app = make_app(fastapi_env=environment, docs_enabled=True, cookie_secure=True)
    {% else %}
    app = make_app(fastapi_env=environment, docs_enabled=True)
    {% endif %}
    page = await ask(app, "/docs", **to_asgi(with_key(WEB_KEY)))
    assert f'"persistAuthorization": {json.dumps(kept)}' in page.messages[1]["body"].decode()


@pytest.mark.anyio
async def test_the_docs_page_asks_no_other_site_but_the_cdn(with_key: WithKey) -> None:
    app = make_app(docs_enabled=True)
    app.title = "R&D <b>"
    page = (await ask(app, "/docs", **to_asgi(with_key(WEB_KEY)))).messages[1]["body"].decode()
    assert set(re.findall(r"https?://[^/\"']+", page)) == {"https://cdn.jsdelivr.net"}
    assert "url: 'openapi.json'" in page
    assert "<title>R&amp;D &lt;b&gt;</title>" in page
