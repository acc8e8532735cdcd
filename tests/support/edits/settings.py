"""Settings, names and the application's own description."""

from support.edits.project import Project, edit

SETTINGS = "src/my_service/settings.py"
LOCATIONS = "src/my_service/auth/locations.py"
ROW = "| `{}` | `{}` | {} |"
QUERY_LOCATION = '''
class QueryLocation(Location):
    """A query parameter."""

    name = "query"

    def __init__(self, parameter: str) -> None:
        self.parameter = parameter
        self.scheme = APIKeyQuery(
            name=parameter, scheme_name="ServiceKeyQuery", description=DESCRIPTION
        )

    def take(self, scope: Scope) -> list[str]:
        """Remove each parameter with this name, and return their values."""
        if not scope["query_string"]:
            return []
        kept, sent = [], []
        for field in scope["query_string"].decode("latin-1").split("&"):
            name, _, value = field.partition("=")
            if unquote_plus(name) == self.parameter:
                sent.append(unquote_plus(value))
            else:
                kept.append(field)
        if sent:
            scope["query_string"] = "&".join(kept).encode("latin-1")
        return sent
'''

LIFESPAN = '''

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Keep the prices while the service runs."""
    async with database_lifespan(app):
        yield {"prices": [5, 7]}
'''


def declare_setting(project: Project) -> None:
    """Add a setting to the code, and to no page about settings."""
    project.add_setting(
        '''
        price_per_parcel: int = Field(default=5, ge=0)
        """The price of a parcel, in cents."""
        '''
    )


def describe_setting(project: Project) -> None:
    """Add the setting to the pages about settings."""
    lines = "\n# The price of a parcel, in cents.\n# PRICE_PER_PARCEL=5\n"
    project.write(".env.example", project.read(".env.example") + lines)
    [row] = [line for line in project.read("README.md").splitlines() if "| `ROOT_PATH`" in line]
    mine = "| `PRICE_PER_PARCEL` | `5` | the price of a parcel, in cents |"
    project.replace("README.md", row, f"{row}\n{mine}")


@edit()
def new_setting(project: Project) -> None:
    """A setting is a field, a line of `.env.example` and a row of the README; endpoints use it."""
    declare_setting(project)
    describe_setting(project)
    project.add_routes(
        "prices",
        '''
        """Prices."""

        from fastapi import APIRouter

        from ..auth import CurrentConsumer
        from ..settings import SettingsDep

        router = APIRouter(prefix="/prices")


        @router.get("")
        async def price(settings: SettingsDep, consumer: CurrentConsumer) -> int:
            """Return the price of a parcel."""
            return settings.price_per_parcel
        ''',
    )
    project.add_test(
        "new_setting",
        """
        def test_endpoints_use_the_setting() -> None:
            app = make_app(price_per_parcel=7)
            client = TestClient(app, base_url=base_url(app))
            assert client.get("/prices", **KEY).json() == 7
        """,
    )


@edit()
def settings_of_other_types(project: Project) -> None:
    """A list, a secret, a duration and an alias are documented as they are read."""
    project.add_imports(
        SETTINGS, "from datetime import timedelta", "from pydantic import SecretStr"
    )
    project.add_setting(
        '''
        carriers: list[str] = ["red", "blue"]
        """Who carries parcels."""
        token: SecretStr = SecretStr("none")
        """What carriers ask for."""
        patience: timedelta = timedelta(seconds=30)
        """How long to wait for carriers."""
        bucket: str = Field(default="labels", validation_alias="S3_BUCKET")
        """Where labels are stored."""
        '''
    )
    defaults = {
        "CARRIERS": '["red", "blue"]',
        "TOKEN": "none",
        "PATIENCE": "PT30S",
        "S3_BUCKET": "labels",
    }
    lines = [f"# {name}={value}" for name, value in defaults.items()]
    rows = [f"| `{name}` | `{value}` | for labels |" for name, value in defaults.items()]
    project.write(".env.example", "\n\n".join([project.read(".env.example").rstrip(), *lines, ""]))
    [row] = [line for line in project.read("README.md").splitlines() if "| `ROOT_PATH`" in line]
    project.replace("README.md", row, "\n".join([row, *rows]))


@edit()
def renamed_program(project: Project) -> None:
    """The program gets another name where it is installed, and messages name it."""
    project.replace("pyproject.toml", "\nmy-service = ", "\nparcels = ")
    project.replace("src/my_service/auth/keys.py", 'PROGRAM = "my-service"', 'PROGRAM = "parcels"')


