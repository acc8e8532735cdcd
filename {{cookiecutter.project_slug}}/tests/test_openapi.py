"""The OpenAPI document: which operations need a key, where it is sent, how requests are refused."""

import json
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBearer
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount

from {{ cookiecutter.__package }}.app import (
    create_app,
)
from {{ cookiecutter.__package }}.auth import (
    CurrentConsumer,
    OptionalConsumer,
    get_api_key,
)
from {{ cookiecutter.__package }}.auth.locations import (
    DESCRIPTION,
)

from .helpers import LIVE, LOCATIONS, call_asgi, make_app, make_settings

Document = dict[str, Any]

SCHEMES = {
    location.scheme.scheme_name: location.scheme.model.model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    for location in LOCATIONS
}
ANY_KEY: list[dict[str, list[str]]] = [{scheme: []} for scheme in SCHEMES]
{% if cookiecutter.__limited %}
REFUSED = {"401", "429", "503"}
{% elif cookiecutter.__database %}
REFUSED = {"401", "503"}
{% else %}
REFUSED = {"401"}
{% endif %}


@pytest.fixture
def document(app: FastAPI) -> Document:
    """Return the document of the service, requested for the second time."""
    app.openapi()
    return app.openapi()


def operation(document: Document, path: str, method: str = "get") -> Document:
    """Return one operation of a document."""
    found: Document = document["paths"][path][method]
    return found


def own_schemes(document: Document) -> dict[str, Any]:
    """Return the schemes of the service's keys in a document, which may have others."""
    schemes: dict[str, Any] = document["components"]["securitySchemes"]
    return {name: schemes[name] for name in schemes if name in SCHEMES}


def schema_of(document: Document, response: Document) -> Document:
    """Return the schema of the body of a response."""
    name = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    found: Document = document["components"]["schemas"][name]
    return found


def test_each_location_is_a_scheme(document: Document) -> None:
    assert own_schemes(document) == SCHEMES
    assert all(scheme["description"].startswith(DESCRIPTION) for scheme in SCHEMES.values())


def test_document_says_what_it_needs_by_default(document: Document) -> None:
    {% if cookiecutter.__whole_app %}
    assert document["security"] == ANY_KEY
    {% else %}
    assert "security" not in document
    {% endif %}


def test_protected_operation_needs_any_key(document: Document) -> None:
    whoami = operation(document, "/_tests/whoami")
    assert whoami["security"] == ANY_KEY
    assert set(whoami["responses"]) == {"200", *REFUSED}


def test_scopes_are_those_of_the_endpoint(document: Document) -> None:
    notes = operation(document, "/_tests/notes", "post")
    assert notes["security"] == [{scheme: ["admin"]} for scheme in SCHEMES]
    assert set(notes["responses"]) == {"204", "400", "403", "413", "422", *REFUSED}


def test_optional_key_has_an_empty_alternative(document: Document) -> None:
    greeting = operation(document, "/_tests/greeting")
    {% if cookiecutter.__whole_app %}
    assert greeting["security"] == ANY_KEY  # without a key, the request does not reach the endpoint
    {% else %}
    assert greeting["security"] == [*ANY_KEY, {}]
    {% endif %}
    assert set(greeting["responses"]) == {"200", *REFUSED}


def test_public_operation_needs_nothing(document: Document) -> None:
    live = operation(document, LIVE)
    assert live["security"] == []
    declared = {str(status) for status in create_app(make_settings()).router.responses}
    assert not REFUSED & live["responses"].keys() - declared


def test_refusals_share_one_schema(document: Document) -> None:
    responses = operation(document, "/_tests/notes", "post")["responses"]
    assert schema_of(document, responses["401"])["required"] == ["detail"]
    for status in {"400", "403", "413", *REFUSED}:
        assert responses[status]["content"] == responses["401"]["content"]
    {% if cookiecutter.__limited %}
    headers = set(responses["429"]["headers"])
    assert headers == {"RateLimit", "RateLimit-Policy", "Retry-After"}
    {% endif %}
    {% if cookiecutter.__database or cookiecutter.__limited %}
    assert "Retry-After" in responses["503"]["headers"]
    {% endif %}


def test_error_has_one_schema(document: Document) -> None:
    schemas = document["components"]["schemas"]
    shared = json.dumps(schemas).count('"title": "Error"')
    assert json.dumps(document).count('"title": "Error"') == shared > 0


