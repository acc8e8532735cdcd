"""Middleware and exception handlers of the owner."""

from support.edits.project import Project, edit


@edit()
def no_op_middleware(project: Project) -> None:
    """Nothing changes: refusals, bodies, streams and WebSockets pass as before."""
    project.add_to_app(
        """
        @app.middleware("http")
        async def do_nothing(request: Request, call_next: RequestResponseEndpoint) -> Response:
            return await call_next(request)
        """,
        "from fastapi import Request, Response",
        "from starlette.middleware.base import RequestResponseEndpoint",
    )
    project.add_test(
        "no_op_middleware",
        """
        async def test_a_keyless_body_is_not_read(app: FastAPI) -> None:
            response = await call_asgi(app, "/_tests/notes", method="POST", endless=True)
            assert (response.status, response.receives) == (401, 0)
        """,
    )


@edit()
def process_time(project: Project) -> None:
    """FastAPI's tutorial: responses of authenticated requests tell how long they took."""
    project.add_to_app(
        """
        @app.middleware("http")
        async def time_it(request: Request, call_next: RequestResponseEndpoint) -> Response:
            start_time = time.perf_counter()
            response = await call_next(request)
            response.headers["X-Process-Time"] = str(time.perf_counter() - start_time)
            return response
        """,
        "import time",
        "from fastapi import Request, Response",
        "from starlette.middleware.base import RequestResponseEndpoint",
    )
    project.add_test(
        "process_time",
        """
        async def test_responses_tell_how_long_they_took(client: httpx2.AsyncClient) -> None:
            response = await client.get("/_tests/whoami", **KEY)
            assert float(response.headers["X-Process-Time"]) >= 0
            assert response.headers["Cache-Control"] == "no-store"
        """,
    )


@edit()
def body_in_middleware(project: Project) -> None:
    """Middleware sees the bodies of authenticated requests only, and endpoints still get them."""
    project.add_to_app(
        """
        @app.middleware("http")
        async def count_bytes(request: Request, call_next: RequestResponseEndpoint) -> Response:
            size = len(await request.body())
            response = await call_next(request)
            response.headers["X-Request-Size"] = str(size)
            return response
        """,
        "from fastapi import Request, Response",
        "from starlette.middleware.base import RequestResponseEndpoint",
    )
    project.add_test(
        "body_in_middleware",
        """
        async def test_middleware_and_endpoint_read_the_body(client: httpx2.AsyncClient) -> None:
            response = await client.post("/_tests/notes", json={"a": "b"}, **ADMIN)
            assert (response.status_code, response.headers["X-Request-Size"]) == (204, "9")


        async def test_a_large_body_is_refused(client: httpx2.AsyncClient) -> None:
            response = await client.post("/_tests/notes", content=b"x" * 2_000_000, **ADMIN)
            assert response.status_code == 413


        async def test_a_keyless_body_is_not_read(app: FastAPI) -> None:
            response = await call_asgi(app, "/_tests/notes", method="POST", endless=True)
            assert (response.status, response.receives) == (401, 0)
        """,
    )


@edit()
def copied_scope(project: Project) -> None:
    """ASGI middleware may pass on a copy of the scope, as the specification says."""
    project.write(
        "src/my_service/tenants.py",
        '''
        """Middleware of the owner: which tenant a request is for."""

        from starlette.types import ASGIApp, Receive, Scope, Send


        class TenantMiddleware:
            """ASGI middleware: note the tenant, in a copy of the scope."""

            def __init__(self, app: ASGIApp) -> None:
                self.app = app

            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                copy = {**scope, "state": {**scope.get("state", {}), "tenant": "acme"}}
                await self.app(copy, receive, send)
        ''',
    )
    project.add_to_app(
        "app.add_middleware(TenantMiddleware)", "from .tenants import TenantMiddleware"
    )
    project.add_test(
        "copied_scope",
        """
        async def test_endpoints_see_tenant_and_consumer() -> None:
            app = make_app()

            @app.get("/_tests/tenant", dependencies=[Security(get_api_key)])
            async def tenant(request: Request) -> list[str]:
                return [request.state.tenant, request.state.consumer.name]

            app.router.routes.insert(0, app.router.routes.pop())
            client = TestClient(app, base_url=base_url(app))
            response = client.get("/_tests/tenant", **KEY)
            assert response.json() == ["acme", "web"]
            assert response.headers["Cache-Control"] == "no-store"
        """,
    )


@edit()
def gzip(project: Project) -> None:
    """Large responses are compressed, and what needed a key stays out of shared caches."""
    project.add_to_app(
        "app.add_middleware(GZipMiddleware, minimum_size=10, compresslevel=5)",
        "from fastapi.middleware.gzip import GZipMiddleware",
    )
    project.add_test(
        "gzip",
        """
        async def test_responses_are_compressed(client: httpx2.AsyncClient) -> None:
            response = await client.get("/_tests/whoami", **KEY)
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.json()["consumer"] == "web"
            assert response.headers["Cache-Control"] == "no-store"
        """,
    )