@edit()
def own_field_in_each_line(project: Project) -> None:
    """Each line of the log has a field of the owner, and there is no access log."""
    file = "src/my_service/logs.py"
    old = "fields = _extra_fields(record) | _request_fields()\n"
    project.replace(file, old, f'{old.rstrip()} | {{"region": "eu"}}\n')
    old = "    install_redaction()\n"
    project.replace(file, old, f'{old}    logging.getLogger("uvicorn.access").disabled = True\n')


@edit()
def required_setting(project: Project) -> None:
    """A setting without a default has one value for all tests, and is named where it is missing."""
    project.add_setting(
        '''
        payment_url: str
        """Where payments go."""
        '''
    )
    lines = "\n# Where payments go.\n# PAYMENT_URL=https://pay.example.com\n"
    project.write(".env.example", project.read(".env.example") + lines)
    [row] = [line for line in project.read("README.md").splitlines() if "| `ROOT_PATH`" in line]
    project.replace("README.md", row, f"{row}\n| `PAYMENT_URL` | none | where payments go |")
    project.variables["PAYMENT_URL"] = "https://pay.example.com"
    value = '"PAYMENT_URL": "https://pay.example.com", '
    project.replace("tests/__init__.py", "REQUIRED = {", f"REQUIRED = {{{value}")
    project.add_test(
        "required_setting",
        """
        def test_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
            monkeypatch.delenv("PAYMENT_URL")
            with pytest.raises(SystemExit, match="PAYMENT_URL"):
                load_settings()
        """,
    )
    project.add_imports(
        "tests/test_owner_required_setting.py", "from my_service.settings import load_settings"
    )


@edit()
def new_default(project: Project) -> None:
    """The default of a setting changes, and what describes it with it."""
    project.replace(SETTINGS, "default=1024 * 1024", "default=2_000_000")
    for file in (".env.example", "README.md"):
        project.replace(file, "1048576", "2000000")
    project.add_test(
        "new_default",
        """
        async def test_larger_bodies_are_read(client: httpx2.AsyncClient) -> None:
            response = await client.post("/_tests/notes", json={"a": "x" * 1_500_000}, **ADMIN)
            assert response.status_code == 204
        """,
    )


@edit(rate_limit={"yes"})
def new_rate_limit(project: Project) -> None:
    """Another default of the rate limit."""
    for file in ("src/my_service/auth/settings.py", ".env.example", "README.md"):
        project.replace(file, "600/minute", "90/minute")
    project.add_test(
        "new_rate_limit",
        """
        async def test_the_limit_is_announced(client: httpx2.AsyncClient) -> None:
            response = await client.get("/_tests/whoami", **KEY)
            assert "q=90;w=60" in response.headers["RateLimit-Policy"]
        """,
    )


@edit(key_location={"header", "fallback"})
def renamed_header(project: Project) -> None:
    """The header gets another name, in one place."""
    project.replace(LOCATIONS, 'HEADER = "X-API-Key"', 'HEADER = "X-Parcel-Key"')
    project.add_test(
        "renamed_header",
        """
        async def test_the_key_is_in_the_new_header(client: httpx2.AsyncClient) -> None:
            for name, status in (("X-Parcel-Key", 200), ("X-API-Key", 401)):
                response = await client.get("/_tests/whoami", headers={name: WEB_KEY})
                assert response.status_code == status
        """,
    )


@edit(key_location={"cookie", "query"})
def renamed_cookie_or_parameter(project: Project) -> None:
    """The cookie or the parameter gets another name, in one place."""
    for constant in ("COOKIE", "QUERY"):
        old, new = f'{constant} = "api_key"', f'{constant} = "parcel_key"'
        project.write(LOCATIONS, project.read(LOCATIONS).replace(old, new))
    project.add_test(
        "renamed_cookie_or_parameter",
        """
        async def test_the_key_has_the_new_name(client: httpx2.AsyncClient) -> None:
            assert "parcel_key" in str(KEY)
            assert (await client.get("/_tests/whoami", **KEY)).status_code == 200
        """,
    )


@edit(key_location={"header"})
def second_location(project: Project) -> None:
    """A location is one class and one line in the tuple."""
    project.add_imports(
        LOCATIONS,
        "from urllib.parse import unquote_plus",
        "from fastapi.security import APIKeyQuery",
    )
    old, new = "(HeaderLocation(HEADER),)", '(HeaderLocation(HEADER), QueryLocation("key"))'
    project.replace(LOCATIONS, old, new)
    project.write(LOCATIONS, project.read(LOCATIONS) + "\n" + QUERY_LOCATION)
    project.add_test(
        "second_location",
        """
        async def test_a_key_is_taken_from_each_location(client: httpx2.AsyncClient) -> None:
            for location in LOCATIONS:
                response = await client.get("/_tests/whoami", **with_key(location, WEB_KEY))
                assert response.json()["consumer"] == "web"


        async def test_the_first_key_decides(client: httpx2.AsyncClient) -> None:
            request = with_key(LOCATIONS[0], "wrong") | with_key(LOCATIONS[1], WEB_KEY)
            assert (await client.get("/_tests/whoami", **request)).status_code == 401
        """,
    )