def test_every_operation_has_a_client_error(document: Document) -> None:
    for path, item in document["paths"].items():
        for method, found in item.items():
            statuses = [status for status in found["responses"] if status.startswith("4")]
            assert statuses, f"{method} {path}"


def test_validation_error_lists_only_sent_fields(app: FastAPI, document: Document) -> None:
    fields = document["components"]["schemas"]["ValidationError"]["properties"].keys()
    own = app.exception_handlers[RequestValidationError].__module__ == type(app).__module__
    assert fields == {"loc", "msg", "type"} or not own


def test_info_is_complete(document: Document) -> None:
    license_info = document["info"].get("license")  # an owner may have removed it
    if license_info:
        assert license_info["name"]
        assert license_info.keys() & {"identifier", "url"}
    assert document["servers"]
{% if cookiecutter.__cookie %}


def test_unsafe_operation_documents_cross_origin_403(app: FastAPI) -> None:
    @app.post("/_tests/unsafe", dependencies=[Security(get_api_key)])
    async def unsafe() -> None:
        pass

    assert "403" in operation(app.openapi(), "/_tests/unsafe", "post")["responses"]


def test_cookie_scheme_links_to_the_sign_in_page() -> None:
    descriptions = [scheme["description"] for scheme in SCHEMES.values()]
    assert [text.endswith("[Sign in](sign-in)") for text in descriptions].count(True) == 1
{% endif %}


class Problem(BaseModel):
    """An error as an owner may describe it."""

    title: str


OWN_SCHEMES = (
    HTTPBearer(),
    HTTPBasic(),
    APIKeyHeader(name="X-Webhook-Signature", scheme_name="WebhookSignature"),
)


@pytest.mark.parametrize("scheme", OWN_SCHEMES, ids=lambda scheme: scheme.scheme_name)
def test_other_schemes_stay_as_fastapi_writes_them(scheme: Any) -> None:
    def add_routes(app: FastAPI) -> None:
        @app.post("/own", dependencies=[Security(scheme)], responses={401: {"model": Problem}})
        async def own() -> None:
            pass

    app, plain = make_app(), FastAPI()
    add_routes(app)
    add_routes(plain)
    found, expected = app.openapi(), plain.openapi()
    schemes = expected["components"]["securitySchemes"]
    assert found["components"]["securitySchemes"].items() >= {**SCHEMES, **schemes}.items()
    ours, theirs = operation(found, "/own", "post"), operation(expected, "/own", "post")
    {% if cookiecutter.__whole_app %}
    assert ours["security"] == [*theirs["security"], *ANY_KEY]
    {% else %}
    assert ours["security"] == theirs["security"]
    {% endif %}
    assert ours["responses"]["401"] == theirs["responses"]["401"]
    theirs_of_401 = schema_of(expected, theirs["responses"]["401"])
    assert schema_of(found, ours["responses"]["401"]) == theirs_of_401


def test_key_beside_another_scheme_is_documented() -> None:
    app = make_app()

    @app.get("/both", dependencies=[Security(HTTPBasic()), Security(get_api_key, scopes=["x"])])
    async def both() -> None:
        pass

    security = operation(app.openapi(), "/both")["security"]
    assert security == [{"HTTPBasic": []}, *({scheme: ["x"]} for scheme in SCHEMES)]


def test_own_error_model_is_kept() -> None:
    class Error(BaseModel):
        code: int

    app = make_app()

    @app.get("/own", responses={409: {"model": Error}})
    async def own(consumer: CurrentConsumer) -> None:
        pass

    document = app.openapi()
    responses = operation(document, "/own")["responses"]
    assert set(schema_of(document, responses["409"])["properties"]) == {"code"}
    assert set(schema_of(document, responses["401"])["properties"]) == {"detail"}


def test_webhooks_and_callbacks_need_no_key() -> None:
    app, callbacks = make_app(), APIRouter()
    vars(app).pop("openapi", None)  # an owner's own function may leave webhooks out

    @callbacks.post("{$request.body#/url}")
    async def done() -> None:
        pass

    @app.post("/jobs", callbacks=callbacks.routes, dependencies=[Security(get_api_key)])
    async def start() -> None:
        pass

    @app.webhooks.post("finished")
    async def finished() -> None:
        pass

    document = app.openapi()
    assert document["webhooks"]["finished"]["post"]["security"] == []
    job = operation(document, "/jobs", "post")
    assert job["callbacks"]["done"]["{$request.body#/url}"]["post"]["security"] == []
    assert job["security"] == ANY_KEY