@edit()
def trusted_hosts(project: Project) -> None:
    """Requests with a key to another host get 400, and the generated tests name an allowed one."""
    project.add_to_app(
        'app.add_middleware(TrustedHostMiddleware, allowed_hosts=["*.example.com", "localhost"])',
        "from fastapi.middleware.trustedhost import TrustedHostMiddleware",
    )
    project.add_test(
        "trusted_hosts",
        """
        def test_other_hosts_are_refused(app: FastAPI) -> None:
            client = TestClient(app, base_url="https://attacker.test")
            assert client.get("/_tests/whoami", **KEY).status_code == 400
        """,
    )


@edit()
def sessions(project: Project) -> None:
    """Signed sessions work beside keys, even where keys are in cookies too."""
    project.add_to_app(
        """
        secret = secrets.token_hex()  # a real service gets it from a setting
        app.add_middleware(SessionMiddleware, secret_key=secret, session_cookie="visits")
        """,
        "import secrets",
        "from starlette.middleware.sessions import SessionMiddleware",
    )
    project.add_routes(
        "visits",
        '''
        """Counts visits."""

        from fastapi import APIRouter, Request

        from ..auth import CurrentConsumer

        router = APIRouter(prefix="/visits")


        @router.post("")
        async def visit(request: Request, consumer: CurrentConsumer) -> int:
            """Count this visit."""
            request.session["visits"] = request.session.get("visits", 0) + 1
            return int(request.session["visits"])
        ''',
    )
    project.add_test(
        "sessions",
        """
        def test_visits_are_counted(app: FastAPI) -> None:
            client = TestClient(app, base_url=base_url(app))
            cookies = ""
            for expected in (1, 2):
                request = with_key(LOCATIONS[0], WEB_KEY)
                headers = dict(request.pop("headers", {}))
                if cookies:
                    key = headers.get("Cookie", b"")
                    headers["Cookie"] = b"; ".join(filter(None, [key, cookies.encode()]))
                response = client.post("/visits", headers=headers, **request)
                assert response.json() == expected
                cookies = response.headers["Set-Cookie"].split(";")[0]
                client.cookies.clear()
        """,
    )


@edit()
def https_redirect(project: Project) -> None:
    """Plain HTTP is redirected after the key was checked; what needs a key stays refused first."""
    project.add_to_app(
        "app.add_middleware(HTTPSRedirectMiddleware)",
        "from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware",
    )
    project.add_test(
        "https_redirect",
        """
        def test_plain_http_is_redirected_with_a_key(app: FastAPI) -> None:
            plain = base_url(app).replace("https", "http")
            client = TestClient(app, base_url=plain, follow_redirects=False)
            assert client.get("/_tests/whoami").status_code == 401
            response = client.get("/_tests/whoami", **KEY)
            assert response.status_code == 307
            assert WEB_KEY not in response.headers["Location"]
        """,
    )


@edit()
def prometheus(project: Project) -> None:
    """Requests are counted, and the numbers need a key where everything does."""
    project.add_to_app(
        "Instrumentator(registry=CollectorRegistry()).instrument(app).expose(app)",
        "from prometheus_client import CollectorRegistry",
        "from prometheus_fastapi_instrumentator import Instrumentator",
    )
    project.expect_public("GET /metrics")
    project.add_test(
        "prometheus",
        f"""
        async def test_requests_are_counted(client: httpx2.AsyncClient) -> None:
            await client.get("/_tests/whoami", **KEY)
            assert (await client.get("/metrics")).status_code == {project.keyless}
            assert "/_tests/whoami" in (await client.get("/metrics", **KEY)).text
        """,
    )


@edit()
def opentelemetry(project: Project) -> None:
    """Each request is a span of OpenTelemetry's instrumentation, also one without a key."""
    project.add_to_app(
        "FastAPIInstrumentor.instrument_app(app)",
        "from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor",
    )
    project.add_test(
        "opentelemetry",
        """
        async def test_requests_are_spans() -> None:
            exporter, provider = InMemorySpanExporter(), TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            trace.set_tracer_provider(provider)
            app = make_app()
            client = TestClient(app, base_url=base_url(app))
            for request in ({}, KEY):
                client.get("/_tests/whoami", **request)
            spans = [
                span
                for span in exporter.get_finished_spans()
                if getattr(span.instrumentation_scope, "name", "").endswith(".fastapi")
            ]
            statuses = {(span.attributes or {}).get("http.status_code") for span in spans}
            assert statuses >= {401, 200}
            assert not [span for span in spans if WEB_KEY in span.to_json()]
        """,
    )
    project.add_imports(
        "tests/test_owner_opentelemetry.py",
        "from opentelemetry import trace",
        "from opentelemetry.sdk.trace import TracerProvider",
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor",
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter",
    )


