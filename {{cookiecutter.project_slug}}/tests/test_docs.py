"""The docs: open in development, off in production, and protected where they are switched on."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)

from .helpers import (
    LOCATIONS,
    WEB_KEY,
    call_asgi,
    make_app,
    make_plain_app,
    to_asgi,
    with_key,
)

pytestmark = pytest.mark.anyio

PATHS = ["/docs", "/openapi.json"]
KEYED = to_asgi(with_key(LOCATIONS[0], WEB_KEY))
{% if cookiecutter.__cookie %}
# With the cookie that `with_key` sends, also in development.
DEVELOPMENT: dict[str, Any] = {"fastapi_env": "development", "cookie_secure": True}
{% else %}
DEVELOPMENT: dict[str, Any] = {"fastapi_env": "development"}
{% endif %}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("request_parts", [{}, KEYED], ids=["keyless", "keyed"])
async def test_docs_are_open_in_development(path: str, request_parts: dict[str, Any]) -> None:
    assert (await call_asgi(make_app(**DEVELOPMENT), path, **request_parts)).status == 200


@pytest.mark.parametrize("path", PATHS)
async def test_docs_can_be_off_in_production(path: str) -> None:
    assert (await call_asgi(make_plain_app(docs_enabled=False), path, **KEYED)).status == 404


@pytest.mark.parametrize("path", PATHS)
async def test_docs_of_production_need_a_key(path: str, location: Location) -> None:
    app = make_app(docs_enabled=True, docs_public=False)
    assert (await call_asgi(app, path)).status == 401
    keyed = to_asgi(with_key(location, WEB_KEY))
    assert (await call_asgi(app, path, **keyed)).status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("development", [True, False])
async def test_docs_public_decides_alone(path: str, development: bool) -> None:
    fields = DEVELOPMENT if development else {}
    public = make_app(docs_enabled=True, docs_public=True, **fields)
    assert (await call_asgi(public, path)).status == 200
    private = make_app(docs_enabled=True, docs_public=False, **fields)
    assert (await call_asgi(private, path)).status == 401


@pytest.mark.parametrize("path", PATHS)
async def test_docs_can_be_off_in_development(path: str) -> None:
    app = make_plain_app(docs_enabled=False, **DEVELOPMENT)
    assert (await call_asgi(app, path, **KEYED)).status == 404


async def get_page(**fields: Any) -> str:
    """Return the docs page of a service with these settings."""
    app = make_app(docs_enabled=True, docs_public=True, **fields)
    app.title = "R&D <b>"
    response = await call_asgi(app, "/docs")
    return str(response.messages[1]["body"].decode())


@pytest.mark.parametrize("development", [True, False])
async def test_page_remembers_a_key_in_development_only(development: bool) -> None:
    page = await get_page(**(DEVELOPMENT if development else {}))
    assert f'"persistAuthorization": {json.dumps(development)}' in page


async def test_page_loads_files_from_the_cdn_only() -> None:
    page = await get_page()
    assert set(re.findall(r"https?://[^/\"']+", page)) == {"https://cdn.jsdelivr.net"}
    assert '"url": "openapi.json"' in page
    assert "<title>R&amp;D &lt;b&gt;</title>" in page


async def test_files_of_the_cdn_have_a_version_and_a_hash() -> None:
    files = re.findall(r'="(https://[^"]+)" (.*)>', await get_page())
    assert len(files) == 2
    for url, attributes in files:
        assert re.search(r"/swagger-ui-dist@\d+\.\d+\.\d+/", url)
        assert re.match(r'integrity="sha384-[\w+/]{64}" crossorigin="anonymous"', attributes)


async def test_page_may_do_no_more_than_it_must() -> None:
    response = await call_asgi(make_app(docs_enabled=True, docs_public=True), "/docs")
    headers = response.headers
    directives = [directive.split() for directive in headers["content-security-policy"].split("; ")]
    policy = {name: sources for name, *sources in directives}
    kept = "Middleware replaces the policy of this page: use headers.setdefault() there"
    assert policy["default-src"] == ["'none'"], kept
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["connect-src"] == ["'self'"]
    [script, start] = policy["script-src"]
    page = response.messages[1]["body"].decode()
    [own] = re.findall(r"<script>(.*)</script>", page)
    assert start == f"'sha256-{b64encode(sha256(own.encode()).digest()).decode()}'"
    assert f'<script src="{script}"' in page
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(("root_path", "url"), [("", "/"), ("/parcels", "/parcels")])
async def test_document_names_the_prefix_of_a_proxy(root_path: str, url: str) -> None:
    app = make_app(docs_enabled=True, docs_public=True)
    app.servers.clear()  # those that the service may declare win
    response = await call_asgi(app, f"{root_path}/openapi.json", root_path=root_path)
    assert json.loads(response.messages[1]["body"])["servers"] == [{"url": url}]
