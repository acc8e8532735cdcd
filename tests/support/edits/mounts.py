"""What owners mount: files, a single-page application, other applications."""

from support.edits.project import Project, edit

LAST_USE = """
def count_used(url: str) -> int:
    with make_engine(parse_url(url)).connect() as connection:
        query = text("SELECT count(*) FROM api_keys WHERE last_used IS NOT NULL")
        return int(connection.execute(query).scalar_one())


def test_last_use_is_saved_although_no_lifespan_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SAVE_SECONDS", 0.01)
    url = make_database()
    service = make_app(database_url=url)
    outer = FastAPI()
    outer.mount("/api", service)
    with TestClient(outer, base_url=base_url(service)) as client:
        assert client.get("/api/_tests/whoami", **KEY).status_code == 200
        for _ in range(500):
            if count_used(url):
                break
            time.sleep(0.02)
    assert count_used(url) == 1
"""


@edit()
def static_files(project: Project) -> None:
    """Files at /static need a key where everything does, and are public otherwise."""
    project.write("src/my_service/static/app.css", "body { color: teal }\n")
    project.add_to_app(
        'app.mount("/static", StaticFiles(directory=STATIC), name="static")',
        "from fastapi.staticfiles import StaticFiles",
        "from pathlib import Path",
    )
    project.replace(
        "src/my_service/app.py",
        "\n\ndef create_app",
        '\n\nSTATIC = Path(__file__).with_name("static")\n\n\ndef create_app',
    )
    project.expect_public("GET /static")
    project.add_test(
        "static_files",
        f"""
        async def test_files_are_served(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/static/app.css")).status_code == {project.keyless}
            assert "teal" in (await client.get("/static/app.css", **KEY)).text
            assert (await client.head("/static/app.css", **KEY)).status_code == 200
        """,
    )


@edit()
def single_page_application(project: Project) -> None:
    """A front end at / takes what no route takes, and neither a route nor a refusal."""
    project.write("src/my_service/page/index.html", "<!doctype html><title>Parcels</title>\n")
    project.add_to_app(
        """
        page = Path(__file__).with_name("page")
        app.mount("/", StaticFiles(directory=page, html=True), name="page")
        """,
        "from fastapi.staticfiles import StaticFiles",
        "from pathlib import Path",
    )
    project.replace("src/my_service/app.py", "    app.include_router(about.router)\n", "")
    (project.folder / "src/my_service/routes/about.py").unlink()
    (project.folder / "tests/test_examples.py").unlink(missing_ok=True)
    project.expect_public("GET /")
    project.add_test(
        "single_page_application",
        f"""
        async def test_the_page_is_at_the_root(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/")).status_code == {project.keyless}
            assert "Parcels" in (await client.get("/", **KEY)).text
            assert (await client.get("/nothing.js", **KEY)).status_code == 404
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/users/me")).status_code == 401
        """,
    )


@edit()
def sub_application(project: Project) -> None:
    """Endpoints of a mounted FastAPI application are protected early, and its document says so."""
    project.write(
        "src/my_service/partners.py",
        '''
        """The API for partners, with a document of its own."""

        from typing import Annotated

        from fastapi import FastAPI, Form

        from .auth import CurrentConsumer

        app = FastAPI(title="Partners")


        @app.post("/orders")
        async def order(consumer: CurrentConsumer, parcel: Annotated[str, Form()]) -> str:
            """Order a parcel."""
            return f"{consumer.name}: {parcel}"


        @app.get("/prices")
        async def prices() -> dict[str, int]:
            """Return the prices."""
            return {"parcel": 5}
        ''',
    )
    project.add_to_app('app.mount("/partners", partners.app)', "from . import partners")
    project.expect_public("GET /partners")
    project.add_test(
        "sub_application",
        f"""
        FORM = {{"Content-Type": "multipart/form-data"}}


        async def test_a_form_needs_a_key_first(client: httpx2.AsyncClient) -> None:
            response = await client.post("/partners/orders", headers=FORM)
            assert response.status_code == 401
            response = await client.post("/partners/orders", data={{"parcel": "red"}}, **KEY)
            assert response.json() == "web: red"
            assert response.headers["Cache-Control"] == "no-store"


        async def test_a_keyless_body_is_not_read(app: FastAPI) -> None:
            response = await call_asgi(
                app, "/partners/orders", method="POST", endless=True, headers=FORM
            )
            assert (response.status, response.receives) == (401, 0)


        async def test_prices_are_protected_like_the_rest(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/partners/prices")).status_code == {project.keyless}
            assert (await client.get("/partners/prices", **KEY)).status_code == 200


        async def test_its_document_names_the_schemes(client: httpx2.AsyncClient) -> None:
            document = (await client.get("/partners/openapi.json", **KEY)).json()
            schemes = {{location.scheme.scheme_name for location in LOCATIONS}}
            assert document["components"]["securitySchemes"].keys() == schemes
            responses = document["paths"]["/orders"]["post"]["responses"]
            assert "401" in responses
        """,
    )


