"""Endpoints of the owner, and what they require."""

from support.edits.project import Project, edit


@edit()
def crud_router(project: Project) -> None:
    """A resource, protected by its router: each operation needs a key and says so."""
    project.add_routes(
        "parcels",
        '''
        """Parcels, kept in memory."""

        from fastapi import APIRouter, HTTPException, Security
        from pydantic import BaseModel

        from ..auth import get_api_key

        router = APIRouter(prefix="/parcels", dependencies=[Security(get_api_key)])


        class Parcel(BaseModel):
            """A parcel."""

            id: int
            address: str


        parcels: dict[int, Parcel] = {}


        @router.put("/{number}", status_code=201)
        async def put(number: int, parcel: Parcel) -> Parcel:
            """Store a parcel."""
            parcels[number] = parcel
            return parcel


        @router.get("/{number}")
        async def get(number: int) -> Parcel:
            """Return a parcel."""
            if number not in parcels:
                raise HTTPException(404, "There is no such parcel")
            return parcels[number]


        @router.delete("/{number}", status_code=204)
        async def delete(number: int) -> None:
            """Forget a parcel."""
            parcels.pop(number, None)
        ''',
    )
    project.add_test(
        "crud_router",
        """
        async def test_parcels_are_stored_for_keys_only(client: httpx2.AsyncClient) -> None:
            parcel = {"id": 7, "address": "Main Street"}
            assert (await client.put("/parcels/7", json=parcel)).status_code == 401
            assert (await client.put("/parcels/7", json=parcel, **KEY)).status_code == 201
            assert (await client.get("/parcels/7", **KEY)).json() == parcel
            assert (await client.delete("/parcels/7", **KEY)).status_code == 204
            assert (await client.get("/parcels/7", **KEY)).status_code == 404
            assert (await client.get("/parcels/x", **KEY)).status_code == 422
            assert (await client.get("/parcels/x")).status_code == 401


        def test_the_document_says_so(app: FastAPI) -> None:
            schemes: Any = [{location.scheme.scheme_name: []} for location in LOCATIONS]
            for operation in app.openapi()["paths"]["/parcels/{number}"].values():
                assert operation["security"] == schemes
                assert "401" in operation["responses"]
        """,
    )


@edit()
def upload(project: Project) -> None:
    """An upload with a larger limit of its own takes large files, and reads none without a key."""
    project.add_routes(
        "files",
        '''
        """Uploads."""

        from fastapi import APIRouter, Security, UploadFile

        from ..auth import get_api_key

        router = APIRouter(prefix="/files", dependencies=[Security(get_api_key)])


        @router.post("/large", max_body_size=4_000_000)
        async def upload_large(file: UploadFile) -> int | None:
            """Take a file, and return its size."""
            return file.size


        @router.post("/small")
        async def upload_small(file: UploadFile) -> int | None:
            """Take a file, and return its size."""
            return file.size
        ''',
    )
    project.add_test(
        "upload",
        """
        async def test_an_upload_has_its_own_limit(client: httpx2.AsyncClient) -> None:
            statuses = []
            for path, size in (("large", 3_000_000), ("large", 5_000_000), ("small", 3_000_000)):
                content = {"file": b"x" * size}
                response = await client.post(f"/files/{path}", files=content, **KEY)
                statuses.append(response.status_code)
            assert statuses == [200, 413, 413]


        async def test_a_keyless_upload_is_not_read(app: FastAPI) -> None:
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            for path in ("/files/large", "/files/small"):
                response = await call_asgi(
                    app, path, method="POST", endless=True, headers=headers
                )
                assert (response.status, response.receives) == (401, 0)
        """,
    )


