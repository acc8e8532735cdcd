"""Choices of the owner for the whole service: paths, errors, headers, options and the document."""

import re

from support.edits.project import APP, Project, edit

HANDLERS = '''
"""Errors in the owner's words."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse


def add_handlers(app: FastAPI) -> None:
    """Add the handlers of errors."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"code": "invalid", "problems": len(error.errors())}, 400)

    @app.exception_handler(403)
    async def forbidden(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"code": "forbidden"}, 403)

    @app.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"code": "not found", "home": str(request.url_for("live"))}, 404)

    @app.exception_handler(ValueError)
    async def impossible(request: Request, error: ValueError) -> JSONResponse:
        return JSONResponse({"code": str(error)}, 400)
'''
SECURITY_HEADERS = '''
"""Security headers."""

from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeadersMiddleware(BaseHTTPMiddleware):
    """Adds the headers that a response does not have."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Handle a request."""
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
'''
OPTIONS = """\
        dependencies=[Depends(count_request)],
        responses={401: {"description": "Who are you?"}, 500: {"description": "A bug"}},
        generate_unique_id_function=make_operation_id,
        redirect_slashes=False,
"""
OPTION_VALUES = '''
"""What all endpoints have in common."""

from collections import Counter

from fastapi import Request
from fastapi.routing import APIRoute

requests: Counter[str] = Counter()


async def count_request(request: Request) -> None:
    """Count a request of HTTP."""
    requests[request.method] += 1


def make_operation_id(route: APIRoute) -> str:
    """Return a short id for generated clients."""
    return f"{route.tags[0] if route.tags else 'root'}-{route.name}-{route.path_format}"
'''


@edit()
def moved_health_checks(project: Project) -> None:
    """The health checks move, to the paths that two constants name."""
    project.replace("src/my_service/routes/health.py", 'prefix="/health", ', "")
    for old, new in {"live": "/livez", "ready": "/readyz"}.items():
        project.replace("src/my_service/routes/health.py", f'"/{old}"', f'"{new}"')
        project.replace("src/my_service/protocols.py", f'"/health/{old}"', f'"{new}"')
        project.replace("tests/test_protection.py", f'"/health/{old}"),', f'"{new}"),')
    project.add_test(
        "moved_health_checks",
        """
        async def test_health_checks_are_public(client: httpx2.AsyncClient) -> None:
            for path in ("/livez", "/readyz"):
                assert (await client.get(path)).status_code == 200
        """,
    )


@edit()
def path_prefix(project: Project) -> None:
    """Routers move below a prefix, key management too."""
    text = project.read(APP)
    moved = re.sub(
        r"(router\((?:about|users|admin|auth\.api)\.router)\)", r'\1, prefix="/v1")', text
    )
    project.write(APP, moved)
    if not project.whole_app:
        project.replace("tests/test_protection.py", '("GET", "/"),', '("GET", "/v1/"),')
    project.add_test(
        "path_prefix",
        """
        async def test_routes_have_the_prefix(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/v1/users/me")).status_code == 401
            assert (await client.get("/v1/users/me", **KEY)).json()["consumer"] == "web"
        """,
    )


@edit()
def catch_all_route(project: Project) -> None:
    """A last route takes every path that no other takes, and needs a key where everything does."""
    project.add_routes(
        "rest",
        '''
        """Every other path."""

        from fastapi import APIRouter

        router = APIRouter(include_in_schema=False)


        @router.get("/{full_path:path}")
        async def rest(full_path: str) -> str:
            """Return the path."""
            return full_path
        ''',
    )
    project.expect_public("GET /{full_path:path}")
    project.add_test(
        "catch_all_route",
        f"""
        async def test_other_paths_are_taken(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/a/b")).status_code == {project.keyless}
            assert (await client.get("/a/b", **KEY)).json() == "a/b"
            assert (await client.get("/_tests/whoami")).status_code == 401
        """,
    )


@edit()
def handlers_of_statuses(project: Project) -> None:
    """Handlers of statuses and of validation errors may say less, and with another status."""
    project.write("src/my_service/handlers.py", HANDLERS)
    project.add_to_app("add_handlers(app)", "from .handlers import add_handlers")
    project.add_test(
        "handlers_of_statuses",
        """
        async def test_errors_are_in_the_words_of_the_owner(client: httpx2.AsyncClient) -> None:
            response = await client.post("/_tests/notes", json={}, **KEY)
            assert (response.status_code, response.json()) == (403, {"code": "forbidden"})
            response = await client.post("/_tests/notes", json=[], **ADMIN)
            assert (response.status_code, response.json()["code"]) == (400, "invalid")
            assert (await client.post("/_tests/notes", json=[])).status_code == 401
        """,
    )


@edit()
def security_headers(project: Project) -> None:
    """Security headers are added to what has none, so that the service's own pages work."""
    project.write("src/my_service/security_headers.py", SECURITY_HEADERS)
    project.add_to_app(
        "app.add_middleware(SecurityHeadersMiddleware)",
        "from .security_headers import SecurityHeadersMiddleware",
    )
    project.add_test(
        "security_headers",
        """
        async def test_responses_have_the_headers(client: httpx2.AsyncClient) -> None:
            response = await client.get("/_tests/whoami", **KEY)
            assert response.headers["X-Frame-Options"] == "DENY"
            assert response.headers.get_list("Cache-Control") == ["no-store"]
        """,
    )


@edit()
def options_of_all_endpoints(project: Project) -> None:
    """What FastAPI's constructor takes for all endpoints is for the endpoints of the owner."""
    project.write("src/my_service/options.py", OPTION_VALUES)
    version = "        version=__version__,\n"
    project.replace(APP, version, version + OPTIONS)
    project.add_imports(
        APP, "from fastapi import Depends", "from .options import count_request, make_operation_id"
    )
    project.add_test(
        "options_of_all_endpoints",
        """
        async def test_requests_of_endpoints_are_counted(client: httpx2.AsyncClient) -> None:
            requests.clear()
            assert (await client.get(LIVE)).status_code == 200
            assert requests == {"GET": 1}
        """,
    )
    project.add_imports(
        "tests/test_owner_options_of_all_endpoints.py",
        "from my_service.options import requests",
        "from .helpers import LIVE",
    )


@edit()
def document_of_get_openapi(project: Project) -> None:
    """FastAPI's "Extending OpenAPI" word for word: what a key needs is in that document too."""
    project.add_to_app(
        """
        def custom_openapi() -> dict[str, Any]:
            if app.openapi_schema:
                return app.openapi_schema
            app.openapi_schema = get_openapi(title="Parcels", version="2.5.0", routes=app.routes)
            app.openapi_schema["info"]["x-logo"] = {"url": "https://example.com/logo.png"}
            return app.openapi_schema

        app.openapi = custom_openapi  # type: ignore[method-assign]
        """,
        "from typing import Any",
        "from fastapi.openapi.utils import get_openapi",
    )
    project.add_test(
        "document_of_get_openapi",
        """
        def test_the_document_is_the_owners_with_keys(app: FastAPI) -> None:
            document = app.openapi()
            assert document["info"]["title"] == "Parcels"
            schemes = {location.scheme.scheme_name for location in LOCATIONS}
            assert document["components"]["securitySchemes"].keys() >= schemes
            assert "401" in document["paths"]["/_tests/whoami"]["get"]["responses"]
        """,
    )


@edit()
def no_license(project: Project) -> None:
    """The licence and the contact go from the document."""
    text = project.read(APP)
    without = re.sub(r"        (license_info|contact)=\{.*?\n        \},\n", "", text, flags=re.S)
    assert text != without
    project.write(APP, without)