@edit()
def sub_application_that_requires_a_key(project: Project) -> None:
    """A mounted application may say in its constructor that everything in it needs a key."""
    project.write(
        "src/my_service/internal.py",
        '''
        """The API for our own tools."""

        from fastapi import FastAPI, Security

        from .auth import get_api_key

        app = FastAPI(title="Internal", dependencies=[Security(get_api_key, scopes=["admin"])])


        @app.put("/flags")
        async def set_flags(flags: dict[str, bool]) -> int:
            """Set flags, and return how many."""
            return len(flags)
        ''',
    )
    project.add_to_app('app.mount("/internal", internal.app)', "from . import internal")
    project.expect_public("GET /internal")
    project.add_test(
        "sub_application_that_requires_a_key",
        """
        async def test_it_needs_a_key_with_the_scope(client: httpx2.AsyncClient) -> None:
            for key, status in (({}, 401), (KEY, 403), (ADMIN, 200)):
                response = await client.put("/internal/flags", json={"a": True}, **key)
                assert response.status_code == status


        async def test_a_keyless_body_is_not_read(app: FastAPI) -> None:
            response = await call_asgi(app, "/internal/flags", method="PUT", endless=True)
            assert (response.status, response.receives) == (401, 0)
        """,
    )


@edit()
def versions(project: Project) -> None:
    """Each version of the API is an application with a document and WebSockets of its own."""
    project.write(
        "src/my_service/versions.py",
        '''
        """The versions of the API."""

        from fastapi import APIRouter, FastAPI, WebSocket

        from .auth import CurrentConsumer

        router = APIRouter(tags=["labels"])


        @router.get("/labels/{number}")
        async def label(number: int, consumer: CurrentConsumer) -> str:
            """Return the text of a label."""
            return f"{number} for {consumer.name}"


        @router.websocket("/scans")
        async def scans(websocket: WebSocket, consumer: CurrentConsumer) -> None:
            """Open, and close."""
            await websocket.accept()
            await websocket.close()


        def make_version(version: str) -> FastAPI:
            """Return a version of the API."""
            app = FastAPI(title="Labels", version=version)
            app.include_router(router)
            return app
        ''',
    )
    project.add_to_app(
        """
        app.mount("/v1", make_version("1"))
        app.mount("/v2", make_version("2"))
        """,
        "from .versions import make_version",
    )
    project.expect_public("GET /v1", "GET /v2")
    project.add_test(
        "versions",
        """
        async def test_each_version_needs_a_key(
            app: FastAPI, client: httpx2.AsyncClient
        ) -> None:
            for version in ("/v1", "/v2"):
                assert (await client.get(f"{version}/labels/7")).status_code == 401
                assert (await client.get(f"{version}/labels/7", **KEY)).json() == "7 for web"
                refused = await call_asgi(app, f"{version}/scans", websocket=True)
                assert (refused.status, refused.receives) == (401, 0)
                document = (await client.get(f"{version}/openapi.json", **KEY)).json()
                assert document["paths"]["/labels/{number}"]["get"]["security"]
                assert document["info"]["version"] == version.removeprefix("/v")
        """,
    )