@edit()
def streams(project: Project) -> None:
    """Server-sent events and streamed responses arrive whole, and need a key."""
    project.add_routes(
        "streams",
        '''
        """Streams."""

        from collections.abc import AsyncIterator

        from fastapi import APIRouter
        from fastapi.responses import StreamingResponse
        from fastapi.sse import EventSourceResponse, ServerSentEvent

        from ..auth import CurrentConsumer

        router = APIRouter(prefix="/streams")


        @router.get("/events", response_class=EventSourceResponse)
        async def events(consumer: CurrentConsumer) -> AsyncIterator[ServerSentEvent]:
            """Send events."""
            for number in range(3):
                yield ServerSentEvent(data=f"{consumer.name} {number}", event="tick")


        @router.post("/lines")
        async def lines(consumer: CurrentConsumer) -> StreamingResponse:
            """Send lines, and never read the body of the request."""

            async def send() -> AsyncIterator[str]:
                for number in range(10):
                    yield f"{consumer.name} {number}\\n"

            return StreamingResponse(send())
        ''',
    )
    project.add_test(
        "streams",
        """
        async def test_events_arrive(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/streams/events")).status_code == 401
            response = await client.get("/streams/events", **KEY)
            assert response.headers["Content-Type"].startswith("text/event-stream")
            assert response.text.count("event: tick") == 3


        async def test_a_stream_is_whole_or_refused(client: httpx2.AsyncClient) -> None:
            for size, statuses in ((10, {200}), (3_000_000, {200, 413})):
                response = await client.post("/streams/lines", content=b"x" * size, **KEY)
                assert response.status_code in statuses
                if response.status_code == 200:
                    assert len(response.text.splitlines()) == 10
        """,
    )


@edit()
def background_tasks(project: Project) -> None:
    """Tasks run after the response, and know in their log lines whose request it was."""
    project.add_routes(
        "reports",
        '''
        """Reports, made in the background."""

        import logging

        from fastapi import APIRouter, BackgroundTasks

        from ..auth import CurrentConsumer

        logger = logging.getLogger(__name__)
        router = APIRouter(prefix="/reports")


        def make_report(consumer: str) -> None:
            """Make a report."""
            logger.warning("report is made", extra={"order_id": 7, "for_whom": consumer})


        @router.post("", status_code=202)
        async def order(tasks: BackgroundTasks, consumer: CurrentConsumer) -> None:
            """Order a report."""
            tasks.add_task(make_report, consumer.name)
        ''',
    )
    project.add_test(
        "background_tasks",
        """
        async def test_a_report_is_made(
            client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
        ) -> None:
            assert (await client.post("/reports", **KEY)).status_code == 202
            [record] = [each for each in caplog.records if each.name.endswith("reports")]
            assert getattr(record, "order_id") == 7  # noqa: B009
        """,
    )


@edit()
def logger_extra(project: Project) -> None:
    """What is logged as `extra` is in the line, in production and in development."""
    project.add_test(
        "logger_extra",
        """
        def test_extra_fields_are_in_the_line() -> None:
            record = logging.makeLogRecord({"msg": "shipped", "order_id": 7})
            assert json.loads(RedactingJSONFormatter().format(record))["order_id"] == 7
            assert "order_id=7" in RedactingFormatter().format(record)
        """,
    )
    project.add_imports(
        "tests/test_owner_logger_extra.py",
        "from my_service.logs import RedactingFormatter, RedactingJSONFormatter",
    )


@edit()
def other_schemes(project: Project) -> None:
    """Endpoints with another security scheme work and are documented beside the keys."""
    project.add_routes(
        "partners_only",
        '''
        """Endpoints with credentials of their own."""

        from typing import Annotated

        from fastapi import APIRouter, Depends
        from fastapi.security import (
            APIKeyHeader,
            HTTPAuthorizationCredentials,
            HTTPBasic,
            HTTPBasicCredentials,
            HTTPBearer,
        )

        router = APIRouter(prefix="/partners-only")


        @router.get("/basic")
        async def basic(user: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> str:
            """Return the name of the user."""
            return user.username


        @router.get("/token")
        async def token(
            sent: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
        ) -> str:
            """Return the token."""
            return sent.credentials


        @router.post("/webhook")
        async def webhook(
            signature: Annotated[str, Depends(APIKeyHeader(name="X-Signature"))],
        ) -> str:
            """Return the signature."""
            return signature
        ''',
        public=True,
    )
    project.add_test(
        "other_schemes",
        """
        async def test_other_schemes_work(client: httpx2.AsyncClient) -> None:
            for method, path, header in (
                ("GET", "basic", {"Authorization": "Basic YWRhOnNlY3JldA=="}),
                ("GET", "token", {"Authorization": "Bearer token"}),
                ("POST", "webhook", {"X-Signature": "abc"}),
            ):
                path = f"/partners-only/{path}"
                assert (await client.request(method, path)).status_code in (401, 403)
                assert (await client.request(method, path, headers=header)).status_code == 200


        def test_the_document_names_each_scheme(app: FastAPI) -> None:
            document = app.openapi()
            ours = {location.scheme.scheme_name for location in LOCATIONS}
            others = {"HTTPBasic", "HTTPBearer", "APIKeyHeader"}
            assert document["components"]["securitySchemes"].keys() >= ours | others
            path = document["paths"]["/partners-only/webhook"]["post"]
            assert path["security"] == [{"APIKeyHeader": []}]
        """,
    )