@edit()
def own_description(project: Project) -> None:
    """The title, the description, tags and the version change as the service grows."""
    project.replace("src/my_service/app.py", 'title="My Service"', 'title="Parcels"')
    project.replace(
        "src/my_service/app.py",
        'description="A FastAPI service protected by API keys."',
        'description="Parcels and their labels.",\n        '
        'openapi_tags=[{"name": "health", "description": "For load balancers"}],\n        '
        'servers=[{"url": "https://api.example.com"}]',
    )
    text = project.read("src/my_service/__init__.py")
    project.write("src/my_service/__init__.py", text.replace("0.1.0", "1.2.3"))
    project.add_test(
        "own_description",
        """
        def test_the_document_has_the_description(app: FastAPI) -> None:
            document = app.openapi()
            assert (document["info"]["title"], document["info"]["version"]) == ("Parcels", "1.2.3")
            assert document["servers"] == [{"url": "https://api.example.com"}]
        """,
    )


@edit()
def own_responses(project: Project) -> None:
    """Responses, and an `Error`, that the owner declares are documented as declared."""
    project.add_routes(
        "labels",
        '''
        """Labels."""

        from fastapi import APIRouter
        from pydantic import BaseModel

        from ..auth import CurrentConsumer

        router = APIRouter(prefix="/labels")


        class Error(BaseModel):
            """An error of the owner."""

            code: int


        responses: dict[int | str, dict[str, object]] = {
            401: {"description": "Who are you?", "model": Error},
            409: {"description": "It exists", "model": Error},
        }


        @router.post("", responses=responses)
        async def post(labels: list[str], consumer: CurrentConsumer) -> int:
            """Print labels."""
            return len(labels)
        ''',
    )
    project.add_test(
        "own_responses",
        """
        def test_declared_responses_are_kept(app: FastAPI) -> None:
            document = app.openapi()
            responses = document["paths"]["/labels"]["post"]["responses"]
            assert responses["401"]["description"] == "Who are you?"
            schema = responses["401"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Error"}
            assert document["components"]["schemas"]["Error"]["required"] == ["code"]
            assert responses["413"]["content"]["application/json"]["schema"] != schema
        """,
    )


@edit()
def extended_document(project: Project) -> None:
    """FastAPI's "Extending OpenAPI", with the document of the service as the base."""
    project.add_to_app(
        """
        make_document = app.openapi

        def add_logo() -> dict[str, Any]:
            document = make_document()
            document["info"]["x-logo"] = {"url": "https://example.com/logo.png"}
            return document

        app.openapi = add_logo  # type: ignore[method-assign]
        """,
        "from typing import Any",
    )
    project.add_test(
        "extended_document",
        """
        def test_the_document_has_a_logo_and_the_schemes(app: FastAPI) -> None:
            document = app.openapi()
            assert document["info"]["x-logo"]
            schemes = {location.scheme.scheme_name for location in LOCATIONS}
            assert document["components"]["securitySchemes"].keys() >= schemes
        """,
    )


@edit()
def lifespan(project: Project) -> None:
    """A lifespan of the owner runs, and its state is the requests'."""
    app = "src/my_service/app.py"
    project.replace(app, "\n\ndef create_app", LIFESPAN + "\n\ndef create_app")
    if project.answers["key_store"] == "database":
        project.replace(app, "import lifespan,", "import lifespan as close_engine,")
        project.replace(app, "database_lifespan(app)", "close_engine(app)")
    else:
        old = "        version=__version__,\n"
        project.replace(app, old, f"{old}        lifespan=lifespan,\n")
        project.replace(app, "    async with database_lifespan(app):\n    ", "")
    project.add_imports(
        app,
        "from collections.abc import AsyncIterator",
        "from contextlib import asynccontextmanager",
        "from typing import Any",
    )
    project.add_test(
        "lifespan",
        """
        def test_requests_see_the_state() -> None:
            app = make_app()

            @app.get("/_tests/prices", dependencies=[Security(get_api_key)])
            async def prices(request: Request) -> list[int]:
                return list(request.state.prices)

            app.router.routes.insert(0, app.router.routes.pop())
            with TestClient(app, base_url=base_url(app)) as client:
                assert client.get("/_tests/prices", **KEY).json() == [5, 7]
                assert client.get("/_tests/whoami", **KEY).json()["consumer"] == "web"
        """,
    )