@edit()
def refusing_websocket(project: Project) -> None:
    """A WebSocket that the endpoint itself refuses is refused, with a key and without."""
    project.add_routes(
        "chat",
        '''
        """A chat."""

        from fastapi import APIRouter, WebSocket, WebSocketException

        from ..auth import CurrentConsumer

        router = APIRouter()


        @router.websocket("/chat/closed")
        async def closed(websocket: WebSocket) -> None:
            """Refuse everybody."""
            raise WebSocketException(code=1008, reason="The chat is closed")


        @router.websocket("/chat/{room}")
        async def chat(websocket: WebSocket, room: str, consumer: CurrentConsumer) -> None:
            """Greet, and repeat what is said."""
            await websocket.accept()
            await websocket.send_text(f"{consumer.name} in {room}")
            await websocket.send_text(await websocket.receive_text())
            await websocket.close()
        ''',
    )
    project.expect_public("GET /chat/closed")
    project.add_test(
        "refusing_websocket",
        """
        async def test_a_websocket_needs_a_key(app: FastAPI) -> None:
            response = await call_asgi(app, "/chat/red", websocket=True)
            assert (response.status, response.receives) == (401, 0)


        async def test_a_closed_chat_refuses_a_key_too(app: FastAPI) -> None:
            response = await call_asgi(app, "/chat/closed", websocket=True, **to_asgi(KEY))
            assert response.status in (None, 403)


        def test_a_websocket_is_open_with_a_key(app: FastAPI) -> None:
            client = TestClient(app, base_url=base_url(app))
            url = base_url(app).replace("https", "wss") + "/chat/red"
            request = with_key(LOCATIONS[0], WEB_KEY)
            request["headers"] = dict(request.get("headers", {}))
            with client.websocket_connect(url, **request) as websocket:
                assert websocket.receive_text() == "web in red"
                websocket.send_text("hello")
                assert websocket.receive_text() == "hello"
        """,
    )


@edit()
def wsgi_application(project: Project) -> None:
    """An old WSGI application can be mounted, and needs a key where everything does."""
    project.write(
        "src/my_service/legacy.py",
        '''
        """The old application."""

        from collections.abc import Iterable

        from a2wsgi.wsgi_typing import Environ, StartResponse


        def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            """Respond to every request (WSGI)."""
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [environ["REQUEST_METHOD"].encode()]
        ''',
    )
    project.add_to_app(
        """
        old: Any = WSGIMiddleware(legacy.application)
        app.mount("/legacy", old)
        """,
        "from typing import Any",
        "from a2wsgi import WSGIMiddleware",
        "from . import legacy",
    )
    project.expect_public("GET /legacy")
    project.add_test(
        "wsgi_application",
        f"""
        async def test_the_old_application_works(client: httpx2.AsyncClient) -> None:
            assert (await client.post("/legacy/x")).status_code == {project.keyless}
            response = await client.post("/legacy/x", content=b"x", **KEY)
            assert response.text == "POST"
        """,
    )


@edit()
def graphql(project: Project) -> None:
    """A GraphQL router of Strawberry needs a key, and resolvers know the consumer."""
    project.write(
        "src/my_service/graphql.py",
        '''
        """GraphQL."""

        import strawberry
        from fastapi import Security
        from strawberry.fastapi import GraphQLRouter
        from strawberry.types import Info

        from .auth import get_api_key


        @strawberry.type
        class Query:
            """What can be asked."""

            @strawberry.field
            def consumer(self, info: Info) -> str:
                """The consumer who asks."""
                return str(info.context["request"].state.consumer.name)


        router: GraphQLRouter[None, None] = GraphQLRouter(
            strawberry.Schema(Query), prefix="/graphql", dependencies=[Security(get_api_key)]
        )
        ''',
    )
    project.add_to_app("app.include_router(graphql.router)", "from . import graphql")
    project.add_test(
        "graphql",
        """
        async def test_a_query_knows_the_consumer(client: httpx2.AsyncClient) -> None:
            query = {"query": "{ consumer }"}
            assert (await client.post("/graphql", json=query)).status_code == 401
            response = await client.post("/graphql", json=query, **KEY)
            assert response.json() == {"data": {"consumer": "web"}}
        """,
    )


@edit()
def bigger_application(project: Project) -> None:
    """Mounted in a bigger application, the service works or says loudly what it misses."""
    project.add_test(
        "bigger_application",
        """
        def test_the_service_works_inside_another_application() -> None:
            service = make_app()
            outer = FastAPI()
            outer.mount("/api", service)
            client = TestClient(outer, base_url=base_url(service))
            assert client.get("/api/_tests/whoami").status_code == 401
            response = client.get("/api/_tests/whoami", **KEY)
            assert response.json()["consumer"] == "web"
            assert client.get("/api/health/live").status_code == 200
            assert client.get("/api/health/ready").status_code == 200
        """,
    )
    if project.answers["key_store"] == "database":
        project.add_test("last_use", LAST_USE)
        project.add_imports(
            "tests/test_owner_last_use.py",
            "import time",
            "from sqlalchemy import text",
            "from my_service.auth import cache",
            "from my_service.auth.database import make_engine, parse_url",
            "from .helpers import make_database",
        )