@edit()
def public_endpoints(project: Project) -> None:
    """What is made public needs no key: an operation with a parameter, and a whole router."""
    project.add_routes(
        "tracking",
        '''
        """Where a parcel is: a public page, and a private note."""

        from fastapi import APIRouter

        from ..auth import CurrentConsumer, OptionalConsumer

        router = APIRouter(prefix="/tracking")


        @router.get("/{number}")
        async def track(number: int, consumer: OptionalConsumer) -> str:
            """Return where a parcel is; consumers are told more."""
            return f"{number}: {consumer.name if consumer else 'on its way'}"


        @router.get("/{number}/note")
        async def note(number: int, consumer: CurrentConsumer) -> str:
            """Return the note of a parcel."""
            return consumer.name
        ''',
    )
    project.make_public('"GET /tracking/{number}"')
    project.add_routes(
        "news",
        '''
        """Public news."""

        from fastapi import APIRouter

        router = APIRouter(prefix="/news")


        @router.get("")
        async def news() -> list[str]:
            """Return the news."""
            return []


        @router.post("/{number}/like")
        async def like(number: int) -> int:
            """Like one."""
            return number
        ''',
        public=True,
    )
    project.expect_public("GET /tracking/{number}", "GET /news", "POST /news/{number}/like")
    project.add_test(
        "public_endpoints",
        """
        async def test_public_endpoints_need_no_key(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/tracking/7")).json() == "7: on its way"
            assert (await client.head("/tracking/7")).status_code == 200
            assert (await client.get("/tracking/7", **KEY)).json() == "7: web"
            assert (await client.get("/news")).status_code == 200
            assert (await client.post("/news/7/like")).json() == 7


        async def test_their_neighbours_need_one(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/tracking/7/note")).status_code == 401
            assert (await client.get("/tracking/7/note", **KEY)).json() == "web"


        def test_the_document_says_so(app: FastAPI) -> None:
            paths = app.openapi()["paths"]
            assert paths["/news"]["get"].get("security", []) == []
            assert {} in paths["/tracking/{number}"]["get"]["security"]
            assert paths["/tracking/{number}/note"]["get"]["security"]
        """,
    )


@edit()
def new_scope(project: Project) -> None:
    """A scope of the owner's: keys without it get 403, and the document names it."""
    project.add_routes(
        "invoices",
        '''
        """Invoices."""

        from typing import Annotated

        from fastapi import APIRouter, Security

        from ..auth import Consumer, get_api_key

        router = APIRouter(prefix="/invoices")
        Billing = Annotated[Consumer, Security(get_api_key, scopes=["billing:read"])]


        @router.get("")
        async def invoices(consumer: Billing) -> str:
            """Return the consumer."""
            return consumer.name
        ''',
    )
    project.add_test(
        "new_scope",
        """
        async def test_the_scope_is_required() -> None:
            entry = make_entry(UNKNOWN_KEY, consumer="billing", scopes=["billing:read"])
            app = make_app(api_keys=(*ENTRIES, entry))
            client = TestClient(app, base_url=base_url(app))
            assert client.get("/invoices").status_code == 401
            refused = client.get("/invoices", **KEY)
            assert (refused.status_code, "billing:read" in refused.text) == (403, True)
            response = client.get("/invoices", **with_key(LOCATIONS[0], UNKNOWN_KEY))
            assert response.json() == "billing"


        def test_the_document_names_the_scope(app: FastAPI) -> None:
            operation = app.openapi()["paths"]["/invoices"]["get"]
            assert operation["security"][0].popitem()[1] == ["billing:read"]
            assert "403" in operation["responses"]
        """,
    )