@edit()
def sentry(project: Project) -> None:
    """Errors of endpoints are reported; refusals are not errors."""
    main = "src/my_service/main.py"
    project.replace(main, "\nsettings =", "\nsentry_sdk.init()  # reads SENTRY_DSN\nsettings =")
    project.add_imports(main, "import sentry_sdk")
    project.add_test(
        "sentry",
        """
        class Captured(Transport):
            def __init__(self) -> None:
                super().__init__()
                self.events: list[Any] = []

            def capture_envelope(self, envelope: Envelope) -> None:
                if event := envelope.get_event():
                    self.events.append(event)


        async def test_errors_are_reported() -> None:
            captured = Captured()
            sentry_sdk.init("https://public@errors.example.com/1", transport=captured)
            app = make_app()

            @app.get("/_tests/bug", dependencies=[Security(get_api_key)])
            async def bug() -> None:
                raise RuntimeError

            app.router.routes.insert(0, app.router.routes.pop())
            client = TestClient(app, base_url=base_url(app), raise_server_exceptions=False)
            assert client.get("/_tests/bug").status_code == 401
            assert client.get("/_tests/bug", **KEY).status_code == 500
            sentry_sdk.flush()
            [event] = captured.events
            assert event["transaction"].endswith("bug")
        """,
    )
    project.add_imports(
        "tests/test_owner_sentry.py",
        "import sentry_sdk",
        "from sentry_sdk.envelope import Envelope",
        "from sentry_sdk.transport import Transport",
        "from my_service import main  # noqa: F401 - it starts Sentry, for all tests",
    )


def _format_problems(project: Project, error: str, *imports: str) -> None:
    project.write(
        "src/my_service/problems.py",
        '''
        """Errors as RFC 9457 has them."""

        from fastapi import Request
        from fastapi.responses import JSONResponse
        from starlette.exceptions import HTTPException


        async def format_problem(request: Request, error: Exception) -> JSONResponse:
            """Return an error as a problem."""
            assert isinstance(error, HTTPException)  # noqa: S101
            problem = {"title": error.detail, "status": error.status_code}
            media_type = "application/problem+json"
            return JSONResponse(problem, error.status_code, error.headers, media_type)
        ''',
    )
    project.add_to_app(
        f"app.add_exception_handler({error}, format_problem)",
        "from .problems import format_problem",
        *imports,
    )
    project.add_test(
        "problems",
        """
        async def test_refusals_are_problems(client: httpx2.AsyncClient) -> None:
            response = await client.get("/_tests/whoami")
            assert response.headers["Content-Type"] == "application/problem+json"
            assert response.headers["WWW-Authenticate"]
            assert response.headers["Cache-Control"] == "no-store"
            assert response.json()["status"] == 401


        async def test_a_keyless_body_is_not_read(app: FastAPI) -> None:
            response = await call_asgi(app, "/_tests/notes", method="POST", endless=True)
            assert (response.status, response.receives) == (401, 0)
        """,
    )


@edit()
def starlette_problems(project: Project) -> None:
    """A handler of Starlette's HTTPException formats refusals too, which stay early."""
    _format_problems(
        project,
        "StarletteHTTPException",
        "from starlette.exceptions import HTTPException as StarletteHTTPException",
    )


@edit()
def fastapi_problems(project: Project) -> None:
    """A handler of FastAPI's HTTPException formats refusals too, which stay early."""
    _format_problems(project, "HTTPException", "from fastapi import HTTPException")


@edit()
def problems_of_401(project: Project) -> None:
    """A handler of the status 401 formats refusals too, which stay early."""
    _format_problems(project, "401")


@edit()
def handler_of_errors(project: Project) -> None:
    """Handlers of an exception of the owner, and of every other one, work as FastAPI has them."""
    project.write(
        "src/my_service/errors.py",
        '''
        """Errors of the owner."""

        from fastapi import Request
        from fastapi.responses import JSONResponse


        class OutOfStockError(Exception):
            """Everything that was ordered is sold out."""


        async def say_out_of_stock(request: Request, error: Exception) -> JSONResponse:
            """Say that everything is sold out."""
            return JSONResponse({"detail": "Out of stock"}, 409)


        async def say_sorry(request: Request, error: Exception) -> JSONResponse:
            """Say that it is a bug."""
            return JSONResponse({"detail": "Sorry"}, 500)
        ''',
    )
    project.add_to_app(
        """
        app.add_exception_handler(OutOfStockError, say_out_of_stock)
        app.add_exception_handler(Exception, say_sorry)
        """,
        "from .errors import OutOfStockError, say_out_of_stock, say_sorry",
    )
    project.add_routes(
        "stock",
        '''
        """Orders that fail."""

        from fastapi import APIRouter, Security

        from ..auth import get_api_key
        from ..errors import OutOfStockError

        router = APIRouter(prefix="/stock", dependencies=[Security(get_api_key)])


        @router.get("/empty")
        async def empty() -> None:
            """Fail as expected."""
            raise OutOfStockError


        @router.get("/bug")
        async def bug() -> None:
            """Fail."""
            raise RuntimeError
        ''',
    )
    project.add_test(
        "handler_of_errors",
        """
        async def test_handlers_handle_their_errors(client: httpx2.AsyncClient) -> None:
            for path, status in (("/stock/empty", 409), ("/stock/bug", 500)):
                assert (await client.get(path)).status_code == 401
                response = await client.get(path, **KEY)
                assert response.status_code == status
                assert response.headers["Cache-Control"] == "no-store"
        """,
    )