def test_document_includes_routes_added_later(app: FastAPI) -> None:
    vars(app).pop("openapi", None)  # an owner's own function may cache what it returns
    app.openapi()

    @app.get("/later")
    async def later(consumer: CurrentConsumer) -> None:
        pass

    assert operation(app.openapi(), "/later")["security"] == ANY_KEY
    app.openapi_schema = None
    assert operation(app.openapi(), "/later")["security"] == ANY_KEY


def make_mounted() -> FastAPI:
    """Return an application for a mount, with endpoints that ask for a key."""
    mounted = FastAPI()

    @mounted.get("/inside")
    async def inside(consumer: CurrentConsumer) -> str:
        return consumer.name

    @mounted.get("/greeting")
    async def greeting(consumer: OptionalConsumer, number: int = 0) -> None:
        pass

    return mounted


def mount_directly(app: FastAPI, mounted: FastAPI) -> None:
    """Mount an application at the service."""
    app.mount("/mounted", mounted)


def mount_in_router(app: FastAPI, mounted: FastAPI) -> None:
    """Mount an application in a router that the service includes."""
    router = APIRouter(prefix="/router")
    router.mount("/mounted", mounted)
    app.include_router(router)


def mount_in_mounts(app: FastAPI, mounted: FastAPI) -> None:
    """Mount an application within others."""
    outer = FastAPI()
    outer.mount("/x", Starlette(routes=[Mount("/y", GZipMiddleware(mounted))]))
    app.mount("/outer", outer)


@pytest.mark.anyio
@pytest.mark.parametrize("own_first", [True, False])
@pytest.mark.parametrize("mount", [mount_directly, mount_in_router, mount_in_mounts])
async def test_mounted_document_has_every_location(mount: Any, own_first: bool) -> None:
    app, mounted = make_app(), make_mounted()
    mount(app, mounted)
    if own_first:
        mounted.openapi()
    await call_asgi(app, LIVE)
    app.openapi()
    document = mounted.openapi()
    assert document["components"]["securitySchemes"] == SCHEMES
    assert operation(document, "/inside")["security"] == ANY_KEY
    assert set(operation(document, "/inside")["responses"]) == {"200", *REFUSED}
    {% if cookiecutter.__endpoints %}
    assert operation(document, "/greeting")["security"] == [*ANY_KEY, {}]
    {% endif %}
    # It has its own handler of validation errors.
    assert "input" in document["components"]["schemas"]["ValidationError"]["properties"]


def extend(app: FastAPI) -> None:
    """Extend OpenAPI as FastAPI's documentation does."""

    def custom_openapi() -> Document:
        if not app.openapi_schema:
            app.openapi_schema = get_openapi(title="Own", version="1", routes=app.routes)
            app.openapi_schema["info"]["x-logo"] = {"url": "https://example.com/logo.png"}
        return app.openapi_schema

    app.openapi = custom_openapi  # type: ignore[method-assign]


def test_other_document_names_a_scheme_that_works(app: FastAPI) -> None:
    document = get_openapi(title="Own", version="1", routes=app.routes)
    [(name, scheme)] = own_schemes(document).items()
    assert scheme == SCHEMES[name]
    assert operation(document, "/_tests/whoami")["security"] == [{name: []}]


@pytest.mark.anyio
async def test_own_document_is_completed() -> None:
    app = make_app(docs_enabled=True, docs_public=True)
    extend(app)
    made_before_a_request = json.dumps(app.openapi())
    response = await call_asgi(app, "/openapi.json")
    document = json.loads(response.messages[1]["body"])
    assert document == json.loads(made_before_a_request)
    assert document["info"]["x-logo"]
    assert own_schemes(document) == SCHEMES
    assert "401" in operation(document, "/_tests/whoami")["responses"]
    assert operation(document, "/_tests/whoami")["security"] == ANY_KEY


def test_dependency_of_a_dependency_is_found() -> None:
    app = make_app()

    async def name(consumer: CurrentConsumer) -> str:
        return consumer.name

    @app.get("/nested")
    async def nested(name: Annotated[str, Security(name, scopes=["x"])]) -> str:
        return name

    security = operation(app.openapi(), "/nested")["security"]
    assert security == [{scheme: ["x"]} for scheme in SCHEMES]