@edit()
def routes_of_every_kind(project: Project) -> None:
    """However a route is declared, it needs a key if one of its dependencies asks for one."""
    project.write(
        "src/my_service/customs.py",
        '''
        """Customs: routes that are declared in other ways than by a decorator."""

        from collections.abc import Callable, Coroutine
        from typing import Annotated, Any

        from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
        from fastapi.responses import PlainTextResponse
        from fastapi.routing import APIRoute

        from .auth import CurrentConsumer, get_api_key


        class StampedRoute(APIRoute):
            """A route that stamps its responses."""

            def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
                """Return the handler of FastAPI within one that adds a header."""
                handle = super().get_route_handler()

                async def stamp(request: Request) -> Response:
                    response = await handle(request)
                    response.headers["X-Stamp"] = "customs"
                    return response

                return stamp


        class Officer:
            """A dependency that is a class."""

            def __init__(self, consumer: CurrentConsumer) -> None:
                self.name = consumer.name


        def get_chief(officer: Annotated[Officer, Depends()]) -> str:
            """Return the name of a consumer who has the scope that the endpoint requires."""
            return officer.name


        def declare(parcel: dict[str, str], officer: Annotated[Officer, Depends()]) -> str:
            """Declare a parcel."""
            return officer.name


        def clear(chief: Annotated[str, Security(get_chief, scopes=["admin"])]) -> str:
            """Clear a parcel."""
            return chief


        async def hours(request: Request) -> Response:
            """Return the hours (Starlette)."""
            return PlainTextResponse("9 to 5")


        stamped = APIRouter(route_class=StampedRoute, dependencies=[Depends(get_api_key)])


        @stamped.post("/stamps")
        async def stamps(parcel: dict[str, str]) -> int:
            """Return how many fields are stamped."""
            return len(parcel)


        def add_customs(app: FastAPI) -> None:
            """Add the routes of customs to an application."""
            app.add_api_route("/customs/declare", declare, methods=["POST"])
            app.router.add_api_route("/customs/clear", clear, methods=["POST"])
            app.add_route("/customs/hours", hours)
            for prefix in ("/customs/air", "/customs/sea"):
                app.include_router(stamped, prefix=prefix)
        ''',
    )
    project.add_to_app("add_customs(app)", "from .customs import add_customs")
    project.expect_public("GET /customs/hours", "HEAD /customs/hours")
    project.add_test(
        "routes_of_every_kind",
        f"""
        NEED_A_KEY = ("declare", "clear", "air/stamps", "sea/stamps")


        @pytest.mark.parametrize("path", NEED_A_KEY)
        async def test_a_keyless_body_is_not_read(app: FastAPI, path: str) -> None:
            response = await call_asgi(app, f"/customs/{{path}}", method="POST", endless=True)
            assert (response.status, response.receives) == (401, 0)


        @pytest.mark.parametrize("path", NEED_A_KEY)
        async def test_a_key_opens_them(client: httpx2.AsyncClient, path: str) -> None:
            response = await client.post(f"/customs/{{path}}", json={{"to": "sea"}}, **ADMIN)
            assert response.status_code == 200
            assert ("X-Stamp" in response.headers) == path.endswith("stamps")


        async def test_the_scope_of_a_dependency_is_required(client: httpx2.AsyncClient) -> None:
            assert (await client.post("/customs/clear", **KEY)).status_code == 403


        async def test_others_are_like_everything_else(client: httpx2.AsyncClient) -> None:
            assert (await client.get("/customs/hours")).status_code == {project.keyless}
            assert (await client.get("/customs/hours", **KEY)).text == "9 to 5"


        def test_the_document_says_so(app: FastAPI) -> None:
            paths = app.openapi()["paths"]
            for path in NEED_A_KEY:
                assert paths[f"/customs/{{path}}"]["post"]["security"]
            [scopes] = paths["/customs/clear"]["post"]["security"][0].values()
            assert scopes == ["admin"]
        """,
    )
